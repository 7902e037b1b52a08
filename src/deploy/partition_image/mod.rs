//! An image of one partition: the disk is divided, the image goes into the root partition, and the
//! others are made around it (contract/data-plane 3).
//!
//! The order on the disk is what keeps an unfinished deploy from booting. The first thing that is
//! written, once the image is known to come and to fit, are zeros where boot code, tables and
//! superblocks may lie. Then the image is streamed into its range of the disk, all but its head;
//! then come the file systems of the other ranges and the config drive, then the image's head, and
//! last of all the partition table. The EFI system partition is left empty: `image.install_bootloader`
//! fills it.
//!
//! The programs that make file systems get their range of the disk from the loop driver. Partitions
//! in the kernel would need the table on the disk, and the disk's exclusive use given up to them and
//! to udev in the middle of the deploy; a device-mapper disk has none at all.

mod disk_table;
mod file_system;
mod layout;

use farrier_plugin::{Context, Node};
use serde_json::{Map, Value, json};
use tracing::info;

use self::disk_table::{Kept, NewTable, blank};
use self::file_system::{MakesFileSystems, Programs, Wanted};
use self::layout::{DiskShape, Layout, Role, Sizes};
use super::config_drive::{ConfigDrive, PARTITION_LIMIT_MIB};
use super::config_partition::Target;
use super::deployed::Deployed;
use super::disk_range::DiskRange;
use super::error::DeployError;
use super::image_info::{ImageInfo, PartitionWishes};
use super::raid_boot::HeldLoaders;
use crate::block::boot_mode::{BootMode, DiskLabel};
use crate::block::partition::Partition;
use crate::block::probe;
use crate::block::rescan::partition_name;
use crate::block::table::Table;
use crate::block::table_error::TableError;
use crate::config::Options;
use crate::stream::{ImageRequest, StreamError, stage};
use crate::sys::block_device::{Disk, Medium};

/// A deploy of a partition image, found sound as far as that can be seen without the disk.
pub(super) struct PartitionJob<'a> {
    info: &'a ImageInfo,
    wishes: &'a PartitionWishes,
    request: ImageRequest,
    drive: Option<ConfigDrive>,
    device: &'a str,
    mode: BootMode,
    label: DiskLabel,
    options: &'a Options,
    loaders: Option<&'a HeldLoaders>,
}

impl<'a> PartitionJob<'a> {
    pub(super) fn prepare(
        context: &dyn Context,
        node: &Node,
        firmware_is_uefi: bool,
        device: &'a str,
        (info, wishes): (&'a ImageInfo, &'a PartitionWishes),
        options: &'a Options,
    ) -> Result<Self, DeployError> {
        let mode = BootMode::of(node, firmware_is_uefi);
        let request = info.request(options, device)?;
        let drive = info
            .config_drive()
            .map(|sent| {
                ConfigDrive::decode(&sent, info.node(), options, context, PARTITION_LIMIT_MIB)
            })
            .transpose()?;
        Ok(Self {
            info,
            wishes,
            request,
            drive,
            device,
            mode,
            label: DiskLabel::of(node, mode),
            options,
            loaders: None,
        })
    }

    /// The disk is an array, beside which firmware finds these: no EFI system partition lies on it, and they are blank
    /// from before the first byte is written.
    pub(super) fn beside(mut self, loaders: Option<&'a HeldLoaders>) -> Self {
        self.loaders = loaders;
        self
    }

    /// Divide this disk and write to it. Returns what the conductor is told, and the table.
    pub(super) fn run(
        &self,
        context: &dyn Context,
        disk: &Disk,
    ) -> Result<(Deployed, Table), DeployError> {
        let programs = Programs {
            context,
            device: self.device,
            path: disk.path(),
            block: disk.logical_block_size(),
        };
        self.write(context, disk, &programs)
    }

    fn write(
        &self,
        context: &dyn Context,
        medium: &dyn Medium,
        file_systems: &dyn MakesFileSystems,
    ) -> Result<(Deployed, Table), DeployError> {
        let layout = self.layout(medium)?;
        let kept = self.kept(medium, &layout)?;
        let wanted = self.wanted(&layout, kept.is_some());
        for wanted in &wanted {
            file_systems.check(wanted)?;
        }
        let target = self.target(medium);
        if let Some(drive) = &self.drive {
            target.check(drive)?;
        }
        let table = NewTable::of(medium, &layout, kept.as_ref())
            .map_err(|source| self.table_error(source))?;
        let Some(root) = layout.place(Role::Root) else {
            return Err(self.table_error(TableError::Damaged {
                reason: "it has no root partition".to_owned(),
            }));
        };
        info!(
            image = self.info.id(),
            device = self.device,
            mode = ?self.mode,
            label = layout.label.name(),
            partitions = layout.places.len(),
            preserves_ephemeral = kept.is_some(),
            "writing partition image"
        );
        let partition = DiskRange::new(medium, (root.offset, root.length), || {
            if let Some(loaders) = self.loaders {
                loaders.blank()?;
            }
            blank(medium, &layout, kept.as_ref())
        });
        let staged = stage(&self.request, self.options, &partition, context)
            .map_err(|error| too_small(error, self.wishes.root_mib))?;
        let file_system = probe::file_system(&staged, 0, staged.size())
            .map_err(|source| self.table_error(source.into()))?;
        // A boot sector of a file system may look like a table.
        if file_system.is_none()
            && Table::read(&staged).is_ok_and(|table| !table.partitions().is_empty())
        {
            return Err(DeployError::ImageIsDisk {
                image: self.info.id().to_owned(),
            });
        }
        for wanted in &wanted {
            file_systems.make(wanted)?;
        }
        if let (Some(drive), Some(partition)) =
            (&self.drive, table.partition(&layout, Role::ConfigDrive))
        {
            target.fill(drive, partition)?;
        }
        medium
            .flush()
            .map_err(|source| self.table_error(source.into()))?;
        staged.commit()?;
        table
            .write(medium)
            .map_err(|source| self.table_error(source))?;
        let deployed = self.deployed(medium, &layout, &table)?;
        Ok((deployed, table.into_table()))
    }

    fn layout(&self, medium: &dyn Medium) -> Result<Layout, DeployError> {
        let sizes = Sizes {
            efi_system: match self.loaders {
                Some(_) => 0,
                None => self.options.efi_system_partition_size,
            },
            ephemeral: self.wishes.ephemeral_mib,
            swap: self.wishes.swap_mib,
            config_drive: self
                .drive
                .as_ref()
                .map_or(0, |drive| self.target(medium).mib_for(drive)),
            root: self.wishes.root_mib,
        };
        let disk = DiskShape {
            device: self.device,
            size: medium.size(),
            block: u64::from(medium.logical_block_size()),
        };
        Layout::plan(self.mode, self.label, &sizes, disk)
    }

    /// What stays of the disk, where an ephemeral partition is to.
    fn kept(&self, medium: &dyn Medium, layout: &Layout) -> Result<Option<Kept>, DeployError> {
        match layout.place(Role::Ephemeral) {
            Some(ephemeral) if self.wishes.preserve_ephemeral => {
                Kept::find(medium, self.device, layout, ephemeral).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The file systems to make.
    fn wanted(&self, layout: &Layout, keeps_ephemeral: bool) -> Vec<Wanted<'_>> {
        let format = |role| match role {
            Role::EfiSystem => Some("vfat"),
            Role::Swap => Some("swap"),
            Role::Ephemeral if !keeps_ephemeral => Some(self.wishes.ephemeral_format.as_str()),
            _ => None,
        };
        layout
            .places
            .iter()
            .filter_map(|place| {
                Some(Wanted {
                    place: *place,
                    format: format(place.role)?,
                })
            })
            .collect()
    }

    fn target<'t>(&'t self, medium: &'t dyn Medium) -> Target<'t> {
        Target {
            medium,
            device: self.device,
            node: self.info.node(),
            rebuilds: self.options.config_drive_rebuild,
        }
    }

    fn deployed(
        &self,
        medium: &dyn Medium,
        layout: &Layout,
        table: &NewTable,
    ) -> Result<Deployed, DeployError> {
        let uuid = |role| {
            table
                .partition(layout, role)
                .map(|partition| self.uuid(medium, table, partition))
                .transpose()
        };
        let root = uuid(Role::Root)?.unwrap_or_default();
        let esp = uuid(Role::EfiSystem)?;
        let mut message = format!(
            "image ({}) written to device {} root_uuid={root}",
            self.info.id(),
            self.device
        );
        if let Some(esp) = esp.as_deref().filter(|_| self.wishes.names_esp) {
            message.push_str(&format!(" efi_system_partition_uuid={esp}"));
        }
        let partitions: Map<String, Value> = layout
            .places
            .iter()
            .map(|place| {
                let path = partition_name(self.device, place.number);
                (place.role.label().to_owned(), path.into())
            })
            .collect();
        Ok(Deployed {
            message,
            partition_uuids: json!({
                "root uuid": root,
                "efi system partition uuid": esp,
                "partitions": partitions,
            }),
        })
    }

    /// What the conductor and a boot loader know a partition by: its file system's UUID, else its own.
    fn uuid(
        &self,
        medium: &dyn Medium,
        table: &NewTable,
        partition: &Partition,
    ) -> Result<String, DeployError> {
        let found = probe::file_system(medium, partition.offset, partition.length)
            .map_err(|source| self.table_error(source.into()))?;
        Ok(found
            .and_then(|found| found.uuid)
            .unwrap_or_else(|| table.partition_uuid(partition)))
    }

    fn table_error(&self, source: TableError) -> DeployError {
        DeployError::Partitions {
            device: self.device.to_owned(),
            source,
        }
    }
}

/// The reference's words for an image that does not go into its partition.
fn too_small(error: StreamError, root_mib: u64) -> DeployError {
    match error {
        StreamError::TooLarge { size, .. } => DeployError::RootTooSmall {
            image_mib: size.div_ceil(1 << 20),
            root_mib,
        },
        error => error.into(),
    }
}

#[cfg(test)]
mod tests;
