use std::collections::{BTreeMap, BTreeSet};

use farrier_plugin::{ErrorKind, SilentContext};
use proptest::prelude::*;

use super::*;
use crate::block::skip::SkipList;
use crate::block::stack::Stack;
use crate::sys::recording::Recording;
use crate::sys::run_files;

/// Four disks, each with a partition.
const DISKS: &str = "/sys/block/sda/dev = 8:0\n/sys/block/sda/size = 8000\n\
     /sys/block/sda/sda1/dev = 8:1\n/sys/block/sda/sda1/size = 4000\n/sys/block/sda/sda1/partition = 1\n\
     /sys/block/sdb/dev = 8:16\n/sys/block/sdb/size = 8000\n\
     /sys/block/sdb/sdb1/dev = 8:17\n/sys/block/sdb/sdb1/size = 4000\n/sys/block/sdb/sdb1/partition = 1\n\
     /sys/block/sdc/dev = 8:32\n/sys/block/sdc/size = 8000\n\
     /sys/block/sdd/dev = 8:48\n/sys/block/sdd/size = 8000\n";

/// A device made of these, with the lines of its attributes.
fn made(kname: &str, of: &[&str], attributes: &str) -> String {
    let number = match kname.strip_prefix("dm-") {
        Some(minor) => format!("253:{minor}"),
        None => format!(
            "9:{}",
            kname.trim_start_matches(|c: char| !c.is_ascii_digit())
        ),
    };
    let sysfs = format!("/sys/block/{kname}");
    let members: String = of
        .iter()
        .map(|member| format!("{sysfs}/slaves/{member}/\n"))
        .collect();
    format!("{sysfs}/dev = {number}\n{sysfs}/size = 4000\n{members}{attributes}")
}

fn mirror(kname: &str, of: &[&str]) -> String {
    made(kname, of, &format!("/sys/block/{kname}/md/level = raid1\n"))
}

fn volume(kname: &str, of: &[&str], uuid: &str) -> String {
    made(kname, of, &format!("/sys/block/{kname}/dm/uuid = {uuid}\n"))
}

fn mounted(lines: &[&str]) -> String {
    let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
    format!("/proc/self/mountinfo <<\n{lines}.\n")
}

/// What would go for an image on this disk: mounts, swaps, holders by kernel name.
type Found = (Vec<String>, Vec<String>, Vec<String>);

struct Machine {
    recording: Recording,
    contents: BTreeMap<String, Contents>,
    protected: Protected,
}

impl Machine {
    fn with(parts: &[String]) -> Self {
        Self {
            recording: Recording::unpack(&format!("{DISKS}{}", parts.concat())),
            contents: BTreeMap::new(),
            protected: Protected {
                shared_file_systems: true,
                ..Protected::default()
            },
        }
    }

    fn holding(mut self, kname: &str, kind: &str) -> Self {
        let kind = Some(kind.to_owned());
        let contents = Contents {
            kind,
            ..Contents::default()
        };
        self.contents.insert(kname.to_owned(), contents);
        self
    }

    fn skipping(mut self, hints: serde_json::Value) -> Self {
        let node = serde_json::json!({"properties": {"skip_block_devices": hints}});
        let node = serde_json::from_value(node).unwrap();
        self.protected.skipped = SkipList::from_node(&node).unwrap();
        self
    }

    fn find(&self, disk: &str) -> Result<Found, DeployError> {
        let root = self.recording.root();
        let devices = all_devices(&root).unwrap();
        let contents = |device: &ListedDevice| {
            let contents = self.contents.get(&device.kname);
            contents.cloned().unwrap_or_default()
        };
        let survey = Survey::of(&root, &devices, disk, &self.protected, &contents)?.unwrap();
        survey.check()?;
        let found = survey.in_the_way()?;
        let mounts = found.mounts.into_iter().map(|mounted| mounted.place);
        let holders = found.holders.into_iter().map(|holder| holder.kname.clone());
        Ok((mounts.collect(), found.swaps, holders.collect()))
    }

    fn holders(&self, disk: &str) -> Vec<String> {
        self.find(disk).unwrap().2
    }

    fn refusal(&self, disk: &str) -> DeployError {
        self.find(disk).unwrap_err()
    }
}

#[test]
fn what_lies_on_the_chosen_disk_goes_from_the_top_and_nothing_else() {
    // LVM on an array over two disks, a group of volumes over two others, and an array without the chosen disk.
    let machine = Machine::with(&[
        mirror("md0", &["sda1", "sdb"]),
        volume("dm-0", &["md0"], "LVM-a"),
        volume("dm-1", &["dm-0"], "CRYPT-LUKS2-a"),
        volume("dm-2", &["sda", "sdc"], "LVM-b"),
        mirror("md9", &["sdc", "sdd"]),
        "/sys/block/md0/md0p1/dev = 259:0\n/sys/block/md0/md0p1/size = 8\n\
         /sys/block/md0/md0p1/partition = 1\n"
            .to_owned(),
    ]);
    // Kernel numbers decide between what has as much beneath it.
    assert_eq!(machine.holders("sda"), ["dm-1", "dm-0", "md0", "dm-2"]);
    assert_eq!(machine.holders("sdd"), ["md9"]);
    assert_eq!(machine.holders("md0"), ["dm-1", "dm-0"]);
    assert!(Machine::with(&[]).holders("sda").is_empty());
}

#[test]
fn a_multipath_map_is_a_disk_and_one_over_a_chosen_disk_goes() {
    let machine = Machine::with(&[
        volume("dm-0", &["sda", "sdb"], "mpath-3600a"),
        "/sys/block/sda/holders/dm-0/\n/sys/block/sdb/holders/dm-0/\n".to_owned(),
        volume("dm-1", &["dm-0"], "part1-mpath-3600a"),
        mirror("md0", &["dm-1", "sdc"]),
    ]);
    assert_eq!(machine.holders("dm-0"), ["md0", "dm-1"]);
    assert_eq!(machine.holders("sda"), ["md0", "dm-1", "dm-0"]);
}

#[test]
fn an_array_on_something_protected_is_not_taken_apart() {
    let array = || Machine::with(&[mirror("md0", &["sda1", "sdb1"])]);
    assert_eq!(array().holders("sda"), ["md0"]);
    // By the skip list the chosen disk itself is protected with the array on it.
    let error = array()
        .skipping(serde_json::json!([{"name": "/dev/sdb"}]))
        .refusal("sda");
    assert_eq!(error.kind(), ErrorKind::ProtectedDevice);
    assert!(error.to_string().contains("skip_block_devices"), "{error}");
    // A shared file system beside the array, on the other disk.
    let error = array().holding("sdb", "gfs2").refusal("sda");
    assert!(matches!(error, DeployError::HolderProtected { .. }));
    for part in ["/dev/md0", "/dev/sda", "/dev/sdb", "Global File System 2"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    // The skip list names only the disk beside it, by what an array's name protects.
    let mut own = array();
    own.protected.arrays = true;
    let error = own.refusal("sda");
    assert!(error.to_string().contains("RAID configuration"), "{error}");
    own.find("sdc").unwrap();
}

#[test]
fn what_an_erase_leaves_alone_is_not_written() {
    for kind in ["gfs2", "ocfs2", "VMFS_volume_member"] {
        for place in ["sda", "sda1", "md0"] {
            let machine = Machine::with(&[mirror("md0", &["sda1", "sdb"])]).holding(place, kind);
            let error = machine.refusal("sda");
            assert!(
                matches!(error, DeployError::RootProtected { .. }),
                "{error}"
            );
            assert!(
                error.to_string().contains("wipe_special_filesystems"),
                "{error}"
            );
            machine.find("sdc").unwrap();
            let mut allowed = machine;
            allowed.protected.shared_file_systems = false;
            allowed.find("sda").unwrap();
        }
    }
    let read_only = Machine::with(&["/sys/block/sda/ro = 1\n".to_owned()]);
    assert!(read_only.refusal("sda").to_string().contains("read-only"));
    let flash = Machine::with(&[made("mtdblock0", &[], "")]);
    assert!(flash.refusal("mtdblock0").to_string().contains("firmware"));
    let skipped = Machine::with(&[]).skipping(serde_json::json!([{"name": "/dev/sda"}]));
    assert!(
        skipped
            .refusal("sda")
            .to_string()
            .contains("skip_block_devices")
    );
}

#[test]
fn a_member_of_an_array_that_does_not_run_stays_where_arrays_are_protected_by_name() {
    let idle = || {
        let name = "/run/udev/data/b9:0 = E:MD_NAME=web:root\n".to_owned();
        Machine::with(&[mirror("md0", &["sdb1"]), name]).holding("sda1", "linux_raid_member")
    };
    assert!(idle().holders("sda").is_empty());
    let named = idle().skipping(serde_json::json!([{"volume_name": "data"}]));
    let error = named.refusal("sda").to_string();
    assert!(
        error.contains("/dev/sda1 is a member of an array that does not run"),
        "{error}"
    );
    // One that runs has a name, and that is another.
    let running = named.holding("sdb1", "linux_raid_member");
    assert_eq!(running.holders("sdb"), ["md0"]);
    let mut own = idle();
    own.protected.arrays = true;
    assert!(
        own.refusal("sda")
            .to_string()
            .contains("RAID configuration")
    );
}

#[test]
fn mounts_and_swap_of_the_disk_alone_go() {
    let machine = Machine::with(&[
        mirror("md0", &["sda1"]),
        mounted(&[
            "20 1 0:2 / / rw - rootfs rootfs rw",
            "21 20 8:0 / /mnt/a rw - ext4 /dev/sda rw",
            "22 20 8:17 / /mnt/b rw - ext4 /dev/sdb1 rw",
            "23 20 9:0 / /mnt/a/c rw - xfs /dev/md0 rw",
        ]),
        "/proc/swaps <<\n/dev/sda1 partition 1 0 -2\n/dev/sdb partition 1 0 -3\n\
         /mnt/a/swap file 1 0 -4\n/mnt/b/swap file 1 0 -5\n.\n"
            .to_owned(),
    ]);
    let (mounts, swaps, holders) = machine.find("sda").unwrap();
    assert_eq!(mounts, ["/mnt/a", "/mnt/a/c"]);
    assert_eq!(swaps, ["/dev/sda1", "/mnt/a/swap"]);
    assert_eq!(holders, ["md0"]);
    assert_eq!(machine.find("sdc").unwrap(), Found::default());
}

#[test]
fn what_the_agent_runs_from_and_what_lies_on_other_disks_too_stays_mounted() {
    let own = format!(
        "21 20 8:1 / {} rw - ext4 /dev/sda1 rw",
        run_files::DIRECTORY
    );
    let on_disk = [
        "20 1 8:17 / / rw - ext4 /dev/sdb1 rw",
        "21 20 8:1 / /home rw - ext4 /dev/sda1 rw",
    ];
    let btrfs = "/sys/fs/btrfs/a/devices/sda1/\n/sys/fs/btrfs/a/devices/sdc/\n".to_owned();
    let cases = [
        (mounted(&[&own]), "the agent runs from it"),
        (mounted(&on_disk), "does not run from memory"),
        (
            mirror("md0", &["sda1", "sdb"]) + &mounted(&["21 20 9:0 / /mnt rw - ext4 /dev/md0 rw"]),
            "it lies on /dev/sdb too",
        ),
        (
            btrfs + &mounted(&["21 20 0:40 / /mnt rw - btrfs /dev/sdc rw"]),
            "it lies on /dev/sdc too",
        ),
    ];
    for (part, told) in cases {
        let error = Machine::with(&[part]).refusal("sda");
        assert!(matches!(error, DeployError::RootMounted { .. }), "{error}");
        assert!(error.to_string().contains(told), "{error}");
    }
}

#[test]
fn nothing_is_taken_apart_in_a_recorded_tree() {
    let machine = Machine::with(&[
        mirror("md0", &["sda", "sdb"]),
        "/dev/sda =\n/dev/md0 =\n/dev/sdb =\n".to_owned(),
    ]);
    let root = machine.recording.root();
    // Told, and left to whoever opens the device.
    release(&root, "/dev/sda", &machine.protected, &SilentContext).unwrap();
    release(&root, "/dev/vendors", &machine.protected, &SilentContext).unwrap();
    assert!(root.is_dir("/sys/block/md0"));
}

#[test]
fn swap_that_stays_keeps_what_it_lies_on() {
    // Switching off fails here, since it is a plain file.
    let machine = Machine::with(&[
        volume("dm-0", &["sda"], "LVM-a"),
        "/dev/sda =\n/dev/dm-0 =\n/proc/swaps = /dev/dm-0 partition 1 0 -2\n".to_owned(),
    ]);
    let root = machine.recording.root();
    let error = release(&root, "/dev/sda", &machine.protected, &SilentContext).unwrap_err();
    assert!(matches!(error, DeployError::RootSwapped { .. }), "{error}");
    assert!(
        error.to_string().contains("/dev/dm-0 on it is swapped to"),
        "{error}"
    );
}

proptest! {
    /// Whatever lies on what: each thing that goes has the chosen device below it, comes before what it lies
    /// on, and everything that has the chosen device below it and is no partition goes.
    #[test]
    fn what_is_taken_apart_has_the_root_device_below_it(
        layers in proptest::collection::vec(
            (any::<bool>(), proptest::collection::btree_set(0_usize..64, 1..4)), 0..10),
        chosen in 0_usize..16,
    ) {
        let mut names: Vec<String> = ["sda", "sda1", "sdb", "sdb1", "sdc", "sdd"].map(str::to_owned).into();
        let mut lines = Vec::new();
        for (index, (is_array, members)) in layers.iter().enumerate() {
            let members: BTreeSet<&str> =
                members.iter().map(|member| names[member % names.len()].as_str()).collect();
            let members: Vec<&str> = members.into_iter().collect();
            let (name, line) = match is_array {
                true => {
                    let name = format!("md{index}");
                    let line = mirror(&name, &members);
                    (name, line)
                }
                false => {
                    let name = format!("dm-{index}");
                    let line = volume(&name, &members, "LVM-a");
                    (name, line)
                }
            };
            lines.push(line);
            names.push(name);
        }
        let chosen = names[chosen % names.len()].clone();
        let machine = Machine::with(&lines);
        let taken = machine.holders(&chosen);
        let devices = all_devices(&machine.recording.root()).unwrap();
        let stack = Stack(&devices);
        let below = |name: &str| -> Vec<&str> {
            let device = devices.iter().find(|device| device.kname == name).unwrap();
            let carriers = stack.with_what_carries(device).into_iter();
            carriers.map(|carrier| carrier.kname.as_str()).collect()
        };
        for (index, name) in taken.iter().enumerate() {
            prop_assert!(*name != chosen && below(name).contains(&chosen.as_str()), "{name} {chosen}");
            for later in &taken[index + 1..] {
                prop_assert!(!below(later).contains(&name.as_str()), "{name} before {later}");
            }
        }
        for name in &names[6..] {
            let is_on_it = *name != chosen && below(name).contains(&chosen.as_str());
            prop_assert_eq!(taken.contains(name), is_on_it);
        }
    }
}
