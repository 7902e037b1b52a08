//! resolv.conf(5): which name servers are asked, in which order, for which names.
//!
//! Read here, because the crate for it takes no interface with a dot or dash in its name behind a
//! link-local server (`fe80::1%eth0.7`), and drops search domains with a comma instead of what is
//! no domain.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use hickory_proto::rr::Name;
use nix::net::if_::if_nametoindex;

/// Upper bounds of resolv.conf(5).
const NDOTS: usize = 15;
const TIMEOUT: u32 = 30;
const ATTEMPTS: u32 = 5;

/// What the file says. Lines and words that say nothing known are passed over.
#[derive(Debug)]
pub(super) struct ResolvConf {
    /// At least one: without any, the one on this machine. More than the C library's three are
    /// asked, too.
    pub(super) servers: Vec<SocketAddr>,
    /// Without dots at either end.
    search: Vec<String>,
    ndots: usize,
    /// Seconds.
    timeout: u32,
    /// How often each server is asked.
    pub(super) attempts: u32,
    pub(super) rotate: bool,
    pub(super) tcp: bool,
    pub(super) no_aaaa: bool,
    pub(super) single_request: bool,
    no_tld_query: bool,
}

/// A full name to ask for.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Candidate {
    pub(super) name: Name,
    /// Whether it has a domain of the search list.
    pub(super) searched: bool,
}

impl ResolvConf {
    /// `host_name` is the machine's own; its domain is searched where no line names one.
    pub(super) fn parse(file: &[u8], host_name: &str, port: u16) -> Self {
        let text = String::from_utf8_lossy(file);
        let own_domain = host_name.trim().split_once('.').map(|(_, domain)| domain);
        let mut read = Self {
            servers: Vec::new(),
            search: own_domain.and_then(domain).into_iter().collect(),
            ndots: 1,
            timeout: 5,
            attempts: 2,
            rotate: false,
            tcp: false,
            no_aaaa: false,
            single_request: false,
            no_tld_query: false,
        };
        for line in text.trim_start_matches('\u{feff}').lines() {
            // A line that begins with `;` or `#` is a comment; a word that does begins one, too.
            let mut words = line
                .split_whitespace()
                .take_while(|word| !word.starts_with([';', '#']));
            match (words.next(), words.clone().next()) {
                (Some("nameserver"), Some(word)) => {
                    read.servers.extend(server(word, port));
                }
                // The last of the two kinds of line counts.
                (Some("domain"), Some(word)) => read.search = domain(word).into_iter().collect(),
                (Some("search"), Some(_)) => read.search = words.filter_map(domain).collect(),
                (Some("options"), Some(_)) => words.for_each(|word| read.option(word)),
                _ => {}
            }
        }
        if read.servers.is_empty() {
            read.servers
                .push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port));
        }
        read
    }

    fn option(&mut self, word: &str) {
        match word.split_once(':') {
            None => match word {
                "rotate" => self.rotate = true,
                "use-vc" => self.tcp = true,
                "no-aaaa" => self.no_aaaa = true,
                "single-request" | "single-request-reopen" => self.single_request = true,
                "no-tld-query" => self.no_tld_query = true,
                _ => {}
            },
            Some(("ndots", number)) => {
                self.ndots = number
                    .parse()
                    .map_or(self.ndots, |dots: usize| dots.min(NDOTS));
            }
            Some(("timeout", number)) => {
                self.timeout = number
                    .parse()
                    .map_or(self.timeout, |seconds: u32| seconds.clamp(1, TIMEOUT));
            }
            Some(("attempts", number)) => {
                self.attempts = number
                    .parse()
                    .map_or(self.attempts, |times: u32| times.clamp(1, ATTEMPTS));
            }
            Some(_) => {}
        }
    }

    /// Seconds that the server in this place is waited for. The C library's: `timeout` for the
    /// first, and twice as much from place to place, divided by the number of servers.
    pub(super) fn patience(&self, place: usize) -> u32 {
        let count = u32::try_from(self.servers.len()).unwrap_or(u32::MAX);
        match place {
            0 => self.timeout,
            // With more than the library's three servers, no longer than its third.
            place => ((self.timeout << place.min(2)) / count).max(1),
        }
    }

    /// The names to ask for in their order. Empty if `host` can be none.
    pub(super) fn candidates(&self, host: &str) -> Vec<Candidate> {
        let as_it_is = full_name(host.strip_suffix('.').unwrap_or(host)).map(|name| Candidate {
            name,
            searched: false,
        });
        let Some(as_it_is) = as_it_is else {
            return Vec::new();
        };
        if host.ends_with('.') {
            return vec![as_it_is];
        }
        let dots = host.matches('.').count();
        let mut found: Vec<Candidate> = self
            .search
            .iter()
            .filter_map(|domain| full_name(&format!("{host}.{domain}")))
            .map(|name| Candidate {
                name,
                searched: true,
            })
            .collect();
        if dots >= self.ndots {
            found.insert(0, as_it_is);
        } else if dots > 0 || !self.no_tld_query || found.is_empty() {
            found.push(as_it_is);
        }
        found
    }
}

/// A domain as it can stand behind a host's name, without dots at either end; `None` for what
/// administrators and DHCP servers write instead (`(none)`, `Joe's net`, `lab..test`, `.`).
///
/// Letters, digits, dashes and underscores: a name server takes any byte, but nobody names a
/// domain so, and one such word was known to end all resolving.
pub(crate) fn domain(word: &str) -> Option<String> {
    let bare = word.strip_prefix('.').unwrap_or(word);
    let bare = bare.strip_suffix('.').unwrap_or(bare);
    let usual = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let is_label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(usual);
    (bare.len() <= 253 && bare.split('.').all(is_label)).then(|| bare.to_owned())
}

/// A server's address, with `%` and an interface where it is link-local. What follows a `;` or
/// `#` is none of it.
fn server(word: &str, port: u16) -> Option<SocketAddr> {
    let word = word.split([';', '#']).next().unwrap_or(word);
    if let Some((address, interface)) = word.split_once('%') {
        let address: Ipv6Addr = address.parse().ok()?;
        let scope = if_nametoindex(interface)
            .ok()
            .or_else(|| interface.parse().ok())?;
        return Some(SocketAddrV6::new(address, port, 0, scope).into());
    }
    let address: IpAddr = word.parse().ok()?;
    Some(SocketAddr::new(address, port))
}

/// The name as it is written, whatever its bytes: underscores, for one, are in use. hickory's own
/// readers of text refuse them, or take a backslash for the begin of an escape. With a dash in
/// front it could be taken for an option somewhere; the C library does not ask for it either.
fn full_name(text: &str) -> Option<Name> {
    if text.starts_with('-') || text.split('.').any(str::is_empty) {
        return None;
    }
    Name::from_labels(text.split('.').map(str::as_bytes)).ok()
}
