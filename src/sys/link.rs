//! Network interfaces as the kernel switches them.

#![expect(unsafe_code, reason = "ioctl")]

use std::ffi::c_char;
use std::io;
use std::mem;
use std::os::fd::AsRawFd;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

mod ioctl {
    nix::ioctl_readwrite_bad!(interface_flags, libc::SIOCGIFFLAGS, libc::ifreq);
    nix::ioctl_write_ptr_bad!(set_interface_flags, libc::SIOCSIFFLAGS, libc::ifreq);
}

/// Take an interface down, as `ip link set X down` does. Needs CAP_NET_ADMIN.
pub(crate) fn set_down(name: &str) -> io::Result<()> {
    change(name, false)
}

/// Bring an interface up, as `ip link set X up` does. Needs CAP_NET_ADMIN. Its link follows when the
/// card and the switch have agreed on a speed, which takes seconds.
pub(crate) fn set_up(name: &str) -> io::Result<()> {
    change(name, true)
}

fn change(name: &str, up: bool) -> io::Result<()> {
    let mut request = request(name)?;
    let socket = socket(
        AddressFamily::Inet,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    // SAFETY: the descriptor is an open socket, and the request is a zeroed ifreq with a
    // NUL-terminated name that lives across both calls; SIOCGIFFLAGS fills the union's flags, which
    // is the member that is read and written here.
    unsafe {
        ioctl::interface_flags(socket.as_raw_fd(), &raw mut request)?;
        let before = request.ifr_ifru.ifru_flags;
        let flag = libc::IFF_UP as libc::c_short;
        let after = if up { before | flag } else { before & !flag };
        if after == before {
            return Ok(());
        }
        request.ifr_ifru.ifru_flags = after;
        ioctl::set_interface_flags(socket.as_raw_fd(), &raw const request)?;
    }
    Ok(())
}

fn request(name: &str) -> io::Result<libc::ifreq> {
    // SAFETY: ifreq is plain data; all zero bytes are a valid value of it.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    if name.is_empty() || name.len() >= request.ifr_name.len() {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = c_char::from_ne_bytes([from]);
    }
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_does_not_fit_is_refused() {
        for name in ["", "sixteen-letters!"] {
            let error = set_down(name).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        }
    }

    #[test]
    fn an_interface_that_does_not_exist_is_an_error() {
        assert_eq!(
            set_down("no-such-link").unwrap_err().raw_os_error(),
            Some(libc::ENODEV)
        );
    }
}
