//! Requests to the management controller through the kernel's IPMI driver (`/dev/ipmi0`).
#![expect(unsafe_code, reason = "ioctl")]

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::sys::hex;
use crate::sys::root::Root;

/// How long one answer may take. Controllers answer within 100 ms, or not at all; the driver itself
/// gives up after 5 s.
const ANSWER_TIME: Duration = Duration::from_secs(6);

/// `IPMI_SYSTEM_INTERFACE_ADDR_TYPE` and `IPMI_BMC_CHANNEL`, `linux/ipmi.h`.
const SYSTEM_INTERFACE: i32 = 0x0c;
const BMC_CHANNEL: i16 = 0x0f;
/// `IPMI_RESPONSE_RECV_TYPE`.
const RESPONSE: i32 = 1;
/// `IPMI_MAX_MSG_LENGTH`.
const MESSAGE_LIMIT: usize = 272;

/// What a recording has in place of an answer, where there was none.
const NO_ANSWER: &str = "timeout";
const FAILED: &str = "failed";

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum IpmiError {
    /// The driver failed.
    #[error("The IPMI driver did not take the request or give its answer")]
    Driver(#[source] io::Error),
    /// The controller does not answer.
    #[error("The management controller did not answer within {} s", ANSWER_TIME.as_secs())]
    Timeout,
    /// The controller refuses.
    #[error("The management controller answered with completion code 0x{code:02x}")]
    Refused {
        /// IPMI 2.0 table 5-2.
        code: u8,
    },
    /// The recording has no such request.
    #[error("The recording has no answer to {request}")]
    NotRecorded {
        /// Network function, command and data in hexadecimal.
        request: String,
    },
}

/// An open management controller, or a recorded one.
#[derive(Debug)]
pub(crate) struct Ipmi {
    root: Root,
    source: Source,
    next_id: libc::c_long,
}

#[derive(Debug)]
enum Source {
    Device(File),
    Recorded(BTreeMap<String, String>),
}

impl Ipmi {
    /// The first IPMI device of the machine; `None` where there is none that can be opened.
    ///
    /// A recording holds `{"0c02 01030000": "0011c0000283"}` as `ipmi`: network function and
    /// command, data, and the answer with its completion code, all in hexadecimal; or `timeout` or
    /// `failed`.
    pub(crate) fn open(root: &Root) -> Option<Self> {
        let source = if root.is_system() {
            Source::Device(open_device(root)?)
        } else {
            Source::Recorded(root.recorded("ipmi")?)
        };
        root.remember_interface("ipmi");
        Some(Self {
            root: root.clone(),
            source,
            next_id: 0,
        })
    }

    /// Send a request and wait for its answer, which comes without its completion code.
    pub(crate) fn request(
        &mut self,
        network_function: u8,
        command: u8,
        data: &[u8],
    ) -> Result<Vec<u8>, IpmiError> {
        self.next_id += 1;
        let request = format!("{network_function:02x}{command:02x} {}", hex::encode(data));
        let answer = match &self.source {
            Source::Device(device) => {
                let answer = exchange(device, self.next_id, network_function, command, data);
                let recorded = match &answer {
                    Ok(answer) => hex::encode(answer),
                    Err(IpmiError::Timeout) => NO_ANSWER.to_owned(),
                    Err(_) => FAILED.to_owned(),
                };
                self.root.remember("ipmi", &request, recorded);
                answer?
            }
            Source::Recorded(answers) => match answers.get(&request).map(String::as_str) {
                Some(NO_ANSWER) => return Err(IpmiError::Timeout),
                Some(FAILED) => return Err(driver(nix::Error::EIO)),
                answer => answer
                    .and_then(hex::decode)
                    .ok_or(IpmiError::NotRecorded { request })?,
            },
        };
        match answer.split_first() {
            Some((0, rest)) => Ok(rest.to_vec()),
            Some((code, _)) => Err(IpmiError::Refused { code: *code }),
            None => Err(IpmiError::Driver(io::ErrorKind::UnexpectedEof.into())),
        }
    }
}

/// `struct ipmi_system_interface_addr`.
#[repr(C)]
struct SystemInterfaceAddress {
    kind: i32,
    channel: i16,
    lun: u8,
}

/// `struct ipmi_msg`.
#[repr(C)]
struct Message {
    network_function: u8,
    command: u8,
    length: u16,
    data: *mut u8,
}

/// `struct ipmi_req`.
#[repr(C)]
struct Request {
    address: *mut SystemInterfaceAddress,
    address_length: u32,
    id: libc::c_long,
    message: Message,
}

/// `struct ipmi_recv`.
#[repr(C)]
struct Receive {
    kind: i32,
    address: *mut [u8; 32],
    address_length: u32,
    id: libc::c_long,
    message: Message,
}

nix::ioctl_read! {
    /// `IPMICTL_SEND_COMMAND`.
    send_command, b'i', 13, Request
}
nix::ioctl_readwrite! {
    /// `IPMICTL_RECEIVE_MSG_TRUNC`.
    receive_message, b'i', 11, Receive
}

fn open_device(root: &Root) -> Option<File> {
    const DIRECTORIES: [(&str, &str); 3] =
        [("/dev", "ipmi"), ("/dev/ipmi", ""), ("/dev/ipmidev", "")];
    DIRECTORIES
        .iter()
        .flat_map(|(directory, prefix)| {
            // Other names in `/dev` are no part of a recording.
            let names = root.names_beginning(directory, prefix);
            names.into_iter().filter_map(move |name| {
                let number = name.strip_prefix(prefix)?;
                number.parse::<u32>().ok()?;
                Some(format!("{directory}/{name}"))
            })
        })
        .find_map(|path| {
            OpenOptions::new()
                .read(true)
                .write(true)
                .open(root.path(path))
                .ok()
        })
}

fn exchange(
    device: &File,
    id: libc::c_long,
    network_function: u8,
    command: u8,
    data: &[u8],
) -> Result<Vec<u8>, IpmiError> {
    let mut address = SystemInterfaceAddress {
        kind: SYSTEM_INTERFACE,
        channel: BMC_CHANNEL,
        lun: 0,
    };
    let mut data = data.to_vec();
    let mut request = Request {
        address: &raw mut address,
        address_length: size_of::<SystemInterfaceAddress>() as u32,
        id,
        message: Message {
            network_function,
            command,
            length: u16::try_from(data.len())
                .map_err(|_| IpmiError::Driver(io::ErrorKind::InvalidInput.into()))?,
            data: data.as_mut_ptr(),
        },
    };
    // SAFETY: the request and what it points to live until the call returns, and its lengths are
    // those of what it points to; the driver copies all of it.
    unsafe { send_command(device.as_raw_fd(), &raw mut request) }.map_err(driver)?;

    let deadline = Instant::now() + ANSWER_TIME;
    loop {
        wait(device, deadline)?;
        let (kind, answer_id, answer) = receive(device)?;
        // An answer to an earlier request, which timed out, may come first.
        if kind == RESPONSE && answer_id == id {
            return Ok(answer);
        }
    }
}

fn wait(device: &File, deadline: Instant) -> Result<(), IpmiError> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(IpmiError::Timeout);
        }
        let mut descriptors = [PollFd::new(device.as_fd(), PollFlags::POLLIN)];
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut descriptors, timeout) {
            Ok(0) => return Err(IpmiError::Timeout),
            Ok(_) => return Ok(()),
            Err(nix::Error::EINTR) => {}
            Err(error) => return Err(driver(error)),
        }
    }
}

fn receive(device: &File) -> Result<(i32, libc::c_long, Vec<u8>), IpmiError> {
    let mut address = [0u8; 32];
    let mut data = [0u8; MESSAGE_LIMIT];
    let mut received = Receive {
        kind: 0,
        address: &raw mut address,
        address_length: 32,
        id: 0,
        message: Message {
            network_function: 0,
            command: 0,
            length: MESSAGE_LIMIT as u16,
            data: data.as_mut_ptr(),
        },
    };
    // SAFETY: address and data have the room that the lengths beside them announce, and live until
    // the call returns; the driver writes no more than that (it truncates the data).
    match unsafe { receive_message(device.as_raw_fd(), &raw mut received) } {
        Ok(_) => {}
        // The data was cut to the room that there is; the part is as good as none for what is
        // asked here, but it is an answer.
        Err(nix::Error::EMSGSIZE) => {}
        Err(error) => return Err(driver(error)),
    }
    let length = usize::from(received.message.length).min(MESSAGE_LIMIT);
    Ok((received.kind, received.id, data[..length].to_vec()))
}

fn driver(error: nix::Error) -> IpmiError {
    IpmiError::Driver(error.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::recording::Recording;

    #[test]
    fn the_layouts_are_the_kernels() {
        assert_eq!(size_of::<Request>(), 40);
        assert_eq!(size_of::<Receive>(), 48);
        assert_eq!(std::mem::offset_of!(Receive, message), 32);
        assert_eq!(size_of::<SystemInterfaceAddress>(), 8);
    }

    #[test]
    fn a_recorded_controller_answers() {
        let recording = Recording::unpack(
            "/recorded/ipmi.json = {\"0c02 01030000\": \"0011c0000283\", \"0c02 02030000\": \"cc\"}",
        );
        let mut ipmi = Ipmi::open(&recording.root()).unwrap();
        assert_eq!(
            ipmi.request(0x0c, 0x02, &[1, 3, 0, 0]).unwrap(),
            [0x11, 192, 0, 2, 131]
        );
        assert!(matches!(
            ipmi.request(0x0c, 0x02, &[2, 3, 0, 0]),
            Err(IpmiError::Refused { code: 0xcc })
        ));
        assert!(matches!(
            ipmi.request(0x0c, 0x02, &[3, 3, 0, 0]),
            Err(IpmiError::NotRecorded { .. })
        ));
    }

    #[test]
    fn no_device_is_no_controller() {
        let recording = Recording::unpack("/dev/null/");
        assert!(Ipmi::open(&recording.root()).is_none());
    }
}
