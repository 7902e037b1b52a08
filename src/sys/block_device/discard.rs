//! Telling a device that nothing of it is in use any more.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use super::{Disk, DiskError, Kind, Medium};

/// A medium that can be told so.
pub(crate) trait Discard: Medium {
    /// Discard these bytes. Linux promises nothing of what they read as afterwards: whoever needs
    /// to know reads them. `secure`: copies that the device made of them too, which few devices
    /// can (eMMC).
    fn discard(&self, offset: u64, length: u64, secure: bool) -> Result<(), DiskError>;
}

impl Discard for Disk {
    /// A plain file has no discard here, although its file system could punch a hole.
    fn discard(&self, offset: u64, length: u64, secure: bool) -> Result<(), DiskError> {
        self.check_range(offset, length)?;
        let outcome = match &self.kind {
            Kind::Device(file) => discard(file, offset, length, secure),
            Kind::File { .. } => Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP)),
        };
        outcome.map_err(|source| DiskError::Discard {
            path: self.path.clone(),
            offset,
            length,
            source,
        })
    }
}

/// The ioctls of include/uapi/linux/fs.h, number 0x12.
mod ioctl {
    nix::ioctl_write_ptr_bad!(blkdiscard, nix::request_code_none!(0x12, 119), [u64; 2]);
    nix::ioctl_write_ptr_bad!(blksecdiscard, nix::request_code_none!(0x12, 125), [u64; 2]);
}

fn discard(file: &File, offset: u64, length: u64, secure: bool) -> io::Result<()> {
    let range = [offset, length];
    if secure {
        // SAFETY: the descriptor is open, and BLKSECDISCARD reads two u64: start and length.
        unsafe { ioctl::blksecdiscard(file.as_raw_fd(), &raw const range) }?;
    } else {
        // SAFETY: the descriptor is open, and BLKDISCARD reads two u64: start and length.
        unsafe { ioctl::blkdiscard(file.as_raw_fd(), &raw const range) }?;
    }
    Ok(())
}
