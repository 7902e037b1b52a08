//! Tests of skip lists on recorded machines.

use farrier_plugin::Node;
use serde_json::{Value, json};

use super::*;
use crate::block::list::list_block_devices;
use crate::sys::recording::Recording;

fn node(properties: Value) -> Node {
    let Value::Object(fields) = json!({ "properties": properties }) else {
        unreachable!("an object was written");
    };
    Node(fields)
}

/// What is left of the machine's devices with this skip list.
fn unskipped(root: &Root, skip: Value, partitions: bool, purpose: Purpose) -> Vec<String> {
    let devices = list_block_devices(root, partitions).unwrap();
    SkipList::from_node(&node(json!({ "skip_block_devices": skip })))
        .unwrap()
        .retain(root, devices, purpose)
        .unwrap()
        .into_iter()
        .map(|device| device.name)
        .collect()
}

#[test]
fn a_skipped_disk_takes_its_partitions_and_arrays_along() {
    let recording = Recording::of("software-raid");
    let root = recording.root();
    assert_eq!(
        unskipped(
            &root,
            json!([{"serial": "S1"}]),
            true,
            Purpose::WholeDevices
        ),
        [
            "/dev/sdb",
            "/dev/sdc",
            "/dev/sdb1",
            "/dev/sdb2",
            "/dev/sdb3"
        ]
    );
    assert_eq!(
        unskipped(
            &root,
            json!([{"name": "/dev/sdb3"}]),
            true,
            Purpose::WholeDevices
        ),
        [
            "/dev/sda",
            "/dev/sdc",
            "/dev/md0",
            "/dev/md1",
            "/dev/sda1",
            "/dev/sda2",
            "/dev/sda3",
            "/dev/sdb1",
            "/dev/sdb2"
        ]
    );
    assert_eq!(
        unskipped(&root, json!([]), false, Purpose::WholeDevices).len(),
        6
    );
    // A size is meant for disks: it must not protect a disk because a partition has it.
    assert_eq!(
        unskipped(&root, json!([{"size": 100}]), false, Purpose::WholeDevices).len(),
        6
    );
}

#[test]
fn a_protected_volume_is_kept_with_its_disks() {
    let recording = Recording::of("software-raid");
    let root = recording.root();
    let skip = json!([{"volume_name": "data"}]);
    assert_eq!(
        unskipped(&root, skip.clone(), true, Purpose::WholeDevices),
        [
            "/dev/sdc",
            "/dev/md0",
            "/dev/md2",
            "/dev/sda1",
            "/dev/sda3",
            "/dev/sdb1",
            "/dev/sdb3"
        ]
    );
    // md2 has no name and shares its disks with the protected one.
    assert_eq!(
        unskipped(&root, skip, false, Purpose::Metadata),
        ["/dev/sdc"]
    );
}

#[test]
fn all_arrays_that_are_named_are_kept() {
    let recording = Recording::of("software-raid");
    let root = recording.root();
    let both = json!([{"volume_name": "data"}, {"volume_name": "root"}, {"serial": "S3"}]);
    for purpose in [Purpose::WholeDevices, Purpose::Metadata] {
        let left: &[&str] = match purpose {
            Purpose::WholeDevices => &["/dev/md2"],
            Purpose::Metadata => &[],
        };
        assert_eq!(unskipped(&root, both.clone(), false, purpose), left);
    }
    // A name is that without the host before it, in its own case.
    for other in ["host7:root", "Root", "roo", ""] {
        let skip = json!([{ "volume_name": other }]);
        assert_eq!(
            unskipped(&root, skip, false, Purpose::Metadata).len(),
            6,
            "{other}"
        );
    }
}

#[test]
fn the_array_of_the_esp_is_kept_beside_a_kept_one() {
    let recording = Recording::of("software-raid");
    recording.add("/run/udev/data/b9:0 <<\nE:MD_NAME=esp\n.");
    let root = recording.root();
    let skip = json!([{"volume_name": "data"}]);
    assert_eq!(
        unskipped(&root, skip, false, Purpose::WholeDevices),
        ["/dev/sdc", "/dev/md2"]
    );
    let other = json!([{"volume_name": "other"}]);
    assert_eq!(
        unskipped(&root, other, false, Purpose::WholeDevices).len(),
        6
    );
}

#[test]
fn an_array_on_whole_disks_is_kept_with_them() {
    let recording = Recording::of("qemu-arrays");
    let root = recording.root();
    let everything = list_block_devices(&root, false).unwrap().len();
    assert!(everything >= 3);
    for purpose in [Purpose::WholeDevices, Purpose::Metadata] {
        let left = unskipped(&root, json!([{"volume_name": "root"}]), true, purpose);
        for kept in ["/dev/md127", "/dev/sda", "/dev/sdb"] {
            assert!(!left.contains(&kept.to_owned()), "{kept} of {left:?}");
        }
        let left = unskipped(&root, json!([{"volume_name": "data"}]), false, purpose);
        assert_eq!(left.len(), everything);
    }
}

#[test]
fn an_array_whose_name_cannot_be_read_stops_everything() {
    let recording = Recording::of("software-raid");
    recording.add("/run/udev/data/b9:0 =");
    let root = recording.root();
    let devices = list_block_devices(&root, false).unwrap();
    let list = SkipList::from_node(&node(
        json!({"skip_block_devices": [{"volume_name": "data"}]}),
    ))
    .unwrap();
    assert!(matches!(
        list.retain(&root, devices, Purpose::WholeDevices),
        Err(SkipError::UnreadableArray { .. })
    ));
}

#[test]
fn a_skip_list_with_a_mistake_is_refused() {
    for skip in [
        json!("/dev/sda"),
        json!({"name": "/dev/sda"}),
        json!(["/dev/sda"]),
        json!([{"volume_name": 5}]),
        json!([{"serail": "S1"}]),
        // Every device would meet it: nothing would be erased, and the step would be green.
        json!([{}]),
    ] {
        assert!(
            SkipList::from_node(&node(json!({"skip_block_devices": skip}))).is_err(),
            "{skip}"
        );
    }
    assert!(SkipList::from_node(&node(json!({}))).unwrap().is_empty());
}

#[test]
fn a_path_of_a_skipped_volume_protects_the_map() {
    let recording = Recording::of("nvme-multipath");
    assert_eq!(
        unskipped(
            &recording.root(),
            json!([{"serial": "80aabbccdd"}]),
            false,
            Purpose::WholeDevices
        ),
        ["/dev/nvme0n1"]
    );
}
