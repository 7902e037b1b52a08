//! Sectors, and the numbers in them.

/// Bytes of a logical sector, and of the only block size that is taken.
pub(super) const SECTOR: usize = 2048;

/// A number of four bytes, little endian; `None` where the bytes end before it does.
pub(super) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    let bytes = bytes.get(offset..offset + 4)?;
    Some(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}
