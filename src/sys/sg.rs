//! SCSI commands through the kernel: `SG_IO` on a block device.
#![expect(unsafe_code, reason = "ioctl")]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::ptr;
use std::time::Duration;

use crate::sys::scsi::{Data, Reply, ScsiDevice, ScsiError, Sense};

/// The longest time that a command may take: the kernel counts milliseconds in 32 bits.
const LONGEST: Duration = Duration::from_secs(40 * 24 * 3600);

/// Bytes of sense data that are taken. No device gives more (SPC-4 4.5.1: at most 252).
const SENSE: usize = 252;

/// A block device that commands are sent to.
#[derive(Debug)]
pub(crate) struct SgDevice {
    file: File,
}

impl SgDevice {
    /// Open a block device beside whoever has it open: commands need no exclusive access, and what
    /// writes to the device has it already.
    pub(crate) fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            // A drive that is locked or busy with a sanitize operation is opened all the same.
            // Not for writing: udev probes a device whenever a writer closes it.
            .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
            .open(path)?;
        Ok(Self { file })
    }
}

/// `struct sg_io_hdr` of scsi/sg.h, version 3 of the interface.
#[repr(C)]
struct SgIoHeader {
    interface_id: libc::c_int,
    dxfer_direction: libc::c_int,
    cmd_len: u8,
    mx_sb_len: u8,
    iovec_count: u16,
    dxfer_len: u32,
    dxferp: *mut libc::c_void,
    cmdp: *const u8,
    sbp: *mut u8,
    timeout: u32,
    flags: u32,
    pack_id: libc::c_int,
    usr_ptr: *mut libc::c_void,
    status: u8,
    masked_status: u8,
    msg_status: u8,
    sb_len_wr: u8,
    host_status: u16,
    driver_status: u16,
    resid: libc::c_int,
    duration: u32,
    info: u32,
}

/// `SG_DXFER_NONE`, `SG_DXFER_TO_DEV`, `SG_DXFER_FROM_DEV`.
const NO_DATA: libc::c_int = -1;
const TO_DEVICE: libc::c_int = -2;
const FROM_DEVICE: libc::c_int = -3;

/// `DID_TIME_OUT` of scsi/scsi_status.h: the command was given up and the device reset.
const DID_TIME_OUT: u16 = 0x03;
/// `DRIVER_SENSE` of kernels before 5.14: there is sense data, nothing else.
const DRIVER_SENSE: u16 = 0x08;

nix::ioctl_readwrite_bad! {
    /// `SG_IO`.
    sg_io, 0x2285, SgIoHeader
}

impl ScsiDevice for SgDevice {
    fn send(&self, command: &[u8], data: Data<'_>, timeout: Duration) -> Result<Reply, ScsiError> {
        let invalid = || ScsiError::Kernel(io::ErrorKind::InvalidInput.into());
        let (direction, pointer, length) = match data {
            Data::None => (NO_DATA, ptr::null_mut(), 0),
            Data::In(buffer) => (FROM_DEVICE, buffer.as_mut_ptr().cast(), buffer.len()),
            // The kernel only reads from it in this direction.
            Data::Out(bytes) => (TO_DEVICE, bytes.as_ptr().cast_mut().cast(), bytes.len()),
        };
        let mut sense = [0_u8; SENSE];
        let mut header = SgIoHeader {
            interface_id: libc::c_int::from(b'S'),
            dxfer_direction: direction,
            cmd_len: u8::try_from(command.len()).map_err(|_| invalid())?,
            mx_sb_len: SENSE as u8,
            iovec_count: 0,
            dxfer_len: u32::try_from(length).map_err(|_| invalid())?,
            dxferp: pointer,
            cmdp: command.as_ptr(),
            sbp: sense.as_mut_ptr(),
            timeout: milliseconds(timeout),
            flags: 0,
            pack_id: 0,
            usr_ptr: ptr::null_mut(),
            status: 0,
            masked_status: 0,
            msg_status: 0,
            sb_len_wr: 0,
            host_status: 0,
            driver_status: 0,
            resid: 0,
            duration: 0,
            info: 0,
        };
        // SAFETY: the header is the kernel's, its pointers lead to memory of the lengths beside
        // them, which lives until the call returns; the kernel writes to the sense buffer, the
        // header, and the data of a command whose direction is from the device.
        unsafe { sg_io(self.file.as_raw_fd(), &raw mut header) }.map_err(refused)?;
        if header.host_status == DID_TIME_OUT {
            return Err(ScsiError::Timeout { limit: timeout });
        }
        let driver = header.driver_status & !DRIVER_SENSE;
        let written = usize::from(header.sb_len_wr).min(SENSE);
        let sense = Sense::parse(&sense[..written]);
        // Some adapters report an error of their own beside sense data that explains it.
        if (header.host_status != 0 || driver & 0x0f != 0) && sense.is_none() {
            return Err(ScsiError::Transport {
                host: header.host_status,
                driver: header.driver_status,
            });
        }
        let missing = usize::try_from(header.resid).unwrap_or_default();
        Ok(Reply {
            status: header.status,
            sense,
            transferred: length.saturating_sub(missing),
        })
    }
}

fn milliseconds(timeout: Duration) -> u32 {
    // 0 would be the kernel's default of a minute.
    timeout.min(LONGEST).as_millis().max(1) as u32
}

/// Loop devices, virtio disks and plain files know no such request, and answer so in three ways.
fn refused(error: nix::Error) -> ScsiError {
    let source = io::Error::from(error);
    match error {
        nix::Error::ENOTTY | nix::Error::EINVAL | nix::Error::EOPNOTSUPP | nix::Error::ENOSYS => {
            ScsiError::NotScsi(source)
        }
        _ => ScsiError::Kernel(source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::loop_device::LoopDevice;

    #[test]
    fn the_layout_is_the_kernels() {
        assert_eq!(size_of::<SgIoHeader>(), 88);
        assert_eq!(std::mem::offset_of!(SgIoHeader, dxferp), 16);
        assert_eq!(std::mem::offset_of!(SgIoHeader, timeout), 40);
        assert_eq!(std::mem::offset_of!(SgIoHeader, status), 64);
        assert_eq!(std::mem::offset_of!(SgIoHeader, resid), 72);
    }

    #[test]
    fn a_time_is_never_the_kernels_default_and_never_wraps() {
        assert_eq!(milliseconds(Duration::ZERO), 1);
        assert_eq!(milliseconds(Duration::from_secs(2)), 2000);
        assert_eq!(milliseconds(Duration::MAX), 3_456_000_000);
    }

    #[test]
    fn what_is_no_scsi_device_is_told_as_that() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(1 << 20).unwrap();
        let inquiry = [0x12, 0, 0, 0, 36, 0];
        let answer = |path: &Path| {
            let mut buffer = [0; 36];
            SgDevice::open(path).unwrap().send(
                &inquiry,
                Data::In(&mut buffer),
                Duration::from_secs(5),
            )
        };
        assert!(matches!(answer(file.path()), Err(ScsiError::NotScsi(_))));
        let Some(looped) = LoopDevice::over(file.path(), 512) else {
            return;
        };
        assert!(matches!(
            answer(looped.path().as_ref()),
            Err(ScsiError::NotScsi(_))
        ));
    }
}
