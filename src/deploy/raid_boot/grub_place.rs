//! Where GRUB lies on the disks that hold the members of an array (contract/data-plane 6.6): in a BIOS boot partition
//! beside the members on a disk with a GPT, behind the MBR on others.

use uuid::Uuid;

use super::holder::{self, Obstacle};
use crate::block::gpt::{self, Gpt};
use crate::block::partition::{Partition, PartitionKind};
use crate::block::rescan::held_in;
use crate::block::table::Table;
use crate::block::table_error::TableError;
use crate::sys::block_device::Medium;
use crate::sys::root::Root;

/// Bytes of the partition: the reference's, of the 7 MiB that it leaves for it where it makes the members.
const LENGTH: u64 = 2 << 20;

/// Room that GRUB is sure to fit: it has some 40 KiB with all that an array takes.
const ENOUGH: u64 = 64 << 10;

/// How its name in the table begins; the number of the disk among its array's follows.
const NAME: &str = "bios-boot-part-";

/// Bytes of a sector, for a BIOS.
const SECTOR: u64 = 512;

/// Whether there is a place for GRUB on this disk. Nothing is changed.
///
/// The disk is not opened alone, so that the kernel keeps nothing in use from being written over: it is asked here.
pub(super) fn check(root: &Root, device: &str, medium: &dyn Medium) -> Result<(), Obstacle> {
    let unusable = |why: &str| {
        Obstacle(format!(
            "{device}, which holds a member, {why}; GRUB on each of its disks is what leads a BIOS to an array"
        ))
    };
    if u64::from(medium.logical_block_size()) != SECTOR {
        return Err(unusable(
            "has sectors of 4096 bytes, and a BIOS boots from those with 512 only",
        ));
    }
    let table = Table::read(medium).map_err(|error| {
        unusable(&format!(
            "has no partition table that can be read ({error})"
        ))
    })?;
    let range = match &table {
        Table::Mbr(_) => {
            let first = table.partitions().iter().map(|each| each.offset).min();
            SECTOR..first.unwrap_or(0)
        }
        Table::Gpt(gpt) => match (there(gpt), gpt.first_gap(LENGTH)) {
            (Some(partition), _) => partition.offset..partition.offset + partition.length,
            (None, Some(gap)) => gap..gap + LENGTH,
            (None, None) => {
                return Err(unusable(
                    "has a GPT without a BIOS boot partition, and no unused space of 2 MiB for one",
                ));
            }
        },
    };
    if range.end.saturating_sub(range.start) < ENOUGH {
        return Err(unusable(&format!(
            "has room of {} bytes for GRUB, which takes up to {ENOUGH}",
            range.end.saturating_sub(range.start)
        )));
    }
    match held_in(root, device, &range) {
        None => Ok(()),
        Some(held) => Err(unusable(&format!("has {held} in use where GRUB would lie"))),
    }
}

/// The BIOS boot partition of a table. Whatever it is called: nothing else may lie in one.
fn there(table: &Gpt) -> Option<Partition> {
    let kind = PartitionKind::Gpt(gpt::BIOS_BOOT);
    let mut partitions = table.partitions().into_iter();
    partitions.find(|partition| partition.kind == kind)
}

/// Make the place on the disk of this number, where it takes one and has none. Returns the table.
pub(super) fn make(medium: &dyn Medium, index: usize) -> Result<Table, TableError> {
    let mut table = match Table::read(medium)? {
        Table::Gpt(table) => table,
        table @ Table::Mbr(_) => return Ok(table),
    };
    if there(&table).is_none() {
        let name = format!("{NAME}{index}");
        let partition = table.add_in_first_gap(LENGTH, gpt::BIOS_BOOT, Uuid::new_v4(), &name)?;
        holder::enter(medium, &mut table, &partition)?;
    }
    Ok(Table::Gpt(table))
}

#[cfg(test)]
mod tests;
