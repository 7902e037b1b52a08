//! Admin commands to NVMe controllers, through the kernel's driver.
#![expect(unsafe_code, reason = "ioctl")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::sys::hex;
use crate::sys::root::Root;

/// Bytes of an identify data structure (NVM Express base specification 1.4, section 5.15).
pub(crate) const IDENTIFY: usize = 4096;

/// Opcodes of admin commands (NVM Express base specification 1.4, figure 139).
pub(crate) mod opcode {
    /// Get Log Page.
    pub(crate) const GET_LOG_PAGE: u8 = 0x02;
    /// Identify.
    pub(crate) const IDENTIFY: u8 = 0x06;
    /// Format NVM.
    pub(crate) const FORMAT_NVM: u8 = 0x80;
    /// Sanitize.
    pub(crate) const SANITIZE: u8 = 0x84;
}

/// The interface under which answers are recorded: `{"/dev/nvme0n1 identify 1 0": "86801af4…"}`,
/// without the zeros at the end.
const INTERFACE: &str = "nvme";

/// How long an answer about the controller itself may take.
const QUESTION: Duration = Duration::from_secs(30);

/// A command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct AdminCommand {
    /// Which.
    pub opcode: u8,
    /// Namespace; 0xffffffff for all.
    pub namespace: u32,
    /// Command dword 10.
    pub dword10: u32,
    /// Command dword 11.
    pub dword11: u32,
    /// After this the kernel resets the controller.
    pub timeout: Duration,
}

/// Why a command was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NvmeError {
    /// The device cannot be opened.
    #[error("Could not open {device} for NVMe commands")]
    Open {
        /// The device.
        device: String,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The kernel did not pass the command on, or the controller did not answer in time.
    #[error("The kernel did not complete the NVMe command 0x{opcode:02x}")]
    Kernel {
        /// The command.
        opcode: u8,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The recording has no such answer.
    #[error("The recording has no answer to {asked}")]
    NotRecorded {
        /// What was asked.
        asked: String,
    },
    /// The controller refuses.
    #[error(
        "The controller answered the NVMe command 0x{opcode:02x} with status 0x{status:04x} ({})",
        status_text(*status)
    )]
    Status {
        /// The command.
        opcode: u8,
        /// Status code in bits 7:0, status code type in bits 10:8.
        status: u16,
    },
}

/// Something that takes admin commands: a controller, or a test's script of one.
pub(crate) trait NvmeAdmin {
    /// Send a command; what the controller gives back goes into `data`, which is empty where it
    /// gives nothing.
    fn admin(&self, command: &AdminCommand, data: &mut [u8]) -> Result<(), NvmeError>;
}

/// A namespace's device, by which its controller is reached.
#[derive(Debug)]
pub(crate) struct NvmeDevice {
    file: File,
}

impl NvmeDevice {
    /// The controller behind this namespace (`/dev/nvme0n1`).
    pub(crate) fn open(root: &Root, device: &str) -> Result<Self, NvmeError> {
        File::open(root.path(device))
            .map(|file| Self { file })
            .map_err(|source| NvmeError::Open {
                device: device.to_owned(),
                source,
            })
    }
}

impl NvmeAdmin for NvmeDevice {
    fn admin(&self, command: &AdminCommand, data: &mut [u8]) -> Result<(), NvmeError> {
        let opcode = command.opcode;
        let mut passed = PassthruCommand {
            opcode,
            namespace: command.namespace,
            address: if data.is_empty() {
                0
            } else {
                data.as_mut_ptr() as u64
            },
            // No buffer here is above 4 KiB.
            data_length: data.len() as u32,
            dword10: command.dword10,
            dword11: command.dword11,
            timeout_ms: u32::try_from(command.timeout.as_millis()).unwrap_or(u32::MAX),
            ..PassthruCommand::default()
        };
        // SAFETY: the descriptor is open; the request reads and writes one struct
        // nvme_passthru_cmd, whose layout PassthruCommand has, and the kernel writes at most
        // data_length bytes to address, which is `data`, borrowed for the whole call.
        let status = unsafe { ioctl::nvme_admin_cmd(self.file.as_raw_fd(), &raw mut passed) }
            .map_err(|errno| NvmeError::Kernel {
                opcode,
                source: errno.into(),
            })?;
        match status {
            0 => Ok(()),
            // Bits 14:11 say how to retry.
            status => Err(NvmeError::Status {
                opcode,
                status: (status & 0x7ff) as u16,
            }),
        }
    }
}

/// An identify data structure by its number (CNS) and namespace, from the machine or from a
/// recording of it.
pub(crate) fn identify(
    root: &Root,
    device: &str,
    cns: u8,
    namespace: u32,
) -> Result<Vec<u8>, NvmeError> {
    let asked = format!("{device} identify {cns} {namespace}");
    if !root.is_system() {
        let answers = root.recorded::<Map<String, Value>>(INTERFACE);
        let mut answer = answers
            .as_ref()
            .and_then(|answers| hex::decode(answers.get(&asked)?.as_str()?))
            .ok_or(NvmeError::NotRecorded { asked })?;
        answer.resize(IDENTIFY, 0);
        return Ok(answer);
    }
    let answer = identify_of(&NvmeDevice::open(root, device)?, cns, namespace)?;
    root.remember(INTERFACE, &asked, hex::encode(&for_recording(&answer, cns)));
    Ok(answer)
}

/// Without the zeros at the end, and without what names this one drive: sysfs has that too, where a
/// recording can mask it.
fn for_recording(answer: &[u8], cns: u8) -> Vec<u8> {
    // Serial number, FGUID and names of the subsystem; EUI-64 and NGUID (figures 247 and 245).
    let names: &[(usize, usize)] = match cns {
        0 => &[(104, 128)],
        1 => &[(4, 24), (112, 128), (768, 1024)],
        _ => &[],
    };
    let mut told = answer.to_vec();
    for (start, end) in names {
        if let Some(bytes) = told.get_mut(*start..*end) {
            bytes.fill(0);
        }
    }
    told.truncate(
        told.iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |end| end + 1),
    );
    told
}

/// An identify data structure of an open controller.
pub(crate) fn identify_of(
    controller: &dyn NvmeAdmin,
    cns: u8,
    namespace: u32,
) -> Result<Vec<u8>, NvmeError> {
    let mut data = vec![0; IDENTIFY];
    let command = AdminCommand {
        opcode: opcode::IDENTIFY,
        namespace,
        dword10: u32::from(cns),
        dword11: 0,
        timeout: QUESTION,
    };
    controller.admin(&command, &mut data)?;
    Ok(data)
}

/// So many bytes of a log page, a multiple of 4, of the whole controller.
pub(crate) fn log_page(
    controller: &dyn NvmeAdmin,
    page: u8,
    length: usize,
) -> Result<Vec<u8>, NvmeError> {
    let mut data = vec![0; length];
    let dwords = (length / 4).saturating_sub(1) as u32;
    let command = AdminCommand {
        opcode: opcode::GET_LOG_PAGE,
        namespace: u32::MAX,
        dword10: dwords << 16 | u32::from(page),
        dword11: 0,
        timeout: QUESTION,
    };
    controller.admin(&command, &mut data)?;
    Ok(data)
}

/// `struct nvme_passthru_cmd` of include/uapi/linux/nvme_ioctl.h: 72 bytes.
#[repr(C)]
#[derive(Default)]
struct PassthruCommand {
    opcode: u8,
    flags: u8,
    reserved: u16,
    namespace: u32,
    dword2: u32,
    dword3: u32,
    metadata: u64,
    address: u64,
    metadata_length: u32,
    data_length: u32,
    dword10: u32,
    dword11: u32,
    dword12: u32,
    dword13: u32,
    dword14: u32,
    dword15: u32,
    timeout_ms: u32,
    result: u32,
}

/// NVME_IOCTL_ADMIN_CMD of include/uapi/linux/nvme_ioctl.h.
mod ioctl {
    nix::ioctl_readwrite!(nvme_admin_cmd, b'N', 0x41, super::PassthruCommand);
}

/// The words of NVM Express base specification 1.4, figures 126 to 128, for what an erase can meet.
fn status_text(status: u16) -> &'static str {
    match status {
        0x001 => "invalid command opcode",
        0x002 => "invalid field in command",
        0x006 => "internal error",
        0x007 => "command abort requested",
        0x00b => "invalid namespace or format",
        0x00c => "command sequence error",
        0x015 => "operation denied",
        0x01c => "sanitize failed",
        0x01d => "sanitize in progress",
        0x020 => "namespace is write protected",
        0x082 => "namespace not ready",
        0x084 => "format in progress",
        0x10a => "invalid format",
        _ => "see the NVM Express base specification, status field",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::recording::Recording;

    #[test]
    fn the_kernels_structure_has_its_size() {
        // 0xC0484E41 holds it.
        assert_eq!(size_of::<PassthruCommand>(), 0x48);
    }

    #[test]
    fn a_recording_answers_for_its_machine() {
        let recording = Recording::unpack(
            "/recorded/nvme.json = {\"/dev/nvme0n1 identify 1 0\": \"8680f41a\"}",
        );
        let answer = identify(&recording.root(), "/dev/nvme0n1", 1, 0).unwrap();
        assert_eq!(
            (answer.len(), &answer[..5]),
            (4096, &[0x86, 0x80, 0xf4, 0x1a, 0][..])
        );
        assert!(matches!(
            identify(&recording.root(), "/dev/nvme0n1", 0, 1),
            Err(NvmeError::NotRecorded { .. })
        ));
    }

    #[test]
    fn a_recording_does_not_name_the_drive() {
        let mut answer = vec![0; IDENTIFY];
        answer[0] = 1;
        answer[4..24].fill(b'S');
        answer[524] = 4;
        answer[768..1024].fill(b'n');
        let told = for_recording(&answer, 1);
        assert_eq!(told.len(), 525);
        assert_eq!((told[0], told[524]), (1, 4));
        assert!(!told.contains(&b'S'));
        assert!(for_recording(&[0; 16], 2).is_empty());
    }

    #[test]
    fn what_is_no_nvme_device_says_so() {
        let error = identify(&Root::system(), "/dev/null", 1, 0).unwrap_err();
        assert!(matches!(error, NvmeError::Kernel { .. }), "{error}");
    }
}
