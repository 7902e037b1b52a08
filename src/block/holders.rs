//! Who uses a disk, so that "in use" can be said with names.

use crate::sys::root::Root;
use crate::sys::{device_number, mount_table};

/// What uses this disk or one of its partitions, each in words: `/dev/sda1 is mounted at /mnt`,
/// `/dev/sda2 is part of md127`. Empty where nothing is found; then it is a program that has the
/// device open for itself.
pub(crate) fn of(root: &Root, device: &str) -> Vec<String> {
    let Some(name) = kernel_name(root, device) else {
        return Vec::new();
    };
    let (mounts, swaps) = (mount_table::mounts(root), mount_table::swaps(root));
    let mut found = Vec::new();
    for member in members(root, &name) {
        let node = format!("/dev/{}", member.replace('!', "/"));
        for holder in root.names(format!("/sys/class/block/{member}/holders")) {
            let holder = root
                .attribute(format!("/sys/class/block/{holder}/dm/name"))
                .unwrap_or(holder);
            found.push(format!("{node} is part of {holder}"));
        }
        let number = root
            .attribute(format!("/sys/class/block/{member}/dev"))
            .and_then(|number| device_number::parse(&number));
        for mount in &mounts {
            if Some(mount.number) == number {
                found.push(format!("{node} is mounted at {}", mount.place));
            }
        }
        if swaps.contains(&node) {
            found.push(format!("{node} is used as swap"));
        }
    }
    found
}

/// The kernel's name of a device: `sda` for `/dev/disk/by-path/…`.
pub(crate) fn kernel_name(root: &Root, device: &str) -> Option<String> {
    let node = root.resolve(device)?;
    let name = node.strip_prefix("/dev").ok()?.to_str()?;
    // The names of a few old controllers have a slash, which sysfs cannot.
    Some(name.replace('/', "!"))
}

/// The disk itself and its partitions.
fn members(root: &Root, name: &str) -> Vec<String> {
    let mut members = vec![name.to_owned()];
    members.extend(
        root.names(format!("/sys/class/block/{name}"))
            .into_iter()
            .filter(|child| root.exists(format!("/sys/class/block/{name}/{child}/partition"))),
    );
    members
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::recording::Recording;

    #[test]
    fn mounts_arrays_and_swap_are_named() {
        let recording = Recording::unpack(
            "/dev/sda = node\n\
             /dev/sda1 = node\n\
             /sys/class/block/sda/dev = 8:0\n\
             /sys/class/block/sda/sda1/partition = 1\n\
             /sys/class/block/sda/sda2/partition = 2\n\
             /sys/class/block/sda/queue/rotational = 1\n\
             /sys/class/block/sda1/dev = 8:1\n\
             /sys/class/block/sda2/dev = 8:2\n\
             /sys/class/block/sda2/holders/md127/dev = 9:127\n\
             /proc/swaps = /dev/sda2 partition 1 0 -2\n\
             /proc/self/mountinfo = 30 1 8:1 / /mnt/a rw - ext4 /dev/sda1 rw",
        );
        assert_eq!(
            of(&recording.root(), "/dev/sda"),
            [
                "/dev/sda1 is mounted at /mnt/a",
                "/dev/sda2 is part of md127",
                "/dev/sda2 is used as swap",
            ]
        );
        assert!(of(&recording.root(), "/dev/sdb").is_empty());
    }
}
