//! Bytes in memory as a medium that nothing can be written to: an image whose file system is read
//! before it is on a disk.

use std::io;
use std::path::PathBuf;

use super::block_device::{DiskError, Medium};

/// Bytes with the name that errors call them by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadOnly<'b> {
    name: &'static str,
    bytes: &'b [u8],
}

impl<'b> ReadOnly<'b> {
    /// These bytes under this name.
    pub(crate) fn new(name: &'static str, bytes: &'b [u8]) -> Self {
        Self { name, bytes }
    }

    fn refused(&self, offset: u64, length: u64) -> DiskError {
        DiskError::Write {
            path: PathBuf::from(self.name),
            offset,
            length,
            source: io::Error::from_raw_os_error(libc::EROFS),
        }
    }
}

impl Medium for ReadOnly<'_> {
    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn logical_block_size(&self) -> u32 {
        512
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), DiskError> {
        let start = usize::try_from(offset).ok();
        let bytes = start
            .and_then(|start| self.bytes.get(start..start.checked_add(buffer.len())?))
            .ok_or_else(|| DiskError::OutOfRange {
                path: PathBuf::from(self.name),
                offset,
                length: buffer.len() as u64,
                size: self.size(),
            })?;
        buffer.copy_from_slice(bytes);
        Ok(())
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
    use super::*;

    #[test]
    fn it_is_read_within_its_bounds_and_never_written() {
        let medium = ReadOnly::new("image", b"abcdef");
        let mut buffer = [0; 3];
        medium.read_at(2, &mut buffer).unwrap();
        assert_eq!(&buffer, b"cde");
        for offset in [4, u64::MAX] {
            assert!(medium.read_at(offset, &mut buffer).is_err());
        }
        assert!(medium.write_at(0, b"x").is_err() && medium.zero_range(0, 1).is_err());
    }
}
