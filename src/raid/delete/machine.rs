//! What taking arrays apart needs of a machine; a test puts one in memory in its place.

use std::thread;
use std::time::Instant;

use farrier_plugin::{Context, chain};
use tracing::{debug, warn};

use crate::block::exclusive::{self, NotOpened};
use crate::block::list::ListedDevice;
use crate::block::raid_superblock::RaidSuperblock;
use crate::block::signatures::{self, Contents, Signature};
use crate::block::stack::is_array;
use crate::block::take_apart::take_apart;
use crate::block::wipe::WipeError;
use crate::block::{settle, wipe};
use crate::raid::assemble::assemble;
use crate::sys::block_device::{Disk, Medium};
use crate::sys::page_cache;
use crate::sys::root::Root;

/// A machine with disks.
pub(super) trait Machine {
    /// Where its sysfs and its mounts are read.
    fn root(&self) -> &Root;

    /// Have what has been begun come to rest, and what can be assembled be it.
    fn assemble(&self);

    /// So many bytes of a device as they are on it now; `None` where they cannot be read.
    fn read(&self, device: &str, offset: u64, length: usize) -> Option<Vec<u8>>;

    /// What a device holds, as far as it tells whether it may be touched.
    fn contents(&self, device: &ListedDevice) -> Contents;

    /// Open a device for this process alone and do this; an error says why it could not be, or was not, in words.
    fn with_medium(
        &self,
        device: &str,
        work: &mut dyn FnMut(&dyn Medium) -> Result<(), String>,
    ) -> Result<(), String>;

    /// Everything that is recognised on a device.
    fn signatures(&self, device: &str) -> Result<Vec<Signature>, String>;

    /// Stop arrays and remove volumes, what lies on top first. What stays is found by the next survey.
    fn take_apart(&self, holders: Vec<&ListedDevice>);

    /// Have the kernel read the table of this disk again.
    fn reread(&self, disk: &str);
}

/// This machine, or a recorded tree.
pub(super) struct System<'a> {
    pub(super) root: &'a Root,
    pub(super) context: &'a dyn Context,
}

impl Machine for System<'_> {
    fn root(&self) -> &Root {
        self.root
    }

    fn assemble(&self) {
        settle::wait(self.root, settle::LIMIT);
        assemble(self.root);
        settle::wait(self.root, settle::LIMIT);
    }

    fn read(&self, device: &str, offset: u64, length: usize) -> Option<Vec<u8>> {
        self.root.read_disk(device, offset, length).ok()
    }

    fn contents(&self, device: &ListedDevice) -> Contents {
        let name = &device.device.name;
        // What was written through a partition is not in what the kernel keeps of its disk.
        if self.root.is_system()
            && let Err(error) = page_cache::flush_buffers(&self.root.path(name))
        {
            debug!(device = name, %error, "the kernel's copy of it was not dropped");
        }
        signatures::contents(&self.root.path(name)).unwrap_or_else(|error| {
            warn!(device = name, %error, "could not be searched for shared file systems");
            Contents::default()
        })
    }

    fn with_medium(
        &self,
        device: &str,
        work: &mut dyn FnMut(&dyn Medium) -> Result<(), String>,
    ) -> Result<(), String> {
        let disk = self.open(device)?;
        work(&disk)
    }

    fn signatures(&self, device: &str) -> Result<Vec<Signature>, String> {
        signatures::find(&self.root.path(device)).map_err(|error| error.to_string())
    }

    fn take_apart(&self, holders: Vec<&ListedDevice>) {
        let arrays = holders.iter().filter(|holder| is_array(holder));
        let arrays: Vec<String> = arrays.map(|array| array.kname.clone()).collect();
        take_apart(
            self.root,
            holders,
            "so that arrays can be deleted",
            self.context,
        );
        let deadline = Instant::now() + exclusive::LIMIT;
        while let Some(array) = arrays.iter().find(|array| is_monitored(self.root, array)) {
            if Instant::now() >= deadline || self.context.is_cancelled() {
                warn!(array, "mdmon still runs, and can write superblocks anew");
                break;
            }
            thread::sleep(exclusive::PAUSE);
        }
    }

    fn reread(&self, disk: &str) {
        let outcome = self
            .open(disk)
            .and_then(|opened| opened.reread_partitions().map_err(|error| chain(&error)));
        if let Err(error) = outcome {
            warn!(
                device = disk,
                error, "the kernel keeps partitions that are gone"
            );
        }
        settle::wait(self.root, settle::LIMIT);
    }
}

impl System<'_> {
    fn open(&self, device: &str) -> Result<Disk, String> {
        exclusive::open(self.root, device, self.context).map_err(|NotOpened { users, source }| {
            match users.as_slice() {
                [] => chain(&source),
                users => users.join(", "),
            }
        })
    }
}

/// Whether mdmon runs for this container. It writes the superblocks of firmware's arrays, those of a stopped one
/// too: that its volumes are clean.
fn is_monitored(root: &Root, kname: &str) -> bool {
    let process = root.number(format!("/run/mdadm/{kname}.pid"));
    process.is_some_and(|process| root.is_dir(format!("/proc/{process}")))
}

/// The superblocks on a device.
pub(super) fn superblocks(machine: &dyn Machine, device: &ListedDevice) -> Vec<RaidSuperblock> {
    let read = |offset, length| machine.read(&device.device.name, offset, length);
    RaidSuperblock::all(device.device.size, device.device.logical_sectors, &read)
}

/// Open a device for this process alone and do this, if it is still the one that was surveyed: its name can be another
/// disk's by now, and not again while it is open.
pub(super) fn with_surveyed(
    machine: &dyn Machine,
    device: &ListedDevice,
    work: &mut dyn FnMut(&dyn Medium) -> Result<(), String>,
) -> Result<(), String> {
    machine.with_medium(&device.device.name, &mut |medium| {
        let now = diskseq(machine.root(), device);
        match (device.diskseq, now) {
            (Some(then), Some(now)) if then != now => Err(format!(
                "another disk has its name by now (the kernel's disk {now}; it was {then}), and stays as it is"
            )),
            _ => work(medium),
        }
    })
}

/// The kernel's number of the disk that has this device's name now, or whose partition it is.
fn diskseq(root: &Root, device: &ListedDevice) -> Option<u64> {
    let disk = match device.parents.as_slice() {
        [disk] if device.kind == "part" && !device.kname.starts_with("dm-") => disk,
        _ => &device.kname,
    };
    root.number(format!("/sys/block/{disk}/diskseq"))
}

/// Remove all metadata of a device and see that it is gone.
pub(super) fn wipe(machine: &dyn Machine, listed: &ListedDevice) -> Result<(), String> {
    let device = &listed.device.name;
    with_surveyed(machine, listed, &mut |medium| {
        wipe::wipe(medium, device, || {
            machine.signatures(device).map_err(NotWiped::Searched)
        })
        .map_err(|error| match error {
            NotWiped::Searched(why) => why,
            NotWiped::Wiped(error) => chain(&error),
        })
    })
}

enum NotWiped {
    Searched(String),
    Wiped(WipeError),
}

impl From<WipeError> for NotWiped {
    fn from(error: WipeError) -> Self {
        Self::Wiped(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::recording::Recording;

    #[test]
    fn another_disk_of_the_same_name_is_not_written() {
        let recording = Recording::unpack(
            "/sys/block/sda/diskseq = 4\n/dev/sda =\n/dev/sda1 =\n/sys/block/dm-0/diskseq = 9\n/dev/dm-0 =\n",
        );
        let root = &recording.root();
        let machine = System {
            root,
            context: &farrier_plugin::SilentContext,
        };
        let written = |kname: &str, kind: &str, parent: &[&str], diskseq| {
            let mut device = ListedDevice {
                kname: kname.to_owned(),
                kind: kind.to_owned(),
                parents: parent.iter().map(|&parent| parent.to_owned()).collect(),
                diskseq,
                ..ListedDevice::default()
            };
            device.device.name = format!("/dev/{kname}");
            let mut is_reached = false;
            let outcome = with_surveyed(&machine, &device, &mut |_| {
                is_reached = true;
                Ok(())
            });
            assert_eq!(outcome.is_ok(), is_reached, "{outcome:?}");
            is_reached
        };
        for (kname, kind, parent) in [("sda", "disk", &[][..]), ("sda1", "part", &["sda"])] {
            assert!(written(kname, kind, parent, Some(4)), "{kname}");
            assert!(written(kname, kind, parent, None), "{kname}");
            assert!(!written(kname, kind, parent, Some(3)), "{kname}");
        }
        // A partition of a multipath map is a volume of its own.
        assert!(written("dm-0", "part", &["dm-1"], Some(9)));
    }

    #[test]
    fn a_container_whose_monitor_has_ended_is_not_waited_for() {
        let recording =
            Recording::unpack("/run/mdadm/md126.pid = 77\n/run/mdadm/md127.pid = 78\n/proc/77/\n");
        let root = recording.root();
        assert!(is_monitored(&root, "md126"));
        assert!(!is_monitored(&root, "md127"));
        assert!(!is_monitored(&root, "md0"));
    }
}
