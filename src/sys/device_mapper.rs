//! Volumes of the device mapper: what LVM, dm-crypt and others made of disks, taken apart again; and
//! partitions of multipath maps, which are made here.
//!
//! Through the control device's ioctls (linux/dm-ioctl.h), as libdm does, without its cookies: those
//! let a caller wait for udev, which here waits for udev's queue anyway.
#![expect(unsafe_code, reason = "ioctl on the device mapper's control device")]

use std::fs::OpenOptions;
use std::io;
use std::ops::Range;
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

/// Make a volume of this name and UUID that is a part of a device: of the one with this number, these sectors
/// of 512 bytes. Its node is `/dev/dm-…`, made by the kernel.
///
/// EBUSY where there is one of the name or UUID, and where somebody has the device open for himself.
pub(crate) fn create_linear(
    name: &str,
    uuid: &str,
    below: (u32, u32),
    sectors: Range<u64>,
) -> io::Result<()> {
    let named = Request::by_name(name)?;
    named.with_uuid(uuid)?.send(Command::Create)?;
    let started = Request::by_name(name)?
        .with_linear_table(below, sectors)
        .send(Command::Load)
        .and_then(|()| Request::by_name(name)?.send(Command::Resume));
    if started.is_err() {
        // One without a table would keep the name.
        let _ = Request::by_name(name)?.send(Command::Remove);
    }
    started
}

/// What is asked of the control device.
enum Command {
    Create,
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
    /// Text that ends with a zero, padded to a multiple of eight bytes.
    parameters: [u8; PARAMETERS],
}

/// Room for two device numbers and a sector.
const PARAMETERS: usize = 64;

/// Bytes of `struct dm_ioctl`, which is in the ioctl's number.
const HEADER: usize = size_of::<Request>() - size_of::<Target>();
const _: () = assert!(HEADER == 312);

impl Request {
    fn to(number: (u32, u32), flags: u32) -> Self {
        Self {
            device: encoded(number),
            ..Self::new(flags)
        }
    }

    fn by_name(name: &str) -> io::Result<Self> {
        let mut request = Self::new(0);
        put(&mut request.name, name)?;
        Ok(request)
    }

    fn with_uuid(mut self, uuid: &str) -> io::Result<Self> {
        put(&mut self.uuid, uuid)?;
        Ok(self)
    }

    fn new(flags: u32) -> Self {
        Self {
            version: VERSION,
            data_size: size_of::<Self>() as u32,
            data_start: HEADER as u32,
            target_count: 0,
            open_count: 0,
            flags,
            event_number: 0,
            padding: 0,
            device: 0,
            name: [0; 128],
            uuid: [0; 129],
            data: [0; 7],
            target: Target {
                first_sector: 0,
                sectors: 0,
                status: 0,
                next: 0,
                kind: [0; 16],
                parameters: [0; PARAMETERS],
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

    /// One target that is these sectors of the device with this number.
    fn with_linear_table(mut self, below: (u32, u32), sectors: Range<u64>) -> Self {
        self.target_count = 1;
        self.target.sectors = sectors.end.saturating_sub(sectors.start);
        self.target.kind[..6].copy_from_slice(b"linear");
        let parameters = format!("{}:{} {}", below.0, below.1, sectors.start);
        self.target.parameters[..parameters.len()].copy_from_slice(parameters.as_bytes());
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
                Command::Create => ioctl::dev_create(fd, &mut self),
                Command::Remove => ioctl::dev_remove(fd, &mut self),
                Command::Resume => ioctl::dev_suspend(fd, &mut self),
                Command::Load => ioctl::table_load(fd, &mut self),
            }
        }?;
        Ok(())
    }
}

/// Put a text into a field that ends with a zero.
fn put(field: &mut [u8], text: &str) -> io::Result<()> {
    let room = field.len() - 1;
    match field[..room].get_mut(..text.len()) {
        Some(place) => place.copy_from_slice(text.as_bytes()),
        None => return Err(io::ErrorKind::InvalidInput.into()),
    }
    Ok(())
}

/// `huge_encode_dev` of linux/kdev_t.h.
fn encoded((major, minor): (u32, u32)) -> u64 {
    u64::from(minor & 0xff) | u64::from(major) << 8 | u64::from(minor & !0xff) << 12
}

/// DM_DEV_CREATE, DM_DEV_REMOVE, DM_DEV_SUSPEND and DM_TABLE_LOAD of linux/dm-ioctl.h. Their number names the size
/// of the header alone.
mod ioctl {
    use super::{HEADER, Request};

    nix::ioctl_readwrite_bad!(
        dev_create,
        nix::request_code_readwrite!(0xfd, 3, HEADER),
        Request
    );
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
        assert_eq!(request.data_size, 416);
        assert_eq!(&request.target.kind[..6], b"error\0");
    }

    #[test]
    fn a_part_of_a_device_is_named_by_its_number_and_first_sector() {
        let request = Request::by_name("3600a-part1").unwrap();
        let request = request.with_uuid("part1-mpath-3600a").unwrap();
        let request = request.with_linear_table((253, 1_048_575), u64::MAX - 1..u64::MAX);
        assert_eq!(request.target.sectors, 1);
        assert_eq!(&request.target.kind[..7], b"linear\0");
        let parameters = b"253:1048575 18446744073709551614\0";
        assert!(request.target.parameters.starts_with(parameters));
        assert!(request.name.starts_with(b"3600a-part1\0"));
        assert!(request.uuid.starts_with(b"part1-mpath-3600a\0"));
        assert!(Request::by_name(&"n".repeat(127)).is_ok());
        assert!(Request::by_name(&"n".repeat(128)).is_err());
    }
}
