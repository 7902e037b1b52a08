//! A disk's blocks, past the kernel's page cache: what was there before a card formatted itself
//! behind the kernel's back may still be in it.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::Path;

use farrier_plugin::AlignedBuffer;
use nix::errno::Errno;
use nix::fcntl::{OFlag, PosixFadviseAdvice, posix_fadvise};

/// An open disk.
#[derive(Debug)]
pub(crate) struct Medium {
    file: File,
    size: u64,
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
    pub(crate) fn read(&self, offset: u64, buffer: &mut AlignedBuffer) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    /// Write the whole buffer.
    pub(crate) fn write(&self, offset: u64, buffer: &AlignedBuffer) -> io::Result<()> {
        self.file.write_all_at(buffer, offset)
    }

    /// Bring everything that was written, through the page cache too, onto the medium, and let the
    /// cache forget it: nothing may be written later over what the card does meanwhile.
    pub(crate) fn flush(&self) -> io::Result<()> {
        self.file.sync_all()?;
        posix_fadvise(&self.file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?;
        Ok(())
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
        let mut buffer = AlignedBuffer::zeroed(8192);
        buffer.fill(9);
        medium.write(4096, &buffer).unwrap();
        medium.flush().unwrap();
        let mut whole = AlignedBuffer::zeroed(16384);
        Medium::open(&path).unwrap().read(0, &mut whole).unwrap();
        let nines = whole.iter().filter(|byte| **byte == 9).count();
        assert_eq!(nines, 8192);
        assert_eq!((whole[4095], whole[4096]), (7, 9));
        let beyond = Medium::open(&path).unwrap().read(60 << 10, &mut whole);
        assert_eq!(beyond.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
