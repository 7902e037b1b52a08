//! Telling udev of the devices that were there before it: the kernel repeats their "add" events
//! when asked through sysfs.
//!
//! `udevadm trigger` does the same for everything, modules and drivers included: 543 events in a
//! small QEMU guest, of which the 200 that are sent here matter to a ramdisk, and it sorts them
//! first. Every event costs udev some milliseconds, and the network card waits in the queue.

use std::fs;
use std::path::{Path, PathBuf};

use crate::sys::root::Root;

/// Buses on which cards and disks are found, first of all: their drivers take longest.
const FIRST: &[&str] = &[
    "pci", "virtio", "vmbus", "xen", "usb", "acpi", "platform", "pnp",
];

/// Subsystems in which udev only sets permissions for users that a ramdisk does not have.
const LEFT_OUT: &[&str] = &[
    "bdi",
    "clockevents",
    "clocksource",
    "container",
    "event_source",
    "leds",
    "machinecheck",
    "mem",
    "memory",
    "misc",
    "tty",
    "vc",
    "vtconsole",
    "wakeup",
    "workqueue",
];

/// How often the kernel looks for media in drives that cannot tell, such as virtual CDs. udev sets
/// this when it is told of the module `block`, which is not among the devices.
const MEDIA_POLL: (&str, &str) = ("module/block/parameters/events_dfl_poll_msecs", "2000");

/// Have the kernel repeat the events of all devices below this `/sys`, and return of how many.
pub(super) fn trigger(sysfs: &Path) -> usize {
    // Missing where the kernel has no block layer; then there is nothing to poll.
    let _ = fs::write(sysfs.join(MEDIA_POLL.0), MEDIA_POLL.1);
    devices(sysfs)
        .into_iter()
        // A device may go between the two steps.
        .filter(|device| fs::write(device.join("uevent"), "add").is_ok())
        .count()
}

/// All devices: those of buses, the important ones first, then those of classes.
fn devices(sysfs: &Path) -> Vec<PathBuf> {
    let mut buses = names(&sysfs.join("bus"));
    buses.sort_by_key(|bus| {
        let rank = FIRST
            .iter()
            .position(|first| first == bus)
            .unwrap_or(FIRST.len());
        (rank, bus.clone())
    });
    let of_buses = buses
        .iter()
        .map(|bus| sysfs.join("bus").join(bus).join("devices"));
    let classes = names(&sysfs.join("class"));
    let of_classes = classes.iter().map(|class| sysfs.join("class").join(class));
    of_buses
        .chain(of_classes)
        .flat_map(|directory| {
            names(&directory)
                .into_iter()
                .map(move |name| directory.join(name))
        })
        .collect()
}

/// Sorted names in a directory, without the subsystems that are left out.
fn names(directory: &Path) -> Vec<String> {
    let mut names = Root::system().names(directory);
    names.retain(|name| !LEFT_OUT.contains(&name.as_str()));
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_come_first_and_terminals_not_at_all() {
        let sysfs = tempfile::tempdir().unwrap();
        for device in [
            "bus/acpi/devices/PNP0C0A:00",
            "bus/memory/devices/memory0",
            "bus/pci/devices/0000:00:03.0",
            "bus/serio/devices/serio0",
            "bus/virtio/devices/virtio0",
            "class/net/eth0",
            "class/tty/ttyS0",
        ] {
            let device = sysfs.path().join(device);
            fs::create_dir_all(&device).unwrap();
            fs::write(device.join("uevent"), "").unwrap();
        }
        let found = devices(sysfs.path());
        let names: Vec<_> = found
            .iter()
            .map(|device| device.file_name().unwrap().to_str().unwrap())
            .collect();
        assert_eq!(
            names,
            ["0000:00:03.0", "virtio0", "PNP0C0A:00", "serio0", "eth0"]
        );
        assert_eq!(trigger(sysfs.path()), 5);
        assert_eq!(fs::read_to_string(found[0].join("uevent")).unwrap(), "add");
        assert_eq!(
            fs::read_to_string(sysfs.path().join("class/tty/ttyS0/uevent")).unwrap(),
            ""
        );
    }
}
