//! Requests to the kernel's routing subsystem by netlink, for what no ioctl can do: [`link`] makes and changes
//! interfaces, [`address`] gives them addresses and routes.
//!
//! One request goes on a socket of its own, and its acknowledgement is all that is read. What there is, is read from
//! sysfs.

pub(crate) mod address;
pub(crate) mod link;

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

/// `nlmsghdr`; `ifinfomsg` is as long.
const HEADER: usize = 16;

/// A request to make what is not there yet: header and body. `AlreadyExists` where it is.
fn creation(kind: u16, body: &[u8]) -> Vec<u8> {
    message(kind, NLM_F_CREATE | NLM_F_EXCL, body)
}

/// A request to change what is there.
fn change(kind: u16, body: &[u8]) -> Vec<u8> {
    message(kind, 0, body)
}

fn message(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    let flags = flags | NLM_F_REQUEST | NLM_F_ACK;
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
}
