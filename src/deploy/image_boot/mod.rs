//! Making a partition image bootable by UEFI, from its own files and without running any of them.
//!
//! The reference runs the image's `grub-install` as root, which is off since CVE-2026-43003; so its EFI
//! system partition stays empty. Here the loaders that the image brings are copied onto it, signed as
//! they are, with what leads them to the root file system.

pub(super) mod architecture;
mod complete;
mod distribution;
mod error;
pub(super) mod file_tree;
pub(super) mod fill;
mod fstab;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;
pub(super) mod grub;
mod kernels;
#[cfg(any(test, fuzzing))]
#[cfg_attr(fuzzing, allow(dead_code, reason = "tests look at more of it"))]
pub(super) mod memory_tree;
mod mounted;
mod origins;
mod plan;
mod search;

use farrier_plugin::{Context, chain};
use tracing::{info, warn};

use architecture::Architecture;
pub(super) use error::ImageBootError;
use file_tree::FileTree;
use fstab::EfiPartition;
use plan::Plan;

use super::image_tree::{Access, ImageTree};
use crate::block::fat::{Fat, FatError};

/// What is known of a partition image and its place on the disk.
pub(super) struct Deployment<'a> {
    /// Its partition: `/dev/sda2`.
    pub(super) root: &'a str,
    /// UUID of its file system.
    pub(super) root_uuid: &'a str,
    /// The EFI system partition: `/dev/sda1`.
    pub(super) esp: &'a str,
    /// Bytes of that.
    pub(super) esp_size: u64,
    /// Its name, as the first field of a table of file systems: `UUID=1234-ABCD`.
    pub(super) esp_name: String,
    /// Other such names of it.
    pub(super) esp_names: Vec<String>,
}

/// What is to be written.
struct Prepared {
    plan: Plan,
    /// Where most of it is from, for people.
    from: String,
}

/// Whether an EFI system partition was left half filled, by a call that was cut off.
pub(super) fn is_unfinished(esp: &Fat<'_>) -> Result<bool, FatError> {
    Ok(esp
        .root()?
        .iter()
        .any(|entry| entry.name == fill::UNFINISHED))
}

impl Deployment<'_> {
    /// Put the image's boot files onto the EFI system partition, and that into the image's table of
    /// file systems. Nobody may have the partitions open.
    ///
    /// # Errors
    /// The image has nothing that firmware of this machine could start, it does not fit, or one of the
    /// file systems cannot be mounted, read or written. The partition does not boot then.
    pub(super) fn make_bootable(&self, context: &dyn Context) -> Result<(), ImageBootError> {
        let architecture = Architecture::of_this_machine().ok_or(ImageBootError::NoUefi {
            machine: std::env::consts::ARCH,
        })?;
        let mut image = ImageTree::open(self.root, Access::Writable, context)?;
        if image.kind() == "btrfs" {
            info!(
                "the image is btrfs: its GRUB has to find /boot where this mount does, in the default \
                 subvolume"
            );
        }
        let prepared = self.prepare(&mut image, &architecture)?;
        // What the loaders lead to is on the medium before the first of them is.
        image.close()?;
        let mut image = ImageTree::open(self.root, Access::ReadOnly, context)?;
        let mut esp = ImageTree::open(self.esp, Access::Writable, context)?;
        self.fill(&mut image, &mut esp, &prepared)?;
        image.close()?;
        esp.close()?;
        Ok(())
    }

    /// Make up the image for what is to be on the EFI system partition.
    fn prepare(
        &self,
        image: &mut dyn FileTree,
        architecture: &Architecture,
    ) -> Result<Prepared, ImageBootError> {
        let found = search::find(image, architecture)?;
        let from = found.from.clone();
        let place = if from == "/efi/EFI" {
            "/efi"
        } else {
            "/boot/efi"
        };
        let plan = complete::complete(image, architecture, self.root_uuid, found)?;
        let partition = EfiPartition {
            name: &self.esp_name,
            others: &self.esp_names,
        };
        let named = image
            .make_directory(place)
            .and_then(|()| fstab::add(image, &partition, place));
        if let Err(error) = named {
            // The system boots without it, as the reference's does.
            warn!(
                error = %chain(&*error),
                "the image's /etc/fstab did not get the EFI system partition"
            );
        }
        Ok(Prepared { plan, from })
    }

    fn fill(
        &self,
        image: &mut dyn FileTree,
        esp: &mut dyn FileTree,
        prepared: &Prepared,
    ) -> Result<(), ImageBootError> {
        fill::fill(image, esp, &prepared.plan, self.esp_size, &prepared.from)
    }
}

#[cfg(test)]
mod tests;
