//! Stopping arrays of software RAID.
#![expect(unsafe_code, reason = "ioctl on md devices")]

use std::fs::OpenOptions;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Stop the array of this device node, as `mdadm --stop` does: its members are plain devices
/// afterwards, and nothing is written to them.
///
/// EBUSY while something else has the array open, or is made of it.
pub(crate) fn stop(device: &Path) -> io::Result<()> {
    let array = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_CLOEXEC)
        .open(device)?;
    // SAFETY: the descriptor is open, and STOP_ARRAY takes no argument.
    unsafe { ioctl::stop_array(array.as_raw_fd()) }?;
    Ok(())
}

/// STOP_ARRAY of linux/raid/md_u.h; 9 is MD_MAJOR.
mod ioctl {
    nix::ioctl_none!(stop_array, 9, 0x32);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_array_is_not_stopped() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = stop(file.path()).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOTTY));
        assert!(stop(Path::new("/nonexistent")).is_err());
    }
}
