//! The command `image.install_bootloader` (contract/data-plane 5).

use std::sync::Arc;

use farrier_plugin::{BlockDevice, Context, Node, StepArguments, chain};
use tracing::{info, warn};

use super::boot_entries::BootEntries;
use super::boot_entry::{BootEntry, BootPartition, Signature};
use super::error::DeployError;
use super::fields::Fields;
use super::image_boot::{self, Deployment};
use super::loaders::{self, Loader};
use super::reach;
use super::target;
use crate::block::fat::Fat;
use crate::block::gpt;
use crate::block::mbr::{self, Mbr};
use crate::block::partition::{Partition, PartitionKind};
use crate::block::probe;
use crate::block::rescan::{partition_device, take_partitions};
use crate::block::settle;
use crate::block::table::Table;
use crate::block::table_error::TableError;
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
/// whole-disk image's loader by itself; installing GRUB for anything else is off (CVE-2026-43003) and not
/// offered.
///
/// Loaders are looked for without mounting the partition, since it may come from an image: the kernel's file
/// system code stays out of an attacker's reach, and no module is needed. A partition image's is mounted by a
/// child ([`image_boot`]).
pub(crate) fn install_bootloader(
    context: &dyn Context,
    _node: &Node,
    device: &BlockDevice,
    arguments: &StepArguments,
    options: &Options,
    root: &Root,
) -> Result<(), DeployError> {
    let fields = Fields::of_arguments(arguments);
    let call = Call {
        device: &device.name,
        esp: fields.text_unless_empty("efi_system_part_uuid")?,
        root_uuid: fields.text("root_uuid")?,
        // Not like the reference, which takes any text for true: the word "false", too.
        ignores_failure: fields
            .flag("ignore_bootloader_failure")?
            .unwrap_or(options.ignore_bootloader_failure),
    };
    let target_boot_mode = fields.text("target_boot_mode")?;
    reach::check(root, device, call.ignores_failure)?;
    if EfiVariables::exist(root) {
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
    call.without_uefi(options)
}

struct Call<'a> {
    device: &'a str,
    esp: Option<Arc<str>>,
    root_uuid: Option<Arc<str>>,
    ignores_failure: bool,
}

/// Where a partition image's boot files are to go.
struct EmptyPartition {
    table: Table,
    esp: Partition,
    /// As the first field of a table of file systems.
    esp_name: String,
    esp_names: Vec<String>,
    root: Partition,
    root_uuid: String,
}

impl Call<'_> {
    fn boot_by_uefi(&self, context: &dyn Context, root: &Root) -> Result<(), DeployError> {
        let entries = BootEntries::open(root)?;
        let disk = target::open(self.device, context)?;
        let Some(empty) = self.empty_partition(&*disk)? else {
            return self.manage_uefi(&*disk, &entries);
        };
        let system = Root::system();
        if let Err(error) = take_partitions(&system, &disk, &empty.table) {
            warn!(error = %chain(&error), "not all partitions are visible");
        }
        // No partition of a disk can be mounted as long as the disk is held.
        drop(disk);
        settle::wait(&system, settle::LIMIT);
        let path = |partition: &Partition| {
            partition_device(&system, self.device, partition).ok_or_else(|| {
                DeployError::NoEsp(format!(
                    "Partition {} of device {} is not visible",
                    partition.number, self.device
                ))
            })
        };
        let deployment = Deployment {
            root: &path(&empty.root)?,
            root_uuid: &empty.root_uuid,
            esp: &path(&empty.esp)?,
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

    /// The EFI system partition that a partition image is to get its boot files on: an empty one, or one
    /// that was left unfinished, on the disk that has the root file system. `None` for all others.
    fn empty_partition(&self, medium: &dyn Medium) -> Result<Option<EmptyPartition>, DeployError> {
        let root_uuid = match self.root_uuid.as_deref() {
            None | Some(NO_SIGNATURE) => return Ok(None),
            Some(root_uuid) => root_uuid,
        };
        let table = Table::read(medium).map_err(|source| self.uefi_error(source))?;
        let mut empty = None;
        for esp in self.find_esps(medium, &table)? {
            let Ok(Some(fat)) = Fat::open(medium, esp.offset, esp.length) else {
                continue;
            };
            // One that is damaged is told of where a loader is looked for, if there is no other.
            let Ok(is_filled) = loaders::find(&fat)
                .and_then(|found| Ok(!found.is_empty() && !image_boot::is_unfinished(&fat)?))
            else {
                continue;
            };
            if is_filled {
                return Ok(None);
            }
            empty.get_or_insert((esp, fat));
        }
        let Some((esp, fat)) = empty else {
            return Ok(None);
        };
        let Some((root, root_uuid)) = self.root_partition(medium, &table, root_uuid, &esp)? else {
            return Ok(None);
        };
        let label = fat.label().map_err(|source| self.uefi_error(source))?;
        let mut esp_names = vec![format!("UUID={}", fat.serial()), format!("LABEL={label}")];
        esp_names.extend(esp.guid.map(|guid| format!("PARTUUID={guid}")));
        // As it was named to the conductor, by the file system where there is a choice.
        let by_partition = self.esp.as_deref().and_then(|wanted| {
            let guid = esp.guid?.to_string();
            guid.eq_ignore_ascii_case(wanted)
                .then(|| format!("PARTUUID={guid}"))
        });
        Ok(Some(EmptyPartition {
            esp_name: by_partition.unwrap_or_else(|| esp_names[0].clone()),
            esp_names,
            root_uuid,
            root,
            esp,
            table,
        }))
    }

    /// The partition that has this UUID, or whose file system has it, and the UUID of its file system, by which
    /// GRUB and the kernel are to find it.
    ///
    /// # Errors
    /// It has none, or another partition has the same: what would be booted is anybody's guess.
    fn root_partition(
        &self,
        medium: &dyn Medium,
        table: &Table,
        wanted: &str,
        esp: &Partition,
    ) -> Result<Option<(Partition, String)>, DeployError> {
        let mut found: Vec<(Partition, Option<String>)> = Vec::new();
        for partition in table.partitions() {
            let uuid = self.file_system_uuid(medium, &partition)?;
            let is = |uuid: &str| uuid.eq_ignore_ascii_case(wanted);
            let is_root = uuid.as_deref().is_some_and(is)
                || partition.guid.is_some_and(|guid| is(&guid.to_string()));
            if partition.number != esp.number && is_root {
                found.push((partition, uuid));
            }
        }
        let not_told_apart = |reason| self.uefi_error(TableError::Damaged { reason });
        match found.as_slice() {
            [] => Ok(None),
            [(root, Some(uuid))] => Ok(Some((root.clone(), uuid.clone()))),
            [(root, None)] => Err(not_told_apart(format!(
                "the file system of the root partition {} has no UUID by which it could be booted",
                root.number
            ))),
            [(one, _), (other, _), ..] => Err(not_told_apart(format!(
                "partitions {} and {} have the same UUID {wanted}: deploy without keeping the \
                 ephemeral partition, or give one of them another UUID",
                one.number, other.number
            ))),
        }
    }

    /// Make boot entries for the loaders on the disk. Where its ESP holds none, the reference ends
    /// well unless there is a root UUID, and leaves a machine that does not boot.
    fn manage_uefi(&self, medium: &dyn Medium, entries: &BootEntries) -> Result<(), DeployError> {
        let table = Table::read(medium).map_err(|source| self.uefi_error(source))?;
        let (esp, found) = self.loaders(medium, self.find_esps(medium, &table)?)?;
        let partition = self.boot_partition(medium, &esp)?;
        for (index, loader) in found.into_iter().enumerate() {
            let entry = BootEntry {
                label: loader
                    .label
                    .unwrap_or_else(|| format!("ironic{}", index + 1)),
                path: loader.path,
                arguments: loader.arguments,
                partition,
            };
            let number = entries.put_first(&entry)?;
            info!(
                device = self.device,
                label = entry.label,
                path = entry.path,
                "boot entry Boot{number:04X} made and put first"
            );
        }
        Ok(())
    }

    /// The first of these partitions that has loaders, and them. An image may have several, all but one of them
    /// to be filled later or to keep an older system.
    fn loaders(
        &self,
        medium: &dyn Medium,
        esps: Vec<Partition>,
    ) -> Result<(Partition, Vec<Loader>), DeployError> {
        let mut first = None;
        for esp in esps {
            match self.loaders_on(medium, &esp) {
                Ok(found) => return Ok((esp, found)),
                Err(error) => {
                    info!(
                        device = self.device,
                        "partition {} is not booted: {}",
                        esp.number,
                        chain(&error)
                    );
                    first.get_or_insert(error);
                }
            }
        }
        Err(first.unwrap_or_else(|| self.no_esp()))
    }

    /// The loaders on one partition, at least one.
    fn loaders_on(&self, medium: &dyn Medium, esp: &Partition) -> Result<Vec<Loader>, DeployError> {
        let fat = Fat::open(medium, esp.offset, esp.length)
            .map_err(|source| self.uefi_error(source))?
            .ok_or_else(|| {
                self.uefi_error(TableError::Damaged {
                    reason: format!("partition {} holds no FAT file system", esp.number),
                })
            })?;
        let found = loaders::find(&fat).map_err(|source| self.uefi_error(source))?;
        if found.is_empty() {
            return Err(DeployError::NoLoader {
                device: self.device.to_owned(),
                partition: esp.number,
            });
        }
        Ok(found)
    }

    /// The ESPs by their type, else the one that the conductor names by the UUID of partition or file
    /// system.
    fn find_esps(&self, medium: &dyn Medium, table: &Table) -> Result<Vec<Partition>, DeployError> {
        let partitions = table.partitions();
        let by_type: Vec<Partition> = partitions
            .iter()
            .filter(|partition| {
                matches!(
                    partition.kind,
                    PartitionKind::Gpt(gpt::EFI_SYSTEM) | PartitionKind::Mbr(mbr::EFI_SYSTEM)
                )
            })
            .cloned()
            .collect();
        if !by_type.is_empty() {
            return Ok(by_type);
        }
        let Some(wanted) = &self.esp else {
            return Err(self.no_esp());
        };
        for partition in partitions {
            let is_named = partition
                .guid
                .is_some_and(|guid| guid.to_string().eq_ignore_ascii_case(wanted));
            if is_named || self.file_system_uuid(medium, &partition)?.as_deref() == Some(wanted) {
                return Ok(vec![partition]);
            }
        }
        Err(DeployError::NoEsp(format!(
            "No partition with UUID {wanted} found on device {}",
            self.device
        )))
    }

    fn no_esp(&self) -> DeployError {
        DeployError::NoEsp(format!(
            "No EFI partition could be detected on device {} and EFI partition UUID has not \
             been recorded during deployment (which is often the case for whole disk images). \
             Are you using a UEFI-compatible image?",
            self.device
        ))
    }

    fn file_system_uuid(
        &self,
        medium: &dyn Medium,
        partition: &Partition,
    ) -> Result<Option<String>, DeployError> {
        let found = probe::file_system(medium, partition.offset, partition.length)
            .map_err(|source| self.uefi_error(source))?;
        Ok(found.and_then(|found| found.uuid))
    }

    fn boot_partition(
        &self,
        medium: &dyn Medium,
        esp: &Partition,
    ) -> Result<BootPartition, DeployError> {
        let block = u64::from(medium.logical_block_size());
        let signature = match esp.guid {
            Some(guid) => Signature::Gpt(guid),
            None => Signature::Mbr(
                Mbr::read(medium)
                    .map_err(|source| self.uefi_error(source))?
                    .disk_signature(),
            ),
        };
        Ok(BootPartition {
            number: esp.number,
            first: esp.offset / block,
            count: esp.length / block,
            signature,
        })
    }

    /// What is left where no boot entry was made: nothing for a whole-disk image without an MBR
    /// signature, and GRUB for all others.
    fn without_uefi(&self, options: &Options) -> Result<(), DeployError> {
        let root_uuid = self.root_uuid.as_deref();
        if matches!(root_uuid, None | Some(NO_SIGNATURE)) {
            return Ok(());
        }
        let error = if options.enable_bios_bootloader_install {
            DeployError::NotOffered {
                what: "Installing GRUB from an image (enable_bios_bootloader_install) is",
            }
        } else {
            DeployError::LegacyBootloader
        };
        if self.ignores_failure {
            warn!(%error, "no boot loader was installed, which is to be ignored");
            return Ok(());
        }
        Err(error)
    }

    fn uefi_error(&self, source: impl std::error::Error + Send + Sync + 'static) -> DeployError {
        DeployError::Uefi {
            device: self.device.to_owned(),
            source: Box::new(source),
        }
    }
}

#[cfg(test)]
mod tests;
