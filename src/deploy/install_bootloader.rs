//! The command `image.install_bootloader` (contract/data-plane 5).

mod by_bios;
mod empty_partition;

use std::sync::Arc;

use farrier_plugin::{BlockDevice, Context, Node, StepArguments, chain};
use tracing::warn;

use self::empty_partition::EmptyPartition;
use super::boot_entries::BootEntries;
use super::efi_partitions::EfiPartitions;
use super::error::DeployError;
use super::fields::Fields;
use super::image_boot::Deployment;
use super::loader_entries;
use super::raid_boot::{ArrayDeployment, BiosDeployment, RootArray};
use super::reach::{self, Means};
use super::release::{Protected, release};
use super::target;
use crate::block::table::Table;
use crate::config::Options;
use crate::sys::block_device::Medium;
use crate::sys::efivars::EfiVariables;
use crate::sys::root::Root;

/// What the conductor passes as root UUID for a whole-disk image without an MBR signature.
const NO_SIGNATURE: &str = "0x00000000";

/// Make what was deployed on this disk bootable.
///
/// On a machine that runs by UEFI, boot entries are made for the loaders on the disk's EFI system
/// partition, which is filled from the image before where it is that of a partition image. A BIOS finds a
/// whole-disk image's loader by itself; a partition image's GRUB is put on the disk ([`by_bios`]) where
/// `enable_bios_bootloader_install` allows it, and that of any image on the disks of an array.
///
/// Loaders are looked for without mounting the partition, since it may come from an image: the kernel's file
/// system code stays out of an attacker's reach, and no module is needed. A partition image's is mounted by a
/// child ([`super::image_boot`]).
pub(crate) fn install_bootloader(
    context: &dyn Context,
    _node: &Node,
    device: &BlockDevice,
    arguments: &StepArguments,
    options: &Options,
    (root, protected): (&Root, &Protected),
) -> Result<(), DeployError> {
    let fields = Fields::of_arguments(arguments);
    let call = Call {
        device: &device.name,
        esp: fields.text_unless_empty("efi_system_part_uuid")?,
        root_uuid: fields.text("root_uuid")?,
        ignores_failure: fields
            .flag("ignore_bootloader_failure")?
            .unwrap_or(options.ignore_bootloader_failure),
    };
    let target_boot_mode = fields.word("target_boot_mode");
    let means = Means {
        boots_otherwise: call.ignores_failure,
        allows_grub: options.enable_bios_bootloader_install,
        asks_for_loader: true,
    };
    reach::check(root, device, &means)?;
    // udev assembles arrays and volumes that were in the image, and these hold the disk.
    if let Err(error) = release(root, &device.name, protected, context) {
        warn!(device = call.device, error = %chain(&error), "what uses the root device stays");
    }
    let uefi = EfiVariables::exist(root);
    if uefi {
        match call.boot_by_uefi(context, root) {
            Ok(()) => return Ok(()),
            Err(error) if call.ignores_failure => {
                warn!(
                    device = call.device,
                    error = %chain(&error),
                    "the boot entries could not be made, which is to be ignored"
                );
            }
            Err(error) => return Err(error),
        }
    } else if target_boot_mode.as_deref() == Some("uefi") {
        warn!("the conductor deploys for UEFI, but this machine was booted by BIOS");
    }
    let array = RootArray::of(root, call.device).map_err(|error| error.of(call.device))?;
    match array {
        // Boot code beside the mirror that was not filled would start the image some day after all.
        Some(_) if uefi => Ok(()),
        Some(array) => call.unless_ignored(options, |uuid| {
            let deployment = BiosDeployment {
                device: call.device,
                root_uuid: uuid,
            };
            deployment.make_bootable(&array, root, context)
        }),
        None if call.root_uuid().is_none() => Ok(()),
        None => call.unless_ignored(options, |uuid| {
            by_bios::install(call.device, uuid.unwrap_or_default(), context)
        }),
    }
}

struct Call<'a> {
    device: &'a str,
    esp: Option<Arc<str>>,
    root_uuid: Option<Arc<str>>,
    ignores_failure: bool,
}

impl Call<'_> {
    fn boot_by_uefi(&self, context: &dyn Context, root: &Root) -> Result<(), DeployError> {
        let entries = BootEntries::open(root)?;
        let array = RootArray::of(root, self.device).map_err(|error| error.of(self.device))?;
        if let Some(array) = array {
            let deployment = ArrayDeployment {
                device: self.device,
                esp: self.esp.as_deref(),
                root_uuid: self.root_uuid(),
            };
            return deployment.make_bootable(&array, &entries, root, context);
        }
        let disk = target::open(self.device, context)?;
        let table = self.table(&*disk)?;
        let esps = self.esps(&*disk, &table);
        let Some(empty) = EmptyPartition::find(&esps, self.root_uuid())? else {
            return self.manage_uefi(&*disk, &entries);
        };
        let [root, esp] = disk.let_go(self.device, &table, [&empty.root.partition, &empty.esp])?;
        let deployment = Deployment {
            root: &root,
            root_uuid: &empty.root.uuid,
            esp: &esp,
            esp_size: empty.esp.length,
            esp_name: empty.esp_name,
            esp_names: empty.esp_names,
        };
        deployment
            .make_bootable(context)
            .map_err(|source| DeployError::ImageBoot {
                device: self.device.to_owned(),
                kind: source.kind(),
                source: Box::new(source),
            })?;
        let disk = target::open(self.device, context)?;
        self.manage_uefi(&*disk, &entries)
    }

    /// Of the root file system, where the conductor knows it.
    fn root_uuid(&self) -> Option<&str> {
        let uuid = self.root_uuid.as_deref();
        uuid.filter(|uuid| *uuid != NO_SIGNATURE)
    }

    fn table(&self, medium: &dyn Medium) -> Result<Table, DeployError> {
        Table::read(medium).map_err(|source| DeployError::uefi(self.device, source))
    }

    fn esps<'e>(&'e self, medium: &'e dyn Medium, table: &'e Table) -> EfiPartitions<'e> {
        EfiPartitions {
            device: self.device,
            medium,
            table,
            named: self.esp.as_deref(),
        }
    }

    /// Make boot entries for the loaders on the disk. Where its ESP holds none, the reference ends
    /// well unless there is a root UUID, and leaves a machine that does not boot.
    fn manage_uefi(&self, medium: &dyn Medium, entries: &BootEntries) -> Result<(), DeployError> {
        let table = self.table(medium)?;
        let esps = self.esps(medium, &table);
        let (esp, found) = esps.with_loaders()?;
        let partition = esps.boot_partition(&esp)?;
        loader_entries::put_first(entries, self.device, &found, partition, "")
    }

    /// Put GRUB onto the disk, or the disks of the array, where that is allowed.
    fn unless_ignored(
        &self,
        options: &Options,
        install: impl FnOnce(Option<&str>) -> Result<(), DeployError>,
    ) -> Result<(), DeployError> {
        let outcome = if options.enable_bios_bootloader_install {
            install(self.root_uuid())
        } else {
            Err(DeployError::LegacyBootloader)
        };
        match outcome {
            Err(error) if self.ignores_failure => {
                warn!(
                    error = %chain(&error),
                    "no boot loader was installed, which is to be ignored"
                );
                Ok(())
            }
            outcome => outcome,
        }
    }
}

#[cfg(test)]
mod tests;
