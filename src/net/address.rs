//! This machine's addresses, and the one that a conductor can reach (contract/control-plane 1.5).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use nix::ifaddrs::getifaddrs;

use super::NetError;

/// Any port will do: connecting a UDP socket sends nothing. 9 is the discard service.
const PORT: u16 = 9;

/// An address of an interface.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct InterfaceAddress {
    /// The interface.
    pub interface: String,
    /// Its address.
    pub address: IpAddr,
}

/// The source address that the kernel takes towards a host: `None` where there is no route, or
/// where the address is link-local, loopback (towards another host) or unspecified, which nobody
/// else can answer to.
pub(crate) fn source_towards(host: IpAddr) -> Option<IpAddr> {
    let socket = UdpSocket::bind(any_towards(host)).ok()?;
    socket.connect(SocketAddr::new(host, PORT)).ok()?;
    let source = socket.local_addr().ok()?.ip();
    let usable = !is_link_local(source)
        && !source.is_unspecified()
        && (!source.is_loopback() || host.is_loopback());
    usable.then_some(source)
}

/// Where a socket is bound that asks this host: any address of its family, any port.
pub(super) fn any_towards(host: IpAddr) -> SocketAddr {
    let any = match host {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    SocketAddr::new(any, 0)
}

/// Every address of every interface that is up, without loopback and link-local ones.
pub(crate) fn all() -> Result<Vec<InterfaceAddress>, NetError> {
    Ok(interface_addresses()?
        .filter(|entry| !entry.address.is_loopback() && !is_link_local(entry.address))
        .collect())
}

/// Whether this address is configured on an interface of this machine.
pub(crate) fn is_own(address: IpAddr) -> bool {
    interface_addresses().is_ok_and(|mut entries| entries.any(|entry| entry.address == address))
}

/// The first IPv4 address of an interface, else its first IPv6 address that is not link-local.
pub(crate) fn of_interface(interface: &str) -> Result<IpAddr, NetError> {
    let addresses: Vec<_> = interface_addresses()?
        .filter(|entry| entry.interface == interface && !is_link_local(entry.address))
        .map(|entry| entry.address)
        .collect();
    addresses
        .iter()
        .find(|address| address.is_ipv4())
        .or_else(|| addresses.first())
        .copied()
        .ok_or_else(|| NetError::InterfaceAddress {
            interface: interface.to_owned(),
        })
}

/// 169.254.0.0/16 or fe80::/10.
pub(crate) fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

fn interface_addresses() -> Result<impl Iterator<Item = InterfaceAddress>, NetError> {
    let entries = getifaddrs().map_err(|errno| NetError::Addresses(io::Error::from(errno)))?;
    Ok(entries.filter_map(|entry| {
        let storage = entry.address?;
        let address: IpAddr = if let Some(v4) = storage.as_sockaddr_in() {
            v4.ip().into()
        } else {
            storage.as_sockaddr_in6()?.ip().into()
        };
        Some(InterfaceAddress {
            interface: entry.interface_name,
            address,
        })
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn towards_itself_the_machine_uses_loopback() {
        let loopback: IpAddr = Ipv4Addr::LOCALHOST.into();
        assert_eq!(source_towards(loopback), Some(loopback));
        assert!(is_own(loopback));
        assert_eq!(of_interface("lo").unwrap(), loopback);
    }

    #[test]
    fn link_local_addresses_are_told_apart() {
        for (text, link_local) in [
            ("169.254.3.4", true),
            ("fe80::1", true),
            ("10.0.0.1", false),
            ("2001:db8::5", false),
            ("fd00::1", false),
        ] {
            assert_eq!(is_link_local(text.parse().unwrap()), link_local, "{text}");
        }
    }

    #[test]
    fn an_interface_without_address_is_an_error() {
        of_interface("no-such-link").unwrap_err();
    }
}
