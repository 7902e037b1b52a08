//! Why an array of software RAID could not be made, found or taken apart.

use farrier_plugin::{ErrorKind, ManagerError, chain};

use crate::block::list::BlockError;
use crate::block::skip::SkipError;
use crate::block::table_error::TableError;
use crate::sys::block_device::DiskError;
use crate::sys::process::ProcessError;

/// Why a step of software RAID failed. The texts are the reference's where it has one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RaidError {
    /// The disks could not be listed.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// The node's skip list cannot be used.
    #[error(transparent)]
    Skip(#[from] SkipError),
    /// The configuration has no volumes (contract/data-plane 6.2).
    #[error("{0}")]
    NoVolumes(String),
    /// Rules of the configuration are broken (contract/data-plane 6.2).
    #[error("Could not validate Software RAID config for {node}: {problems}")]
    Configuration {
        /// The node's UUID.
        node: String,
        /// Each with its own text, separated by semicolons.
        problems: String,
    },
    /// No disk is what a volume is to be made of.
    #[error("{text}. Disks that may be used: {found}; left alone: {left_alone}")]
    NoCandidates {
        /// The reference's words.
        text: String,
        /// The disks to choose from.
        found: String,
        /// The others, each with the reason.
        left_alone: String,
    },
    /// A volume would be made of too few disks.
    #[error("{text} Disks that may be used: {found}; left alone: {left_alone}")]
    TooFewDisks {
        /// The reference's words.
        text: String,
        /// The disks to choose from.
        found: String,
        /// The others, each with the reason.
        left_alone: String,
    },
    /// Every number that an array can have is taken.
    #[error(
        "There is no free number for an array of software RAID (md0 to md511); delete_configuration ends those that run"
    )]
    NoNumber,
    /// Disks have partitions (contract/data-plane 6.3).
    #[error(
        "Partitions detected on devices {devices} during RAID config; delete_configuration removes those of arrays, \
         erase_devices_metadata all others"
    )]
    Partitions {
        /// The disks, separated by commas.
        devices: String,
    },
    /// A disk is used by something.
    #[error(
        "Failed to create partitions on {device}: {users}; delete_configuration ends arrays, a restart of the \
         machine ends the rest"
    )]
    InUse {
        /// The disk.
        device: String,
        /// Who uses it, in words.
        users: String,
    },
    /// An array has no name, and some are protected by theirs (contract/data-plane 6.5).
    #[error(
        "A Software RAID device detected that does not have a volume name ({device}). This is not allowed because \
         there is a volume_name hint in the property 'skip_block_devices'."
    )]
    UnnamedArray {
        /// The array.
        device: String,
    },
    /// Arrays are there that nobody asked to keep (contract/data-plane 6.5).
    #[error(
        "Existing Software RAID device detected that should not: {arrays}; delete_configuration removes it"
    )]
    ExistingArrays {
        /// Each with its name, separated by commas.
        arrays: String,
    },
    /// The volumes have no room on a disk.
    #[error("Failed to create partitions on {device}: {why}; nothing was written to any disk")]
    DoesNotFit {
        /// The disk.
        device: String,
        /// What is short.
        why: String,
    },
    /// A disk could not be opened or written.
    #[error("Failed to create partitions on {device}")]
    Disk {
        /// The disk.
        device: String,
        /// Why not.
        #[source]
        source: DiskError,
    },
    /// The partition table could not be read or written.
    #[error("Failed to create partitions on {device}")]
    Table {
        /// The disk.
        device: String,
        /// Why not.
        #[source]
        source: TableError,
    },
    /// The kernel does not show a partition of a table that it was told of.
    #[error(
        "Failed to create partitions on {device}: the table is written, and after {seconds} s the kernel does not \
         show partition {number}"
    )]
    PartitionMissing {
        /// The disk.
        device: String,
        /// The partition.
        number: u32,
        /// How long it was waited for.
        seconds: u64,
    },
    /// The command was cancelled.
    #[error("Creating software RAID was cancelled; delete_configuration removes what was made")]
    Cancelled,
    /// This is no ramdisk.
    #[error(
        "No array is deleted: this system does not run from memory, so that it is not the ramdisk, and \
         nothing was told to go on all the same"
    )]
    NotInRamdisk,
    /// The command was cancelled while arrays were being taken apart.
    #[error(
        "Not all arrays are deleted: the command was cancelled; what was taken apart until then stays so, and \
         delete_configuration goes on with the rest"
    )]
    DeletionCancelled,
    /// Arrays, superblocks of some, or disks of theirs are still as they were.
    #[error("Unable to clean all softraid correctly. Remaining [{remaining}]: {reasons}")]
    NotDeleted {
        /// The arrays, by device, name or UUID, and the disks that were to be blank.
        remaining: String,
        /// Everything that went wrong.
        reasons: String,
    },
    /// mdadm refused to make an array.
    #[error("Failed to create md device {device} on {members}")]
    Create {
        /// The array: `/dev/md0`.
        device: String,
        /// Its members, separated by blanks.
        members: String,
        /// What mdadm said.
        #[source]
        source: ProcessError,
    },
    /// mdadm says that it made an array, and the kernel does not run it.
    #[error(
        "Failed to create md device {device} on {members}: mdadm reported success, and after {seconds} s \
         the kernel does not run it ({found}); see the kernel's log, which is in the log archive"
    )]
    NotRunning {
        /// The array.
        device: String,
        /// Its members, separated by blanks.
        members: String,
        /// How long it was waited for.
        seconds: u64,
        /// What there is instead.
        found: String,
    },
    /// A member left an array or never came into it, and could not be put back.
    #[error("Failed re-add {member} to {device}: {why}")]
    Member {
        /// The partition.
        member: String,
        /// The array.
        device: String,
        /// What was tried, and what came of it.
        why: String,
    },
}

impl From<RaidError> for ManagerError {
    fn from(error: RaidError) -> Self {
        Self::new(ErrorKind::SoftwareRaid, chain(&error))
    }
}
