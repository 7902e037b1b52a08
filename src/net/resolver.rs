//! Host names to addresses, in pure Rust: the C library's resolver would load shared libraries,
//! which a static executable cannot.
//!
//! It answers as that resolver does: `/etc/hosts` first, then the name servers of resolv.conf(5)
//! in their order, the next one where one does not answer or cannot. What it was compared with is
//! in `tests/fixtures/names`. Only the messages are hickory's. Its resolver has one time limit for
//! all servers, which a silent first one uses up; it has no place for the interface of a
//! link-local server, and remembers that a name was not there.

mod error;
mod exchange;
mod hosts;
mod resolv_conf;

use std::collections::HashMap;
use std::fmt::Write;
use std::fs;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hickory_proto::rr::{Name as DnsName, RecordType};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::select;
use tokio::time::{Instant, timeout};

use self::exchange::{Answer, Query};
use self::resolv_conf::ResolvConf;
use super::NetError;

pub(crate) use self::error::LookupError;
pub(crate) use self::resolv_conf::domain;

/// Seconds that the addresses of one family wait for those of the other: some servers never answer
/// for IPv6.
const OTHER_FAMILY: u32 = 1;

/// Seconds that a failure stands for while `/etc/resolv.conf` stays the same: whoever waits for a
/// route looks twenty times as often, and would ask the servers each time.
const FAILURE: u32 = 1;

/// Resolves names with the files and servers of that moment.
///
/// `/etc/resolv.conf` appears and changes while the agent runs (a lease, another interface), and
/// so does what servers know of a site that is being set up: nothing but a failure is remembered,
/// for a second. Clones share that, and take turns at the servers where `rotate` asks for it.
#[derive(Clone, Debug, Default)]
pub struct Resolver {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    system: System,
    turn: AtomicUsize,
    /// By the name that was asked for.
    failures: Mutex<HashMap<String, Failure>>,
}

#[derive(Debug)]
struct Failure {
    until: Instant,
    resolv_conf: Vec<u8>,
    error: LookupError,
}

/// What names are resolved with.
#[derive(Debug)]
struct System {
    /// Name servers and search domains, as the DHCP client writes them.
    resolv_conf: PathBuf,
    hosts: PathBuf,
    /// The machine's own name, whose domain is searched where no other is named.
    host_name: PathBuf,
    /// The servers' port.
    port: u16,
    /// How long a second of the time limits is.
    second: Duration,
}

impl Default for System {
    fn default() -> Self {
        Self {
            resolv_conf: "/etc/resolv.conf".into(),
            hosts: "/etc/hosts".into(),
            host_name: "/proc/sys/kernel/hostname".into(),
            port: 53,
            second: Duration::from_secs(1),
        }
    }
}

/// What the servers made of one question.
enum Verdict {
    Found(Vec<IpAddr>),
    NoAddress(SocketAddr),
    NotFound(SocketAddr),
    /// No server could answer.
    Failed {
        complaints: Vec<(SocketAddr, String)>,
        /// Whether a server said that it failed, rather than nothing.
        said_so: bool,
    },
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

    async fn lookup(&self, host: &str) -> Result<Vec<IpAddr>, LookupError> {
        let system = &self.shared.system;
        let bare = host.strip_suffix('.').unwrap_or(host);
        let found = hosts::addresses(&fs::read(&system.hosts).unwrap_or_default(), bare);
        if !found.is_empty() {
            return Ok(found);
        }
        // RFC 6761 section 6.3: no server is asked for it.
        if is_localhost(bare) {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        // Before the first lease there is none.
        let resolv_conf = fs::read(&system.resolv_conf).unwrap_or_default();
        if let Some(error) = self.failure(host, &resolv_conf) {
            return Err(error);
        }
        let found = self.ask_for_all(host, &resolv_conf).await;
        if let Err(error) = &found {
            self.remember(host, resolv_conf, error.clone());
        }
        found
    }

    /// Why this name could not be resolved a moment ago.
    fn failure(&self, host: &str, resolv_conf: &[u8]) -> Option<LookupError> {
        let mut failures = self.failures();
        failures.retain(|_, failure| failure.until > Instant::now());
        let failure = failures.get(host)?;
        (failure.resolv_conf == resolv_conf).then(|| failure.error.clone())
    }

    fn remember(&self, host: &str, resolv_conf: Vec<u8>, error: LookupError) {
        let failure = Failure {
            until: Instant::now() + self.shared.system.second * FAILURE,
            resolv_conf,
            error,
        };
        self.failures().insert(host.to_owned(), failure);
    }

    fn failures(&self) -> MutexGuard<'_, HashMap<String, Failure>> {
        let failures = &self.shared.failures;
        failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ask the servers for the name, and for it in each domain that is searched.
    async fn ask_for_all(
        &self,
        host: &str,
        resolv_conf: &[u8],
    ) -> Result<Vec<IpAddr>, LookupError> {
        let system = &self.shared.system;
        let own_name = fs::read_to_string(&system.host_name).unwrap_or_default();
        let configuration = ResolvConf::parse(resolv_conf, &own_name, system.port);
        let mut failure = None;
        let mut searching = true;
        for candidate in configuration.candidates(host) {
            if candidate.searched && !searching {
                continue;
            }
            let error = match self.ask(&configuration, &candidate.name).await {
                Verdict::Found(addresses) => return Ok(addresses),
                outcome => {
                    // Servers that say nothing say nothing about the next domain either.
                    searching &= !matches!(outcome, Verdict::Failed { said_so: false, .. });
                    error(&candidate.name, outcome)
                }
            };
            // The name as it was given first, unless another one could not be asked for.
            match (&failure, &error) {
                (None, _) | (Some(LookupError::NotFound { .. }), LookupError::NoAnswer { .. }) => {
                    failure = Some(error);
                }
                _ => {}
            }
        }
        Err(failure.unwrap_or(LookupError::NoName))
    }

    /// Both families' addresses of one name.
    async fn ask(&self, configuration: &ResolvConf, name: &DnsName) -> Verdict {
        let turn = if configuration.rotate {
            self.shared.turn.fetch_add(1, Ordering::Relaxed)
        } else {
            0
        };
        let question = |record| self.ask_servers(configuration, turn, Query::new(name, record));
        let v4 = question(RecordType::A);
        if configuration.no_aaaa {
            return v4.await;
        }
        if configuration.single_request {
            return both(v4.await, Some(question(RecordType::AAAA).await));
        }
        let patience = self.shared.system.second * OTHER_FAMILY;
        side_by_side(v4, question(RecordType::AAAA), patience).await
    }

    /// One server after the other, as often as `attempts` says, until one knows.
    async fn ask_servers(
        &self,
        configuration: &ResolvConf,
        turn: usize,
        query: Query<'_>,
    ) -> Verdict {
        let servers = &configuration.servers;
        let second = self.shared.system.second;
        let mut complaints: Vec<(SocketAddr, String)> = Vec::new();
        let mut said_so = false;
        for _ in 0..configuration.attempts {
            for place in 0..servers.len() {
                let server = servers[(place + turn) % servers.len()];
                let seconds = configuration.patience(place);
                let limit = second * seconds;
                let answer = timeout(
                    limit,
                    exchange::ask(server, &query, configuration.tcp, second),
                );
                let complaint = match answer.await {
                    Ok(Ok(Answer::Addresses(addresses))) => return Verdict::Found(addresses),
                    Ok(Ok(Answer::NoAddress)) => return Verdict::NoAddress(server),
                    Ok(Ok(Answer::NotFound)) => return Verdict::NotFound(server),
                    Ok(Ok(Answer::Failed(what))) => {
                        said_so = true;
                        what
                    }
                    Ok(Err(error)) => error.to_string(),
                    Err(_) => format!("no answer within {seconds} s"),
                };
                complaints.retain(|(of, _)| *of != server);
                complaints.push((server, complaint));
            }
        }
        Verdict::Failed {
            complaints,
            said_so,
        }
    }
}

/// Both outcomes; where the first to come has addresses, the other is not waited for as long.
async fn side_by_side<F: Future<Output = Verdict>>(v4: F, v6: F, patience: Duration) -> Verdict {
    let (mut v4, mut v6) = (pin!(v4), pin!(v6));
    select! {
        first = &mut v4 => match first {
            Verdict::Found(_) => both(first, timeout(patience, v6).await.ok()),
            _ => both(first, Some(v6.await)),
        },
        first = &mut v6 => match first {
            Verdict::Found(_) => match timeout(patience, v4).await {
                Ok(v4) => both(v4, Some(first)),
                Err(_) => first,
            },
            _ => both(v4.await, Some(first)),
        },
    }
}

/// One outcome of both families'. What a server knows counts more than that another could not
/// answer for the other family, except that "no address" needs both.
fn both(v4: Verdict, v6: Option<Verdict>) -> Verdict {
    match (v4, v6) {
        (Verdict::Found(mut addresses), Some(Verdict::Found(more))) => {
            addresses.extend(more);
            Verdict::Found(addresses)
        }
        (Verdict::Found(addresses), _) | (_, Some(Verdict::Found(addresses))) => {
            Verdict::Found(addresses)
        }
        (first, None) => first,
        (_, Some(not_found @ Verdict::NotFound(_)))
        | (Verdict::NoAddress(_), Some(not_found @ Verdict::Failed { .. })) => not_found,
        (first, Some(_)) => first,
    }
}

fn error(name: &DnsName, outcome: Verdict) -> LookupError {
    let name = exchange::text(name);
    match outcome {
        Verdict::NotFound(server) => LookupError::NotFound {
            name,
            server: server.ip(),
        },
        Verdict::NoAddress(server) => LookupError::NoAddress {
            name,
            server: server.ip(),
        },
        Verdict::Failed { complaints, .. } => LookupError::NoAnswer {
            name,
            complaints: joined(&complaints),
        },
        // A caller that has addresses makes no error of them.
        Verdict::Found(_) => LookupError::NoName,
    }
}

fn joined(complaints: &[(SocketAddr, String)]) -> String {
    let mut text = String::new();
    for (server, complaint) in complaints {
        let comma = if text.is_empty() { "" } else { ", " };
        // Writing to a string cannot fail.
        let _ = write!(text, "{comma}{}: {complaint}", server.ip());
    }
    text
}

fn is_localhost(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    last.eq_ignore_ascii_case("localhost")
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

/// Read bytes as everything that is read here.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(data: &[u8]) {
    exchange::fuzz(data);
    let host = "img_1.my_lab";
    ResolvConf::parse(data, host, 53).candidates(host);
    hosts::addresses(data, host);
    domain(&String::from_utf8_lossy(data));
}

#[cfg(test)]
mod cases;
#[cfg(test)]
mod tests;
