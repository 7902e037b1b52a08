//! Telling the kernel of new partitions.

use std::ffi::c_void;
use std::io;
use std::os::fd::AsRawFd;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;

use super::{Disk, DiskError, Kind};

/// How often a re-read of the partition table is tried while something has a partition open, and
/// the pause between. udev opens new partitions for some milliseconds to probe them.
const REREAD_TRIES: u32 = 20;
const REREAD_PAUSE: Duration = Duration::from_millis(100);

/// include/uapi/linux/blkpg.h
const BLKPG_ADD_PARTITION: libc::c_int = 1;

/// include/uapi/linux/blkpg.h, `struct blkpg_partition`.
#[repr(C)]
struct BlkpgPartition {
    start: libc::c_longlong,
    length: libc::c_longlong,
    number: libc::c_int,
    device_name: [u8; 64],
    volume_name: [u8; 64],
}

/// include/uapi/linux/blkpg.h, `struct blkpg_ioctl_arg`.
#[repr(C)]
struct BlkpgArgument {
    operation: libc::c_int,
    flags: libc::c_int,
    data_length: libc::c_int,
    data: *mut c_void,
}

/// The ioctls of include/uapi/linux/fs.h and blkpg.h, number 0x12.
mod ioctl {
    nix::ioctl_none!(blkrrpart, 0x12, 95);
    nix::ioctl_write_ptr_bad!(
        blkpg,
        nix::request_code_none!(0x12, 105),
        super::BlkpgArgument
    );
}

impl Disk {
    /// Have the kernel read the partition table again. Nothing happens for a plain file, and for a
    /// device that cannot have partitions, as a partition or a loop device made without.
    ///
    /// Waits up to two seconds for partitions that something has open for a moment.
    pub(crate) fn reread_partitions(&self) -> Result<(), DiskError> {
        for _ in 1..REREAD_TRIES {
            match self.reread_once() {
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
                    thread::sleep(REREAD_PAUSE);
                }
                outcome => return outcome.map_err(|source| self.partitions_error(source)),
            }
        }
        self.reread_once()
            .map_err(|source| self.partitions_error(source))
    }

    /// Make a partition known to the kernel that it does not find by itself: its bytes, and the
    /// number that it gets. A number that is taken, and a range that overlaps, are errors.
    pub(crate) fn add_partition(
        &self,
        number: u32,
        offset: u64,
        length: u64,
    ) -> Result<(), DiskError> {
        let Kind::Device(file) = &self.kind else {
            return Ok(());
        };
        let mut partition = BlkpgPartition {
            start: offset.cast_signed(),
            length: length.cast_signed(),
            number: number.cast_signed(),
            device_name: [0; 64],
            volume_name: [0; 64],
        };
        let argument = BlkpgArgument {
            operation: BLKPG_ADD_PARTITION,
            flags: 0,
            data_length: size_of::<BlkpgPartition>() as libc::c_int,
            data: (&raw mut partition).cast(),
        };
        // SAFETY: the descriptor is open; BLKPG reads the argument and the partition that it points
        // to, both of which outlive the call and have the kernel's layout.
        unsafe { ioctl::blkpg(file.as_raw_fd(), &raw const argument) }
            .map_err(|errno| self.partitions_error(errno.into()))?;
        Ok(())
    }

    fn reread_once(&self) -> io::Result<()> {
        let Kind::Device(file) = &self.kind else {
            return Ok(());
        };
        // SAFETY: the descriptor is open, and BLKRRPART takes no argument.
        match unsafe { ioctl::blkrrpart(file.as_raw_fd()) } {
            // The kernel's answer for a device without partitions (block/genhd.c,
            // disk_scan_partitions).
            Ok(_) | Err(Errno::EINVAL) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    fn partitions_error(&self, source: io::Error) -> DiskError {
        DiskError::Partitions {
            path: self.path.clone(),
            source,
        }
    }
}
