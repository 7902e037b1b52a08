//! Making what was deployed to an array bootable by BIOS: GRUB of the image on each disk that holds a member, which
//! finds the array by its UUID (contract/data-plane 5.5 and 6.6).

use farrier_plugin::{Context, chain};
use tracing::{info, warn};

use super::super::bios_boot::{self, BiosBootError, BootDisk, BootFiles, GrubDevice, TableKind};
use super::super::error::DeployError;
use super::super::image_root::ImageRoot;
use super::super::target;
use super::deployment::show;
use super::error::RaidBootError;
use super::grub_place;
use super::holder;
use super::image_edits::ImageEdits;
use super::image_partitions::ImagePartitions;
use super::root_array::RootArray;
use crate::block::rescan::add_partitions;
use crate::block::settle;
use crate::block::table::Table;
use crate::sys::block_device::Disk;
use crate::sys::root::Root;

/// What starts the UUID that a conductor knows a whole-disk image by: its disk signature, and of no file system.
const SIGNATURE: &str = "0x";

/// What is known of a deploy to an array.
pub(in crate::deploy) struct BiosDeployment<'a> {
    /// The array: `/dev/md0`.
    pub(in crate::deploy) device: &'a str,
    /// The UUID of the root file system, or the disk signature of the image, where the conductor has either.
    pub(in crate::deploy) root_uuid: Option<&'a str>,
}

impl BiosDeployment<'_> {
    /// Put GRUB of the image onto each disk of the array.
    ///
    /// No disk boots before the image is ready to be booted and the core image is on all of them. A call that was cut
    /// off is made again from the start.
    pub(in crate::deploy) fn make_bootable(
        &self,
        array: &RootArray,
        root: &Root,
        context: &dyn Context,
    ) -> Result<(), DeployError> {
        let error = |source: RaidBootError| source.by_bios(self.device);
        let grub_array = array.known_to_grub(root, context).map_err(error)?;
        let disk = target::open(self.device, context)?;
        let table =
            Table::read(&*disk).map_err(|source| error(BiosBootError::from(source).into()))?;
        let named = self.named_root(&disk, &table)?;
        let candidates = ImageRoot::all(&*disk, &table)
            .map_err(|source| error(BiosBootError::from(source).into()))?;
        show(self.device, &disk, &table);
        drop(disk);
        settle::wait(root, settle::LIMIT);
        let image =
            ImagePartitions::find(self.device, candidates, named, context).map_err(error)?;
        let edits = ImageEdits {
            esp: None,
            array: array.uuid(),
        };
        for partition in image.devices() {
            edits.make_on(partition, context);
        }
        let grub_device = GrubDevice {
            array: Some(grub_array),
            table: TableKind::of(&table),
            number: image.number_for_grub(),
        };
        let files = image
            .boot_files(&grub_device, context)
            .map_err(|source| error(source.into()))?;
        put_on_all(&files, &array.disks(), root, context).map_err(error)?;
        info!(
            device = self.device,
            partitions = image.devices().join(", "),
            disks = array.disks().join(", "),
            "GRUB is installed from the image's files, none of which was run"
        );
        Ok(())
    }

    /// The number of the root partition, where the conductor knows that by a UUID.
    fn named_root(&self, disk: &Disk, table: &Table) -> Result<Option<u32>, DeployError> {
        let Some(uuid) = self.root_uuid.filter(|uuid| !uuid.starts_with(SIGNATURE)) else {
            return Ok(None);
        };
        let found = ImageRoot::find(disk, table, uuid, None).map_err(|source| {
            RaidBootError::from(BiosBootError::from(source)).by_bios(self.device)
        })?;
        let found = found.ok_or_else(|| {
            DeployError::NoEsp(format!(
                "No partition with UUID {uuid} found on device {}",
                self.device
            ))
        })?;
        Ok(Some(found.partition.number))
    }
}

/// Put these onto all of the disks, at the places for them, which are made where there are none.
fn put_on_all(
    files: &BootFiles,
    devices: &[&str],
    root: &Root,
    context: &dyn Context,
) -> Result<(), RaidBootError> {
    let prepare = |(index, device): (usize, &&str)| {
        let failed = |error: String| format!("{device}: {error}");
        let disk = holder::open(root, device, context).map_err(|error| failed(chain(&error)))?;
        // Nothing starts what a call that was cut off left, while its place changes.
        bios_boot::blank(&disk).map_err(|error| failed(chain(&error)))?;
        let table = grub_place::make(&disk, index).map_err(|error| failed(chain(&error)))?;
        Ok((disk, table))
    };
    let prepared = devices.iter().enumerate().map(prepare);
    let disks: Vec<(Disk, Table)> = all(prepared)?;
    let boot_disks: Vec<BootDisk<'_>> = devices
        .iter()
        .zip(&disks)
        .map(|(name, (medium, table))| BootDisk {
            name,
            medium,
            table,
        })
        .collect();
    let installed = files.install_on_all(&boot_disks);
    installed.map_err(|failures| {
        let told = |(device, error): (&str, BiosBootError)| format!("{device}: {}", chain(&error));
        let failures: Vec<String> = failures.into_iter().map(told).collect();
        RaidBootError::Disks {
            failures: failures.join("; "),
        }
    })?;
    for (disk, table) in &disks {
        if let Err(error) = add_partitions(root, disk, table) {
            warn!(error = %chain(&error), "a BIOS boot partition is not visible before the next start");
        }
    }
    Ok(())
}

/// All of them, or all that failed.
pub(super) fn all<Item>(
    outcomes: impl Iterator<Item = Result<Item, String>>,
) -> Result<Vec<Item>, RaidBootError> {
    let (mut items, mut failures) = (Vec::new(), Vec::new());
    for outcome in outcomes {
        match outcome {
            Ok(item) => items.push(item),
            Err(failure) => failures.push(failure),
        }
    }
    if failures.is_empty() {
        return Ok(items);
    }
    Err(RaidBootError::Disks {
        failures: failures.join("; "),
    })
}

#[cfg(test)]
mod tests;
