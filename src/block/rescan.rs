//! Having the kernel take a new partition table, and finding its partitions' nodes.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use super::holders::kernel_name;
use super::table::Table;
use crate::sys::block_device::{Disk, DiskError};
use crate::sys::root::Root;

/// How often a node is looked for.
const POLL: Duration = Duration::from_millis(50);

/// Have the kernel take this table, which was just written to the disk: first by reading it again,
/// then one by one for those partitions that it did not find, as a kernel without this kind of
/// table, or with a stale cache, does not. One that it refuses keeps none of the others away; the
/// first such error is returned.
pub fn take_partitions(root: &Root, disk: &Disk, table: &Table) -> Result<(), DiskError> {
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

/// The node of a disk's partition, waited for at most this long: udev makes it a moment after the
/// kernel has taken the table. `None` where it does not come.
pub fn partition_node(
    root: &Root,
    device: &str,
    number: u32,
    timeout: Duration,
) -> Option<PathBuf> {
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(node) = find(root, device, number) {
            return Some(node);
        }
        if Instant::now() >= deadline {
            return None;
        }
        thread::sleep(POLL);
    }
}

/// The name that a partition of this device has by convention, for messages: `/dev/sda1`,
/// `/dev/nvme0n1p1`.
pub fn partition_name(device: &str, number: u32) -> String {
    let separator = if device.ends_with(|last: char| last.is_ascii_digit()) {
        "p"
    } else {
        ""
    };
    format!("{device}{separator}{number}")
}

fn find(root: &Root, device: &str, number: u32) -> Option<PathBuf> {
    let name = kernel_name(root, device)?;
    let child = child(root, &name, number)?;
    let node = format!("/dev/{}", child.replace('!', "/"));
    root.exists(&node).then(|| root.path(node))
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
    use crate::sys::recording::Recording;

    #[test]
    fn a_partition_is_found_by_its_number() {
        let recording = Recording::unpack(
            "/dev/nvme0n1 = node\n\
             /dev/nvme0n1p2 = node\n\
             /sys/class/block/nvme0n1/nvme0n1p2/partition = 2\n\
             /sys/class/block/nvme0n1/nvme0n1p3/partition = 3",
        );
        let root = recording.root();
        let node = partition_node(&root, "/dev/nvme0n1", 2, Duration::ZERO);
        assert_eq!(node, Some(root.path("/dev/nvme0n1p2")));
        // The kernel has it, udev does not yet.
        let started = Instant::now();
        let node = partition_node(&root, "/dev/nvme0n1", 3, Duration::from_millis(120));
        assert_eq!(node, None);
        assert!(started.elapsed() >= Duration::from_millis(120));
    }

    #[test]
    fn names_by_convention() {
        assert_eq!(partition_name("/dev/sda", 1), "/dev/sda1");
        assert_eq!(partition_name("/dev/nvme0n1", 12), "/dev/nvme0n1p12");
    }
}
