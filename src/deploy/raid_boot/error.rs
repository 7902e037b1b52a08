//! Why firmware could not be led to an array.

use farrier_plugin::ErrorKind;

use super::super::bios_boot::BiosBootError;
use super::super::error::DeployError;
use super::super::image_boot::file_tree::Failure;
use super::super::image_tree::ImageTreeError;
use crate::block::fat::FatError;
use crate::block::table_error::TableError;
use crate::raid::RaidError;
use crate::sys::block_device::DiskError;
use crate::sys::process::ProcessError;

/// Why what leads firmware to an array was not made.
#[derive(Debug, thiserror::Error)]
pub(in crate::deploy) enum RaidBootError {
    /// GRUB could not be taken from the image.
    #[error(transparent)]
    Bios(#[from] BiosBootError),
    /// It could not be put onto every disk.
    #[error("GRUB is not on all disks of the array, since that failed for {failures}")]
    Disks {
        /// Each disk that failed, with the reason.
        failures: String,
    },
    /// There is no root file system with GRUB among the partitions of the image.
    #[error(
        "The image's root file system was looked for by GRUB's files for BIOS in it, and not found: {failures}. \
         Name it by image_rootfs_uuid in the node's instance_info, or by the image's property rootfs_uuid"
    )]
    NoRoot {
        /// What could not be looked into.
        failures: String,
    },
    /// There are several.
    #[error(
        "There is a GRUB in {devices} of the image, and which of them is to be booted is anybody's guess. Name the root \
         file system by image_rootfs_uuid in the node's instance_info, or by the image's property rootfs_uuid, and have \
         one partition for /boot"
    )]
    SeveralRoots {
        /// The partitions.
        devices: String,
    },
    /// The arrays could not be listed, or the mirror not made.
    #[error(transparent)]
    Raid(#[from] RaidError),
    /// There is no room for it.
    #[error("{0}")]
    NoRoom(String),
    /// A disk that holds a member could not be opened.
    #[error("The disk {device} could not be opened{users}")]
    NotOpened {
        /// The disk.
        device: String,
        /// Who uses it, starting with ` because `, or empty.
        users: String,
        /// What the kernel answered.
        #[source]
        source: DiskError,
    },
    /// The table of such a disk could not be read or written.
    #[error("The EFI system partition {name} could not be made on {device}")]
    Partition {
        /// Its name in the table.
        name: String,
        /// The disk.
        device: String,
        /// Why not.
        #[source]
        source: TableError,
    },
    /// The kernel did not take the new partition.
    #[error(
        "The partition {name} is in the table of {device}, and the kernel does not show it: start the ramdisk \
         anew and deploy again"
    )]
    NotVisible {
        /// Its name in the table.
        name: String,
        /// The disk.
        device: String,
    },
    /// The files of the image's EFI system partition have no room (contract/data-plane 6.6).
    #[error("ESP content ({needed} bytes) exceeds md device size ({size} bytes)")]
    TooLarge {
        /// What they take.
        needed: u64,
        /// What the mirror has.
        size: u64,
    },
    /// The file system on the mirror could not be made.
    #[error("The file system on the mirror of EFI system partitions {device} could not be made")]
    Format {
        /// The mirror.
        device: String,
        /// What mkfs.vfat said.
        #[source]
        source: ProcessError,
    },
    /// The image's EFI system partition could not be read.
    #[error("The EFI system partition of the image could not be read")]
    Source(#[from] FatError),
    /// It could not be mounted.
    #[error(transparent)]
    Mounted(#[from] ImageTreeError),
    /// Its files could not be copied.
    #[error("The files of the image's EFI system partition could not be copied to {device}")]
    Copy {
        /// The mirror.
        device: String,
        /// Why not.
        #[source]
        source: Failure,
    },
}

impl RaidBootError {
    /// As an error of the deploy of this array.
    pub(in crate::deploy) fn of(self, array: &str) -> DeployError {
        DeployError::RaidBoot {
            device: array.to_owned(),
            kind: self.kind(),
            source: Box::new(self),
        }
    }

    /// As an error of the deploy of this array, on a machine with a BIOS.
    pub(super) fn by_bios(self, array: &str) -> DeployError {
        DeployError::BiosBoot {
            device: array.to_owned(),
            kind: self.kind(),
            source: Box::new(self),
        }
    }

    /// The class that the conductor knows this error by.
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Raid(_) => ErrorKind::SoftwareRaid,
            Self::NoRoom(_) => ErrorKind::Deployment,
            Self::Bios(error) => error.kind(),
            Self::NoRoot { .. } | Self::SeveralRoots { .. } => ErrorKind::InvalidImage,
            _ => ErrorKind::CommandExecution,
        }
    }
}
