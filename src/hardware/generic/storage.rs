//! Bringing up what lies on several disks: multipath maps and software RAID arrays
//! (contract/control-plane 8.8, contract/data-plane 10.2, 6.7).
//!
//! Nothing on a disk changes here.

use std::collections::BTreeMap;
use std::time::Duration;

use tracing::{info, warn};

use crate::block::list::{self, ListedDevice};
use crate::block::settle;
use crate::raid;
use crate::sys::process::Program;
use crate::sys::root::Root;

/// multipath asks every path whether it works; one that does not answers after its SCSI time limit,
/// 30 s.
const MULTIPATH_LIMIT: Duration = Duration::from_secs(120);

/// Make multipath maps where a disk is there more than once, then assemble the arrays.
///
/// The reference does it the other way round, and its mdadm takes single paths as members of an
/// array on a SAN. It also starts multipathd always; here a machine without a second path to
/// anything is not kept waiting.
pub(super) fn assemble(root: &Root) {
    settle::wait(root, settle::LIMIT);
    let devices = list::all_devices(root).unwrap_or_default();
    let repeated = with_several_paths(&devices);
    if !repeated.is_empty() {
        info!(disks = repeated.len(), "there are disks with several paths");
        for program in multipath() {
            // Without maps the machine still works, path by path.
            if let Err(error) = program.run() {
                warn!(%error, "multipath is not what it should be");
            }
        }
        settle::wait(root, settle::LIMIT);
    }
    raid::assemble(root);
}

/// `multipath` makes the maps and ends when they are there; `multipathd` then looks after them,
/// takes failed paths out and puts them back.
fn multipath() -> [Program; 3] {
    [
        Program::new("/sbin/modprobe").arg("dm_multipath"),
        Program::new("/sbin/multipath")
            .arg("-v1")
            .timeout(MULTIPATH_LIMIT),
        Program::new("/sbin/multipathd"),
    ]
}

/// The world wide names that more than one SCSI disk has. Equal serial numbers are not enough, nor
/// are they for multipath itself: two cheap sticks have them too.
fn with_several_paths(devices: &[ListedDevice]) -> Vec<&str> {
    let mut paths = BTreeMap::<&str, u32>::new();
    for disk in devices {
        if disk.kind == "disk"
            && disk.kname.starts_with("sd")
            && let Some(wwn) = &disk.device.wwn
        {
            *paths.entry(wwn).or_default() += 1;
        }
    }
    paths
        .into_iter()
        .filter(|(_, count)| *count > 1)
        .map(|(wwn, _)| wwn)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::recording::Recording;

    fn repeated(machine: &str) -> Vec<String> {
        let devices = list::all_devices(&Recording::of(machine).root()).unwrap();
        with_several_paths(&devices)
            .into_iter()
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn only_a_disk_that_is_there_twice_needs_multipath() {
        assert_eq!(
            repeated("nvme-multipath"),
            ["0x600a0980aabbccdd0000000000000001"]
        );
        for machine in ["qemu-lab", "sas-4kn", "software-raid"] {
            assert!(repeated(machine).is_empty(), "{machine}");
        }
    }

    #[test]
    fn equal_sticks_are_two() {
        let stick = |name: &str, number: &str| {
            format!(
                "/sys/block/{name}/dev = {number}\n/sys/block/{name}/size = 8\n\
                 /run/udev/data/b{number} = E:ID_SERIAL=Generic_Stick_1\n"
            )
        };
        let recording = Recording::unpack(&(stick("sda", "8:0") + &stick("sdb", "8:16")));
        let devices = list::all_devices(&recording.root()).unwrap();
        assert_eq!(devices.len(), 2);
        assert!(with_several_paths(&devices).is_empty());
    }
}
