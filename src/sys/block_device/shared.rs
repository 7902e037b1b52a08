//! A disk that is only read, beside whoever uses it.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::path::PathBuf;

use super::{DiskError, Medium, device_geometry, open_error};

/// A block device or a plain file, opened for reading alone: nothing is claimed, nobody is kept away, and udev
/// has nothing to look at when it is closed.
#[derive(Debug)]
pub(crate) struct SharedDisk {
    path: PathBuf,
    file: File,
    size: u64,
    logical_block_size: u32,
}

impl SharedDisk {
    /// Open it.
    ///
    /// # Errors
    /// It is not there, or the kernel refuses.
    pub(crate) fn open(path: impl Into<PathBuf>) -> Result<Self, DiskError> {
        let path = path.into();
        let described = File::open(&path).and_then(|file| {
            let facts = file.metadata()?;
            let (size, logical_block_size) = if facts.file_type().is_block_device() {
                device_geometry(&file)?
            } else {
                (facts.len(), 512)
            };
            Ok((file, size, logical_block_size))
        });
        let (file, size, logical_block_size) =
            described.map_err(|source| open_error(&path, source))?;
        Ok(Self {
            path,
            file,
            size,
            logical_block_size,
        })
    }

    fn refused(&self, offset: u64, length: u64) -> DiskError {
        DiskError::Write {
            path: self.path.clone(),
            offset,
            length,
            source: io::Error::from_raw_os_error(libc::EROFS),
        }
    }
}

impl Medium for SharedDisk {
    fn size(&self) -> u64 {
        self.size
    }

    fn logical_block_size(&self) -> u32 {
        self.logical_block_size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), DiskError> {
        self.file
            .read_exact_at(buffer, offset)
            .map_err(|source| DiskError::Read {
                path: self.path.clone(),
                offset,
                length: buffer.len() as u64,
                source,
            })
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), DiskError> {
        Err(self.refused(offset, data.len() as u64))
    }

    fn zero_range(&self, offset: u64, length: u64) -> Result<(), DiskError> {
        Err(self.refused(offset, length))
    }

    fn flush(&self) -> Result<(), DiskError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Disk;
    use super::*;

    #[test]
    fn it_is_read_beside_who_has_it_for_himself_and_never_written() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), [7; 1024]).unwrap();
        let _owner = Disk::open_exclusive(file.path()).unwrap();
        let disk = SharedDisk::open(file.path()).unwrap();
        assert_eq!((disk.size(), disk.logical_block_size()), (1024, 512));
        let mut buffer = [0; 3];
        disk.read_at(1021, &mut buffer).unwrap();
        assert_eq!(buffer, [7; 3]);
        assert!(disk.read_at(1022, &mut buffer).is_err());
        assert!(disk.write_at(0, b"x").is_err() && disk.zero_range(0, 1).is_err());
        assert_eq!(std::fs::read(file.path()).unwrap(), [7; 1024]);
        let missing = SharedDisk::open("/no/such/disk").unwrap_err();
        assert!(missing.to_string().contains("/no/such/disk"), "{missing}");
    }
}
