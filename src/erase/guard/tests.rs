use std::fs;

use super::*;

/// A recorded tree with a few devices.
struct Tree(tempfile::TempDir);

impl Tree {
    fn new() -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        tree.put("/proc/self/mountinfo", "");
        tree
    }

    /// A disk with two partitions, the first of which is in an array that runs.
    fn of_half_a_mirror() -> Self {
        let tree = Self::new();
        tree.disk("sda", "8:0");
        tree.partition("sda", "sda1", "8:1");
        tree.partition("sda", "sda2", "8:2");
        tree.disk("md0", "9:0");
        tree.put("/sys/block/md0/md/level", "raid1");
        tree.holds("sda1", "md0");
        tree
    }

    fn put(&self, path: &str, content: &str) {
        let path = self.0.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn disk(&self, kname: &str, number: &str) {
        self.put(&format!("/sys/block/{kname}/dev"), number);
        self.put(&format!("/sys/block/{kname}/size"), "2097152");
        self.put(&format!("/sys/block/{kname}/ro"), "0");
    }

    fn partition(&self, disk: &str, kname: &str, number: &str) {
        let sysfs = format!("/sys/block/{disk}/{kname}");
        self.put(&format!("{sysfs}/partition"), "1");
        self.put(&format!("{sysfs}/dev"), number);
        self.put(&format!("{sysfs}/size"), "2048");
    }

    fn holds(&self, lower: &str, upper: &str) {
        self.put(&format!("/sys/block/{upper}/slaves/{lower}"), "");
    }

    fn guard(&self, policy: Policy, contents: &[(&str, Contents)]) -> Guard {
        let contents: BTreeMap<String, Contents> = contents
            .iter()
            .map(|(name, contents)| ((*name).to_owned(), contents.clone()))
            .collect();
        Guard::survey_with(&Root::at(self.0.path()), policy, move |device| {
            contents.get(&device.kname).cloned().unwrap_or_default()
        })
        .unwrap()
    }
}

const POLICY: Policy = Policy {
    may_destroy: true,
    guard_special_filesystems: true,
    read_only: ReadOnly::Fail,
    keep_idle_members: false,
    keep_arrays: false,
};

fn kind(kind: &str) -> Contents {
    Contents {
        kind: Some(kind.to_owned()),
        ..Contents::default()
    }
}

fn refusal(verdict: Verdict) -> EraseError {
    match verdict {
        Verdict::Refuse(error) => error,
        other => panic!("{other:?}"),
    }
}

fn is_skipped(verdict: &Verdict, reason: &str) -> bool {
    matches!(verdict, Verdict::Skip(given) if given.contains(reason))
}

#[test]
fn an_unused_disk_may_be_erased_in_the_ramdisk_only() {
    let tree = Tree::new();
    tree.disk("sda", "8:0");
    assert!(matches!(
        tree.guard(POLICY, &[]).verdict("/dev/sda"),
        Verdict::Erase
    ));
    let outside = Policy {
        may_destroy: false,
        ..POLICY
    };
    let error = refusal(tree.guard(outside, &[]).verdict("/dev/sda"));
    assert!(matches!(error, EraseError::NotInRamdisk { .. }));
    assert!(error.stops_all());
}

#[test]
fn a_mounted_partition_or_swap_or_volume_protects_its_disk() {
    let tree = Tree::new();
    tree.disk("sda", "8:0");
    tree.partition("sda", "sda1", "8:1");
    tree.disk("sdb", "8:16");
    tree.disk("sdc", "8:32");
    tree.partition("sdc", "sdc1", "8:33");
    tree.disk("dm-0", "253:0");
    tree.holds("sdc1", "dm-0");
    tree.disk("sdd", "8:48");
    tree.put(
        "/proc/self/mountinfo",
        "22 1 8:1 / /mnt/a rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
         23 1 0:44 /sub /mnt/b rw - btrfs /dev/dm-0 rw\n",
    );
    tree.put(
        "/proc/swaps",
        "Filename\t\t\t\tType\t\tSize\n/dev/sdb                partition\t1024\n",
    );
    let guard = tree.guard(POLICY, &[]);
    for (name, place) in [
        ("/dev/sda", "/mnt/a"),
        ("/dev/sda1", "/mnt/a"),
        ("/dev/sdb", "swap"),
        ("/dev/sdc", "/mnt/b"),
    ] {
        let error = refusal(guard.verdict(name));
        assert!(error.to_string().contains(place), "{error}");
        assert!(error.stops_all());
    }
    assert!(matches!(guard.verdict("/dev/sdd"), Verdict::Erase));
}

fn in_the_way(guard: &Guard, names: &[&str]) -> Vec<String> {
    let holders = guard.in_the_way(&names.iter().copied().collect());
    holders.iter().map(|holder| holder.kname.clone()).collect()
}

#[test]
fn members_of_arrays_that_are_to_stay_are_left_to_the_array() {
    let tree = Tree::of_half_a_mirror();
    let keeping = Policy {
        keep_arrays: true,
        ..POLICY
    };
    let guard = tree.guard(keeping, &[]);
    for name in ["/dev/sda", "/dev/sda1"] {
        let verdict = guard.verdict(name);
        assert!(matches!(&verdict, Verdict::Beside(reason) if reason.contains("md0")));
    }
    assert!(matches!(guard.verdict("/dev/sda2"), Verdict::Erase));
    assert!(matches!(guard.verdict("/dev/md0"), Verdict::Erase));
    assert!(in_the_way(&guard, &["/dev/sda", "/dev/md0"]).is_empty());

    // What else lies on the disk is still in the way, and what lies on the array is the array's.
    tree.disk("dm-0", "253:0");
    tree.holds("md0", "dm-0");
    let guard = tree.guard(keeping, &[]);
    assert!(matches!(guard.verdict("/dev/sda"), Verdict::Beside(_)));
    // A volume on the array and beside it.
    tree.holds("md0", "dm-1");
    tree.holds("sda2", "dm-1");
    tree.disk("dm-1", "253:1");
    let error = refusal(tree.guard(keeping, &[]).verdict("/dev/sda"));
    assert!(matches!(&error, EraseError::Held { holders, .. } if holders == "dm-1"));
    for volume in ["dm-0", "dm-1"] {
        fs::remove_dir_all(tree.0.path().join("sys/block").join(volume)).unwrap();
    }

    // One that does not run is not erased through anything.
    tree.put("/sys/block/md0/size", "0");
    for name in ["/dev/sda", "/dev/sda1"] {
        let error = refusal(tree.guard(keeping, &[]).verdict(name));
        assert!(matches!(&error, EraseError::NotRunning { array, .. } if array == "/dev/md0"));
    }
    // A set of disks that firmware's array lies on has no size either.
    tree.disk("md1", "9:1");
    tree.holds("sda1", "md1");
    assert!(matches!(
        tree.guard(keeping, &[]).verdict("/dev/sda"),
        Verdict::Beside(_)
    ));
    fs::remove_dir_all(tree.0.path().join("sys/block/md1")).unwrap();
    tree.put("/sys/block/md0/size", "2097152");

    // Any other that still runs after it was to be stopped keeps its members from being erased.
    let guard = tree.guard(POLICY, &[]);
    let error = refusal(guard.verdict("/dev/sda"));
    assert!(matches!(&error, EraseError::Held { holders, .. } if holders == "md0"));
    assert!(!error.stops_all());
    assert!(matches!(guard.verdict("/dev/md0"), Verdict::Erase));
    assert_eq!(in_the_way(&guard, &["/dev/sda", "/dev/md0"]), ["md0"]);
}

#[test]
fn what_lies_on_top_is_taken_apart_first_and_nothing_of_a_disk_that_stays() {
    let tree = Tree::new();
    for (index, disk) in ["sda", "sdb", "sdc", "sdd"].iter().enumerate() {
        tree.disk(disk, &format!("8:{}", index * 16));
    }
    tree.partition("sda", "sda1", "8:1");
    // A volume on an array on a partition and a disk, and on another disk.
    tree.disk("md127", "9:127");
    tree.put("/sys/block/md127/md/level", "raid1");
    tree.holds("sda1", "md127");
    tree.holds("sdb", "md127");
    tree.disk("dm-1", "253:1");
    tree.holds("md127", "dm-1");
    tree.holds("sdc", "dm-1");
    // Two paths to one disk, and a volume on it.
    tree.disk("dm-2", "253:2");
    tree.put("/sys/block/dm-2/dm/uuid", "mpath-3600");
    tree.put("/sys/block/sdd/holders/dm-2", "");
    tree.holds("sdd", "dm-2");
    tree.disk("dm-0", "253:0");
    tree.holds("dm-2", "dm-0");
    let guard = tree.guard(POLICY, &[]);
    let all = ["/dev/sda", "/dev/sdb", "/dev/sdc", "/dev/dm-2"];
    assert_eq!(in_the_way(&guard, &all), ["dm-1", "md127", "dm-0"]);
    assert_eq!(in_the_way(&guard, &all[..3]), ["dm-1", "md127"]);
    assert_eq!(in_the_way(&guard, &["/dev/sda", "/dev/sdb"]), ["md127"]);
    assert!(in_the_way(&guard, &["/dev/sda", "/dev/sdc"]).is_empty());
    assert!(in_the_way(&guard, &["/dev/md127"]).is_empty());

    let node = serde_json::json!({"properties": {"skip_block_devices": [{"name": "/dev/sdc"}]}});
    let list = SkipList::from_node(&serde_json::from_value(node).unwrap()).unwrap();
    let guard = tree.guard(POLICY, &[]).sparing(&list).unwrap();
    assert_eq!(in_the_way(&guard, &all), ["dm-0"]);
}

#[test]
fn a_partition_that_is_a_volume_is_named_once() {
    let tree = Tree::new();
    tree.disk("sda", "8:0");
    tree.disk("md0", "9:0");
    tree.put("/sys/block/md0/md/level", "raid1");
    tree.holds("sda", "md0");
    tree.partition("md0", "md0p1", "259:0");
    // As kpartx makes them.
    tree.disk("dm-0", "253:0");
    tree.put("/sys/block/dm-0/dm/uuid", "part1-md0");
    tree.holds("md0", "dm-0");
    let guard = tree.guard(POLICY, &[]);
    let holders = guard.in_the_way(&BTreeSet::from(["/dev/sda"]));
    let gone = guard.gone_with(&holders);
    let names: Vec<_> = gone.iter().map(|device| device.kname.as_str()).collect();
    assert_eq!(names, ["dm-0", "md0", "md0p1"]);
    assert_eq!(gone[0].kind, "part");
}

#[test]
fn members_of_idle_arrays_are_erased_unless_arrays_are_protected_by_name() {
    let tree = Tree::new();
    tree.disk("sda", "8:0");
    tree.partition("sda", "sda1", "8:1");
    let contents = [("sda1", kind("linux_raid_member"))];
    assert!(matches!(
        tree.guard(POLICY, &contents).verdict("/dev/sda"),
        Verdict::Erase
    ));
    let keeping = Policy {
        keep_idle_members: true,
        ..POLICY
    };
    let guard = tree.guard(keeping, &contents);
    assert!(is_skipped(&guard.verdict("/dev/sda"), "does not run"));
    assert!(is_skipped(&guard.verdict("/dev/sda1"), "does not run"));
}

#[test]
fn an_idle_array_is_told_from_protected_ones_by_its_name_and_not_lost_where_the_node_counts_on_it()
{
    let tree = Tree::new();
    tree.disk("sda", "8:0");
    tree.partition("sda", "sda1", "8:1");
    let list = SkipList::from_node(
        &serde_json::from_value(serde_json::json!({
            "properties": {"skip_block_devices": [{"volume_name": "data"}]}
        }))
        .unwrap(),
    )
    .unwrap();
    let verdict = |name: Option<&str>, keep_arrays| {
        let member = Contents {
            label: name.map(str::to_owned),
            ..kind("linux_raid_member")
        };
        let policy = Policy {
            keep_idle_members: true,
            keep_arrays,
            ..POLICY
        };
        let guard = tree.guard(policy, &[("sda1", member)]);
        guard.sparing(&list).unwrap().verdict("/dev/sda")
    };
    for keep_arrays in [false, true] {
        assert!(is_skipped(
            &verdict(Some("host7:data"), keep_arrays),
            "array data"
        ));
    }
    // The last tenant's, alone and before a protected one.
    assert!(matches!(verdict(Some("any:root"), false), Verdict::Erase));
    tree.partition("sda", "sda2", "8:2");
    let both = [("sda1", "any:root"), ("sda2", "any:data")].map(|(kname, name)| {
        let label = Some(name.to_owned());
        (
            kname,
            Contents {
                label,
                ..kind("linux_raid_member")
            },
        )
    });
    let policy = Policy {
        keep_idle_members: true,
        ..POLICY
    };
    let guard = tree.guard(policy, &both).sparing(&list).unwrap();
    assert!(is_skipped(&guard.verdict("/dev/sda"), "array data"));
    assert!(is_skipped(&verdict(None, false), "has no name"));
    for (name, told) in [(Some("any:root"), "the array root,"), (None, "an array,")] {
        let error = refusal(verdict(name, true));
        assert!(!error.stops_all());
        let error = error.to_string();
        assert!(
            error.contains(told) && error.contains("/dev/sda1"),
            "{error}"
        );
        assert!(error.contains("delete_configuration"), "{error}");
    }
}

#[test]
fn members_of_an_idle_array_stay_beside_one_that_runs_too() {
    let tree = Tree::of_half_a_mirror();
    let list = SkipList::from_node(
        &serde_json::from_value(serde_json::json!({
            "properties": {"skip_block_devices": [{"volume_name": "data"}]}
        }))
        .unwrap(),
    )
    .unwrap();
    let verdict = |name: Option<&str>, place: &str| {
        let member = |name: Option<&str>| Contents {
            label: name.map(str::to_owned),
            ..kind("linux_raid_member")
        };
        let policy = Policy {
            keep_idle_members: true,
            keep_arrays: true,
            ..POLICY
        };
        let contents = [("sda1", member(Some("any:root"))), (place, member(name))];
        let guard = tree.guard(policy, &contents);
        guard.sparing(&list).unwrap().verdict("/dev/sda")
    };
    assert!(is_skipped(
        &verdict(Some("host7:data"), "sda2"),
        "array data"
    ));
    for (name, told) in [(Some("any:swap"), "the array swap,"), (None, "an array,")] {
        let error = refusal(verdict(name, "sda2")).to_string();
        assert!(
            error.contains(told) && error.contains("/dev/sda2"),
            "{error}"
        );
    }
    // What the member of the array that runs says is no other one; what lies on that is its own.
    assert!(matches!(
        verdict(Some("any:root"), "sda1"),
        Verdict::Beside(_)
    ));
    assert!(matches!(
        verdict(Some("any:data"), "md0"),
        Verdict::Beside(_)
    ));
    // The last superblock of a disk can be that of its last partition.
    assert!(matches!(
        verdict(Some("any:root"), "sda"),
        Verdict::Beside(_)
    ));
}

#[test]
fn a_read_only_device_is_skipped_or_fails_alone() {
    let tree = Tree::new();
    tree.disk("sda", "8:0");
    tree.put("/sys/block/sda/ro", "1");
    let error = refusal(tree.guard(POLICY, &[]).verdict("/dev/sda"));
    assert!(error.to_string().contains("read-only"), "{error}");
    assert!(!error.stops_all());
    let skipping = Policy {
        read_only: ReadOnly::Skip,
        ..POLICY
    };
    assert!(is_skipped(
        &tree.guard(skipping, &[]).verdict("/dev/sda"),
        "read-only"
    ));
}

#[test]
fn shared_file_systems_are_protected_wherever_they_lie_on_the_disk() {
    let tree = Tree::new();
    tree.disk("sda", "8:0");
    tree.partition("sda", "sda1", "8:1");
    let table = |kind: &str| Contents {
        partition_types: vec!["0x83".to_owned(), kind.to_owned()],
        ..Contents::default()
    };
    for (kname, contents) in [
        ("sda", table("aa31e02a-400f-11db-9590-000c2911d1b8")),
        ("sda", table("37affc90-ef7d-4e96-91c3-2d7ae055b174")),
        ("sda", table("0xfb")),
        ("sda", kind("gfs2")),
        ("sda1", kind("gfs2")),
        ("sda1", kind("VMFS")),
    ] {
        let error = refusal(
            tree.guard(POLICY, &[(kname, contents.clone())])
                .verdict("/dev/sda"),
        );
        assert!(matches!(error, EraseError::Protected { .. }), "{error}");
        assert!(error.stops_all());
        let allowing = Policy {
            guard_special_filesystems: false,
            ..POLICY
        };
        assert!(matches!(
            tree.guard(allowing, &[(kname, contents)])
                .verdict("/dev/sda"),
            Verdict::Erase
        ));
    }
    assert!(matches!(
        tree.guard(POLICY, &[("sda", kind("ext4"))])
            .verdict("/dev/sda"),
        Verdict::Erase
    ));
}

#[test]
fn virtual_media_are_skipped_but_a_disk_with_their_label_is_not() {
    let label = Contents {
        label: Some("IR-VFD-DEV".to_owned()),
        ..Contents::default()
    };
    let usb = || {
        let tree = Tree::new();
        let device = "sys/devices/pci0000:00/usb1/1-1/host2/target2:0:0/2:0:0:0";
        tree.put(&format!("{device}/block/sda/dev"), "8:0");
        tree.put(&format!("{device}/block/sda/size"), "2880");
        let root = tree.0.path();
        std::os::unix::fs::symlink("../..", root.join(format!("{device}/block/sda/device")))
            .unwrap();
        fs::create_dir_all(root.join("sys/block")).unwrap();
        std::os::unix::fs::symlink(
            format!("../../{device}/block/sda"),
            root.join("sys/block/sda"),
        )
        .unwrap();
        tree
    };
    let tree = usb();
    let guard = tree.guard(POLICY, &[("sda", label.clone())]);
    assert_eq!(guard.devices[0].device.tran.as_deref(), Some("usb"));
    assert!(is_skipped(&guard.verdict("/dev/sda"), "virtual media"));
    assert!(matches!(
        usb().guard(POLICY, &[]).verdict("/dev/sda"),
        Verdict::Erase
    ));
    let boot_image = Contents {
        label: Some("config-2".to_owned()),
        ..Contents::default()
    };
    for (line, skipped) in [("quiet", false), ("quiet boot_method=vmedia", true)] {
        let tree = usb();
        tree.put("/proc/cmdline", line);
        let verdict = tree
            .guard(POLICY, &[("sda", boot_image.clone())])
            .verdict("/dev/sda");
        assert_eq!(is_skipped(&verdict, "virtual media"), skipped, "{line}");
    }

    let tree = Tree::new();
    tree.disk("sda", "8:0");
    assert!(matches!(
        tree.guard(POLICY, &[("sda", label)]).verdict("/dev/sda"),
        Verdict::Erase
    ));
}

#[test]
fn a_volume_of_somebody_else_on_the_disk_is_named() {
    let tree = Tree::new();
    tree.disk("sda", "8:0");
    tree.disk("dm-3", "253:3");
    tree.holds("sda", "dm-3");
    let error = refusal(tree.guard(POLICY, &[]).verdict("/dev/sda"));
    assert!(error.to_string().contains("dm-3"), "{error}");
    assert!(!error.stops_all());
}

#[test]
fn another_disk_of_the_same_name_is_known_by_its_number_and_one_spelt_otherwise_is_the_same() {
    let tree = Tree::new();
    tree.disk("sda", "8:0");
    tree.put("/sys/block/sda/diskseq", "3");
    let root = Root::at(tree.0.path());
    let mut guard = tree.guard(POLICY, &[]);
    guard.devices[0].device.all_serials = vec!["first".to_owned(), "second".to_owned()];
    let now = |serials: &[&str]| {
        let mut now = guard.renewed(&root).unwrap();
        now.devices[0].device.all_serials = serials.iter().map(|&one| one.to_owned()).collect();
        now.devices[0].device.serial = serials.first().map(|&one| one.to_owned());
        now
    };
    assert!(guard.is_same(&now(&["second"]), "/dev/sda"));
    assert!(guard.is_same(&now(&[]), "/dev/sda"));
    assert!(!guard.is_same(&now(&["other"]), "/dev/sda"));
    tree.put("/sys/block/sda/diskseq", "4");
    assert!(!guard.is_same(&now(&["first"]), "/dev/sda"));
    let error = refusal(guard.verdict_now(&root, "/dev/sda"));
    assert!(error.to_string().contains("disk 4"), "{error}");
}
