//! The IP addresses that each network interface has now.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nix::ifaddrs::getifaddrs;
use tracing::warn;

use crate::sys::root::Root;

/// Addresses by interface, each list in the kernel's order.
///
/// Asked by rtnetlink through getifaddrs of the C library, which is the same request that we would
/// write. A recording holds `{"eno1": ["192.0.2.1", "fe80::1"]}` as `addresses`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Addresses(BTreeMap<String, Vec<IpAddr>>);

impl Addresses {
    /// The addresses of all interfaces. None at all where the kernel does not answer, with a
    /// warning in the log: an inventory without addresses is still one.
    pub(crate) fn of(root: &Root) -> Self {
        if !root.is_system() {
            return Self(root.recorded("addresses").unwrap_or_default());
        }
        if let Some(addresses) = root.remembered("addresses") {
            return Self(addresses);
        }
        let interfaces = match getifaddrs() {
            Ok(interfaces) => interfaces,
            Err(error) => {
                warn!(%error, "cannot read the addresses of the network interfaces");
                return Self::default();
            }
        };
        let mut addresses = BTreeMap::<String, Vec<IpAddr>>::new();
        for interface in interfaces {
            let Some(storage) = interface.address else {
                continue;
            };
            let address = storage
                .as_sockaddr_in()
                .map(|v4| IpAddr::V4(v4.ip()))
                .or_else(|| storage.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())));
            if let Some(address) = address {
                addresses
                    .entry(interface.interface_name)
                    .or_default()
                    .push(address);
            }
        }
        root.remember_interface("addresses");
        for (interface, addresses) in &addresses {
            root.remember("addresses", interface, addresses);
        }
        Self(addresses)
    }

    /// The first IPv4 address of an interface.
    pub(crate) fn ipv4(&self, interface: &str) -> Option<Ipv4Addr> {
        self.each(interface).find_map(|address| match address {
            IpAddr::V4(v4) => Some(*v4),
            IpAddr::V6(_) => None,
        })
    }

    /// The first IPv6 address of an interface, link-local ones too.
    pub(crate) fn ipv6(&self, interface: &str) -> Option<Ipv6Addr> {
        self.each(interface).find_map(|address| match address {
            IpAddr::V4(_) => None,
            IpAddr::V6(v6) => Some(*v6),
        })
    }

    /// All addresses of an interface.
    pub(crate) fn each(&self, interface: &str) -> impl Iterator<Item = &IpAddr> {
        self.0.get(interface).into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_a_loopback_address() {
        let addresses = Addresses::of(&Root::system());
        assert_eq!(addresses.ipv4("lo"), Some(Ipv4Addr::LOCALHOST));
        assert_eq!(addresses.ipv4("no-such"), None);
    }
}
