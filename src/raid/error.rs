//! Why an array of software RAID could not be made, found or taken apart.

use farrier_plugin::{ErrorKind, ManagerError, chain};

use crate::block::list::BlockError;
use crate::sys::process::ProcessError;

/// Why a step of software RAID failed. The texts are the reference's where it has one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RaidError {
    /// The disks could not be listed.
    #[error(transparent)]
    Block(#[from] BlockError),
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
