//! What tests can put in the place of a disk.

use std::io::IoSlice;

use super::error::DiskError;

/// Something that holds bytes at offsets: a disk, a file, or a test's memory with faults in it.
///
/// Methods take `&self` because several writes may be under way at once. Two writes at once must
/// not touch the same block of [`Medium::logical_block_size`] bytes: a write that covers a part of
/// a block reads, changes and writes it.
pub(crate) trait Medium: Send + Sync {
    /// Bytes in all.
    fn size(&self) -> u64;

    /// Bytes in a block, the unit of the device and of its partition table.
    fn logical_block_size(&self) -> u32;

    /// Fill the buffer from this offset.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), DiskError>;

    /// Write the data at this offset. Fast where data and offset are aligned, correct anyway.
    fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), DiskError>;

    /// Write these parts, one behind the other from this offset on; in one go where each of them
    /// is aligned.
    fn write_vectored_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> Result<(), DiskError> {
        let mut at = offset;
        for part in parts {
            self.write_at(at, part)?;
            at += part.len() as u64;
        }
        Ok(())
    }

    /// Make these bytes read as zeros.
    fn zero_range(&self, offset: u64, length: u64) -> Result<(), DiskError>;

    /// Bring all that was written onto the medium itself.
    fn flush(&self) -> Result<(), DiskError>;

    /// Whether this is a plain file, whose block size is a convention and not the hardware's.
    fn is_plain_file(&self) -> bool {
        false
    }
}
