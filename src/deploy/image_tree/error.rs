//! Why a tenant's files could not be had.

use std::io;
use std::path::PathBuf;

use super::entry::EntryKind;
use super::message::Malformed;
use crate::sys::block_device::DiskError;
use crate::sys::confined_process::ExchangeError;

/// Why a tenant's files could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImageTreeError {
    /// The partition cannot be opened, or somebody uses it.
    #[error("Could not open {device}, to look for its file system{holders}")]
    Device {
        /// The partition.
        device: String,
        /// Who has it in use, starting with ` because `, or empty.
        holders: String,
        /// What it answered.
        #[source]
        source: DiskError,
    },
    /// There are no files in it that this agent could reach.
    #[error(
        "{device} holds {what}; files are reached in ext2, ext3, ext4, XFS, btrfs and FAT file systems"
    )]
    NoFileSystem {
        /// The partition.
        device: String,
        /// What it holds instead.
        what: &'static str,
    },
    /// The kernel would go on to another device, which nobody named, and may write there.
    #[error(
        "The {kind} file system on {device} is not mounted: {what} lies on another device, which is left \
         alone"
    )]
    Elsewhere {
        /// The partition.
        device: String,
        /// The file system.
        kind: &'static str,
        /// What lies there.
        what: &'static str,
    },
    /// The kernel has no such file system.
    #[error(
        "The kernel of this ramdisk has no {kind}, the file system on {device}; is the kernel module in \
         the ramdisk?"
    )]
    NoDriver {
        /// The partition.
        device: String,
        /// The file system.
        kind: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The kernel refuses to mount it.
    #[error(
        "The {kind} file system on {device} cannot be mounted{words}; it may be damaged: check the image \
         with {checker}"
    )]
    NotMounted {
        /// The partition.
        device: String,
        /// The file system.
        kind: &'static str,
        /// What the file system says, starting with ` (`, or empty.
        words: String,
        /// The program that would tell more.
        checker: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The process for it could not be started.
    #[error("Could not start the process that mounts {device}")]
    Start {
        /// The partition.
        device: String,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The process could not give up what it should, and therefore mounted nothing.
    #[error("The process that mounts {device} could not be confined: {why}")]
    NotConfined {
        /// The partition.
        device: String,
        /// Why not.
        why: String,
    },
    /// The process gave no answer.
    #[error("The process that has {device} mounted could not {what}")]
    Exchange {
        /// The partition.
        device: String,
        /// What it was to do.
        what: String,
        /// Why not.
        #[source]
        source: ExchangeError,
    },
    /// The process gave an answer that is none.
    #[error("The process that has {device} mounted could not {what}")]
    Answer {
        /// The partition.
        device: String,
        /// What it was to do.
        what: String,
        /// Why not.
        #[source]
        source: Malformed,
    },
    /// The kernel refuses.
    #[error("Could not {what} in the file system on {device}")]
    Kernel {
        /// The partition.
        device: String,
        /// What was to be done.
        what: String,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// What lies there is no plain file.
    #[error("Could not {what} in the file system on {device}: it is {}", kind.words())]
    NotPlain {
        /// The partition.
        device: String,
        /// What was to be done.
        what: String,
        /// What it is.
        kind: EntryKind,
    },
    /// A directory has more than is told of one.
    #[error("Could not {what} in the file system on {device}: it has more than {limit} entries")]
    TooLarge {
        /// The partition.
        device: String,
        /// What was to be done.
        what: String,
        /// How many are told at most.
        limit: usize,
    },
    /// What was to be written could not be had.
    #[error("Could not get what was to be written to {}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}
