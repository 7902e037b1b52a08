//! A range of a disk as a block device of its own, by the kernel's loop driver: for programs that make
//! file systems, before the partition is in any table and while the disk is held by this process.
#![expect(unsafe_code, reason = "ioctls of the loop driver")]

use std::fs::{File, OpenOptions};
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;

use super::process::Program;

/// The driver's own device, which tells a free one.
const CONTROL: &str = "/dev/loop-control";

/// How often a free device is asked for: between the answer and its use another program may take it.
const TRIES: usize = 32;

/// include/uapi/linux/loop.h
const LO_FLAGS_AUTOCLEAR: u32 = 4;
const LO_FLAGS_DIRECT_IO: u32 = 16;

/// include/uapi/linux/loop.h, `struct loop_info64`.
#[repr(C)]
struct LoopInfo64 {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

/// include/uapi/linux/loop.h, `struct loop_config`.
#[repr(C)]
struct LoopConfig {
    file: u32,
    block_size: u32,
    info: LoopInfo64,
    reserved: [u64; 8],
}

mod ioctl {
    nix::ioctl_none_bad!(loop_ctl_get_free, 0x4c82);
    nix::ioctl_write_ptr_bad!(loop_configure, 0x4c0a, super::LoopConfig);
}

/// A loop device over a range of a disk. It is gone when this is dropped and nobody else has it open
/// any more, also where this process is killed.
#[derive(Debug)]
pub(crate) struct LoopRange {
    device: File,
    path: String,
}

impl LoopRange {
    /// A device over these bytes of a disk, whole blocks of it; what is written there goes to the
    /// disk by direct I/O.
    pub(crate) fn over(
        disk: &Path,
        offset: u64,
        length: u64,
        logical_block_size: u32,
    ) -> io::Result<Self> {
        let backing = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_CLOEXEC)
            .open(disk)?;
        let control = open_control()?;
        let mut refusal = Errno::EBUSY;
        for _ in 0..TRIES {
            // SAFETY: the descriptor is open, and LOOP_CTL_GET_FREE takes no argument.
            let number = unsafe { ioctl::loop_ctl_get_free(control.as_raw_fd()) }?;
            let path = format!("/dev/loop{number}");
            let device = OpenOptions::new()
                .read(true)
                .write(true)
                .custom_flags(libc::O_CLOEXEC)
                .open(&path)?;
            let config = config(backing.as_raw_fd(), offset, length, logical_block_size);
            // SAFETY: the descriptor is open; LOOP_CONFIGURE reads the structure, which has the
            // kernel's layout, and takes a reference of its own to the backing file.
            match unsafe { ioctl::loop_configure(device.as_raw_fd(), &raw const config) } {
                Ok(_) => return Ok(Self { device, path }),
                Err(Errno::EBUSY) => refusal = Errno::EBUSY,
                Err(errno) => return Err(errno.into()),
            }
        }
        Err(refusal.into())
    }

    /// `/dev/loop0`
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Bring what was written to it to the disk, and let it go.
    pub(crate) fn finish(self) -> io::Result<()> {
        self.device.sync_all()
    }
}

fn config(backing: RawFd, offset: u64, length: u64, logical_block_size: u32) -> LoopConfig {
    // SAFETY: all fields are integers, for which zeros are a value.
    let mut config: LoopConfig = unsafe { mem::zeroed() };
    config.file = backing.cast_unsigned();
    config.block_size = logical_block_size;
    config.info.offset = offset;
    config.info.size_limit = length;
    config.info.flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO;
    config
}

/// The driver's control, once the driver is there.
fn open_control() -> io::Result<File> {
    let open = || OpenOptions::new().read(true).write(true).open(CONTROL);
    open().or_else(|_| {
        // Whether that helped shows in the next try.
        let _ = Program::new("/sbin/modprobe").arg("loop").run();
        open()
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;
    use crate::sys::block_device::{Disk, Medium};
    use crate::sys::loop_device::LoopDevice;

    #[test]
    fn a_range_of_a_disk_that_is_held_is_a_device_of_the_same_block_size() {
        for block in [512, 4096] {
            let file = tempfile::NamedTempFile::new().unwrap();
            file.as_file().set_len(8 << 20).unwrap();
            let Some(whole) = LoopDevice::over(file.path(), block) else {
                return;
            };
            let disk = Disk::open_exclusive(whole.path()).unwrap();
            disk.write_at(0, &vec![0xaa; 8 << 20]).unwrap();
            let range = LoopRange::over(disk.path(), 2 << 20, 3 << 20, block).unwrap();
            let part = Disk::open_exclusive(range.path()).unwrap();
            assert_eq!((part.size(), part.logical_block_size()), (3 << 20, block));
            part.write_at(1 << 20, &[1; 5000]).unwrap();
            drop(part);
            // As a program does it, by way of the page cache.
            let buffered = OpenOptions::new().write(true).open(range.path()).unwrap();
            buffered.write_all_at(&[2; 700], 0).unwrap();
            drop(buffered);
            let path = range.path().to_owned();
            range.finish().unwrap();
            disk.flush().unwrap();
            let mut expected = vec![0xaa; 8 << 20];
            expected[2 << 20..][..700].fill(2);
            expected[3 << 20..][..5000].fill(1);
            let mut held = vec![0; 8 << 20];
            disk.read_at(0, &mut held).unwrap();
            assert!(held == expected, "block size {block}");
            drop(disk);
            // udev may still look at it for a moment; nothing of it is left then.
            let gone =
                |_: &u32| Disk::open_exclusive(&path).map_or(true, |device| device.size() == 0);
            let waited = (0..500).find(|turn| {
                std::thread::sleep(std::time::Duration::from_millis(u64::from(*turn > 0) * 20));
                gone(turn)
            });
            assert!(waited.is_some(), "{path} stays");
        }
    }
}
