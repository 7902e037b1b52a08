//! Requests to the kernel's routing subsystem by netlink, for what no ioctl can do.

use std::io;
use std::net::IpAddr;
use std::os::fd::AsRawFd;

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};

/// `linux/netlink.h`.
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_ACK: u16 = 0x4;
const NLM_F_EXCL: u16 = 0x200;
const NLM_F_CREATE: u16 = 0x400;
const NLMSG_ERROR: u16 = 2;
const NLA_F_NESTED: u16 = 0x8000;
/// `linux/rtnetlink.h`.
const RTM_NEWLINK: u16 = 16;
const RTM_NEWADDR: u16 = 20;
const RTM_NEWROUTE: u16 = 24;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RT_TABLE_MAIN: u8 = 254;
const RTPROT_STATIC: u8 = 4;
const RTN_UNICAST: u8 = 1;
/// `linux/if_addr.h`.
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_F_NODAD: u8 = 0x02;
/// `linux/if_link.h`.
const IFLA_IFNAME: u16 = 3;
const IFLA_LINK: u16 = 5;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_VLAN_ID: u16 = 1;

/// `nlmsghdr` and `ifinfomsg`.
const HEADER: usize = 16;

/// Make a VLAN interface of this name and id (1 to 4094) above the interface with this index: what
/// `ip link add link … name … type vlan id …` does. Needs CAP_NET_ADMIN.
///
/// `AlreadyExists` where there is an interface of this name, or this id above that interface.
pub(crate) fn add_vlan(parent: u32, name: &str, id: u16) -> io::Result<()> {
    request(&vlan_request(parent, name, id)?)
}

fn vlan_request(parent: u32, name: &str, id: u16) -> io::Result<Vec<u8>> {
    if name.is_empty() || name.len() >= libc::IFNAMSIZ || !(1..=4094).contains(&id) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut info = Vec::new();
    attribute(&mut info, IFLA_INFO_KIND, b"vlan");
    let mut data = Vec::new();
    attribute(&mut data, IFLA_VLAN_ID, &id.to_ne_bytes());
    attribute(&mut info, IFLA_INFO_DATA | NLA_F_NESTED, &data);

    // `ifinfomsg`: any family, no type, index, flags or change.
    let mut body = vec![0; HEADER];
    attribute(&mut body, IFLA_IFNAME, &[name.as_bytes(), b"\0"].concat());
    attribute(&mut body, IFLA_LINK, &parent.to_ne_bytes());
    attribute(&mut body, IFLA_LINKINFO | NLA_F_NESTED, &info);

    Ok(creation(RTM_NEWLINK, &body))
}

/// Give an interface this address, of a prefix of this length: what `ip address add … dev …` does. Needs
/// CAP_NET_ADMIN. `AlreadyExists` where it has the address.
pub(crate) fn add_address(interface: u32, address: IpAddr, prefix: u8) -> io::Result<()> {
    // `ifaddrmsg`. Of IPv6 usable at once: firmware has just used it.
    let mut body = vec![family(address), prefix, IFA_F_NODAD, 0];
    body.extend(interface.to_ne_bytes());
    attribute(&mut body, IFA_LOCAL, &octets(address));
    attribute(&mut body, IFA_ADDRESS, &octets(address));
    request(&creation(RTM_NEWADDR, &body))
}

/// Reach one host through this gateway on this interface: what `ip route add HOST via … dev … metric …` does, with the
/// interface's number for the metric, so that several interfaces each keep a way to the same host. Needs
/// CAP_NET_ADMIN. `AlreadyExists` where there is such a route.
pub(crate) fn add_host_route(interface: u32, host: IpAddr, gateway: IpAddr) -> io::Result<()> {
    let length = if host.is_ipv4() { 32 } else { 128 };
    // `rtmsg`: family, lengths of destination and source, type of service, table, protocol, scope, type; no flags.
    let mut body = vec![
        family(host),
        length,
        0,
        0,
        RT_TABLE_MAIN,
        RTPROT_STATIC,
        0,
        RTN_UNICAST,
    ];
    body.extend([0; 4]);
    attribute(&mut body, RTA_DST, &octets(host));
    attribute(&mut body, RTA_GATEWAY, &octets(gateway));
    attribute(&mut body, RTA_OIF, &interface.to_ne_bytes());
    attribute(&mut body, RTA_PRIORITY, &interface.to_ne_bytes());
    request(&creation(RTM_NEWROUTE, &body))
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

/// A request to make what is not there yet: header and body.
fn creation(kind: u16, body: &[u8]) -> Vec<u8> {
    let flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
    let mut message = Vec::with_capacity(HEADER + body.len());
    message.extend(((HEADER + body.len()) as u32).to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    // Sequence number and sender; one request on a socket of its own needs neither.
    message.extend([0; 8]);
    message.extend(body);
    message
}

/// Length, type, value, and zeros up to a multiple of four.
fn attribute(to: &mut Vec<u8>, kind: u16, value: &[u8]) {
    to.extend((4 + value.len() as u16).to_ne_bytes());
    to.extend(kind.to_ne_bytes());
    to.extend(value);
    to.resize(to.len().next_multiple_of(4), 0);
}

/// Send a request and take its acknowledgement, which the kernel writes before it returns.
fn request(message: &[u8]) -> io::Result<()> {
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkRoute,
    )?;
    let kernel = NetlinkAddr::new(0, 0);
    sendto(socket.as_raw_fd(), message, &kernel, MsgFlags::empty())?;
    let mut answer = [0; 4096];
    let length = recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    acknowledged(&answer[..length])
}

/// `nlmsgerr`: after the header the negated error number, 0 for success.
fn acknowledged(answer: &[u8]) -> io::Result<()> {
    let kind = answer.get(4..6).map(|kind| [kind[0], kind[1]]);
    let code = answer
        .get(HEADER..HEADER + 4)
        .and_then(|code| <[u8; 4]>::try_from(code).ok())
        .map(i32::from_ne_bytes);
    match (kind.map(u16::from_ne_bytes), code) {
        (Some(NLMSG_ERROR), Some(0)) => Ok(()),
        (Some(NLMSG_ERROR), Some(code)) => Err(io::Error::from_raw_os_error(code.saturating_neg())),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::network_namespace::{inside, ip};

    #[test]
    fn a_request_is_laid_out_as_the_kernel_reads_it() {
        let request = vlan_request(2, "eno1.100", 100).unwrap();
        let expected: &[&[u8]] = &[
            &[80, 0, 0, 0, 16, 0, 5, 6],
            &[0; 8 + 16],
            &[13, 0, 3, 0],
            b"eno1.100\0\0\0\0",
            &[8, 0, 5, 0, 2, 0, 0, 0],
            &[24, 0, 18, 0x80, 8, 0, 1, 0],
            b"vlan",
            &[12, 0, 2, 0x80, 6, 0, 1, 0, 100, 0, 0, 0],
        ];
        if cfg!(target_endian = "little") {
            assert_eq!(request, expected.concat());
        }
    }

    #[test]
    fn what_is_no_vlan_is_refused() {
        for (name, id) in [
            ("", 1),
            ("sixteen-letters!", 1),
            ("a.0", 0),
            ("a.4095", 4095),
        ] {
            let error = vlan_request(1, name, id).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        }
    }

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
    fn the_kernels_answer_is_understood() {
        let answer = |code: i32| {
            let mut answer = [36, 0, 0, 0, 2, 0].to_vec();
            answer.resize(HEADER, 0);
            answer.extend(code.to_ne_bytes());
            answer
        };
        assert!(acknowledged(&answer(0)).is_ok());
        let error = acknowledged(&answer(-libc::EEXIST)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert!(acknowledged(&answer(0)[..HEADER]).is_err());
        assert!(acknowledged(&[]).is_err());
    }

    #[test]
    fn a_parent_that_does_not_exist_is_an_error() {
        // EPERM where the tests run without CAP_NET_ADMIN, EOPNOTSUPP on a kernel without VLANs.
        let error = add_vlan(0x7fff_fff0, "farrier.9", 9).unwrap_err();
        assert!(matches!(
            error.raw_os_error(),
            Some(libc::ENODEV | libc::EPERM | libc::EOPNOTSUPP)
        ));
    }
}
