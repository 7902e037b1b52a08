//! The deploy step `write_image` (contract/data-plane 1).

use farrier_plugin::{BlockDevice, Context, Node, chain};
use serde_json::{Value, json};
use tracing::{info, warn};

use super::config_drive::{ConfigDrive, LIMIT_MIB};
use super::config_partition::Target;
use super::deployed::Deployed;
use super::disk_range::DiskRange;
use super::error::DeployError;
use super::image_info::ImageInfo;
use super::partition_image::PartitionJob;
use super::raid_boot::{HeldLoaders, RootArray};
use super::reach::{self, Means};
use super::release::{Protected, release};
use super::target;
use crate::block::rescan::{partition_device, partition_name, take_partitions};
use crate::block::settle::{self, Settled};
use crate::block::table::Table;
use crate::config::Options;
use crate::stream::{ImageRequest, Staged, stage};
use crate::sys::block_device::Medium;
use crate::sys::efivars::EfiVariables;
use crate::sys::root::Root;

/// Where the disk's signature lies in its first block.
const DISK_SIGNATURE: u64 = 440;

/// Write this image and its config drive to this disk.
///
/// Nothing is written where firmware could not read it, unless `ignore_bootloader_failure` says that
/// this machine boots by other means, or where something `protected` lies on the disk. What else lies there is
/// taken apart.
///
/// The order: whatever can be found wrong beforehand is, the config drive included; then the
/// image without its head is on the disk and verified; then partition table and config drive are
/// finished, the table's first copy still in memory; the head comes last. A disk that was left
/// earlier, however, does not boot.
pub(crate) fn write_image(
    context: &dyn Context,
    node: &Node,
    device: &BlockDevice,
    image: &ImageInfo,
    options: &Options,
    protected: &Protected,
) -> Result<Deployed, DeployError> {
    let root = Root::system();
    let name = &device.name;
    let means = Means {
        boots_otherwise: options.ignore_bootloader_failure,
        allows_grub: options.enable_bios_bootloader_install,
        asks_for_loader: image.partitions().is_some() || has_software_raid(node),
    };
    reach::check(&root, device, &means)?;
    let disk;
    let loaders;
    let hold_loaders = || held_loaders(&root, name, context);
    let (mut deployed, table) = match image.partitions() {
        None => {
            let job = Job::prepare(context, name, image, options)?;
            release(&root, name, protected, context)?;
            disk = target::open(name, context)?;
            loaders = hold_loaders()?;
            let whole = DiskRange::new(&*disk, (0, disk.size()), || {
                loaders.as_ref().map_or(Ok(()), HeldLoaders::blank)
            });
            job.run(context, &whole, options)?
        }
        Some(wishes) => {
            let uefi = EfiVariables::exist(&root);
            let image = (image, wishes);
            let job = PartitionJob::prepare(context, node, uefi, name, image, options)?;
            release(&root, name, protected, context)?;
            disk = target::open(name, context)?;
            loaders = hold_loaders()?;
            job.beside(loaders.as_ref()).run(context, &disk)?
        }
    };
    if let Err(error) = take_partitions(&root, &disk, &table) {
        warn!(error = %chain(&error), "the image is written, but its partitions are not visible");
    }
    // udev looks at the disk once it is unlocked, and names what it finds there.
    drop(disk);
    drop(loaders);
    if settle::wait(&root, settle::LIMIT) == Settled::TimedOut {
        warn!(
            device = device.name,
            "udev is still at work after the image was written"
        );
    }
    let mut partitions = Vec::new();
    for partition in table.partitions() {
        if let Some(found) = partition_device(&root, name, &partition) {
            deployed.rename_partition(&partition_name(name, partition.number), &found);
            partitions.push(found);
        }
    }
    info!(
        device = device.name,
        partitions = partitions.join(", "),
        "partitions of the image"
    );
    Ok(deployed)
}

/// Whether the node says that it has software RAID: only then a conductor has a loader installed for a whole-disk image
/// on a machine with a BIOS (contract/data-plane 5.1).
fn has_software_raid(node: &Node) -> bool {
    let disks = node.field("target_raid_config", "logical_disks");
    let mut disks = disks.and_then(Value::as_array).into_iter().flatten();
    disks.any(|disk| disk.get("controller").and_then(Value::as_str) == Some("software"))
}

/// What firmware boots an array by, held so that nothing boots from before the image's first byte on; `None` where the
/// device is a disk to firmware.
fn held_loaders(
    root: &Root,
    device: &str,
    context: &dyn Context,
) -> Result<Option<HeldLoaders>, DeployError> {
    let array = RootArray::of(root, device).map_err(|error| error.of(device))?;
    array
        .map(|array| array.hold_loaders(root, context))
        .transpose()
        .map_err(|error| error.of(device))
}

/// A deploy that was found sound as far as that can be seen without the disk.
struct Job<'a> {
    info: &'a ImageInfo,
    request: ImageRequest,
    drive: Option<ConfigDrive>,
    device: &'a str,
}

impl<'a> Job<'a> {
    fn prepare(
        context: &dyn Context,
        device: &'a str,
        info: &'a ImageInfo,
        options: &Options,
    ) -> Result<Self, DeployError> {
        let request = info.request(options, device)?;
        let drive = info
            .config_drive()
            .map(|sent| ConfigDrive::decode(&sent, info.node(), options, context, LIMIT_MIB))
            .transpose()?;
        Ok(Self {
            info,
            request,
            drive,
            device,
        })
    }

    fn run(
        &self,
        context: &dyn Context,
        medium: &dyn Medium,
        options: &Options,
    ) -> Result<(Deployed, Table), DeployError> {
        info!(
            image = self.info.id(),
            device = self.device,
            "writing image"
        );
        if let Some(drive) = &self.drive {
            let target = Target {
                medium,
                device: self.device,
                node: self.info.node(),
                rebuilds: options.config_drive_rebuild,
            };
            target.check(drive)?;
        }
        let staged = stage(&self.request, options, medium, context)?;
        let (signature, table) = finish(
            &staged,
            self.drive.as_ref(),
            self.device,
            self.info.node(),
            options.config_drive_rebuild,
        )?;
        staged.commit()?;
        let root_uuid = format!("{signature:#010x}");
        let deployed = Deployed {
            message: format!(
                "image ({}) written to device {} root_uuid={root_uuid}",
                self.info.id(),
                self.device
            ),
            partition_uuids: json!({ "root uuid": root_uuid }),
        };
        Ok((deployed, table))
    }
}

/// Check the image's partition table, fit it to the disk and place the config drive. Returns the
/// disk's signature and its table.
fn finish(
    staged: &Staged<'_>,
    drive: Option<&ConfigDrive>,
    device: &str,
    node: &str,
    rebuilds: bool,
) -> Result<(u32, Table), DeployError> {
    let mut table = Table::read(staged).map_err(DeployError::PartitionTable)?;
    if table.partitions().is_empty() {
        return Err(DeployError::NoPartitions {
            device: device.to_owned(),
        });
    }
    let target = Target {
        medium: staged,
        device,
        node,
        rebuilds,
    };
    match (table.fit_to_disk(staged), drive) {
        (Ok(()), _) => {}
        (Err(error), Some(_)) => return Err(target.error(error)),
        (Err(error), None) if !table.is_taken_by_linux() => {
            return Err(DeployError::PartitionTable(error));
        }
        (Err(error), None) => {
            warn!(device, error = %chain(&error), "Failed to fix GPT partition on disk {device}");
        }
    }
    if let Some(drive) = drive {
        target.place(&mut table, drive)?;
    }
    let mut signature = [0; 4];
    staged
        .read_at(DISK_SIGNATURE, &mut signature)
        .map_err(|source| DeployError::Target {
            device: device.to_owned(),
            holders: String::new(),
            source,
        })?;
    Ok((u32::from_le_bytes(signature), table))
}

#[cfg(test)]
mod tests;
