use std::fs;

use super::*;
use crate::sys::recording::Recording;
use crate::sys::test_program;

/// A machine with two partitions, and a program in mdadm's place that does this.
fn machine(program: &str) -> (Recording, Root) {
    let recording =
        Recording::unpack("/dev/sda1 =\n/dev/nvme0n1p1 =\n/sbin/\n/made/\n/sys/block/\n");
    let root = recording.root();
    let tree = root.path("/");
    let text = format!(
        "#!/bin/sh\ntree={}\necho \"$@\" >> $tree/calls\n\
         made() {{ mkdir -p $tree/sys/block/md0/md; echo $1 > $tree/sys/block/md0/md/array_state; touch $tree/dev/md0; }}\n\
         member() {{ mkdir -p $tree/sys/block/md0/md/dev-$1; echo $2 > $tree/sys/block/md0/md/dev-$1/state; \
         echo $3 > $tree/sys/block/md0/md/dev-$1/slot; }}\n{program}\n",
        tree.display()
    );
    test_program::write(&text, &root.path("/sbin/mdadm"));
    (recording, root)
}

fn creation(members: &[String]) -> Creation<'_> {
    Creation {
        device: "/dev/md0",
        level: RaidLevel::Raid1,
        metadata: Metadata::V1_2,
        name: "root",
        members,
    }
}

fn members() -> [String; 2] {
    ["/dev/sda1".to_owned(), "/dev/nvme0n1p1".to_owned()]
}

fn calls(root: &Root) -> Vec<String> {
    let text = fs::read_to_string(root.path("/calls")).unwrap();
    text.lines().map(str::to_owned).collect()
}

const CREATE: &str = "--create /dev/md0 --force --run --metadata=1.2 --homehost=any --bitmap=internal --level=1 \
                      --name=root --raid-devices=2 /dev/sda1 /dev/nvme0n1p1";

#[test]
fn an_array_is_made_and_has_its_members() {
    let (_recording, root) =
        machine("made active; member sda1 in_sync 0; member nvme0n1p1 in_sync 1");
    create(&root, &creation(&members())).unwrap();
    assert_eq!(calls(&root), [CREATE]);
}

#[test]
fn what_firmware_reads_has_its_superblock_at_the_end_and_no_bitmap() {
    let members = members();
    let esp = Creation {
        metadata: Metadata::V1_0,
        name: "esp",
        ..creation(&members)
    };
    let arguments = arguments(&esp);
    assert!(arguments.contains(&"--metadata=1.0".to_owned()));
    assert!(arguments.contains(&"--bitmap=none".to_owned()));
    let striped = Creation {
        level: RaidLevel::Raid0,
        ..creation(&members)
    };
    // mdadm refuses any bitmap for it.
    assert!(
        !super::arguments(&striped)
            .iter()
            .any(|argument| argument.starts_with("--bitmap"))
    );
}

#[test]
fn a_member_that_did_not_come_in_is_put_back() {
    let (_recording, root) = machine(
        "case \"$*\" in\n--create*) made active; member sda1 in_sync 0;;\n\
         *--add*) member nvme0n1p1 spare 1;;\nesac",
    );
    create(&root, &creation(&members())).unwrap();
    assert_eq!(calls(&root), [CREATE, "/dev/md0 --add /dev/nvme0n1p1"]);
}

#[test]
fn a_member_that_fails_is_taken_out_and_put_back_three_times_at_most() {
    let (_recording, root) =
        machine("made active; member sda1 in_sync 0; member nvme0n1p1 faulty none");
    let error = create(&root, &creation(&members())).unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with(
            "Failed re-add /dev/nvme0n1p1 to /dev/md0: it is faulty there after 3 attempts"
        ),
        "{text}"
    );
    let mut expected = vec![CREATE];
    for _ in 0..3 {
        expected.extend([
            "/dev/md0 --remove /dev/nvme0n1p1",
            "/dev/md0 --add /dev/nvme0n1p1",
        ]);
    }
    assert_eq!(calls(&root), expected);
}

#[test]
fn a_member_that_mdadm_does_not_take_back_is_named_with_the_reason() {
    let (_recording, root) = machine(
        "case \"$*\" in\n--create*) made active; member sda1 in_sync 0;;\n\
         *) echo 'mdadm: add new device failed: Invalid argument' >&2; exit 1;;\nesac",
    );
    let error = create(&root, &creation(&members()))
        .unwrap_err()
        .to_string();
    assert!(error.contains("/dev/nvme0n1p1 to /dev/md0"), "{error}");
    assert!(
        error.contains("add new device failed: Invalid argument"),
        "{error}"
    );
    assert_eq!(calls(&root).len(), 4);
}

#[test]
fn a_stripe_without_a_member_is_no_array() {
    let (_recording, root) = machine("made active; member sda1 in_sync 0");
    let members = members();
    let striped = Creation {
        level: RaidLevel::Raid0,
        ..creation(&members)
    };
    let error = create(&root, &striped).unwrap_err().to_string();
    assert!(
        error.contains("/dev/nvme0n1p1") && error.contains("RAID-0 cannot do without it"),
        "{error}"
    );
}

#[test]
fn a_partition_that_is_busy_for_a_moment_is_tried_again() {
    let (_recording, root) = machine(
        "if [ -e $tree/once ]; then made clean; member sda1 in_sync 0; member nvme0n1p1 in_sync 1; exit 0; fi\n\
         touch $tree/once; echo 'mdadm: cannot open /dev/sda1: Device or resource busy' >&2; exit 2",
    );
    create(&root, &creation(&members())).unwrap();
    assert_eq!(calls(&root), [CREATE, CREATE]);
}

#[test]
fn what_mdadm_refuses_is_told_in_its_words() {
    let (_recording, root) =
        machine("echo 'mdadm: RUN_ARRAY failed: Invalid argument' >&2; exit 1");
    let error = create(&root, &creation(&members())).unwrap_err();
    let text = farrier_plugin::chain(&error);
    assert!(
        text.starts_with("Failed to create md device /dev/md0 on /dev/sda1 /dev/nvme0n1p1: "),
        "{text}"
    );
    assert!(
        text.contains("RUN_ARRAY failed: Invalid argument"),
        "{text}"
    );
    assert_eq!(calls(&root).len(), 3);
}

#[test]
fn states_in_which_an_array_can_be_used() {
    // Of array_state, Documentation/admin-guide/md.rst.
    for state in [
        "readonly",
        "read-auto",
        "clean",
        "active",
        "write-pending",
        "active-idle",
    ] {
        assert!(runs(state), "{state}");
    }
    for state in ["clear", "inactive", "suspended", "broken"] {
        assert!(!runs(state), "{state}");
    }
}
