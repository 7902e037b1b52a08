//! Ranges that shall read as zeros: by the device itself where it can, else written.

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use farrier_plugin::AlignedBuffer;
use nix::fcntl::{FallocateFlags, fallocate};

use super::error::DiskError;
use super::kind::Kind;
use super::medium::Medium;

/// Bytes that one BLKZEROOUT is asked for. The call cannot be interrupted, so that a device which
/// really writes its zeros is asked in pieces of about a second.
const PIECE: u64 = 128 << 20;

/// Bytes of zeros in memory, and how often they are written by one call.
const ZEROS: usize = 512 << 10;
const ZEROS_AT_ONCE: usize = 8;

/// A device that zeroes fewer bytes a second than this is not asked again: any disk writes faster,
/// and some answer WRITE SAME or WRITE ZEROES at a crawl.
const SLOW: f64 = 24e6;

/// Smaller pieces say nothing of the rate.
const TIMED: u64 = 16 << 20;

/// How a disk's zeros are made.
#[derive(Debug, Default)]
pub(super) struct Zeroing {
    /// It cannot do it by itself, or badly.
    written: AtomicBool,
}

impl Zeroing {
    /// Make these bytes read as zeros: the blocks' edges written, their inside by BLKZEROOUT on a
    /// device and a punched hole in a file, or written where these do not work.
    pub(super) fn make_zeros(
        &self,
        disk: &dyn Medium,
        kind: &Kind,
        offset: u64,
        length: u64,
    ) -> Result<(), DiskError> {
        let block = u64::from(disk.logical_block_size());
        let end = offset + length;
        let first = offset.next_multiple_of(block).min(end);
        let last = (end - end % block).max(first);
        write_zeros(disk, offset, first - offset)?;
        let mut at = first;
        while at < last {
            let count = PIECE.min(last - at);
            if !self.zero_natively(kind, at, count) {
                write_zeros(disk, at, count)?;
            }
            at += count;
        }
        write_zeros(disk, last, end - last)
    }

    /// Whether the device or file system did it.
    fn zero_natively(&self, kind: &Kind, offset: u64, length: u64) -> bool {
        if self.written.load(Ordering::Relaxed) {
            return false;
        }
        let started = Instant::now();
        let outcome = match kind {
            Kind::Device(file) => zero_out(file, offset, length),
            Kind::File { buffered, .. } => fallocate(
                &**buffered,
                FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE,
                offset.cast_signed(),
                length.cast_signed(),
            )
            .map_err(io::Error::from),
        };
        let slow = length >= TIMED && length as f64 / started.elapsed().as_secs_f64() < SLOW;
        if slow || outcome.as_ref().is_err_and(is_final) {
            self.written.store(true, Ordering::Relaxed);
        }
        outcome.is_ok()
    }
}

fn write_zeros(disk: &dyn Medium, offset: u64, length: u64) -> Result<(), DiskError> {
    if length == 0 {
        return Ok(());
    }
    let zeros = AlignedBuffer::zeroed(ZEROS.min(length as usize));
    let end = offset + length;
    let mut at = offset;
    while at < end {
        let mut parts = [IoSlice::new(&[]); ZEROS_AT_ONCE];
        let mut count = 0;
        for part in &mut parts {
            let size = (end - at - count).min(zeros.len() as u64);
            *part = IoSlice::new(&zeros[..size as usize]);
            count += size;
        }
        disk.write_vectored_at(at, &parts)?;
        at += count;
    }
    Ok(())
}

/// Whether a refusal says that this never works here. Any other failure is that range's own, and
/// writing to it shows whether the disk is bad.
fn is_final(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EOPNOTSUPP | libc::ENOTTY | libc::ENOSYS | libc::EINVAL | libc::EPERM)
    )
}

/// BLKZEROOUT of include/uapi/linux/fs.h.
mod ioctl {
    nix::ioctl_write_ptr_bad!(blkzeroout, nix::request_code_none!(0x12, 127), [u64; 2]);
}

fn zero_out(file: &File, offset: u64, length: u64) -> io::Result<()> {
    // SAFETY: the descriptor is open, and BLKZEROOUT reads two u64: start and length in bytes.
    unsafe { ioctl::blkzeroout(file.as_raw_fd(), &[offset, length]) }?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::block_device::Disk;

    #[test]
    fn a_disk_that_cannot_zero_by_itself_is_written() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), vec![0xaa; 10_000_001]).unwrap();
        let disk = Disk::open_exclusive(file.path()).unwrap();
        disk.zeroing.written.store(true, Ordering::Relaxed);
        disk.zero_range(4097, 9_000_000).unwrap();
        disk.flush().unwrap();
        let held = std::fs::read(file.path()).unwrap();
        assert!(held[..4097].iter().all(|byte| *byte == 0xaa));
        assert!(held[4097..9_004_097].iter().all(|byte| *byte == 0));
        assert!(held[9_004_097..].iter().all(|byte| *byte == 0xaa));
    }

    #[test]
    fn a_plain_file_gets_holes() {
        use std::os::unix::fs::MetadataExt;

        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), vec![0xaa; 8 << 20]).unwrap();
        let disk = Disk::open_exclusive(file.path()).unwrap();
        disk.flush().unwrap();
        disk.zero_range(0, 6 << 20).unwrap();
        if disk.zeroing.written.load(Ordering::Relaxed) {
            eprintln!("not run: the file system of the temporary directory has no holes");
            return;
        }
        let blocks = file.as_file().metadata().unwrap().blocks();
        assert!(blocks * 512 <= 3 << 20, "{blocks} blocks of 512 bytes");
    }

    #[test]
    fn only_a_refusal_in_principle_is_remembered() {
        let error = io::Error::from_raw_os_error;
        assert!(is_final(&error(libc::EOPNOTSUPP)));
        assert!(!is_final(&error(libc::EIO)));
        assert!(!is_final(&error(libc::ENOSPC)));
    }
}
