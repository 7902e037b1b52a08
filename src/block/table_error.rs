//! What is wrong with a partition table, or with what shall go into a partition.

use std::io;

use crate::sys::block_device::DiskError;

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
