//! A disk, or a plain file that stands for one: exclusive, direct, with everything that the kernel
//! offers for it behind one trait, so that tests can put a failing medium in its place.
#![expect(unsafe_code, reason = "ioctl on block devices")]

mod discard;
mod error;
mod kind;
mod medium;
mod partitions;
mod shared;
mod zeros;

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use farrier_plugin::aligned::{ALIGNMENT, AlignedBuffer, is_aligned};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::uio::pwritev;

pub(crate) use discard::Discard;
pub(crate) use error::DiskError;
use error::open_error;
use kind::Kind;
pub(crate) use medium::Medium;
pub(crate) use shared::SharedDisk;
use zeros::Zeroing;

/// Bytes that go through one bounce buffer, where data is not aligned for direct I/O.
const BOUNCE: usize = 1 << 20;

/// Parts that one vectored write takes (IOV_MAX of limits.h).
pub(crate) const MOST_PARTS: usize = 1024;

/// A block device or a plain file, opened for this process alone.
#[derive(Debug)]
pub(crate) struct Disk {
    path: PathBuf,
    kind: Kind,
    size: u64,
    logical_block_size: u32,
    zeroing: Zeroing,
}

impl Disk {
    /// Open for reading and writing, so that nobody else mounts or claims the device, and udev does
    /// not look at it.
    ///
    /// [`DiskError::Busy`] where somebody uses it already.
    pub(crate) fn open_exclusive(path: impl Into<PathBuf>) -> Result<Self, DiskError> {
        Self::open(path.into(), libc::O_EXCL)
    }

    /// Open for reading and writing a disk of which others hold partitions, so that udev does not look at it
    /// meanwhile. What those partitions hold may change at any time.
    ///
    /// [`DiskError::Busy`] where somebody works on its partition table.
    pub(crate) fn open_beside_holders(path: impl Into<PathBuf>) -> Result<Self, DiskError> {
        Self::open(path.into(), 0)
    }

    fn open(path: PathBuf, exclusive: libc::c_int) -> Result<Self, DiskError> {
        let open = |flags| {
            OpenOptions::new()
                .read(true)
                .write(true)
                .custom_flags(flags | libc::O_CLOEXEC)
                .open(&path)
        };
        let is_device = std::fs::metadata(&path)
            .map_err(|source| open_error(&path, source))?
            .file_type()
            .is_block_device();
        // O_EXCL without O_CREAT means something for block devices only.
        let first = if is_device {
            open(exclusive | libc::O_DIRECT)
        } else {
            open(0)
        };
        let locked = Flock::lock(
            first.map_err(|source| open_error(&path, source))?,
            FlockArg::LockExclusiveNonblock,
        )
        .map_err(|(_, errno)| open_error(&path, errno.into()))?;
        let kind = if is_device {
            Kind::Device(locked)
        } else {
            Kind::File {
                buffered: locked,
                direct: open(libc::O_DIRECT).ok(),
            }
        };
        Self::describe(path, kind)
    }

    fn describe(path: PathBuf, kind: Kind) -> Result<Self, DiskError> {
        let (size, logical_block_size) = match &kind {
            Kind::Device(file) => device_geometry(file),
            // Plain files have no block size; 512 is what a partition table in an image file
            // nearly always means.
            Kind::File { buffered, .. } => buffered.metadata().map(|facts| (facts.len(), 512)),
        }
        .map_err(|source| open_error(&path, source))?;
        Ok(Self {
            path,
            kind,
            size,
            logical_block_size,
            zeroing: Zeroing::default(),
        })
    }

    /// The path that it was opened by.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is a block device and no plain file.
    pub(crate) fn is_device(&self) -> bool {
        matches!(self.kind, Kind::Device(_))
    }

    fn read_piece(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let Kind::Device(file) = &self.kind else {
            return self
                .plain_file(offset, buffer)
                .read_exact_at(buffer, offset);
        };
        if is_aligned(buffer) && self.fits_blocks(offset, buffer.len()) {
            return file.read_exact_at(buffer, offset);
        }
        let (start, length) = self.blocks_around(offset, buffer.len());
        let mut bounce = AlignedBuffer::zeroed(length);
        file.read_exact_at(&mut bounce, start)?;
        let skip = (offset - start) as usize;
        buffer.copy_from_slice(&bounce[skip..skip + buffer.len()]);
        Ok(())
    }

    fn write_piece(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let Kind::Device(file) = &self.kind else {
            return self.plain_file(offset, data).write_all_at(data, offset);
        };
        let (start, length) = self.blocks_around(offset, data.len());
        let mut bounce = AlignedBuffer::zeroed(length);
        if !self.fits_blocks(offset, data.len()) {
            file.read_exact_at(&mut bounce, start)?;
        }
        let skip = (offset - start) as usize;
        bounce[skip..skip + data.len()].copy_from_slice(data);
        file.write_all_at(&bounce, start)
    }

    /// The descriptor that takes all these parts in one write from this offset on.
    fn vectored(&self, offset: u64, parts: &[IoSlice<'_>]) -> Option<&File> {
        let (file, unit) = match &self.kind {
            Kind::Device(file) => (&**file, u64::from(self.logical_block_size)),
            Kind::File { direct, .. } => (direct.as_ref()?, ALIGNMENT as u64),
        };
        let fits = |part: &IoSlice<'_>| {
            part.is_empty() || is_aligned(part) && (part.len() as u64).is_multiple_of(unit)
        };
        (parts.len() <= MOST_PARTS && offset.is_multiple_of(unit) && parts.iter().all(fits))
            .then_some(file)
    }

    /// The descriptor of a plain file that takes this access.
    fn plain_file(&self, offset: u64, memory: &[u8]) -> &File {
        match &self.kind {
            Kind::File {
                direct: Some(direct),
                ..
            } if is_aligned(memory)
                && offset.is_multiple_of(ALIGNMENT as u64)
                && memory.len().is_multiple_of(ALIGNMENT) =>
            {
                direct
            }
            Kind::Device(buffered) | Kind::File { buffered, .. } => buffered,
        }
    }

    fn fits_blocks(&self, offset: u64, length: usize) -> bool {
        let block = u64::from(self.logical_block_size);
        offset.is_multiple_of(block) && (length as u64).is_multiple_of(block)
    }

    /// First byte and length of the whole blocks around a range.
    fn blocks_around(&self, offset: u64, length: usize) -> (u64, usize) {
        let block = u64::from(self.logical_block_size);
        let start = offset - offset % block;
        let end = (offset + length as u64).next_multiple_of(block);
        (start, (end - start) as usize)
    }

    fn check_range(&self, offset: u64, length: u64) -> Result<(), DiskError> {
        if offset
            .checked_add(length)
            .is_some_and(|end| end <= self.size)
        {
            return Ok(());
        }
        Err(DiskError::OutOfRange {
            path: self.path.clone(),
            offset,
            length,
            size: self.size,
        })
    }

    fn write_error(&self, offset: u64, length: usize, source: io::Error) -> DiskError {
        DiskError::Write {
            path: self.path.clone(),
            offset,
            length: length as u64,
            source,
        }
    }
}

impl Medium for Disk {
    fn size(&self) -> u64 {
        self.size
    }

    fn logical_block_size(&self) -> u32 {
        self.logical_block_size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), DiskError> {
        self.check_range(offset, buffer.len() as u64)?;
        let length = buffer.len() as u64;
        let whole = is_aligned(buffer) && self.fits_blocks(offset, buffer.len());
        let piece = if whole { buffer.len().max(1) } else { BOUNCE };
        let mut at = offset;
        for part in buffer.chunks_mut(piece) {
            self.read_piece(at, part)
                .map_err(|source| DiskError::Read {
                    path: self.path.clone(),
                    offset,
                    length,
                    source,
                })?;
            at += part.len() as u64;
        }
        Ok(())
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), DiskError> {
        self.check_range(offset, data.len() as u64)?;
        if let Kind::Device(file) = &self.kind
            && is_aligned(data)
            && self.fits_blocks(offset, data.len())
        {
            return file
                .write_all_at(data, offset)
                .map_err(|source| self.write_error(offset, data.len(), source));
        }
        let piece = match &self.kind {
            Kind::Device(_) => BOUNCE,
            Kind::File { .. } => data.len().max(1),
        };
        let mut at = offset;
        for part in data.chunks(piece) {
            self.write_piece(at, part)
                .map_err(|source| self.write_error(at, part.len(), source))?;
            at += part.len() as u64;
        }
        Ok(())
    }

    /// One pwritev(2) where every part is aligned for direct I/O. What the kernel leaves of it, as
    /// before a full file system's end or a bad block, goes part by part, which tells the error.
    fn write_vectored_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> Result<(), DiskError> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        self.check_range(offset, length as u64)?;
        let mut done = 0;
        if let Some(file) = self.vectored(offset, parts) {
            done = loop {
                match pwritev(file, parts, offset.cast_signed()) {
                    Err(Errno::EINTR) => {}
                    outcome => break outcome,
                }
            }
            .map_err(|errno| self.write_error(offset, length, errno.into()))?;
            if done == length {
                return Ok(());
            }
        }
        let mut at = offset;
        for part in parts {
            let skip = done.min(part.len());
            done -= skip;
            self.write_at(at + skip as u64, &part[skip..])?;
            at += part.len() as u64;
        }
        Ok(())
    }

    /// BLKZEROOUT for a device, a punched hole for a file, and plain writing for whatever part of
    /// the range these do not take. Never a discard: Linux gives no guarantee of zeros after it.
    fn zero_range(&self, offset: u64, length: u64) -> Result<(), DiskError> {
        self.check_range(offset, length)?;
        self.zeroing.make_zeros(self, &self.kind, offset, length)
    }

    fn flush(&self) -> Result<(), DiskError> {
        let (Kind::Device(file) | Kind::File { buffered: file, .. }) = &self.kind;
        file.sync_all().map_err(|source| DiskError::Flush {
            path: self.path.clone(),
            source,
        })
    }

    fn is_plain_file(&self) -> bool {
        !self.is_device()
    }
}

/// The ioctls of include/uapi/linux/fs.h, number 0x12.
mod ioctl {
    nix::ioctl_read_bad!(blksszget, nix::request_code_none!(0x12, 104), libc::c_int);
    nix::ioctl_read!(blkgetsize64, 0x12, 114, libc::size_t);
}

/// Size and logical block size, in bytes.
fn device_geometry(file: &File) -> io::Result<(u64, u32)> {
    let mut size: libc::size_t = 0;
    let mut block: libc::c_int = 0;
    // SAFETY: the descriptor is open, and BLKGETSIZE64 writes one u64, which is a size_t on the
    // 64-bit targets that this is built for.
    unsafe { ioctl::blkgetsize64(file.as_raw_fd(), &raw mut size) }?;
    // SAFETY: the descriptor is open, and BLKSSZGET writes one int.
    unsafe { ioctl::blksszget(file.as_raw_fd(), &raw mut block) }?;
    let block = u32::try_from(block)
        .ok()
        .filter(|block| block.is_power_of_two())
        .ok_or_else(|| io::Error::other(format!("a logical block size of {block} bytes")))?;
    Ok((size as u64, block))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::sys::loop_device::LoopDevice;

    #[test]
    fn a_device_of_either_block_size_takes_unaligned_data() {
        for block in [512, 4096] {
            let file = tempfile::NamedTempFile::new().unwrap();
            file.as_file().set_len(4 << 20).unwrap();
            let Some(device) = LoopDevice::over(file.path(), block) else {
                return;
            };
            let disk = Disk::open_exclusive(device.path()).unwrap();
            assert_eq!((disk.size(), disk.logical_block_size()), (4 << 20, block));
            assert!(matches!(
                Disk::open_exclusive(device.path()),
                Err(DiskError::Busy { .. })
            ));
            let mut expected = vec![0; 4 << 20];
            disk.write_at(0, &vec![0xaa; 4 << 20]).unwrap();
            expected.fill(0xaa);
            disk.zero_range(5000, 2 << 20).unwrap();
            expected[5000..5000 + (2 << 20)].fill(0);
            disk.write_at(1, &[1; 3]).unwrap();
            expected[1..4].fill(1);
            disk.write_at((3 << 20) - 7, &[2; 300_000]).unwrap();
            expected[(3 << 20) - 7..][..300_000].fill(2);
            disk.flush().unwrap();
            disk.reread_partitions().unwrap();
            let mut back = vec![0; (4 << 20) - 3];
            disk.read_at(3, &mut back).unwrap();
            assert!(back == expected[3..], "block size {block}");
        }
    }

    #[test]
    fn unaligned_writes_change_only_their_bytes() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&vec![0xaa; 70_001]).unwrap();
        let disk = Disk::open_exclusive(file.path()).unwrap();
        disk.write_at(4095, &[1; 4098]).unwrap();
        disk.zero_range(100, 50_000).unwrap();
        disk.write_at(8192, &AlignedBuffer::zeroed(8192)).unwrap();
        disk.write_at(69_999, &[2, 3]).unwrap();
        disk.flush().unwrap();
        let mut expected = vec![0xaa; 70_001];
        expected[100..50_100].fill(0);
        expected[69_999..].copy_from_slice(&[2, 3]);
        assert_eq!(std::fs::read(file.path()).unwrap(), expected);
        let mut back = vec![0; 70_000];
        disk.read_at(1, &mut back).unwrap();
        assert_eq!(back, expected[1..]);
    }

    #[test]
    fn parts_follow_each_other_whatever_their_alignment() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), vec![0xaa; 100_000]).unwrap();
        let disk = Disk::open_exclusive(file.path()).unwrap();
        let mut whole = AlignedBuffer::zeroed(8192);
        whole.fill(1);
        let parts = |parts: &[&[u8]], offset| {
            let parts: Vec<_> = parts.iter().map(|part| IoSlice::new(part)).collect();
            disk.write_vectored_at(offset, &parts)
        };
        parts(&[&whole, &[], &whole[..4096]], 4096).unwrap();
        parts(&[&[2; 3], &whole, &[3; 5]], 20_000).unwrap();
        let many = vec![&[4_u8, 5][..]; MOST_PARTS + 1];
        parts(&many, 40_001).unwrap();
        assert!(matches!(
            parts(&[&whole, &whole], 90_000),
            Err(DiskError::OutOfRange { .. })
        ));
        disk.flush().unwrap();
        let mut expected = vec![0xaa; 100_000];
        expected[4096..16_384].fill(1);
        expected[20_000..20_003].fill(2);
        expected[20_003..28_195].fill(1);
        expected[28_195..28_200].fill(3);
        expected[40_001..42_051].copy_from_slice(&[4, 5].repeat(1025));
        assert!(std::fs::read(file.path()).unwrap() == expected);
    }

    #[test]
    fn a_range_beyond_the_end_is_refused() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&[0; 1000]).unwrap();
        let disk = Disk::open_exclusive(file.path()).unwrap();
        for (offset, length) in [(999, 2), (u64::MAX, 1), (1000, 1)] {
            assert!(matches!(
                disk.write_at(offset, &vec![0; length]),
                Err(DiskError::OutOfRange { .. })
            ));
            assert!(disk.zero_range(offset, length as u64).is_err());
        }
        assert_eq!(file.as_file().metadata().unwrap().len(), 1000);
    }

    #[test]
    fn a_second_user_is_told_that_it_is_busy() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let first = Disk::open_exclusive(file.path()).unwrap();
        assert!(matches!(
            Disk::open_exclusive(file.path()),
            Err(DiskError::Busy { .. })
        ));
        drop(first);
        assert!(Disk::open_exclusive(file.path()).is_ok());
    }
}
