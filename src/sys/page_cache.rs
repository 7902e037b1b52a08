//! Bringing what was written onto the media, and forgetting what was read.
#![expect(unsafe_code, reason = "ioctl on block devices")]

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

/// BLKFLSBUF of include/uapi/linux/fs.h.
mod ioctl {
    nix::ioctl_none!(blkflsbuf, 0x12, 97);
}

/// Write everything that any file system or block device still has to write, and wait for it
/// (sync(2), which cannot fail).
pub(crate) fn sync() {
    nix::unistd::sync();
}

/// Have the kernel drop clean pages, directory entries and inodes, so that what is read next comes
/// from the disks.
pub(crate) fn drop_caches() -> io::Result<()> {
    fs::write("/proc/sys/vm/drop_caches", "3")
}

/// Write back and drop what the page cache holds of this block device.
pub(crate) fn flush_buffers(device: &Path) -> io::Result<()> {
    let device = File::open(device)?;
    // SAFETY: the descriptor is open, and BLKFLSBUF takes no argument.
    unsafe { ioctl::blkflsbuf(device.as_raw_fd()) }?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::loop_device::LoopDevice;

    #[test]
    fn a_block_device_is_flushed_and_a_plain_file_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(1 << 20).unwrap();
        assert!(flush_buffers(file.path()).is_err());
        let Some(device) = LoopDevice::over(file.path(), 512) else {
            return;
        };
        // Through the page cache, and found in the file only once that was flushed.
        fs::write(device.path(), b"still in memory").unwrap();
        flush_buffers(Path::new(device.path())).unwrap();
        assert!(
            fs::read(file.path())
                .unwrap()
                .starts_with(b"still in memory")
        );
    }
}
