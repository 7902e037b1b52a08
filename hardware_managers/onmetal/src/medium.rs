//! A disk's blocks, past the kernel's page cache: what was there before a card formatted itself
//! behind the kernel's back may still be in it.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, PosixFadviseAdvice, posix_fadvise};

/// What direct I/O wants of a buffer, and at most of an offset: the largest logical sector.
const ALIGNMENT: usize = 4096;

/// An open disk.
#[derive(Debug)]
pub(crate) struct Medium {
    file: File,
    size: u64,
}

/// Bytes at an address that direct I/O takes.
#[derive(Debug)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    length: usize,
}

impl Medium {
    /// Open a disk for writing, for nobody else. `ResourceBusy` where it, or a partition of it, is
    /// mounted or part of an array.
    pub(crate) fn claim(path: &Path) -> io::Result<Self> {
        Self::open_with(
            OpenOptions::new().read(true).write(true),
            path,
            OFlag::O_EXCL,
        )
    }

    /// Open a disk for reading.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Self::open_with(OpenOptions::new().read(true), path, OFlag::empty())
    }

    fn open_with(options: &mut OpenOptions, path: &Path, flags: OFlag) -> io::Result<Self> {
        let direct = (flags | OFlag::O_DIRECT).bits();
        let mut file = match options.custom_flags(direct).open(path) {
            // Some file systems have no direct I/O, every disk has. Tests use files.
            Err(error)
                if error.raw_os_error() == Some(Errno::EINVAL as i32)
                    && !path.metadata()?.file_type().is_block_device() =>
            {
                options.custom_flags(flags.bits()).open(path)?
            }
            opened => opened?,
        };
        let size = file.seek(SeekFrom::End(0))?;
        Ok(Self { file, size })
    }

    /// Its size in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Read into the whole buffer. Offset and length are multiples of the logical sector.
    pub(crate) fn read(&self, offset: u64, buffer: &mut Buffer) -> io::Result<()> {
        self.file.read_exact_at(buffer.as_mut_slice(), offset)
    }

    /// Write the whole buffer.
    pub(crate) fn write(&self, offset: u64, buffer: &Buffer) -> io::Result<()> {
        self.file.write_all_at(buffer.as_slice(), offset)
    }

    /// Bring everything that was written, through the page cache too, onto the medium, and let the
    /// cache forget it: nothing may be written later over what the card does meanwhile.
    pub(crate) fn flush(&self) -> io::Result<()> {
        self.file.sync_all()?;
        posix_fadvise(&self.file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?;
        Ok(())
    }
}

impl Buffer {
    /// Zeros.
    pub(crate) fn new(length: usize) -> Self {
        let bytes = vec![0; length + ALIGNMENT];
        let start = bytes.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        Self {
            bytes,
            start,
            length,
        }
    }

    /// Its bytes.
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.length]
    }

    /// Its bytes, to be changed.
    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_back_at_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk");
        std::fs::write(&path, vec![7; 64 << 10]).unwrap();
        let medium = Medium::claim(&path).unwrap();
        assert_eq!(medium.size(), 64 << 10);
        let mut buffer = Buffer::new(8192);
        buffer.as_mut_slice().fill(9);
        medium.write(4096, &buffer).unwrap();
        medium.flush().unwrap();
        let mut whole = Buffer::new(16384);
        Medium::open(&path).unwrap().read(0, &mut whole).unwrap();
        let nines = whole.as_slice().iter().filter(|byte| **byte == 9).count();
        assert_eq!(nines, 8192);
        assert_eq!((whole.as_slice()[4095], whole.as_slice()[4096]), (7, 9));
        let beyond = Medium::open(&path).unwrap().read(60 << 10, &mut whole);
        assert_eq!(beyond.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn buffers_are_aligned() {
        for length in [512, 4096, 1 << 20] {
            let buffer = Buffer::new(length);
            assert_eq!(buffer.as_slice().as_ptr().align_offset(ALIGNMENT), 0);
            assert_eq!(buffer.as_slice().len(), length);
        }
    }
}
