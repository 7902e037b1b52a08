use std::fs;

use farrier_plugin::SilentContext;

use super::*;
use crate::block::gpt;
use crate::block::partition::PartitionKind;
use crate::deploy::raid_boot::fixture;
use crate::sys::recording::Recording;

const DISKS: [&str; 2] = ["/dev/nvme0n1", "/dev/sda"];

/// The first bytes of a disk, with boot code and table.
fn start(recording: &Recording, device: &str) -> Vec<u8> {
    fs::read(recording.root().path(device)).unwrap()[..1 << 20].to_vec()
}

/// Whether a BIOS starts something.
fn boots(recording: &Recording, device: &str) -> bool {
    start(recording, device)[..440]
        .iter()
        .any(|byte| *byte != 0)
}

/// Boot code of an earlier system.
fn put_boot_code(recording: &Recording, device: &str) {
    let path = recording.root().path(device);
    let mut content = fs::read(&path).unwrap();
    content[..440].fill(0x5a);
    fs::write(path, content).unwrap();
}

fn put(recording: &Recording, disks: &[&str]) -> Result<(), RaidBootError> {
    let files = BootFiles::fixture();
    put_on_all(&files, disks, &recording.root(), &SilentContext)
}

#[test]
fn each_disk_boots_by_itself_from_a_partition_beside_its_member() {
    let recording = fixture::machine();
    for _ in 0..2 {
        put(&recording, &DISKS).unwrap();
        for (index, device) in DISKS.into_iter().enumerate() {
            assert!(boots(&recording, device));
            let disk = Disk::open_exclusive(recording.root().path(device)).unwrap();
            let Table::Gpt(table) = Table::read(&disk).unwrap() else {
                panic!("a GPT");
            };
            let partitions = table.partitions();
            assert_eq!(partitions.len(), 2);
            assert_eq!(
                (partitions[0].offset, partitions[0].length),
                (551 << 20, 97 << 20)
            );
            assert_eq!(partitions[1].kind, PartitionKind::Gpt(gpt::BIOS_BOOT));
            assert_eq!(table.name(2), format!("bios-boot-part-{index}"));
            // The boot code leads into it.
            let first =
                u64::from_le_bytes(start(&recording, device)[0x5c..0x64].try_into().unwrap());
            assert_eq!(first * 512, partitions[1].offset);
        }
    }
}

#[test]
fn all_disks_that_fail_are_named_and_none_boots() {
    let recording = fixture::machine();
    put_boot_code(&recording, "/dev/sda");
    fs::write(recording.root().path("/dev/nvme0n1"), vec![0; 1 << 20]).unwrap();
    let error = put(&recording, &["/dev/gone", "/dev/nvme0n1", "/dev/sda"]).unwrap_err();
    let said = chain(&error);
    assert!(said.contains("that failed for /dev/gone: "), "{said}");
    assert!(said.contains("; /dev/nvme0n1: "), "{said}");
    assert!(!said.contains("/dev/sda"), "{said}");
    assert!(!boots(&recording, "/dev/sda"));
}

#[test]
fn an_array_is_known_to_grub_or_all_that_is_in_the_way_is_told() {
    let recording = fixture::machine();
    let known = |recording: &Recording| {
        let array = RootArray::of(&recording.root(), "/dev/md0")
            .unwrap()
            .unwrap();
        array.obstacle_for_bios(&recording.root()).unwrap()
    };
    recording.add(
        "/run/udev/data/b9:0 <<\nE:MD_NAME=any:root\nE:MD_UUID=00112233:44556677:8899aabb:ccddeeff\n.\n",
    );
    assert_eq!(known(&recording), None);
    fs::write(recording.root().path("/dev/sda"), vec![0; 1 << 20]).unwrap();
    fs::remove_file(recording.root().path("/dev/nvme0n1")).unwrap();
    recording.add("/sys/block/md0/md/level = linear");
    let said = known(&recording).unwrap();
    for part in [
        "GRUB does not read arrays of its level; ",
        "/dev/nvme0n1",
        "/dev/sda, which holds a member, has no partition table that can be read",
    ] {
        assert!(said.contains(part), "{said}");
    }
}
