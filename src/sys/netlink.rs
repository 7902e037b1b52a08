//! Requests to the kernel's routing subsystem by netlink, for what no ioctl can do.

use std::io;
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

    let flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
    let mut message = Vec::with_capacity(HEADER + body.len());
    message.extend(((HEADER + body.len()) as u32).to_ne_bytes());
    message.extend(RTM_NEWLINK.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    // Sequence number and sender; one request on a socket of its own needs neither.
    message.extend([0; 8]);
    message.extend(body);
    Ok(message)
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
