use super::*;
use crate::block::mbr::{self, Mbr};
use crate::sys::memory_medium::{Fault, MemoryMedium};
use crate::sys::recording::Recording;

const MIB: u64 = 1 << 20;

/// A disk with a GPT and one member, before which this many MiB are; what was there before is everywhere else.
fn gpt_disk(before: u64) -> MemoryMedium {
    let medium = MemoryMedium::of(vec![0xaa; 24 << 20], 512);
    let mut table = Gpt::new(&medium, Uuid::from_u128(7)).unwrap();
    let end = 23 * MIB;
    let kind = gpt::LINUX_FILE_SYSTEM;
    let guid = Uuid::from_u128(8);
    let member = table.add(1, before * MIB, end - before * MIB, kind, guid, "primary");
    member.unwrap();
    table.write(&medium).unwrap();
    Mbr::protective(&medium).write(&medium).unwrap();
    MemoryMedium::of(medium.content(), 512)
}

/// The same with an MBR, the member from this sector on.
fn mbr_disk(first: u64) -> MemoryMedium {
    let medium = MemoryMedium::of(vec![0xaa; 24 << 20], 512);
    let mut table = Mbr::new(&medium, 0x1a2b_3c4d);
    table.add(1, first * 512, MIB, mbr::LINUX, false).unwrap();
    table.write(&medium).unwrap();
    MemoryMedium::of(medium.content(), 512)
}

/// Why there is no place, or nothing.
fn said(medium: &MemoryMedium) -> String {
    let root = Recording::unpack("").root();
    let checked = check(&root, "/dev/sda", medium);
    checked.err().map(|Obstacle(why)| why).unwrap_or_default()
}

/// The partition for GRUB, and its name.
fn found(content: Vec<u8>) -> Option<(Partition, String)> {
    let Table::Gpt(table) = Table::read(&MemoryMedium::of(content, 512)).unwrap() else {
        panic!("no GPT any more");
    };
    assert_eq!(table.partitions()[0].guid, Some(Uuid::from_u128(8)));
    let partition = there(&table)?;
    let name = table.name(partition.number);
    Some((partition, name))
}

/// Whether nothing of what was there is left where a superblock could be.
fn is_blank(content: &[u8], partition: &Partition) -> bool {
    let range = partition.offset as usize..(partition.offset + partition.length) as usize;
    content[range].iter().all(|byte| *byte == 0)
}

#[test]
fn a_partition_is_made_before_the_members_and_found_again() {
    let disk = gpt_disk(8);
    assert_eq!(said(&disk), "");
    make(&disk, 1).unwrap();
    let (partition, name) = found(disk.content()).unwrap();
    assert_eq!((partition.offset, partition.length), (MIB, 2 * MIB));
    assert_eq!((partition.number, name.as_str()), (2, "bios-boot-part-1"));
    assert!(is_blank(&disk.content(), &partition));
    let disk = MemoryMedium::of(disk.content(), 512);
    assert_eq!(said(&disk), "");
    make(&disk, 0).unwrap();
    assert_eq!(disk.log(), [], "it is there");
}

#[test]
fn a_disk_with_an_mbr_has_its_place_already() {
    let disk = mbr_disk(2048);
    assert_eq!(said(&disk), "");
    assert!(matches!(make(&disk, 0).unwrap(), Table::Mbr(_)));
    assert_eq!(disk.log(), []);
}

#[test]
fn a_disk_without_a_place_is_named_with_the_reason() {
    for (disk, words) in [
        (mbr_disk(63), "has room of 31744 bytes"),
        (mbr_disk(1), "has room of 0 bytes"),
        (gpt_disk(2), "no unused space of 2 MiB"),
        (
            MemoryMedium::of(vec![0; 1 << 20], 512),
            "no partition table that can be read",
        ),
        (
            MemoryMedium::of(vec![0; 1 << 20], 4096),
            "sectors of 4096 bytes",
        ),
    ] {
        let why = said(&disk);
        assert!(
            why.starts_with("/dev/sda, which holds a member, has "),
            "{why}"
        );
        assert!(why.contains(words), "{why}");
        assert_eq!(disk.log(), []);
    }
}

#[test]
fn what_the_kernel_has_in_use_there_is_not_written_over() {
    let recording = Recording::unpack(
        "/dev/sda =\n/sys/class/block/sda -> ../../block/sda\n/sys/block/sda/dev = 8:0\n\
         /sys/block/sda/sda5/partition = 5\n/sys/block/sda/sda5/start = 2048\n\
         /sys/block/sda/sda5/size = 2048\n/sys/block/sda/sda5/holders/dm-0/\n",
    );
    let Err(Obstacle(why)) = check(&recording.root(), "/dev/sda", &gpt_disk(8)) else {
        panic!("it is used");
    };
    assert!(why.contains("/dev/sda5 in use"), "{why}");
}

#[test]
fn a_power_cut_or_a_failing_disk_leaves_no_partition_or_a_blank_one() {
    let whole = gpt_disk(8);
    make(&whole, 0).unwrap();
    let changes = whole.log().len();
    assert!(changes >= 5, "{changes}");
    let mut seen = 0;
    let mut expect_sound = |content: Vec<u8>| {
        if let Some((partition, _)) = found(content.clone()) {
            assert!(is_blank(&content, &partition));
            seen += 1;
        }
        let again = MemoryMedium::of(content, 512);
        make(&again, 0).unwrap();
        let (partition, _) = found(again.content()).unwrap();
        assert_eq!((partition.offset, partition.length), (MIB, 2 * MIB));
        assert!(is_blank(&again.content(), &partition));
    };
    for count in 0..=changes {
        for kept in [false, true] {
            expect_sound(whole.after_power_cut(count, || kept));
        }
    }
    for change in 0..changes {
        let disk = gpt_disk(8).failing(Fault::Change(change, libc::EIO));
        make(&disk, 0).unwrap_err();
        expect_sound(disk.content());
    }
    assert!(seen > 0);
}
