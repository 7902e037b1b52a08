//! Bringing the loopback interface up; the kernel leaves it down.

#![expect(unsafe_code, reason = "interface flags are set by ioctl")]

use std::ffi::c_char;
use std::io;
use std::os::fd::AsRawFd;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

// Both requests of linux/sockios.h predate the encoding of direction and size, hence the "bad"
// macros. They make public functions, so they get a module that is not.
mod request {
    nix::ioctl_read_bad!(
        /// Read the flags of the interface that the request names.
        interface_flags,
        libc::SIOCGIFFLAGS,
        libc::ifreq
    );
    nix::ioctl_write_ptr_bad!(
        /// Set the flags of the interface that the request names.
        set_interface_flags,
        libc::SIOCSIFFLAGS,
        libc::ifreq
    );
}

/// Bring `lo` up; the kernel then gives it 127.0.0.1 and ::1.
///
/// # Errors
/// The kernel's answer, such as EPERM without CAP_NET_ADMIN.
pub(crate) fn bring_up() -> io::Result<()> {
    let socket = socket(
        AddressFamily::Inet,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    // SAFETY: ifreq is a C struct of integers, arrays and a union of such; all zeros is valid.
    let mut flags_of: libc::ifreq = unsafe { std::mem::zeroed() };
    for (byte, name) in flags_of.ifr_name.iter_mut().zip(b"lo") {
        *byte = c_char::from_ne_bytes([*name]);
    }
    // SAFETY: the socket is open and the request is a valid ifreq with a terminated name.
    unsafe { request::interface_flags(socket.as_raw_fd(), &raw mut flags_of) }?;
    // SAFETY: SIOCGIFFLAGS filled in this member of the union.
    let flags = unsafe { flags_of.ifr_ifru.ifru_flags };
    // IFF_UP is 1 and fits.
    flags_of.ifr_ifru.ifru_flags = flags | libc::IFF_UP as libc::c_short;
    // SAFETY: as above; the kernel only reads the request.
    unsafe { request::set_interface_flags(socket.as_raw_fd(), &raw const flags_of) }?;
    Ok(())
}
