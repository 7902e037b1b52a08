//! The EFI system partitions of a disk that something was deployed to, and the loaders on them (contract/data-plane
//! 5.3).

use farrier_plugin::chain;
use tracing::info;
use uuid::Uuid;

use super::boot_entry::{BootPartition, Signature};
use super::error::DeployError;
use super::image_boot::architecture::Architecture;
use super::loaders::{self, Loader};
use crate::block::fat::Fat;
use crate::block::gpt;
use crate::block::mbr::{self, Mbr};
use crate::block::partition::{Partition, PartitionKind};
use crate::block::probe;
use crate::block::table::Table;
use crate::block::table_error::TableError;
use crate::sys::block_device::Medium;

/// A disk, looked at for its EFI system partitions.
pub(super) struct EfiPartitions<'a> {
    /// Its name, for messages.
    pub(super) device: &'a str,
    pub(super) medium: &'a dyn Medium,
    pub(super) table: &'a Table,
    /// The partition that the conductor names, by its UUID or by that of its file system.
    pub(super) named: Option<&'a str>,
}

impl EfiPartitions<'_> {
    /// Those by their type, else the one that the conductor names.
    ///
    /// # Errors
    /// [`DeployError::NoEsp`] where there is neither.
    pub(super) fn all(&self) -> Result<Vec<Partition>, DeployError> {
        let partitions = self.table.partitions();
        let by_type: Vec<Partition> = partitions
            .iter()
            .filter(|partition| is_efi_system(partition))
            .cloned()
            .collect();
        if !by_type.is_empty() {
            return Ok(by_type);
        }
        let Some(wanted) = self.named else {
            return Err(self.none());
        };
        for partition in partitions {
            if is_of(&partition, wanted)
                || self.file_system_uuid(&partition)?.as_deref() == Some(wanted)
            {
                return Ok(vec![partition]);
            }
        }
        Err(DeployError::NoEsp(format!(
            "No partition with UUID {wanted} found on device {}",
            self.device
        )))
    }

    /// The first that has loaders, and them. An image may have several, all but one of them to be filled later or
    /// to keep an older system.
    pub(super) fn with_loaders(&self) -> Result<(Partition, Vec<Loader>), DeployError> {
        let mut first = None;
        for esp in self.all()? {
            match self.loaders(&esp) {
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
        Err(first.unwrap_or_else(|| self.none()))
    }

    /// The loaders on one partition, at least one.
    fn loaders(&self, esp: &Partition) -> Result<Vec<Loader>, DeployError> {
        let fat = Fat::open(self.medium, esp.offset, esp.length)
            .map_err(|source| self.error(source))?
            .ok_or_else(|| {
                self.error(TableError::Damaged {
                    reason: format!("partition {} holds no FAT file system", esp.number),
                })
            })?;
        let architecture = Architecture::of_this_machine();
        let found = loaders::find(&fat, architecture).map_err(|source| self.error(source))?;
        if !found.loaders.is_empty() {
            return Ok(found.loaders);
        }
        let device = self.device.to_owned();
        let partition = esp.number;
        Err(match found.foreign {
            Some(foreign) => DeployError::ForeignLoader {
                device,
                partition,
                path: foreign.path,
                machine: foreign.machine,
                this_machine: std::env::consts::ARCH,
            },
            None => DeployError::NoLoader { device, partition },
        })
    }

    /// The partition as firmware finds it.
    pub(super) fn boot_partition(&self, esp: &Partition) -> Result<BootPartition, DeployError> {
        let block = u64::from(self.medium.logical_block_size());
        let signature = match esp.guid {
            Some(guid) => Signature::Gpt(guid),
            None => Signature::Mbr(
                Mbr::read(self.medium)
                    .map_err(|source| self.error(source))?
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

    /// The UUID of the file system in a partition.
    fn file_system_uuid(&self, partition: &Partition) -> Result<Option<String>, DeployError> {
        let found = probe::file_system(self.medium, partition.offset, partition.length)
            .map_err(|source| self.error(source))?;
        Ok(found.and_then(|found| found.uuid))
    }

    fn none(&self) -> DeployError {
        DeployError::NoEsp(format!(
            "No EFI partition could be detected on device {} and EFI partition UUID has not \
             been recorded during deployment (which is often the case for whole disk images). \
             Are you using a UEFI-compatible image?",
            self.device
        ))
    }

    pub(super) fn error(
        &self,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> DeployError {
        DeployError::uefi(self.device, source)
    }
}

/// Whether a partition is an EFI system partition by its type, which is what firmware goes by.
pub(super) fn is_efi_system(partition: &Partition) -> bool {
    matches!(
        partition.kind,
        PartitionKind::Gpt(gpt::EFI_SYSTEM) | PartitionKind::Mbr(mbr::EFI_SYSTEM)
    )
}

/// Whether a partition's own UUID is this one.
pub(super) fn is_of(partition: &Partition, uuid: &str) -> bool {
    partition
        .guid
        .as_ref()
        .map(Uuid::to_string)
        .is_some_and(|guid| guid.eq_ignore_ascii_case(uuid))
}
