//! A disk's partition table, whichever of the two kinds it is.

use std::io;

use tracing::warn;
use uuid::Uuid;

use super::gpt::Gpt;
use super::mbr::Mbr;
use crate::sys::block_device::{DiskError, Medium};

/// Alignment of new partitions, in bytes: what sgdisk and parted use, because it suits every disk
/// and RAID geometry.
pub const ALIGNMENT: u64 = 1 << 20;

/// The partition table of a disk.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Table {
    /// GUID partition table.
    Gpt(Gpt),
    /// Master boot record.
    Mbr(Mbr),
}

/// A partition, in the terms of either kind of table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Partition {
    /// Its number as the kernel counts: from 1; logical partitions of an MBR from 5.
    pub number: u32,
    /// First byte on the disk.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
    /// What it is for.
    pub kind: PartitionKind,
    /// Its own GUID, which the kernel calls PARTUUID; only a GPT has them.
    pub guid: Option<Uuid>,
}

/// What a partition is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PartitionKind {
    /// Type GUID of a GPT.
    Gpt(Uuid),
    /// Type byte of an MBR.
    Mbr(u8),
}

/// Blocks that no partition uses, both ends included.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Gap {
    pub(super) first: u64,
    pub(super) last: u64,
}

/// What is wrong with a partition table.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// There is none.
    #[error("the disk has no partition table for its block size of {block_size} bytes")]
    Absent {
        /// The disk's logical block size.
        block_size: u32,
    },
    /// It contradicts itself or the disk.
    #[error("the partition table is damaged: {reason}")]
    Damaged {
        /// In what way.
        reason: String,
    },
    /// There is no room for another partition.
    #[error("the disk has no room for a partition of {size} bytes: {reason}")]
    Full {
        /// Bytes that were wanted.
        size: u64,
        /// What is short.
        reason: String,
    },
    /// A FAT file system in a partition cannot hold a file.
    #[error("FAT cannot hold the file {path}: there, {why}")]
    Name {
        /// The file, from the root.
        path: String,
        /// What it cannot hold.
        why: &'static str,
    },
    /// The disk failed.
    #[error("the partition table could not be read or written")]
    Disk(#[from] DiskError),
}

impl Table {
    /// Read the table.
    ///
    /// As for the kernel, it is a GPT where the MBR says so with a protective entry.
    pub fn read(medium: &dyn Medium) -> Result<Self, TableError> {
        let mbr = Mbr::read(medium)?;
        if !mbr.is_protective() {
            return Ok(Self::Mbr(mbr));
        }
        if !mbr.leads_to_gpt() {
            return Err(TableError::damaged(
                "its protective entry does not begin with block 1, so that neither Linux nor \
                 firmware looks for a GPT",
            ));
        }
        Ok(Self::Gpt(Gpt::read(medium)?))
    }

    /// All partitions, by number.
    pub fn partitions(&self) -> Vec<Partition> {
        match self {
            Self::Gpt(gpt) => gpt.partitions(),
            Self::Mbr(mbr) => mbr.partitions(),
        }
    }
}

impl Table {
    /// Move the backup of a GPT to the disk's end, and have its protective entry cover the disk: an
    /// image is nearly always smaller than the disk it goes to. An MBR fits as it is.
    pub fn fit_to_disk(&mut self, medium: &dyn Medium) -> Result<(), TableError> {
        let Self::Gpt(gpt) = self else {
            return Ok(());
        };
        if let Some(damage) = gpt.damage() {
            warn!(
                damage,
                "the image's first GPT is damaged, its backup is used"
            );
        } else if gpt.fits_disk() {
            return Ok(());
        }
        gpt.move_backup_to_end()?;
        gpt.write(medium)?;
        let mut mbr = Mbr::read(medium)?;
        if mbr.protect_whole_disk() {
            mbr.write(medium)?;
        }
        Ok(())
    }

    /// Whether Linux finds the partitions of this table on its disk as it is.
    pub fn is_taken_by_linux(&self) -> bool {
        match self {
            Self::Gpt(gpt) => gpt.is_taken_by_linux(),
            Self::Mbr(_) => true,
        }
    }
}

impl TableError {
    pub(super) fn damaged(reason: impl Into<String>) -> Self {
        Self::Damaged {
            reason: reason.into(),
        }
    }

    /// The kernel's answer, where the disk failed.
    pub fn kernel_error(&self) -> Option<&io::Error> {
        match self {
            Self::Disk(error) => error.kernel_error(),
            _ => None,
        }
    }
}

/// The gaps between these used ranges (first and last block of each), within these bounds.
pub(super) fn gaps(used: &mut [(u64, u64)], first: u64, last: u64) -> Vec<Gap> {
    used.sort_unstable();
    let mut found = Vec::new();
    let mut next = first;
    for (start, end) in used.iter().copied() {
        if start > next {
            found.push(Gap {
                first: next,
                last: (start - 1).min(last),
            });
        }
        next = next.max(end.saturating_add(1));
    }
    if next <= last {
        found.push(Gap { first: next, last });
    }
    found.retain(|gap| gap.first <= gap.last && gap.first >= first);
    found
}

/// First and last block of a new partition at the end of a gap: `wanted` bytes and whatever is lost
/// by aligning its start, or at least `least` bytes where the gap is too small for that.
pub(super) fn at_end(gap: Gap, block: u64, wanted: u64, least: u64) -> Option<(u64, u64)> {
    let align = ALIGNMENT / block;
    let end = gap.last + 1;
    [wanted, least].into_iter().find_map(|bytes| {
        let start = end.checked_sub(bytes.div_ceil(block))?;
        let start = start - start % align;
        (start >= gap.first && start < end).then_some((start, gap.last))
    })
}
