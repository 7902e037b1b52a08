//! Under which address the conductor reaches this agent, and the certificate for it
//! (contract/control-plane 1.5, 4.2).

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use farrier_plugin::{ErrorKind, chain};
use rustls::ServerConfig;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};
use url::Url;

use super::AgentError;
use super::clock;
use super::network;
use super::state::StateFile;
use super::status::Status;
use crate::conductor::{ApiVersion, Client};
use crate::config::Options;
use crate::hardware::Managers;
use crate::net::certificate::Identity;
use crate::net::resolver::Resolver;
use crate::net::{NetError, address, tls};

/// How often an address is looked for.
const POLL: Duration = Duration::from_millis(100);

/// How the conductor reaches this agent.
pub(super) struct Callback {
    /// The URL, without a path.
    pub(super) url: String,
    /// The certificate that the conductor is told, PEM.
    pub(super) certificate: Option<String>,
    /// How the API is served; `None` is plain HTTP.
    pub(super) tls: Option<Arc<ServerConfig>>,
}

/// Find or make it. An agent that was restarted goes on under the URL and with the certificate that
/// the conductor knows, as long as the address is still this machine's.
pub(super) async fn callback(
    options: &Options,
    client: &Client,
    resolver: &Resolver,
    state: &mut StateFile,
    root: &Path,
    managers: &Arc<Managers>,
    status: &Status,
) -> Result<Callback, AgentError> {
    let own_certificate = !options.listen_tls
        && options.enable_auto_tls
        && client.version().await >= ApiVersion::AGENT_VERIFY_CA;
    if let Some(kept) = kept(state, own_certificate) {
        info!(
            url = kept.url,
            "going on under the address that the conductor knows"
        );
        let identity = state.kept().identity.as_ref();
        let tls = match identity {
            Some(identity) => Some(own_tls(identity, options)?),
            None => files(options)?,
        };
        return Ok(Callback { tls, ..kept });
    }
    let host = host(options, client, resolver, status).await;
    let callback = if own_certificate {
        let address = certificate_address(&host)?;
        let (identity, tls) = make(address, options, client, root, managers).await?;
        let url = url("https", &host, options.advertise_port);
        let certificate = identity.certificate.clone();
        state.change(|kept| {
            kept.callback_url = Some(url.clone());
            kept.identity = Some(identity);
        });
        Callback {
            url,
            certificate: Some(certificate),
            tls: Some(tls),
        }
    } else {
        let tls = files(options)?;
        let protocol = protocol(options, tls.is_some());
        let url = url(protocol, &host, options.advertise_port);
        state.change(|kept| kept.callback_url = Some(url.clone()));
        Callback {
            url,
            certificate: None,
            tls,
        }
    };
    info!(url = callback.url, "the conductor will call");
    Ok(callback)
}

/// TLS with the certificate and key that files hold, where both are set.
pub(super) fn files(options: &Options) -> Result<Option<Arc<ServerConfig>>, AgentError> {
    let (Some(certificate), Some(key)) = (&options.tls_cert_file, &options.tls_key_file) else {
        if options.listen_tls {
            warn!("listen_tls is set without tls_cert_file and tls_key_file; serving plain HTTP");
        }
        return Ok(None);
    };
    let config = tls::server_from_files(options, certificate, key).map_err(AgentError::Tls)?;
    Ok(Some(Arc::new(config)))
}

fn kept(state: &StateFile, own_certificate: bool) -> Option<Callback> {
    let kept = state.kept();
    let url = kept.callback_url.clone()?;
    let parsed = Url::parse(&url).ok()?;
    let still_ours = match parsed.host()? {
        url::Host::Ipv4(host) => address::is_own(host.into()),
        url::Host::Ipv6(host) => address::is_own(host.into()),
        // A name that an operator configured.
        url::Host::Domain(_) => true,
    };
    let usable = still_ours && own_certificate == kept.identity.is_some();
    usable.then(|| Callback {
        url,
        certificate: kept
            .identity
            .as_ref()
            .map(|identity| identity.certificate.clone()),
        tls: None,
    })
}

/// The host for the URL: as configured, or the interface's address, or the source address towards
/// the conductor. Waits until there is one: after `ip_lookup_attempts` rounds the reference dies,
/// which would help nobody.
async fn host(options: &Options, client: &Client, resolver: &Resolver, status: &Status) -> String {
    if let Some(host) = &options.advertise_host {
        return host.clone();
    }
    let patience =
        Duration::from_secs(u64::from(options.ip_lookup_attempts) * options.ip_lookup_sleep);
    let started = Instant::now();
    loop {
        let found = match &options.network_interface {
            Some(interface) => address::of_interface(interface),
            None => {
                let urls = client.urls();
                network::route(&urls, resolver)
                    .await
                    .ok_or_else(|| NetError::NoAddress {
                        towards: urls
                            .iter()
                            .filter_map(Url::host_str)
                            .collect::<Vec<_>>()
                            .join(", "),
                    })
            }
        };
        match found {
            Ok(address) => return address.to_string(),
            Err(error) if started.elapsed() >= patience => status.error(&error),
            Err(_) => {}
        }
        sleep(POLL).await;
    }
}

fn certificate_address(host: &str) -> Result<IpAddr, AgentError> {
    host.trim_start_matches('[')
        .trim_end_matches(']')
        .parse()
        .map_err(|_| {
            AgentError::Tls(NetError::Tls {
                with: format!(
                    "advertise_host {host}: the own certificate needs an IP address there"
                ),
                source: rustls::Error::General("no IP address".to_owned()),
            })
        })
}

/// As the hardware managers make it. Valid by the conductor's clock, which is the one it is checked
/// with: a machine whose own clock is off still gets a certificate that the conductor accepts, and
/// may have its clock set at any time after, since the certificate must stay as it is.
///
/// A manager that fails here is told of, and a certificate made without it: an agent that nobody can
/// reach could not even say so. The reference dies.
async fn make(
    address: IpAddr,
    options: &Options,
    client: &Client,
    root: &Path,
    managers: &Arc<Managers>,
) -> Result<(Identity, Arc<ServerConfig>), AgentError> {
    let now = SystemTime::now();
    let conductor = client.conductor_time().unwrap_or(now);
    let off = conductor
        .duration_since(now)
        .unwrap_or_else(|behind| behind.duration());
    if off > Duration::from_secs(60) {
        warn!(
            off_by = clock::in_words(off),
            "this machine's clock is not the conductor's; ipa-ntp-server names a server to set it by"
        );
    }
    let managers = Arc::clone(managers);
    let asked = spawn_blocking(move || managers.generate_tls_certificate(address, conductor)).await;
    match asked {
        Ok(Ok(made)) => {
            let identity = Identity {
                certificate: made.text,
                key: made.private_key,
            };
            match own_tls(&identity, options) {
                Ok(tls) => return Ok((identity, tls)),
                Err(error) => warn!(
                    error = %chain(&error),
                    "the certificate of a hardware manager cannot be used, another one is made"
                ),
            }
        }
        Ok(Err(error)) if error.kind() == ErrorKind::HardwareManagerMethodNotFound => {}
        Ok(Err(error)) => warn!(
            error = error.chain(),
            "a hardware manager could not make the certificate, another one is made"
        ),
        Err(panic) => warn!(%panic, "making the certificate ended in a panic"),
    }
    let hostname =
        std::fs::read_to_string(root.join("proc/sys/kernel/hostname")).unwrap_or_default();
    // The kernel's word for a name that nobody has set.
    let hostname = hostname.trim().trim_start_matches("(none)");
    let identity =
        Identity::generate(address, hostname, options, conductor).map_err(AgentError::Tls)?;
    let tls = own_tls(&identity, options)?;
    Ok((identity, tls))
}

fn own_tls(identity: &Identity, options: &Options) -> Result<Arc<ServerConfig>, AgentError> {
    identity
        .server_config(options)
        .map(Arc::new)
        .map_err(AgentError::Tls)
}

/// `advertise_protocol`, but never `http` for a server that speaks TLS by the operator's wish: the
/// reference advertises a URL there that cannot work.
fn protocol(options: &Options, tls: bool) -> &str {
    if tls && options.listen_tls {
        "https"
    } else {
        &options.advertise_protocol
    }
}

fn url(protocol: &str, host: &str, port: u16) -> String {
    if host.contains(':') && !host.starts_with('[') {
        format!("{protocol}://[{host}]:{port}")
    } else {
        format!("{protocol}://{host}:{port}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv6_addresses_are_bracketed() {
        assert_eq!(url("https", "10.0.0.1", 9999), "https://10.0.0.1:9999");
        assert_eq!(
            url("https", "2001:db8::5", 9999),
            "https://[2001:db8::5]:9999"
        );
        assert_eq!(url("http", "[::1]", 1), "http://[::1]:1");
        assert_eq!(url("http", "host.example", 1), "http://host.example:1");
    }
}
