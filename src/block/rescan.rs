//! Having the kernel take a new partition table.

use super::holders::kernel_name;
use super::table::Table;
use crate::sys::block_device::{Disk, DiskError};
use crate::sys::root::Root;

/// Have the kernel take this table, which was just written to the disk: first by reading it again,
/// then one by one for those partitions that it did not find, as a kernel without this kind of
/// table, or with a stale cache, does not. One that it refuses keeps none of the others away; the
/// first such error is returned.
pub(crate) fn take_partitions(root: &Root, disk: &Disk, table: &Table) -> Result<(), DiskError> {
    disk.reread_partitions()?;
    let Some(name) = kernel_name(root, &disk.path().to_string_lossy()) else {
        return Ok(());
    };
    let mut outcome = Ok(());
    for partition in table.partitions() {
        if child(root, &name, partition.number).is_none() {
            let added = disk.add_partition(partition.number, partition.offset, partition.length);
            outcome = outcome.and(added);
        }
    }
    outcome
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

/// The kernel's name of a disk's partition.
fn child(root: &Root, name: &str, number: u32) -> Option<String> {
    root.names(format!("/sys/class/block/{name}"))
        .into_iter()
        .find(|child| {
            root.number(format!("/sys/class/block/{name}/{child}/partition"))
                == Some(u64::from(number))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_by_convention() {
        assert_eq!(partition_name("/dev/sda", 1), "/dev/sda1");
        assert_eq!(partition_name("/dev/nvme0n1", 12), "/dev/nvme0n1p12");
    }
}
