//! Which devices are mounted or swapped to.

use super::holders::kernel_name;
use super::list::ListedDevice;
use crate::sys::mount_table;
use crate::sys::root::Root;

/// What a device is used for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Use {
    /// A file system on it is mounted here.
    Mount(String),
    /// It is swapped to.
    Swap,
}

/// What uses these devices, by kernel name, in the order in which it began; what is swapped to comes last.
///
/// A file system of several devices (btrfs) uses each of them.
pub(crate) fn uses(root: &Root, devices: &[ListedDevice]) -> Vec<(String, Use)> {
    let mut uses = Vec::new();
    let by_name = |name: &str| {
        // btrfs and swap on a volume have the link's name: /dev/mapper/…
        let kname = name.starts_with("/dev/").then(|| kernel_name(root, name));
        let kname = kname.flatten();
        devices
            .iter()
            .find(|device| device.device.name == name || Some(&device.kname) == kname.as_ref())
    };
    for mount in mount_table::mounts(root) {
        let by_number = devices.iter().find(|device| device.number == mount.number);
        // btrfs and overlays have numbers of no device; then the source names it.
        let Some(device) = by_number.or_else(|| by_name(&mount.source)) else {
            continue;
        };
        for kname in
            members_of_btrfs(root, &device.kname).unwrap_or_else(|| vec![device.kname.clone()])
        {
            uses.push((kname, Use::Mount(mount.place.clone())));
        }
    }
    for name in mount_table::swaps(root) {
        if let Some(device) = by_name(&name) {
            uses.push((device.kname.clone(), Use::Swap));
        }
    }
    uses
}

/// Kernel names of all devices of the mounted btrfs that has this one.
fn members_of_btrfs(root: &Root, kname: &str) -> Option<Vec<String>> {
    const MOUNTED: &str = "/sys/fs/btrfs";
    root.names(MOUNTED).into_iter().find_map(|uuid| {
        let members = root.names(format!("{MOUNTED}/{uuid}/devices"));
        members
            .iter()
            .any(|member| member == kname)
            .then_some(members)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::list::all_devices;
    use crate::sys::recording::Recording;

    #[test]
    fn mounts_come_in_their_order_and_a_btrfs_uses_all_of_its_disks() {
        let recording = Recording::unpack(
            "/sys/block/sda/dev = 8:0\n/sys/block/sda/size = 8\n\
             /sys/block/sdb/dev = 8:16\n/sys/block/sdb/size = 8\n\
             /sys/block/sdc/dev = 8:32\n/sys/block/sdc/size = 8\n\
             /sys/block/dm-0/dev = 253:0\n/sys/block/dm-0/size = 8\n\
             /dev/dm-0 =\n/dev/mapper/old-root -> ../dm-0\n\
             /sys/fs/btrfs/features/mixed_backref = 0\n\
             /sys/fs/btrfs/abc/devices/sda/\n/sys/fs/btrfs/abc/devices/sdb/\n\
             /proc/swaps = /dev/sdc partition 1 0 -2\n\
             /proc/self/mountinfo <<\n30 1 0:44 / /mnt/a rw - btrfs /dev/sdb rw\n\
             31 1 0:45 / /mnt/b rw - btrfs /dev/mapper/old-root rw\n.",
        );
        let root = recording.root();
        let used = uses(&root, &all_devices(&root).unwrap());
        let mount = || Use::Mount("/mnt/a".to_owned());
        assert_eq!(
            used,
            [
                ("sda".to_owned(), mount()),
                ("sdb".to_owned(), mount()),
                ("dm-0".to_owned(), Use::Mount("/mnt/b".to_owned())),
                ("sdc".to_owned(), Use::Swap)
            ]
        );
    }
}
