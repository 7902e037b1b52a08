//! Having the kernel take a new partition table.

use std::ops::Range;

use super::holders::kernel_name;
use super::partition::Partition;
use super::partition_maps::Map;
use super::table::Table;
use crate::sys::block_device::{Disk, DiskError};
use crate::sys::root::Root;

/// Bytes of the kernel's unit for places on a disk, whatever its blocks are.
const SECTOR: u64 = 512;

/// Have the kernel take this table, which was just written to the disk: first by reading it again,
/// then one by one for those partitions that it did not find, as a kernel without this kind of
/// table, or with a stale cache, does not. One that it refuses keeps none of the others away; the
/// first such error is returned.
pub(crate) fn take_partitions(root: &Root, disk: &Disk, table: &Table) -> Result<(), DiskError> {
    let device = disk.path().to_string_lossy();
    if Map::of(root, &device).is_some() {
        // The kernel makes none of a map's; they come back when it is closed.
        return Ok(());
    }
    disk.reread_partitions()?;
    add_partitions(root, disk, table)
}

/// Make those partitions of this table known to the kernel that it has not, while others of the disk may be in use:
/// the table as a whole is read again only where none is.
pub(crate) fn add_partitions(root: &Root, disk: &Disk, table: &Table) -> Result<(), DiskError> {
    let Some(name) = kernel_name(root, &disk.path().to_string_lossy()) else {
        return Ok(());
    };
    let mut outcome = Ok(());
    for partition in table.partitions() {
        if child(root, &name, partition.number, Some(partition.offset)).is_none() {
            let added = disk.add_partition(partition.number, partition.offset, partition.length);
            outcome = outcome.and(added);
        }
    }
    outcome
}

/// The device of a disk's partition: `/dev/sda1` for the first of `/dev/sda`, and a volume of the device mapper
/// where the disk is a multipath map. None where the kernel does not know it, also where it still has one of
/// an earlier table under this number.
pub(crate) fn partition_device(root: &Root, device: &str, partition: &Partition) -> Option<String> {
    if let Some(map) = Map::of(root, device) {
        return map.partition(root, partition.number);
    }
    device_of(root, device, partition.number, Some(partition.offset))
}

/// As [`partition_device`], for a number that somebody names without the table: whatever the kernel has
/// under it.
pub(crate) fn numbered_device(root: &Root, device: &str, number: u32) -> Option<String> {
    if let Some(map) = Map::of(root, device) {
        return map.partition(root, number);
    }
    device_of(root, device, number, None)
}

fn device_of(root: &Root, device: &str, number: u32, offset: Option<u64>) -> Option<String> {
    let kname = child(root, &kernel_name(root, device)?, number, offset)?;
    Some(format!("/dev/{}", kname.replace('!', "/")))
}

/// The device of a partition that the kernel has in this range of a disk, in bytes, and that something is made of;
/// whatever the table on the disk says.
pub(crate) fn held_in(root: &Root, device: &str, range: &Range<u64>) -> Option<String> {
    let directory = format!("/sys/class/block/{}", kernel_name(root, device)?);
    let is_held = |child: &String| {
        let number = |what| root.number(format!("{directory}/{child}/{what}"));
        let (Some(start), Some(size)) = (number("start"), number("size")) else {
            return false;
        };
        start.saturating_mul(SECTOR) < range.end
            && start.saturating_add(size).saturating_mul(SECTOR) > range.start
            && number("partition").is_some()
            && !root
                .names(format!("{directory}/{child}/holders"))
                .is_empty()
    };
    let children = root.names(&directory);
    let held = children.into_iter().find(is_held)?;
    Some(format!("/dev/{}", held.replace('!', "/")))
}

/// Whether the kernel has partitions of this disk.
pub(crate) fn shows_partitions(root: &Root, device: &str) -> bool {
    kernel_name(root, device).is_some_and(|name| {
        let directory = format!("/sys/class/block/{name}");
        let mut children = root.names(&directory).into_iter();
        children.any(|child| root.exists(format!("{directory}/{child}/partition")))
    })
}

/// The name that a partition of this device has by convention, for messages: `/dev/sda1`,
/// `/dev/nvme0n1p1`.
pub(crate) fn partition_name(device: &str, number: u32) -> String {
    let separator = if device.ends_with(|last: char| last.is_ascii_digit()) {
        "p"
    } else {
        ""
    };
    format!("{device}{separator}{number}")
}

/// The kernel's name of a disk's partition, at this offset where that is known. Its length does not count: the kernel has two blocks of an
/// extended one.
fn child(root: &Root, name: &str, wanted: u32, offset: Option<u64>) -> Option<String> {
    root.names(format!("/sys/class/block/{name}"))
        .into_iter()
        .find(|child| {
            let number = |what| root.number(format!("/sys/class/block/{name}/{child}/{what}"));
            number("partition") == Some(u64::from(wanted))
                && offset.is_none_or(|offset| number("start") == Some(offset / SECTOR))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::partition::PartitionKind;
    use crate::sys::recording::Recording;

    #[test]
    fn partitions_are_found_by_number() {
        let recording = Recording::unpack(
            "/dev/cciss/c0d0 =\n/sys/class/block/cciss!c0d0/cciss!c0d0p2/partition = 2\n\
             /sys/class/block/cciss!c0d0/cciss!c0d0p2/start = 2048\n\
             /dev/dm-0 =\n/sys/class/block/dm-0/dev = 253:0\n\
             /sys/class/block/dm-0/dm/name = 3600a\n\
             /sys/class/block/dm-0/dm/uuid = mpath-3600a\n\
             /sys/class/block/dm-0/holders/dm-3/\n\
             /sys/class/block/dm-3/dev = 253:3\n\
             /sys/class/block/dm-3/dm/uuid = part2-mpath-3600a",
        );
        let at = |device, number, offset| {
            let partition = Partition {
                number,
                offset,
                length: 1 << 20,
                kind: PartitionKind::Mbr(0x83),
                guid: None,
            };
            partition_device(&recording.root(), device, &partition)
        };
        let found = |device, number| at(device, number, 1 << 20);
        assert_eq!(
            found("/dev/cciss/c0d0", 2).as_deref(),
            Some("/dev/cciss/c0d0p2")
        );
        // What the kernel has under the number is of the table before.
        assert_eq!(at("/dev/cciss/c0d0", 2, 2 << 20), None);
        assert_eq!(
            numbered_device(&recording.root(), "/dev/cciss/c0d0", 2).as_deref(),
            Some("/dev/cciss/c0d0p2")
        );
        assert_eq!(found("/dev/cciss/c0d0", 1), None);
        assert_eq!(found("/dev/dm-0", 2).as_deref(), Some("/dev/dm-3"));
        assert_eq!(found("/dev/dm-0", 1), None);
        assert_eq!(found("/dev/sda", 1), None);
    }

    #[test]
    fn names_by_convention() {
        assert_eq!(partition_name("/dev/sda", 1), "/dev/sda1");
        assert_eq!(partition_name("/dev/nvme0n1", 12), "/dev/nvme0n1p12");
    }
}
