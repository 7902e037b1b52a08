//! Host names to addresses, in pure Rust: the C library's resolver would load shared libraries,
//! which a static executable cannot.

use std::error::Error;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::LookupIpStrategy;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::system_conf::parse_resolv_conf;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::NetError;

/// Name servers and search domains, as the DHCP client writes them.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Resolves names with the servers that `/etc/resolv.conf` names at that moment.
///
/// The file appears and changes while the agent runs (a lease, another interface), and without it
/// there is no server to ask: a resolver that is made once, or that falls back to public servers,
/// was rejected for that. Clones share one resolver.
#[derive(Clone, Default)]
pub struct Resolver {
    made: Arc<Mutex<Option<Made>>>,
}

/// A resolver and the file that it was made from.
struct Made {
    from: Vec<u8>,
    resolver: TokioResolver,
}

impl Resolver {
    /// All addresses of a host; an address in text form is itself. Square brackets around an IPv6
    /// address are dropped.
    pub async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, NetError> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse() {
            return Ok(vec![address]);
        }
        self.lookup(host).await.map_err(|source| NetError::Resolve {
            host: host.to_owned(),
            source,
        })
    }

    async fn lookup(&self, host: &str) -> Result<Vec<IpAddr>, Box<dyn Error + Send + Sync>> {
        let found = self.current()?.lookup_ip(host).await?;
        Ok(found.iter().collect())
    }

    fn current(&self) -> Result<TokioResolver, Box<dyn Error + Send + Sync>> {
        let content = fs::read(RESOLV_CONF).map_err(|error| format!("{RESOLV_CONF}: {error}"))?;
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = &*made
            && made.from == content
        {
            return Ok(made.resolver.clone());
        }
        let (config, options) = parse_resolv_conf(&content)?;
        let mut builder =
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        *builder.options_mut() = options;
        builder.options_mut().ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        let resolver = builder.build()?;
        *made = Some(Made {
            from: content,
            resolver: resolver.clone(),
        });
        Ok(resolver)
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let found = resolver.lookup(name.as_str()).await?;
            let addresses: Addrs =
                Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}
