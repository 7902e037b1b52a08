//! Volumes of the device mapper: what LVM, dm-crypt and others made of disks, taken apart again.
//!
//! Through the control device's ioctls (linux/dm-ioctl.h), as libdm does, without its cookies: those
//! let a caller wait for udev, which here waits for udev's queue anyway.
#![expect(unsafe_code, reason = "ioctl on the device mapper's control device")]

use std::fs::OpenOptions;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

const CONTROL: &str = "/dev/mapper/control";

/// The interface's version: the kernel takes any minor number up to its own.
const VERSION: [u32; 3] = [4, 0, 0];

/// DM_DEFERRED_REMOVE and DM_NOFLUSH_FLAG of linux/dm-ioctl.h.
const DEFERRED_REMOVE: u32 = 1 << 17;
const NO_FLUSH: u32 = 1 << 11;

/// Remove the volume with this device number. EBUSY while it is open, or something is made of it.
pub(crate) fn remove(number: (u32, u32)) -> io::Result<()> {
    Request::to(number, 0).send(Command::Remove)
}

/// Take what it lies on away from the volume with this device number, although it is open: from now
/// on each access to it fails, and it goes away when nobody has it open any more. What `dmsetup
/// remove --force` does.
pub(crate) fn cut_off(number: (u32, u32), sectors: u64) -> io::Result<()> {
    Request::to(number, 0)
        .with_error_table(sectors)
        .send(Command::Load)?;
    // What is under way must not be waited for: the disk may be the reason that it never ends.
    Request::to(number, NO_FLUSH).send(Command::Resume)?;
    Request::to(number, DEFERRED_REMOVE).send(Command::Remove)
}

/// What is asked of the control device.
enum Command {
    Remove,
    /// Put the loaded table in the place of the one in use. It is DM_DEV_SUSPEND without its flag.
    Resume,
    Load,
}

/// `struct dm_ioctl`, and behind it one `struct dm_target_spec` with no parameters.
#[repr(C)]
struct Request {
    version: [u32; 3],
    data_size: u32,
    data_start: u32,
    target_count: u32,
    open_count: i32,
    flags: u32,
    event_number: u32,
    padding: u32,
    device: u64,
    name: [u8; 128],
    uuid: [u8; 129],
    data: [u8; 7],
    target: Target,
}

#[repr(C)]
struct Target {
    first_sector: u64,
    sectors: u64,
    status: i32,
    next: u32,
    kind: [u8; 16],
    /// Text that ends with a zero, padded to eight bytes.
    parameters: [u8; 8],
}

/// Bytes of `struct dm_ioctl`, which is in the ioctl's number.
const HEADER: usize = size_of::<Request>() - size_of::<Target>();
const _: () = assert!(HEADER == 312);

impl Request {
    fn to(number: (u32, u32), flags: u32) -> Self {
        Self {
            version: VERSION,
            data_size: size_of::<Self>() as u32,
            data_start: HEADER as u32,
            target_count: 0,
            open_count: 0,
            flags,
            event_number: 0,
            padding: 0,
            device: encoded(number),
            name: [0; 128],
            uuid: [0; 129],
            data: [0; 7],
            target: Target {
                first_sector: 0,
                sectors: 0,
                status: 0,
                next: 0,
                kind: [0; 16],
                parameters: [0; 8],
            },
        }
    }

    /// One target over the whole volume that fails all that is asked of it.
    fn with_error_table(mut self, sectors: u64) -> Self {
        self.target_count = 1;
        self.target.sectors = sectors;
        self.target.kind[..5].copy_from_slice(b"error");
        self
    }

    fn send(mut self, command: Command) -> io::Result<()> {
        let control = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_CLOEXEC)
            .open(CONTROL)?;
        let fd = control.as_raw_fd();
        // SAFETY: the descriptor is open, and each of these reads and writes `data_size` bytes at
        // its argument, which are those of this request, borrowed for the call alone.
        unsafe {
            match command {
                Command::Remove => ioctl::dev_remove(fd, &mut self),
                Command::Resume => ioctl::dev_suspend(fd, &mut self),
                Command::Load => ioctl::table_load(fd, &mut self),
            }
        }?;
        Ok(())
    }
}

/// `huge_encode_dev` of linux/kdev_t.h.
fn encoded((major, minor): (u32, u32)) -> u64 {
    u64::from(minor & 0xff) | u64::from(major) << 8 | u64::from(minor & !0xff) << 12
}

/// DM_DEV_REMOVE, DM_DEV_SUSPEND and DM_TABLE_LOAD of linux/dm-ioctl.h. Their number names the size
/// of the header alone.
mod ioctl {
    use super::{HEADER, Request};

    nix::ioctl_readwrite_bad!(
        dev_remove,
        nix::request_code_readwrite!(0xfd, 4, HEADER),
        Request
    );
    nix::ioctl_readwrite_bad!(
        dev_suspend,
        nix::request_code_readwrite!(0xfd, 6, HEADER),
        Request
    );
    nix::ioctl_readwrite_bad!(
        table_load,
        nix::request_code_readwrite!(0xfd, 9, HEADER),
        Request
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_numbers_are_encoded_as_the_kernel_does() {
        // Of linux/kdev_t.h: mmmM MMmm in hexadecimal digits for what fits 32 bits.
        assert_eq!(encoded((253, 0)), 0xfd00);
        assert_eq!(encoded((253, 0x123)), 0x10_fd23);
    }

    #[test]
    fn a_request_has_the_kernels_layout() {
        let request = Request::to((253, 1), DEFERRED_REMOVE).with_error_table(64);
        assert_eq!(std::mem::offset_of!(Request, device), 40);
        assert_eq!(std::mem::offset_of!(Request, name), 48);
        assert_eq!(std::mem::offset_of!(Request, uuid), 176);
        assert_eq!(std::mem::offset_of!(Request, target), 312);
        assert_eq!(std::mem::offset_of!(Target, kind), 24);
        assert_eq!(std::mem::offset_of!(Target, parameters), 40);
        assert_eq!(request.data_size, 360);
        assert_eq!(&request.target.kind[..6], b"error\0");
    }
}
