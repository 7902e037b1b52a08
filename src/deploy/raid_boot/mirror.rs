//! The EFI system partitions beside an array: one on each of its disks, all of them one array, whose metadata lies at
//! the end, so that firmware finds a plain file system on each (contract/data-plane 6.6).

use std::time::Duration;

use farrier_plugin::{Context, chain};
use tracing::warn;

use super::error::RaidBootError;
use super::holder::{self, Obstacle};
use crate::block::exclusive::{self, NotOpened};
use crate::block::fat::Fat;
use crate::block::fat_writer;
use crate::block::list::all_devices;
use crate::block::raid_superblock::{Level, Metadata};
use crate::block::settle;
use crate::block::signatures;
use crate::block::table::Table;
use crate::block::take_apart::take_apart;
use crate::deploy::boot_entry::BootPartition;
use crate::deploy::efi_partitions::{EfiPartitions, is_efi_system};
use crate::deploy::error::DeployError;
use crate::deploy::image_boot;
use crate::deploy::image_boot::architecture::Architecture;
use crate::deploy::loaders;
use crate::raid::config::ESP;
use crate::raid::mdadm::{self, Creation};
use crate::raid::{Array, Member, RaidError, RaidLevel, arrays, free_device};
use crate::sys::block_device::{Disk, DiskError, Medium, SharedDisk};
use crate::sys::process::Program;
use crate::sys::root::Root;

/// The first sectors of a file system, copies of its boot sector among them.
const HEAD: u64 = 1 << 20;

/// Bytes of a file system that an empty one on the mirror is made with: as many as its writer takes.
const EMPTY: u64 = 1 << 30;

/// How long making the file system may take.
const LIMIT: Duration = Duration::from_secs(300);

/// Such an array.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::deploy) struct Mirror {
    /// Its device: `/dev/md1`.
    pub(in crate::deploy) device: String,
    members: Vec<Member>,
}

impl Mirror {
    /// The one beside this array: mirrored, with its metadata at the end, on partitions of the same disks; called
    /// `esp`, as the reference calls it, or made of EFI system partitions and with their file system. FAT alone would
    /// not do: what somebody keeps on such an array is blanked by the deploy of an image.
    pub(super) fn find(root: &Root, all: &[Array], beside: &Array) -> Option<Self> {
        let of_disks = |array: &Array| {
            let mut members = array.members.iter();
            members.any(|member| beside.members.iter().any(|own| own.disk == member.disk))
        };
        let is_like_one = |array: &&Array| {
            array.device != beside.device
                && array.is_active
                && array.level == Some(Level::Raid1)
                && matches!(array.metadata, Some(Metadata::V1_0 | Metadata::V0_90))
                && array
                    .members
                    .iter()
                    .all(|member| member.partition.is_some())
                && of_disks(array)
        };
        let mirrors: Vec<&Array> = all.iter().filter(is_like_one).collect();
        let of_esps = |array: &Array| {
            let mut members = array.members.iter();
            members.all(|member| is_esp(root, member)) && holds_fat(root, &array.device)
        };
        let named = mirrors
            .iter()
            .find(|array| array.name.as_deref() == Some(ESP));
        let found = named.or_else(|| mirrors.iter().find(|array| of_esps(array)));
        found.map(|array| Self::of(array))
    }

    fn of(array: &Array) -> Self {
        let mut members = array.members.clone();
        members.sort_by(|one, other| one.device.cmp(&other.device));
        Self {
            device: array.device.clone(),
            members,
        }
    }

    /// Make it beside this array. A second call goes on where the first was cut off.
    pub(super) fn make(
        root: &Root,
        all: &[Array],
        beside: &Array,
        context: &dyn Context,
    ) -> Result<Self, RaidBootError> {
        let no_room = |Obstacle(why)| RaidBootError::NoRoom(why);
        let disks = holder::disks(beside).map_err(no_room)?;
        // All of them are looked at before the first is changed.
        for device in &disks {
            let disk = holder::open(root, device, context)?;
            holder::place(root, device, &disk).map_err(no_room)?;
        }
        end_halves(root, all, &disks, context)?;
        let mut members = Vec::new();
        for (index, device) in disks.iter().enumerate() {
            members.push(holder::make(root, device, index, context)?);
        }
        let device = free_device(root, 0)?;
        let creation = Creation {
            device: &device,
            level: RaidLevel::Raid1,
            metadata: Metadata::V1_0,
            name: ESP,
            members: &members,
        };
        mdadm::create(root, &creation)?;
        let made = arrays(root)?
            .into_iter()
            .find(|array| array.device == device);
        let made = made.ok_or_else(|| RaidError::NotRunning {
            device: device.clone(),
            members: members.join(" "),
            seconds: 0,
            found: "there is no such array".to_owned(),
        })?;
        Ok(Self::of(&made))
    }

    /// Open it for this process alone.
    pub(super) fn open(&self, root: &Root, context: &dyn Context) -> Result<Disk, RaidBootError> {
        exclusive::open(root, &self.device, context).map_err(|NotOpened { users, source }| {
            RaidBootError::NotOpened {
                device: self.device.clone(),
                users: match users.as_slice() {
                    [] => String::new(),
                    users => format!(" because {}", users.join(", ")),
                },
                source,
            }
        })
    }

    /// Whether everything is on it: loaders, and no mark that they are not all there.
    pub(super) fn is_finished(&self, medium: &dyn Medium) -> bool {
        let Ok(Some(fat)) = Fat::open(medium, 0, medium.size()) else {
            return false;
        };
        loaders::find(&fat, Architecture::of_this_machine())
            .and_then(|found| Ok(!found.is_empty() && !image_boot::is_unfinished(&fat)?))
            .unwrap_or(false)
    }

    /// Make its file system anew, with this label and volume id (`1234ABCD`).
    pub(super) fn format(&self, label: &str, id: &str) -> Result<(), RaidBootError> {
        let program = Program::new("/usr/sbin/mkfs.vfat")
            .arg("-n")
            .arg(label)
            .arg("-i")
            .arg(id)
            .arg(&self.device)
            .timeout(LIMIT);
        program.run().map_err(|source| RaidBootError::Format {
            device: self.device.clone(),
            source,
        })?;
        // udev looks at what has changed, and a mount needs the device alone.
        settle::wait(&Root::system(), settle::LIMIT);
        Ok(())
    }

    /// Its members as firmware finds them, each with its number among them.
    pub(super) fn boot_partitions(
        &self,
        root: &Root,
        context: &dyn Context,
    ) -> Result<Vec<BootPartition>, DeployError> {
        let mut found = Vec::new();
        for member in &self.members {
            let disk = holder::open(root, &member.disk, context)
                .map_err(|error| error.of(&self.device))?;
            let table =
                Table::read(&disk).map_err(|source| DeployError::uefi(&member.disk, source))?;
            let partitions = table.partitions();
            let partition = partitions
                .iter()
                .find(|partition| Some(partition.number) == member.partition);
            let partition = partition.ok_or_else(|| {
                DeployError::NoEsp(format!(
                    "{} is not in the partition table of {}",
                    member.device, member.disk
                ))
            })?;
            let esps = EfiPartitions {
                device: &member.disk,
                medium: &disk,
                table: &table,
                named: None,
            };
            found.push(esps.boot_partition(partition)?);
        }
        Ok(found)
    }

    /// The disks of this array that hold no member of the mirror: the machine does not boot from them alone.
    pub(super) fn warn_of_disks_without(&self, beside: &Array) {
        for member in &beside.members {
            if !self.members.iter().any(|own| own.disk == member.disk) {
                warn!(
                    device = member.disk,
                    mirror = self.device,
                    "holds a member of {} and none of the mirror of EFI system partitions: the machine does not \
                     boot from this disk alone",
                    beside.device
                );
            }
        }
    }
}

/// Blank the first sectors, before anything else changes, and then make an empty file system there, by which a mirror
/// of any name is found again.
pub(super) fn blank(medium: &dyn Medium) -> Result<(), DiskError> {
    let size = medium.size();
    medium.zero_range(0, HEAD.min(size))?;
    medium.flush()?;
    let made = fat_writer::write(medium, 0, size.min(EMPTY), "ESP", 0, &[]);
    if let Err(error) = made {
        warn!(error = %chain(&error), "the mirror of EFI system partitions has no file system");
    }
    medium.flush()
}

/// Whether a member is an EFI system partition in the table of its disk.
fn is_esp(root: &Root, member: &Member) -> bool {
    let Ok(disk) = SharedDisk::open(root.path(&member.disk)) else {
        return false;
    };
    Table::read(&disk).is_ok_and(|table| {
        let mut partitions = table.partitions().into_iter();
        partitions.any(|partition| {
            Some(partition.number) == member.partition && is_efi_system(&partition)
        })
    })
}

fn holds_fat(root: &Root, device: &str) -> bool {
    signatures::contents(&root.path(device))
        .is_ok_and(|contents| contents.kind.as_deref() == Some("vfat"))
}

/// Stop arrays that a call which was cut off left half made on the partitions that it had made.
fn end_halves(
    root: &Root,
    all: &[Array],
    disks: &[&str],
    context: &dyn Context,
) -> Result<(), RaidBootError> {
    let mut left = Vec::new();
    for device in disks {
        let disk = holder::open(root, device, context)?;
        if let Ok(holder::Place::There(partition)) = holder::place(root, device, &disk) {
            left.push((*device, partition.number));
        }
    }
    let is_half = |array: &&Array| {
        !array.members.is_empty()
            && array.members.iter().all(|member| {
                let place = member
                    .partition
                    .map(|number| (member.disk.as_str(), number));
                place.is_some_and(|place| left.contains(&place))
            })
    };
    let halves: Vec<&Array> = all.iter().filter(is_half).collect();
    if halves.is_empty() {
        return Ok(());
    }
    let devices = all_devices(root).map_err(RaidError::from)?;
    let holders = devices
        .iter()
        .filter(|device| halves.iter().any(|half| half.kname == device.kname))
        .collect();
    take_apart(
        root,
        holders,
        "so that a mirror of EFI system partitions can be made anew",
        context,
    );
    Ok(())
}

#[cfg(test)]
mod tests;
