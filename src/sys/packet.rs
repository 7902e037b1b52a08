//! Ethernet frames of one type as they arrive at one interface, and as they are sent from it, by AF_PACKET.
#![expect(unsafe_code, reason = "packet sockets")]

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, socket};

/// A hardware address of Ethernet.
pub(crate) type HardwareAddress = [u8; 6];

/// Receives the frames of one type at one interface, with their Ethernet header.
///
/// Frames to a multicast group come in only after [`Self::join`]. Membership belongs to the socket:
/// the kernel ends it when the process ends, however it does. The promiscuous flag of the interface
/// (`SIOCSIFFLAGS`, what the reference sets) stays on after a kill, loads the machine with all
/// traffic of the segment, and is everybody's: clearing it takes it from another program too.
#[derive(Debug)]
pub(crate) struct PacketSocket {
    socket: OwnedFd,
    interface: i32,
}

impl PacketSocket {
    /// Receive frames of this type at this interface from now on. Needs CAP_NET_RAW.
    pub(crate) fn open(interface: &str, ethertype: u16) -> io::Result<Self> {
        Self::open_matching(interface, ethertype, &[])
    }

    /// The same, of those alone that have these bytes at these offsets from their Ethernet header on. The kernel drops the
    /// others, so that traffic of others costs nothing and pushes nothing out of the buffer.
    pub(crate) fn open_matching(
        interface: &str,
        ethertype: u16,
        bytes: &[(u32, u8)],
    ) -> io::Result<Self> {
        // Without a protocol: with one, it would take frames of every interface until it is bound.
        let socket = socket(
            AddressFamily::Packet,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
            None,
        )?;
        if !bytes.is_empty() {
            attach(&socket, &filter(bytes))?;
        }
        let index = if_nametoindex(interface)?;
        let index = i32::try_from(index).map_err(|_| io::ErrorKind::InvalidInput)?;
        // SAFETY: sockaddr_ll holds integers and an array of them; zero is a value for all.
        let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
        address.sll_family = libc::AF_PACKET as libc::c_ushort;
        address.sll_protocol = ethertype.to_be();
        address.sll_ifindex = index;
        // SAFETY: the socket is open; the address is a whole sockaddr_ll of the length that is
        // given, alive until the call returns.
        let result = unsafe {
            libc::bind(
                socket.as_raw_fd(),
                (&raw const address).cast(),
                size_of::<libc::sockaddr_ll>() as libc::socklen_t,
            )
        };
        Errno::result(result)?;
        Ok(Self {
            socket,
            interface: index,
        })
    }

    /// Receive what is sent to this multicast group as well.
    pub(crate) fn join(&self, group: HardwareAddress) -> io::Result<()> {
        let mut request = libc::packet_mreq {
            mr_ifindex: self.interface,
            mr_type: libc::PACKET_MR_MULTICAST as libc::c_ushort,
            mr_alen: group.len() as libc::c_ushort,
            mr_address: [0; 8],
        };
        request.mr_address[..group.len()].copy_from_slice(&group);
        // SAFETY: the socket is open; the option's value is a whole packet_mreq of the length that
        // is given, alive until the call returns.
        let result = unsafe {
            libc::setsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_ADD_MEMBERSHIP,
                (&raw const request).cast(),
                size_of::<libc::packet_mreq>() as libc::socklen_t,
            )
        };
        Errno::result(result)?;
        Ok(())
    }

    /// The next frame that has arrived, cut to the buffer; `None` where there is none. Never waits.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match recv(self.socket.as_raw_fd(), buffer, MsgFlags::empty()) {
            Ok(length) => Ok(Some(length)),
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Send a frame with its Ethernet header.
    pub(crate) fn send(&self, frame: &[u8]) -> io::Result<()> {
        nix::sys::socket::send(self.socket.as_raw_fd(), frame, MsgFlags::empty())?;
        Ok(())
    }
}

/// A program of the kernel's packet filter: each byte is loaded and compared, one that differs drops the frame.
fn filter(bytes: &[(u32, u8)]) -> Vec<libc::sock_filter> {
    let instruction = |code: u32, jf: usize, k: u32| libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf: u8::try_from(jf).unwrap_or(u8::MAX),
        k,
    };
    let mut program = Vec::new();
    for (place, (offset, byte)) in bytes.iter().enumerate() {
        program.push(instruction(
            libc::BPF_LD | libc::BPF_B | libc::BPF_ABS,
            0,
            *offset,
        ));
        // Past the comparisons that follow, and the end that takes the frame.
        let rest = 2 * (bytes.len() - 1 - place) + 1;
        program.push(instruction(
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            rest,
            u32::from(*byte),
        ));
    }
    program.push(instruction(libc::BPF_RET | libc::BPF_K, 0, u32::MAX));
    program.push(instruction(libc::BPF_RET | libc::BPF_K, 0, 0));
    program
}

fn attach(socket: &OwnedFd, program: &[libc::sock_filter]) -> io::Result<()> {
    let program = libc::sock_fprog {
        len: u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?,
        filter: program.as_ptr().cast_mut(),
    };
    // SAFETY: the socket is open; the option's value is a whole sock_fprog of the length that is given, and the program
    // that it points to is alive until the call returns. The kernel copies both and writes to neither.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    };
    Errno::result(result)?;
    Ok(())
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::network_namespace::{inside, ip};

    /// The multicast addresses that an interface of this thread's namespace receives.
    fn memberships(interface: &str) -> Vec<String> {
        let list = std::fs::read_to_string("/proc/thread-self/net/dev_mcast").unwrap();
        list.lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .filter(|words| words[1] == interface)
            .map(|words| words[4].to_owned())
            .collect()
    }

    #[test]
    fn a_membership_ends_with_its_socket() {
        inside(|| {
            ip("link add eno1 type veth peer name port1");
            ip("link set eno1 up");
            let group = "0180c200000e".to_owned();
            let socket = PacketSocket::open("eno1", 0x88cc).unwrap();
            assert!(!memberships("eno1").contains(&group));
            socket.join([0x01, 0x80, 0xc2, 0, 0, 0x0e]).unwrap();
            assert!(memberships("eno1").contains(&group));
            drop(socket);
            assert!(!memberships("eno1").contains(&group));
        });
    }

    #[test]
    fn only_frames_of_the_type_come_in() {
        inside(|| {
            ip("link add eno1 type veth peer name port1");
            ip("link set eno1 up");
            ip("link set port1 up");
            let socket = PacketSocket::open("eno1", 0x88cc).unwrap();
            let port = PacketSocket::open("port1", 0x88cc).unwrap();
            let mut frame = [0xff; 64];
            frame[12..14].copy_from_slice(&[0x08, 0x06]);
            port.send(&frame).unwrap();
            frame[12..14].copy_from_slice(&[0x88, 0xcc]);
            port.send(&frame).unwrap();
            let mut buffer = [0; 40];
            assert_eq!(socket.receive(&mut buffer).unwrap(), Some(40));
            assert_eq!(buffer[12..14], [0x88, 0xcc]);
            assert_eq!(socket.receive(&mut buffer).unwrap(), None);
        });
    }

    #[test]
    fn only_frames_with_the_bytes_come_in() {
        inside(|| {
            ip("link add eno1 type veth peer name port1");
            ip("link set eno1 up");
            ip("link set port1 up");
            let bytes = [(14, 1), (20, 2), (30, 3)];
            let socket = PacketSocket::open_matching("eno1", 0x88cc, &bytes).unwrap();
            let port = PacketSocket::open("port1", 0x88cc).unwrap();
            let mut frame = [0xff; 64];
            frame[12..14].copy_from_slice(&[0x88, 0xcc]);
            for (offset, byte) in bytes {
                // Not all of them are right yet.
                port.send(&frame).unwrap();
                frame[offset as usize] = byte;
            }
            // Too short for one of them.
            port.send(&frame[..25]).unwrap();
            frame[40] = 4;
            port.send(&frame).unwrap();
            let mut buffer = [0; 64];
            assert_eq!(socket.receive(&mut buffer).unwrap(), Some(64));
            assert_eq!(buffer[40], 4);
            assert_eq!(socket.receive(&mut buffer).unwrap(), None);
        });
    }

    #[test]
    fn an_interface_that_does_not_exist_is_an_error() {
        let error = PacketSocket::open("no-such-link", 0x88cc).unwrap_err();
        // EPERM where the tests run without CAP_NET_RAW.
        assert!(matches!(
            error.raw_os_error(),
            Some(libc::ENODEV | libc::EPERM)
        ));
    }
}
