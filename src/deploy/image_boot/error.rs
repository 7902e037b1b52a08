//! Why a partition image was not made bootable.

use farrier_plugin::ErrorKind;

use super::file_tree::Failure;
use crate::deploy::image_tree::ImageTreeError;

/// Why not.
#[derive(Debug, thiserror::Error)]
pub(in crate::deploy) enum ImageBootError {
    /// Nothing for firmware to start.
    #[error(
        "The image has no boot loader for UEFI on {machine}, so the machine would not boot. Looked \
         for: {places}. To make it bootable, {advice}"
    )]
    NoLoader {
        /// The machine's architecture.
        machine: &'static str,
        /// Where it was looked for.
        places: String,
        /// Which packages have one.
        advice: &'static str,
    },
    /// A machine whose loaders are not known.
    #[error("Partition images are not made bootable by UEFI on {machine}")]
    NoUefi {
        /// The machine's architecture.
        machine: &'static str,
    },
    /// A shim, which starts GRUB, without GRUB.
    #[error(
        "The image has a shim in {folder} and no GRUB beside it that a shim could start: add \
         grub-efi-amd64-signed (Debian, Ubuntu), grub2-efi-x64 (Fedora, RHEL, openEuler) or \
         grub2-x86_64-efi (SUSE) to the image"
    )]
    ShimAlone {
        /// Where it is.
        folder: String,
    },
    /// A boot loader, and nothing that it could load.
    #[error(
        "The image has a boot loader and neither {menu} nor a kernel in /boot (vmlinuz-*, Image-*) \
         that it could start: install a kernel in the image"
    )]
    NoKernel {
        /// The configuration that is missing.
        menu: String,
    },
    /// The boot files have no room.
    #[error(
        "The image's boot files ({needed} MiB) do not fit on the EFI system partition of {size} MiB: \
         raise efi_system_partition_size in [disk_utils] of the conductor's or this agent's \
         configuration, or leave less in the image's {from}"
    )]
    EspTooSmall {
        /// What they take.
        needed: u64,
        /// What there is.
        size: u64,
        /// Where most of it comes from.
        from: String,
    },
    /// A file system could not be mounted, or not be let go of.
    #[error(transparent)]
    Mounted(#[from] ImageTreeError),
    /// The image, or the EFI system partition, could not be read or written.
    #[error("The boot files of the image could not be read or put in place")]
    Tree(#[from] Failure),
}

impl ImageBootError {
    /// The class that the conductor knows this error by.
    pub(in crate::deploy) fn kind(&self) -> ErrorKind {
        match self {
            Self::NoLoader { .. } | Self::ShimAlone { .. } | Self::NoKernel { .. } => {
                ErrorKind::InvalidImage
            }
            Self::EspTooSmall { .. } | Self::NoUefi { .. } | Self::Mounted(_) | Self::Tree(_) => {
                ErrorKind::CommandExecution
            }
        }
    }
}
