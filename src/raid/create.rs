//! Making the arrays of a node: its disks are divided, and each volume is made of its partitions.
//!
//! Everything that can be known before is looked at before the first byte is written: the rules, the disks, the room
//! on each, that nobody uses one and that none has partitions. A creation that ends in the middle reports no success,
//! and what it left is taken by the next `delete_configuration` and creation.

use std::thread;
use std::time::{Duration, Instant};

use tracing::info;

use super::config::Volume;
use super::error::RaidError;
use super::layout::{DiskShape, Division};
use super::mdadm::Creation;
use super::member_table::{Found, blank, found, new_table};
use crate::block::partition::Partition;
use crate::block::raid_superblock::Metadata;
use crate::block::table::Table;
use crate::block::table_error::TableError;
use crate::sys::block_device::{DiskError, Medium};

/// How long the kernel and udev may take to show a partition.
const VISIBLE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(50);

/// Metadata of every volume, mdadm's own choice: near the beginning, so that no partition is taken for what is in
/// the array.
const METADATA: Metadata = Metadata::V1_2;

/// A disk that nobody else uses.
pub(super) trait OpenDisk {
    fn medium(&self) -> &dyn Medium;

    /// Whether the kernel finds partitions on it, by a table of any kind.
    fn shows_partitions(&self) -> bool;

    /// Have the kernel take the table that was written.
    fn take(&self, table: &Table) -> Result<(), DiskError>;
}

/// The disks and the kernel; tests put a model in their place.
pub(super) trait Machine {
    /// Open a disk for this process alone.
    fn open(&self, device: &str) -> Result<Box<dyn OpenDisk + '_>, RaidError>;

    /// The device of a partition, where the kernel and udev have it.
    fn partition(&self, device: &str, partition: &Partition) -> Option<String>;

    /// A device for a new array: that of this number, or the next that is free.
    fn free_array(&self, number: usize) -> Result<String, RaidError>;

    /// Make an array; it runs and has all of its members then.
    fn create(&self, creation: &Creation<'_>) -> Result<(), RaidError>;

    fn is_cancelled(&self) -> bool;
}

/// A volume to make, on these disks in this order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) volume: &'a Volume,
    pub(super) disks: &'a [DiskShape<'a>],
}

/// Divide the disks and make an array of each volume, in the order of the divisions' volumes.
pub(super) fn make(
    machine: &dyn Machine,
    wanted: &[Wanted<'_>],
    divisions: &[Division<'_>],
) -> Result<(), RaidError> {
    // Whether there is a number for each, before any disk is written.
    for index in 0..wanted.len() {
        machine.free_array(index)?;
    }
    let tables = divide(machine, divisions)?;
    let divided: Vec<(&Division<'_>, Table)> = divisions.iter().zip(tables).collect();
    for (index, wanted) in wanted.iter().enumerate() {
        if machine.is_cancelled() {
            return Err(RaidError::Cancelled);
        }
        let members: Vec<String> = wanted
            .disks
            .iter()
            .map(|disk| member(machine, &divided, disk.device, index))
            .collect::<Result<_, _>>()?;
        machine.create(&Creation {
            device: &machine.free_array(index)?,
            level: wanted.volume.level,
            metadata: METADATA,
            name: &wanted.volume.name,
            members: &members,
        })?;
    }
    Ok(())
}

/// The partition of this disk for this volume, once the kernel shows it.
fn member(
    machine: &dyn Machine,
    divided: &[(&Division<'_>, Table)],
    disk: &str,
    volume: usize,
) -> Result<String, RaidError> {
    let place = divided.iter().find_map(|(division, table)| {
        let place = division
            .places
            .iter()
            .find(|place| division.disk.device == disk && place.volume == volume)?;
        Some((table, place.number))
    });
    let number = place.map_or(0, |(_, number)| number);
    place
        .and_then(|(table, number)| {
            let mut partitions = table.partitions().into_iter();
            partitions.find(|partition| partition.number == number)
        })
        .and_then(|partition| wait_for(machine, disk, &partition))
        .ok_or_else(|| RaidError::PartitionMissing {
            device: disk.to_owned(),
            number,
            seconds: VISIBLE.as_secs(),
        })
}

/// Write the tables, once none of the disks is in use or has partitions.
fn divide(machine: &dyn Machine, divisions: &[Division<'_>]) -> Result<Vec<Table>, RaidError> {
    let mut disks = Vec::new();
    for division in divisions {
        disks.push((division, machine.open(division.disk.device)?));
    }
    let mut with_partitions = Vec::new();
    for (division, disk) in &disks {
        let device = division.disk.device;
        let found = found(disk.medium(), division).map_err(|source| table_error(device, source))?;
        // The kernel reads tables of more kinds, such as Sun's and those of BSD.
        if found == Found::Partitions || found == Found::Nothing && disk.shows_partitions() {
            with_partitions.push(device);
        }
    }
    if !with_partitions.is_empty() {
        return Err(RaidError::Partitions {
            devices: with_partitions.join(", "),
        });
    }
    let mut tables = Vec::new();
    for (division, disk) in disks {
        let device = division.disk.device;
        let disk_error = |source| RaidError::Disk {
            device: device.to_owned(),
            source,
        };
        if machine.is_cancelled() {
            return Err(RaidError::Cancelled);
        }
        for place in &division.places {
            info!(
                device,
                number = place.number,
                offset = place.offset,
                length = place.length,
                label = division.label.name(),
                "a partition for an array"
            );
        }
        let table =
            new_table(disk.medium(), division).map_err(|source| table_error(device, source))?;
        blank(disk.medium(), division).map_err(disk_error)?;
        table
            .write_new(disk.medium())
            .map_err(|source| table_error(device, source))?;
        disk.take(&table).map_err(disk_error)?;
        tables.push(table);
    }
    Ok(tables)
}

fn table_error(device: &str, source: TableError) -> RaidError {
    RaidError::Table {
        device: device.to_owned(),
        source,
    }
}

fn wait_for(machine: &dyn Machine, device: &str, partition: &Partition) -> Option<String> {
    let deadline = Instant::now() + VISIBLE;
    loop {
        let found = machine.partition(device, partition);
        if found.is_some() || Instant::now() >= deadline {
            return found;
        }
        thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests;
