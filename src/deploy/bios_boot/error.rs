//! Why a partition image was not made bootable by BIOS.

use farrier_plugin::ErrorKind;

use crate::block::table_error::TableError;
use crate::deploy::image_boot::ImageBootError;
use crate::deploy::image_boot::file_tree::Failure;
use crate::deploy::image_tree::ImageTreeError;
use crate::sys::block_device::DiskError;

/// Why not.
#[derive(Debug, thiserror::Error)]
pub(in crate::deploy) enum BiosBootError {
    /// No GRUB to take.
    #[error(
        "The image has no GRUB for BIOS, so the machine would not boot. Looked for kernel.img in \
         {places}. To make it bootable, add grub-pc-bin (Debian, Ubuntu), grub2-pc-modules (Fedora, RHEL, \
         openEuler), grub2-i386-pc (SUSE), grub (Arch) or grub-bios (Alpine) to the image"
    )]
    NoGrub {
        /// Where it was looked for.
        places: String,
    },
    /// A file of GRUB's is not what it should be.
    #[error(
        "The image's {path} is not as GRUB 2 has it: {reason}. Install the package that it comes from \
         anew in the image"
    )]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The parts are sound each for itself, and too much together.
    #[error(
        "GRUB's core image of {path} is too large to be started by a BIOS: {size} bytes, of which {limit} \
         fit"
    )]
    TooLarge {
        /// Where the parts are from.
        path: String,
        /// Bytes.
        size: usize,
        /// Bytes that a BIOS has room for.
        limit: usize,
    },
    /// The compressor refused.
    #[error("GRUB's core image could not be compressed")]
    Compression(#[source] liblzma::stream::Error),
    /// GRUB has no module for it that is known here.
    #[error(
        "GRUB cannot be made to read the image's file system, {kind}: make the image of ext4, XFS or btrfs"
    )]
    FileSystem {
        /// The kernel's name of it.
        kind: &'static str,
    },
    /// GRUB is older than what made the file system.
    #[error(
        "The image's GRUB cannot read the image's file system, {kind} with {features}, and would stop at its \
         prompt: make the file system without these features, or have a newer GRUB in the image"
    )]
    Features {
        /// The kernel's name of the file system.
        kind: &'static str,
        /// The features, in words.
        features: String,
    },
    /// Not a machine with a BIOS.
    #[error("Partition images are made bootable by BIOS on x86_64 only, not on {machine}")]
    NoBios {
        /// The machine's architecture.
        machine: &'static str,
    },
    /// A disk that no BIOS boots.
    #[error(
        "The disk has sectors of {size} bytes, and a BIOS boots from those with 512 only: boot this node \
         by UEFI, or choose another root device"
    )]
    Sectors {
        /// Bytes.
        size: u32,
    },
    /// A GPT without the partition for GRUB.
    #[error(
        "The disk has a GPT and no BIOS boot partition, where GRUB would be put: deploy the image anew \
         with the capability boot_mode:bios"
    )]
    NoBiosBootPartition,
    /// The core image has no room.
    #[error("GRUB needs {needed} bytes {place}, and {room} are free there")]
    NoRoom {
        /// Which place.
        place: &'static str,
        /// Bytes of the core image.
        needed: u64,
        /// Bytes that there are.
        room: u64,
    },
    /// What was written is not what is read.
    #[error("The disk does not hold the {what} that was just written to it")]
    Lost {
        /// What.
        what: &'static str,
    },
    /// The image has no menu, and nothing to make one of.
    #[error(transparent)]
    Menu(#[from] ImageBootError),
    /// The image's file system could not be mounted, or not be let go of.
    #[error(transparent)]
    Mounted(#[from] ImageTreeError),
    /// The image's files could not be read or written.
    #[error("GRUB's files could not be read from the image or put in place there")]
    Tree(#[from] Failure),
    /// The disk could not be read or written.
    #[error("GRUB could not be written")]
    Disk(#[from] DiskError),
    /// The disk's table could not be read.
    #[error("The disk's partition table could not be read")]
    Table(#[from] TableError),
}

impl BiosBootError {
    /// The class that the conductor knows this error by.
    pub(in crate::deploy) fn kind(&self) -> ErrorKind {
        match self {
            Self::NoGrub { .. }
            | Self::Damaged { .. }
            | Self::TooLarge { .. }
            | Self::FileSystem { .. }
            | Self::Features { .. } => ErrorKind::InvalidImage,
            Self::Menu(error) => error.kind(),
            Self::Compression(_)
            | Self::NoBios { .. }
            | Self::Sectors { .. }
            | Self::NoBiosBootPartition
            | Self::NoRoom { .. }
            | Self::Lost { .. }
            | Self::Mounted(_)
            | Self::Tree(_)
            | Self::Disk(_)
            | Self::Table(_) => ErrorKind::CommandExecution,
        }
    }
}
