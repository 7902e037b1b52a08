//! `no_proxy`: the hosts that are reached without a proxy.

use std::net::IpAddr;

use ipnet::IpNet;
use url::{Host, Url};

/// A list of hosts. Commas separate them, blanks as well.
#[derive(Clone, Debug, Default)]
pub(super) struct NoProxy {
    everything: bool,
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    hosts: Hosts,
    /// `None` for every port.
    port: Option<u16>,
}

#[derive(Clone, Debug)]
enum Hosts {
    /// This name, in lower case and without dots at either end, and all below it.
    Below(String),
    Address(IpAddr),
    Network(IpNet),
}

impl NoProxy {
    /// What is no host is passed over.
    pub(super) fn parse(list: &str) -> Self {
        Self {
            // Among others a star is none, as in curl.
            everything: list.trim() == "*",
            entries: list
                .split(|letter: char| letter == ',' || letter.is_ascii_whitespace())
                .filter_map(Entry::parse)
                .collect(),
        }
    }

    pub(super) fn is_everything(&self) -> bool {
        self.everything
    }

    pub(super) fn covers(&self, url: &Url) -> bool {
        let port = url.port_or_known_default();
        let fits = |entry: &Entry| entry.port.is_none() || entry.port == port;
        match url.host() {
            Some(Host::Domain(name)) => {
                let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
                self.any(|entry| fits(entry) && entry.hosts.name(&name))
            }
            Some(Host::Ipv4(address)) => {
                self.any(|entry| fits(entry) && entry.hosts.address(address.into()))
            }
            Some(Host::Ipv6(address)) => {
                self.any(|entry| fits(entry) && entry.hosts.address(address.into()))
            }
            None => false,
        }
    }

    fn any(&self, covers: impl Fn(&Entry) -> bool) -> bool {
        self.everything || self.entries.iter().any(covers)
    }
}

impl Entry {
    fn parse(word: &str) -> Option<Self> {
        if let Some(hosts) = Hosts::of_addresses(word) {
            return Some(Self { hosts, port: None });
        }
        let (host, port) = match word.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (word, None),
        };
        let hosts = Hosts::of_addresses(host).or_else(|| Hosts::of_name(host))?;
        Some(Self { hosts, port })
    }
}

impl Hosts {
    fn of_addresses(word: &str) -> Option<Self> {
        let bare = word
            .strip_prefix('[')
            .and_then(|word| word.strip_suffix(']'))
            .unwrap_or(word);
        if let Ok(address) = bare.parse() {
            return Some(Self::Address(address));
        }
        // curl and the reference's HTTP library both take no network of everything.
        let network = bare.replace(['[', ']'], "").parse::<IpNet>().ok()?;
        (network.prefix_len() > 0).then_some(Self::Network(network))
    }

    fn of_name(word: &str) -> Option<Self> {
        let name = word.strip_suffix('.').unwrap_or(word);
        let name = name.strip_prefix('.').unwrap_or(name);
        (!name.is_empty()).then(|| Self::Below(name.to_ascii_lowercase()))
    }

    fn name(&self, name: &str) -> bool {
        match self {
            Self::Below(domain) => name
                .strip_suffix(domain.as_str())
                .is_some_and(|host| host.is_empty() || host.ends_with('.')),
            _ => false,
        }
    }

    fn address(&self, address: IpAddr) -> bool {
        match self {
            Self::Below(_) => false,
            Self::Address(own) => *own == address,
            Self::Network(network) => network.contains(&address),
        }
    }
}
