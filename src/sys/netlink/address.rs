//! Addresses of interfaces, and routes through them.

use std::io;
use std::net::IpAddr;

use ipnet::IpNet;

use super::{attribute, creation, request};

/// `linux/rtnetlink.h`.
const RTM_NEWADDR: u16 = 20;
const RTM_NEWROUTE: u16 = 24;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RT_TABLE_MAIN: u8 = 254;
const RT_SCOPE_UNIVERSE: u8 = 0;
const RT_SCOPE_LINK: u8 = 253;
const RTPROT_STATIC: u8 = 4;
const RTN_UNICAST: u8 = 1;
const RTNH_F_ONLINK: u32 = 4;
/// `linux/if_addr.h`.
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
const IFA_F_NODAD: u8 = 0x02;

/// Give an interface this address, of a prefix of this length: what `ip address add … dev …` does. Needs
/// CAP_NET_ADMIN. `AlreadyExists` where it has the address.
pub(crate) fn add_address(interface: u32, address: IpAddr, prefix: u8) -> io::Result<()> {
    let network = IpNet::new(address, prefix).map_err(|_| io::ErrorKind::InvalidInput)?;
    // `ifaddrmsg`. Of IPv6 usable at once: firmware has just used it, or a person gave it to this machine.
    let mut body = vec![family(address), prefix, IFA_F_NODAD, 0];
    body.extend(interface.to_ne_bytes());
    attribute(&mut body, IFA_LOCAL, &octets(address));
    attribute(&mut body, IFA_ADDRESS, &octets(address));
    if let IpNet::V4(network) = network
        && prefix < 31
    {
        attribute(&mut body, IFA_BROADCAST, &network.broadcast().octets());
    }
    request(&creation(RTM_NEWADDR, &body))
}

/// Reach one host through this gateway on this interface: what `ip route add HOST via … dev … metric …` does, with the
/// interface's number for the metric, so that several interfaces each keep a way to the same host. Needs
/// CAP_NET_ADMIN. `AlreadyExists` where there is such a route.
pub(crate) fn add_host_route(interface: u32, host: IpAddr, gateway: IpAddr) -> io::Result<()> {
    let metric = Some(interface);
    request(&route(
        Some(interface),
        host.into(),
        Some(gateway),
        metric,
        0,
    )?)
}

/// Reach a network through this interface: what `ip route add NETWORK [via …] [dev …] [metric …]` does; without a gateway
/// all of it is on the link. Without a metric it has the kernel's, 0 with IPv4 and 1024 with IPv6.
///
/// A gateway that no address of the interface has in its network is taken to be on the link, as it is where a server has
/// an address of 32 bits; the kernel would refuse it. Without an interface the kernel takes the one that reaches the
/// gateway. Needs CAP_NET_ADMIN.
///
/// # Errors
/// `AlreadyExists` where there is such a route, `InvalidInput` where network and gateway are of different families or
/// both gateway and interface are missing, `NetworkUnreachable` or `HostUnreachable` where no interface reaches the gateway.
pub(crate) fn add_route(
    interface: Option<u32>,
    destination: IpNet,
    gateway: Option<IpAddr>,
    metric: Option<u32>,
) -> io::Result<()> {
    let add = |flags| request(&route(interface, destination, gateway, metric, flags)?);
    match add(0) {
        Err(error) if interface.is_some() && gateway.is_some() && is_unreachable(&error) => {
            add(RTNH_F_ONLINK)
        }
        result => result,
    }
}

fn is_unreachable(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable
    )
}

fn route(
    interface: Option<u32>,
    destination: IpNet,
    gateway: Option<IpAddr>,
    metric: Option<u32>,
    flags: u32,
) -> io::Result<Vec<u8>> {
    let network = destination.network();
    let mixed = gateway.is_some_and(|gateway| gateway.is_ipv4() != network.is_ipv4());
    if mixed || (gateway.is_none() && interface.is_none()) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let scope = match gateway {
        None if network.is_ipv4() => RT_SCOPE_LINK,
        _ => RT_SCOPE_UNIVERSE,
    };
    // `rtmsg`: family, lengths of destination and source, type of service, table, protocol, scope, type; flags.
    let mut body = vec![
        family(network),
        destination.prefix_len(),
        0,
        0,
        RT_TABLE_MAIN,
        RTPROT_STATIC,
        scope,
        RTN_UNICAST,
    ];
    body.extend(flags.to_ne_bytes());
    if destination.prefix_len() > 0 {
        attribute(&mut body, RTA_DST, &octets(network));
    }
    if let Some(gateway) = gateway {
        attribute(&mut body, RTA_GATEWAY, &octets(gateway));
    }
    if let Some(interface) = interface {
        attribute(&mut body, RTA_OIF, &interface.to_ne_bytes());
    }
    if let Some(metric) = metric {
        attribute(&mut body, RTA_PRIORITY, &metric.to_ne_bytes());
    }
    Ok(creation(RTM_NEWROUTE, &body))
}

fn family(address: IpAddr) -> u8 {
    let family = match address {
        IpAddr::V4(_) => libc::AF_INET,
        IpAddr::V6(_) => libc::AF_INET6,
    };
    family as u8
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::network_namespace::{inside, ip};

    #[test]
    fn an_interface_gets_an_address_and_a_way_to_one_host() {
        inside(|| {
            ip("link add eno1 type veth peer name port1");
            ip("link set eno1 up");
            ip("link set port1 up");
            let index = nix::net::if_::if_nametoindex("eno1").unwrap();
            let address = |text: &str| text.parse::<IpAddr>().unwrap();
            add_address(index, address("198.51.100.7"), 24).unwrap();
            add_address(index, address("2001:db8::7"), 64).unwrap();
            let again = add_address(index, address("198.51.100.7"), 24).unwrap_err();
            assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
            add_host_route(index, address("203.0.113.9"), address("198.51.100.1")).unwrap();
            add_host_route(index, address("2001:db8:9::9"), address("2001:db8::1")).unwrap();
            let routes = std::fs::read_to_string("/proc/thread-self/net/route").unwrap();
            // Destination, gateway and mask of 32 bits, as the kernel writes them.
            assert!(routes.contains("eno1\t097100CB\t016433C6"), "{routes}");
            let routes = std::fs::read_to_string("/proc/thread-self/net/ipv6_route").unwrap();
            let host = "20010db8000900000000000000000009 80 ";
            assert!(routes.contains(host), "{routes}");
            let elsewhere = add_host_route(index, address("203.0.113.10"), address("192.0.2.1"));
            assert_eq!(
                elsewhere.unwrap_err().raw_os_error(),
                Some(libc::ENETUNREACH)
            );
        });
    }

    #[test]
    fn two_interfaces_each_have_a_way_to_the_same_host() {
        inside(|| {
            for (card, own) in [("eno1", "198.51.100.7"), ("eno2", "198.51.100.135")] {
                ip(&format!("link add {card} type veth peer name p{card}"));
                ip(&format!("link set {card} up"));
                ip(&format!("link set p{card} up"));
                let index = nix::net::if_::if_nametoindex(card).unwrap();
                add_address(index, own.parse().unwrap(), 25).unwrap();
                let gateway = own.replace("100.7", "100.1").replace("135", "129");
                let host = "203.0.113.9".parse().unwrap();
                add_host_route(index, host, gateway.parse().unwrap()).unwrap();
                let again = add_host_route(index, host, gateway.parse().unwrap()).unwrap_err();
                assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
            }
            let routes = std::fs::read_to_string("/proc/thread-self/net/route").unwrap();
            assert!(routes.contains("eno1\t097100CB\t016433C6"), "{routes}");
            assert!(routes.contains("eno2\t097100CB\t816433C6"), "{routes}");
        });
    }

    #[test]
    fn a_network_is_reached_through_a_gateway_or_on_the_link() {
        inside(|| {
            ip("link add eno1 type veth peer name port1");
            ip("link set eno1 up");
            ip("link set port1 up");
            let index = nix::net::if_::if_nametoindex("eno1").unwrap();
            let address = |text: &str| Some(text.parse::<IpAddr>().unwrap());
            let add = |network: &str, gateway: Option<IpAddr>, metric: Option<u32>| {
                add_route(Some(index), network.parse().unwrap(), gateway, metric)
            };
            add_address(index, address("198.51.100.7").unwrap(), 24).unwrap();
            add_address(index, address("2001:db8::7").unwrap(), 64).unwrap();
            add("0.0.0.0/0", address("198.51.100.1"), None).unwrap();
            add("0.0.0.0/0", address("198.51.100.2"), Some(100)).unwrap();
            add("10.1.2.3/8", None, None).unwrap();
            // Outside of every network of the interface.
            add("172.16.0.0/12", address("169.254.1.1"), None).unwrap();
            add("::/0", address("fe80::1"), None).unwrap();
            add("2001:db8:5::/48", address("2001:db8:77::1"), Some(7)).unwrap();
            let destination = "192.0.2.0/24".parse().unwrap();
            add_route(None, destination, address("198.51.100.9"), None).unwrap();
            let nowhere = add_route(None, destination, address("fe80::9"), None).unwrap_err();
            assert_eq!(nowhere.kind(), io::ErrorKind::InvalidInput);
            let again = add("0.0.0.0/0", address("198.51.100.1"), None).unwrap_err();
            assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
            let mixed = add("::/0", address("198.51.100.1"), None).unwrap_err();
            assert_eq!(mixed.kind(), io::ErrorKind::InvalidInput);
            let routes = std::fs::read_to_string("/proc/thread-self/net/route").unwrap();
            for route in [
                "eno1\t00000000\t016433C6\t0003\t0\t0\t0\t00000000",
                "eno1\t00000000\t026433C6\t0003\t0\t0\t100\t00000000",
                "eno1\t0000000A\t00000000\t0001\t0\t0\t0\t000000FF",
                "eno1\t000010AC\t0101FEA9\t0003\t0\t0\t0\t0000F0FF",
            ] {
                assert!(routes.contains(route), "{route}\n{routes}");
            }
            let routes = std::fs::read_to_string("/proc/thread-self/net/ipv6_route").unwrap();
            for route in [
                "00000000000000000000000000000000 00 00000000000000000000000000000000 00 \
                 fe800000000000000000000000000001 00000400",
                "20010db8000500000000000000000000 30 00000000000000000000000000000000 00 \
                 20010db8007700000000000000000001 00000007",
            ] {
                assert!(routes.contains(route), "{route}\n{routes}");
            }
        });
    }
}
