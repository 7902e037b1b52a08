//! What lies in a partition that is for an array and in none: the proof that nobody's data is in it.
//!
//! Without it a disk that a power cut left partitioned for arrays looks like any that somebody has partitioned: types
//! are those of file systems, plain dm-crypt and databases have no signature, and ends can be zeros by chance.

use crate::block::superblocks;
use crate::sys::block_device::{DiskError, Medium};

/// Where it is in its partition: a superblock of version 1.2 takes its place.
pub(super) const PLACE: u64 = 4096;
/// Bytes of it, which are whole blocks of every disk.
pub(super) const LENGTH: usize = 4096;
const TEXT: &[u8] = b"farrier: this partition is for an array of software RAID and in none; nothing else is in it\n";

/// As it is written: the text, and zeros.
pub(super) fn mark() -> [u8; LENGTH] {
    let mut mark = [0; LENGTH];
    mark[..TEXT.len()].copy_from_slice(TEXT);
    mark
}

/// Whether these bytes from [`PLACE`] on are one.
pub(super) fn is_mark(data: &[u8]) -> bool {
    *data == mark()
}

/// Mark the partition that begins there. What is at its place is lost.
pub(super) fn write(medium: &dyn Medium, partition: u64) -> Result<(), DiskError> {
    medium.write_at(partition + PLACE, &mark())
}

/// Mark a partition whose content is to go, seen alone, then make zeros of the rest of its beginning, so that no file
/// system is known there any more. Returns how many bytes from its start were written.
pub(super) fn replace(partition: &dyn Medium) -> Result<u64, DiskError> {
    let mark = PLACE..PLACE + LENGTH as u64;
    let Some(beginning) = superblocks::ends(partition.size()).into_iter().next() else {
        return Ok(0);
    };
    if beginning.end < mark.end {
        return Ok(0);
    }
    write(partition, 0)?;
    partition.zero_range(0, mark.start)?;
    partition.zero_range(mark.end, beginning.end - mark.end)?;
    partition.flush()?;
    Ok(beginning.end)
}
