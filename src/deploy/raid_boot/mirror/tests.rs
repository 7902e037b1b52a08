use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use farrier_plugin::SilentContext;
use uuid::Uuid;

use super::*;
use crate::block::fat_writer::Node;
use crate::block::gpt;
use crate::deploy::boot_entry::Signature;
use crate::deploy::raid_boot::fixture::{DISKS, array, machine, root_array};
use crate::sys::memory_medium::{Fault, MemoryMedium};
use crate::sys::recording::Recording;

/// The mirror beside md0.
fn found(recording: &Recording) -> Option<Mirror> {
    let root = recording.root();
    let all = arrays(&root).unwrap();
    let beside = all.iter().find(|array| array.kname == "md0").unwrap();
    Mirror::find(&root, &all, beside)
}

#[test]
fn a_mirror_is_known_by_its_name() {
    let with = |more: &str| Recording::unpack(&format!("{DISKS}{}{more}", root_array()));
    assert_eq!(found(&with("")), None);
    let members = &["sda2", "nvme0n1p2"];
    let mirror = found(&with(&array("md127", "esp", "1.0", members))).unwrap();
    assert_eq!(mirror.device, "/dev/md127");
    let names: Vec<&str> = mirror
        .members
        .iter()
        .map(|member| member.device.as_str())
        .collect();
    assert_eq!(names, ["/dev/nvme0n1p2", "/dev/sda2"]);
    // Firmware finds nothing where the metadata is at the start.
    assert_eq!(found(&with(&array("md127", "esp", "1.2", members))), None);
}

#[test]
fn a_mirror_of_another_name_is_known_by_its_partitions_and_its_file_system() {
    let mirror_of = |kind: Uuid| {
        let recording = machine();
        recording.add(&array("md127", "boot", "1.0", &["sda2", "nvme0n1p2"]));
        let root = recording.root();
        for name in ["/dev/sda", "/dev/nvme0n1"] {
            let disk = Disk::open_exclusive(root.path(name)).unwrap();
            let Table::Gpt(mut table) = Table::read(&disk).unwrap() else {
                panic!("no GPT");
            };
            let added = table.add_in_first_gap(550 << 20, kind, Uuid::new_v4(), "boot");
            assert_eq!(added.unwrap().number, 2);
            table.write(&disk).unwrap();
        }
        assert_eq!(found(&recording), None);
        // Also once its file system is empty.
        let device = root.path("/dev/md127");
        File::create(&device).unwrap().set_len(40 << 20).unwrap();
        blank(&Disk::open_exclusive(&device).unwrap()).unwrap();
        found(&recording).map(|mirror| mirror.device)
    };
    assert_eq!(mirror_of(gpt::EFI_SYSTEM).as_deref(), Some("/dev/md127"));
    // Somebody's data on FAT.
    assert_eq!(mirror_of(gpt::LINUX_FILE_SYSTEM), None);
}

#[test]
fn arrays_of_other_disks_are_no_mirror() {
    let other = "/sys/block/sdc/dev = 8:32\n/sys/block/sdc/size = 2000000\n\
         /sys/block/sdc/sdc1/dev = 8:33\n/sys/block/sdc/sdc1/size = 1000000\n/sys/block/sdc/sdc1/partition = 1\n\
         /sys/class/block/sdc1 -> ../../block/sdc/sdc1\n";
    let esp = array("md5", "esp", "1.0", &["sdc1"]);
    let recording = Recording::unpack(&format!("{DISKS}{}{other}{esp}", root_array()));
    assert_eq!(found(&recording), None);
}

/// A mirror with a loader on it.
fn filled() -> MemoryMedium {
    let medium = MemoryMedium::of(vec![0; 8 << 20], 512);
    let boot = Node::directory(
        "BOOT".to_owned(),
        vec![Node::file("BOOTX64.EFI".to_owned(), b"MZ".to_vec())],
    );
    let efi = Node::directory("EFI".to_owned(), vec![boot]);
    fat_writer::write(&medium, 0, 8 << 20, "OLD", 1, &[efi]).unwrap();
    MemoryMedium::of(medium.content(), 512)
}

#[test]
fn a_blank_mirror_boots_nothing_from_its_first_change_on() {
    let mirror = Mirror {
        device: "/dev/md1".to_owned(),
        members: Vec::new(),
    };
    let medium = filled();
    assert!(mirror.is_finished(&medium));
    blank(&medium).unwrap();
    medium.replay(|count, content| {
        let state = MemoryMedium::of(content.to_vec(), 512);
        assert_eq!(
            mirror.is_finished(&state),
            count == 0,
            "after {count} changes"
        );
    });
    let fat = Fat::open(&medium, 0, medium.size()).unwrap().unwrap();
    assert!(fat.root().unwrap().is_empty());
    let failing = filled().failing(Fault::Change(0, libc::EIO));
    assert!(blank(&failing).is_err());
    assert!(mirror.is_finished(&failing));
}

fn make(root: &Root) -> Result<Mirror, RaidBootError> {
    let all = arrays(root).unwrap();
    let beside = all.iter().find(|array| array.kname == "md0").unwrap();
    Mirror::make(root, &all, beside, &SilentContext)
}

#[test]
fn a_mirror_is_made_of_a_partition_on_each_disk() {
    let recording = machine();
    let root = recording.root();
    let mirror = make(&root).unwrap();
    assert_eq!(mirror.device, "/dev/md1");
    let told = fs::read_to_string(root.path("/mdadm.log")).unwrap();
    for word in [
        "--create /dev/md1",
        "--metadata=1.0",
        "--name=esp",
        "--level=1",
        "--raid-devices=2 /dev/nvme0n1p2 /dev/sda2",
    ] {
        assert!(told.contains(word), "{told}");
    }
    let partitions = mirror.boot_partitions(&root, &SilentContext).unwrap();
    let mut signatures = Vec::new();
    for (partition, (device, name)) in partitions.iter().zip([
        ("/dev/nvme0n1", "uefi-holder-0"),
        ("/dev/sda", "uefi-holder-1"),
    ]) {
        assert_eq!(
            (partition.number, partition.first, partition.count),
            (2, 2048, 1_126_400)
        );
        let disk = Disk::open_exclusive(root.path(device)).unwrap();
        let Table::Gpt(table) = Table::read(&disk).unwrap() else {
            panic!("no GPT");
        };
        assert_eq!(table.name(2), name);
        let guid = table.partitions()[1].guid.unwrap();
        assert_eq!(partition.signature, Signature::Gpt(guid));
        signatures.push(guid);
    }
    assert_ne!(signatures[0], signatures[1]);
    assert_eq!(found(&recording).unwrap(), mirror);
}

#[test]
fn a_call_that_was_cut_off_is_made_again() {
    let recording = machine();
    let root = recording.root();
    // The first disk had its partition, with what an array half made leaves in it.
    let name = "/dev/nvme0n1";
    holder::make(&root, name, 0, &SilentContext).unwrap();
    let file = File::options().write(true).open(root.path(name)).unwrap();
    let superblock = (551_u64 << 20) - 8192;
    file.write_all_at(&[0xfc, 0x4e, 0x2b, 0xa9], superblock)
        .unwrap();
    drop(file);
    make(&root).unwrap();
    let disk = Disk::open_exclusive(root.path(name)).unwrap();
    let mut left = [1; 4];
    disk.read_at(superblock, &mut left).unwrap();
    assert_eq!(left, [0; 4]);
    assert_eq!(Table::read(&disk).unwrap().partitions().len(), 2);
}

#[test]
fn nothing_is_written_where_one_disk_has_no_room() {
    let recording = machine();
    let root = recording.root();
    let path = root.path("/dev/sda");
    File::create(&path).unwrap().set_len(700 << 20).unwrap();
    let before = fs::metadata(root.path("/dev/nvme0n1"))
        .unwrap()
        .modified()
        .unwrap();
    let error = make(&root).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("/dev/sda, which holds a member, has no GPT"),
        "{error}"
    );
    let after = fs::metadata(root.path("/dev/nvme0n1"))
        .unwrap()
        .modified()
        .unwrap();
    assert_eq!(before, after);
    assert!(!root.exists("/mdadm.log"));
}

#[test]
fn nothing_in_use_is_written_over_whatever_the_table_says() {
    let recording = machine();
    let root = recording.root();
    let before = fs::read(root.path("/dev/sda")).unwrap();
    recording.add("/sys/block/sda/sda2/holders/dm-0/");
    let error = make(&root).unwrap_err();
    let said = error.to_string();
    assert!(said.contains("/dev/sda2 in use"), "{said}");
    assert!(fs::read(root.path("/dev/sda")).unwrap() == before);
    assert!(!root.exists("/mdadm.log"));
}
