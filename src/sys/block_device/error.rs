//! Why a disk did not do what it was asked.

use std::io;
use std::path::{Path, PathBuf};

/// What could not be done with a disk.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// Something else uses the device.
    #[error(
        "{} is in use: it is mounted, part of an array or volume group, or opened by another \
         program",
        path.display()
    )]
    Busy {
        /// The device.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A discard failed.
    #[error("Could not discard {length} bytes at offset {offset} of {}", path.display())]
    Discard {
        /// The device.
        path: PathBuf,
        /// First byte.
        offset: u64,
        /// Bytes.
        length: u64,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// It could not be flushed: what was written may be lost.
    #[error("Could not flush {}", path.display())]
    Flush {
        /// The device.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// It could not be opened.
    #[error("Could not open {}", path.display())]
    Open {
        /// The device.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The range is not on the device.
    #[error("{length} bytes at offset {offset} do not lie on {} of {size} bytes", path.display())]
    OutOfRange {
        /// The device.
        path: PathBuf,
        /// First byte.
        offset: u64,
        /// Bytes.
        length: u64,
        /// The device's bytes.
        size: u64,
    },
    /// The kernel did not take the new partition table.
    #[error("The kernel did not take the partition table of {}", path.display())]
    Partitions {
        /// The device.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// Reading failed.
    #[error("Could not read {length} bytes at offset {offset} of {}", path.display())]
    Read {
        /// The device.
        path: PathBuf,
        /// First byte.
        offset: u64,
        /// Bytes.
        length: u64,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// Writing failed.
    #[error("Could not write {length} bytes at offset {offset} of {}", path.display())]
    Write {
        /// The device.
        path: PathBuf,
        /// First byte.
        offset: u64,
        /// Bytes.
        length: u64,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
}

impl DiskError {
    /// What the kernel answered, where it was asked.
    pub fn kernel_error(&self) -> Option<&io::Error> {
        match self {
            Self::Busy { source, .. }
            | Self::Discard { source, .. }
            | Self::Flush { source, .. }
            | Self::Open { source, .. }
            | Self::Partitions { source, .. }
            | Self::Read { source, .. }
            | Self::Write { source, .. } => Some(source),
            Self::OutOfRange { .. } => None,
        }
    }
}

pub(super) fn open_error(path: &Path, source: io::Error) -> DiskError {
    let path = path.to_owned();
    match source.raw_os_error() {
        Some(libc::EBUSY | libc::EWOULDBLOCK) => DiskError::Busy { path, source },
        _ => DiskError::Open { path, source },
    }
}
