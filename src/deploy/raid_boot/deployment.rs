//! Making what was deployed to an array bootable.

use farrier_plugin::{Context, chain};
use tracing::{info, warn};

use super::super::boot_entries::BootEntries;
use super::super::efi_partitions::EfiPartitions;
use super::super::error::DeployError;
use super::super::image_boot::Deployment;
use super::super::image_boot::architecture::Architecture;
use super::super::image_root::ImageRoot;
use super::super::loader_entries;
use super::super::loaders;
use super::super::target;
use super::image_edits::ImageEdits;
use super::mirror::Mirror;
use super::root_array::RootArray;
use crate::block::fat::Fat;
use crate::block::partition::Partition;
use crate::block::rescan::{partition_device, take_partitions};
use crate::block::settle;
use crate::block::superblocks;
use crate::block::table::Table;
use crate::sys::block_device::{Disk, Medium};
use crate::sys::root::Root;

/// What is known of a deploy to an array.
pub(in crate::deploy) struct ArrayDeployment<'a> {
    /// The array: `/dev/md0`.
    pub(in crate::deploy) device: &'a str,
    /// The UUID of the EFI system partition inside of it, where the conductor has it.
    pub(in crate::deploy) esp: Option<&'a str>,
    /// The UUID of the root file system, where the conductor has it.
    pub(in crate::deploy) root_uuid: Option<&'a str>,
}

impl ArrayDeployment<'_> {
    /// Fill the mirror with the loaders of what was deployed, and make a boot entry for each of its members.
    ///
    /// What firmware is to start is that on the EFI system partition of a whole-disk image, which is blank
    /// afterwards, or that which a partition image brings. A mirror that is finished is of this deploy, since it was
    /// blank when the image was written.
    pub(in crate::deploy) fn make_bootable(
        &self,
        array: &RootArray,
        entries: &BootEntries,
        root: &Root,
        context: &dyn Context,
    ) -> Result<(), DeployError> {
        let mirror = array
            .mirror(root, context)
            .map_err(|error| error.of(self.device))?;
        let disk = target::open(self.device, context)?;
        let table = Table::read(&*disk).map_err(|source| DeployError::uefi(self.device, source))?;
        let esps = self.esps(&disk, &table);
        let (source, found) = match esps.with_loaders() {
            Ok(found) => found,
            Err(none) => {
                let image_root = self.image_root(&esps)?;
                if self.is_finished(&mirror, root, context)? {
                    info!(
                        device = mirror.device,
                        "the mirror of EFI system partitions is filled already"
                    );
                } else {
                    let image_root = image_root.ok_or(none)?;
                    show(self.device, &disk, &table);
                    drop(disk);
                    settle::wait(root, settle::LIMIT);
                    self.fill_from_image(&mirror, &image_root, array, context)?;
                }
                return self.put_entries(&mirror, entries, root, context);
            }
        };
        let fat = Fat::open(&*disk, source.offset, source.length)
            .map_err(|error| esps.error(error))?
            .ok_or_else(|| DeployError::NoLoader {
                device: self.device.to_owned(),
                partition: source.number,
            })?;
        mirror
            .copy_from(root, &fat, &found, context)
            .map_err(|error| error.of(self.device))?;
        self.put_entries(&mirror, entries, root, context)?;
        // By its own UUID the system would look for the partition that goes.
        let esp = source.guid.map(|guid| {
            let name = format!("UUID={}", fat.serial());
            (format!("PARTUUID={guid}"), name)
        });
        show(self.device, &disk, &table);
        drop(disk);
        settle::wait(root, settle::LIMIT);
        let edits = ImageEdits {
            esp,
            array: array.uuid(),
        };
        for partition in table.partitions() {
            if let Some(path) = partition_device(&Root::system(), self.device, &partition) {
                edits.make_on(&path, context);
            }
        }
        let disk = target::open(self.device, context)?;
        self.blank(&*disk, &source)
    }

    fn esps<'e>(&'e self, medium: &'e Disk, table: &'e Table) -> EfiPartitions<'e> {
        EfiPartitions {
            device: self.device,
            medium,
            table,
            named: self.esp,
        }
    }

    fn image_root(&self, disk: &EfiPartitions<'_>) -> Result<Option<ImageRoot>, DeployError> {
        match self.root_uuid {
            Some(uuid) => ImageRoot::find(disk.medium, disk.table, uuid, None)
                .map_err(|source| disk.error(source)),
            None => Ok(None),
        }
    }

    fn is_finished(
        &self,
        mirror: &Mirror,
        root: &Root,
        context: &dyn Context,
    ) -> Result<bool, DeployError> {
        let disk = mirror
            .open(root, context)
            .map_err(|error| error.of(self.device))?;
        Ok(mirror.is_finished(&disk))
    }

    /// Put the boot files that a partition image brings onto the mirror.
    fn fill_from_image(
        &self,
        mirror: &Mirror,
        image_root: &ImageRoot,
        array: &RootArray,
        context: &dyn Context,
    ) -> Result<(), DeployError> {
        let system = Root::system();
        let partition = partition_device(&system, self.device, &image_root.partition);
        let partition = partition.ok_or_else(|| {
            DeployError::NoEsp(format!(
                "Partition {} of device {} is not visible",
                image_root.partition.number, self.device
            ))
        })?;
        let edits = ImageEdits {
            esp: None,
            array: array.uuid(),
        };
        edits.make_on(&partition, context);
        let (id, label) = mirror.make_ready().map_err(|error| error.of(self.device))?;
        let size = mirror
            .open(&system, context)
            .map_err(|error| error.of(self.device))?
            .size();
        let deployment = Deployment {
            root: &partition,
            root_uuid: &image_root.uuid,
            esp: &mirror.device,
            esp_size: size,
            esp_name: format!("UUID={id}"),
            esp_names: vec![format!("LABEL={label}")],
        };
        deployment
            .make_bootable(context)
            .map_err(|source| DeployError::ImageBoot {
                device: self.device.to_owned(),
                kind: source.kind(),
                source: Box::new(source),
            })
    }

    /// Make the entries for what lies on the mirror, those of its first member last, so that they are booted first.
    fn put_entries(
        &self,
        mirror: &Mirror,
        entries: &BootEntries,
        root: &Root,
        context: &dyn Context,
    ) -> Result<(), DeployError> {
        let found = {
            let disk = mirror
                .open(root, context)
                .map_err(|error| error.of(self.device))?;
            let fat = Fat::open(&disk, 0, disk.size())
                .map_err(|source| DeployError::uefi(&mirror.device, source))?;
            let architecture = Architecture::of_this_machine();
            let found = fat.map(|fat| loaders::find(&fat, architecture)).transpose();
            found
                .map_err(|source| DeployError::uefi(&mirror.device, source))?
                .unwrap_or_default()
                .loaders
        };
        if found.is_empty() {
            return Err(DeployError::NoEsp(format!(
                "The mirror of EFI system partitions {} holds no boot loader that is known",
                mirror.device
            )));
        }
        let members = mirror.boot_partitions(root, context)?;
        for (index, partition) in members.into_iter().enumerate().rev() {
            let suffix = format!(" (RAID, part{index})");
            loader_entries::put_first(entries, &mirror.device, &found, partition, &suffix)?;
        }
        Ok(())
    }

    /// Blank the file system that was copied: it has the label and the volume id of the mirror, and a system that took
    /// it for its EFI system partition would write there what firmware never sees.
    fn blank(&self, medium: &dyn Medium, source: &Partition) -> Result<(), DeployError> {
        blank(medium, source).map_err(|source| DeployError::uefi(self.device, source))?;
        info!(
            device = self.device,
            "partition {} inside of the array is blank: the mirror outside stands for it",
            source.number
        );
        Ok(())
    }
}

pub(super) fn blank(
    medium: &dyn Medium,
    partition: &Partition,
) -> Result<(), crate::sys::block_device::DiskError> {
    for place in superblocks::ends(partition.length) {
        medium.zero_range(partition.offset + place.start, place.end - place.start)?;
    }
    medium.flush()
}

/// Have the kernel show the partitions of the array.
pub(super) fn show(device: &str, disk: &Disk, table: &Table) {
    if let Err(error) = take_partitions(&Root::system(), disk, table) {
        warn!(device, error = %chain(&error), "not all partitions are visible");
    }
}

#[cfg(test)]
mod tests;
