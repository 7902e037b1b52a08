//! The disks that hold the members of an array, and the EFI system partition that each of them gets beside it
//! (contract/data-plane 6.6).

use farrier_plugin::Context;
use uuid::Uuid;

use super::error::RaidBootError;
use crate::block::exclusive::{self, NotOpened};
use crate::block::gpt::{self, Gpt};
use crate::block::partition::{Partition, PartitionKind};
use crate::block::rescan::{add_partitions, held_in, partition_device};
use crate::block::superblocks;
use crate::block::table::Table;
use crate::block::table_error::TableError;
use crate::raid::Array;
use crate::sys::block_device::{Disk, DiskError, Medium};
use crate::sys::root::Root;

/// Bytes of the partition: the reference's, which leaves 551 MiB for it where it makes the members.
const LENGTH: u64 = 550 << 20;

/// How its name in the table begins; the number of the disk among its array's follows.
const NAME: &str = "uefi-holder-";

/// Why no partition can be made beside an array, in words that follow its name.
#[derive(Debug)]
pub(super) struct Obstacle(pub(super) String);

/// The disks of an array, by name.
pub(super) fn disks(array: &Array) -> Result<Vec<&str>, Obstacle> {
    let mut disks = Vec::new();
    for member in &array.members {
        if member.partition.is_none() {
            return Err(Obstacle(format!(
                "its member {} is no partition of a disk, so that there is no room for an EFI system partition or \
                 for GRUB beside it; firmware reads neither inside of an array",
                member.device
            )));
        }
        if !disks.contains(&member.disk.as_str()) {
            disks.push(member.disk.as_str());
        }
    }
    disks.sort_unstable();
    Ok(disks)
}

/// Open such a disk, whose members are in use.
pub(super) fn open(
    root: &Root,
    device: &str,
    context: &dyn Context,
) -> Result<Disk, RaidBootError> {
    exclusive::open_beside_holders(root, device, context).map_err(|NotOpened { users, source }| {
        RaidBootError::NotOpened {
            device: device.to_owned(),
            users: match users.as_slice() {
                [] => String::new(),
                users => format!(" because {}", users.join(", ")),
            },
            source,
        }
    })
}

/// The place of the partition on a disk.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Place {
    /// It is there, left by a call that was cut off.
    There(Partition),
    /// There is room for it.
    Free,
}

/// Where the partition is or can be. The disk is not opened alone, so that the kernel keeps nothing in use from being
/// written over: it is asked here.
pub(super) fn place(root: &Root, device: &str, medium: &dyn Medium) -> Result<Place, Obstacle> {
    let unusable = |why: &str| {
        Obstacle(format!(
            "{device}, which holds a member, {why}; firmware reads no EFI system partition inside of an array, and \
             one of 550 MiB is needed on each of its disks"
        ))
    };
    let table = match Table::read(medium) {
        Ok(Table::Gpt(table)) => table,
        Ok(Table::Mbr(_)) => return Err(unusable("has no GPT")),
        Err(error) => return Err(unusable(&format!("has no GPT that can be read ({error})"))),
    };
    if let Some(partition) = left(&table, LENGTH) {
        return Ok(Place::There(partition));
    }
    match table.first_gap(LENGTH) {
        Some(gap) => match held_in(root, device, &(gap..gap + LENGTH)) {
            None => Ok(Place::Free),
            Some(held) => Err(unusable(&format!(
                "has {held} in use where its table has unused space"
            ))),
        },
        None => Err(unusable("has no unused space of 550 MiB")),
    }
}

/// The partition that is there.
fn left(table: &Gpt, length: u64) -> Option<Partition> {
    table.partitions().into_iter().find(|partition| {
        partition.kind == PartitionKind::Gpt(gpt::EFI_SYSTEM)
            && partition.length >= length
            && table.name(partition.number).starts_with(NAME)
    })
}

/// Make the partition on the disk of this number, and return its device. What lay there is gone: no superblock, and
/// nothing that firmware could start.
pub(super) fn make(
    root: &Root,
    device: &str,
    index: usize,
    context: &dyn Context,
) -> Result<String, RaidBootError> {
    let name = format!("{NAME}{index}");
    let disk = open(root, device, context)?;
    let (table, partition) =
        write(&disk, &name, LENGTH).map_err(|source| RaidBootError::Partition {
            name: name.clone(),
            device: device.to_owned(),
            source,
        })?;
    let not_visible = || RaidBootError::NotVisible {
        name: name.clone(),
        device: device.to_owned(),
    };
    add_partitions(root, &disk, &Table::Gpt(table)).map_err(|error| {
        tracing::warn!(device, error = %farrier_plugin::chain(&error), "the kernel does not take a partition");
        not_visible()
    })?;
    partition_device(root, device, &partition).ok_or_else(not_visible)
}

/// Make the partition in the table, where it is not there, after its range was blanked: at no moment is there one in
/// the table with something old in it.
pub(super) fn write(
    medium: &dyn Medium,
    name: &str,
    length: u64,
) -> Result<(Gpt, Partition), TableError> {
    let Table::Gpt(mut table) = Table::read(medium)? else {
        return Err(TableError::Damaged {
            reason: "it is no GPT".to_owned(),
        });
    };
    if let Some(partition) = left(&table, length) {
        blank(medium, &partition)?;
        return Ok((table, partition));
    }
    let partition = table.add_in_first_gap(length, gpt::EFI_SYSTEM, Uuid::new_v4(), name)?;
    enter(medium, &mut table, &partition)?;
    Ok((table, partition))
}

/// Write the table that this partition was added to, after the range of that is blank.
pub(super) fn enter(
    medium: &dyn Medium,
    table: &mut Gpt,
    partition: &Partition,
) -> Result<(), TableError> {
    blank(medium, partition)?;
    if !table.backup_is_at_end() {
        table.move_backup_to_end()?;
    }
    table.write(medium)?;
    Ok(medium.flush()?)
}

fn blank(medium: &dyn Medium, partition: &Partition) -> Result<(), DiskError> {
    for place in superblocks::places(partition.length) {
        medium.zero_range(partition.offset + place.start, place.end - place.start)?;
    }
    medium.flush()
}

#[cfg(test)]
mod tests;
