use super::*;
use crate::block::mbr::Mbr;
use crate::raid::Member;
use crate::sys::memory_medium::{Fault, MemoryMedium};
use crate::sys::recording::Recording;

const MIB: usize = 1 << 20;

/// Bytes of the partition in these tests.
const SMALL: u64 = 9 << 20;

/// A disk with one member, which leaves room before it; what was there before is everywhere else.
fn disk(block: u32) -> MemoryMedium {
    let medium = MemoryMedium::of(vec![0xaa; 40 * MIB], block);
    let mut table = Gpt::new(&medium, Uuid::from_u128(7)).unwrap();
    let (offset, length) = (SMALL + (1 << 20), 20 << 20);
    table
        .add(
            1,
            offset,
            length,
            gpt::LINUX_FILE_SYSTEM,
            Uuid::from_u128(8),
            "primary",
        )
        .unwrap();
    table.write(&medium).unwrap();
    Mbr::protective(&medium).write(&medium).unwrap();
    MemoryMedium::of(medium.content(), block)
}

/// The partition beside the member, where it is in the table; the member is there in any case.
fn found(content: &[u8], block: u32) -> Option<(String, Partition)> {
    let medium = MemoryMedium::of(content.to_vec(), block);
    let Table::Gpt(table) = Table::read(&medium).unwrap() else {
        panic!("no GPT any more");
    };
    let partitions = table.partitions();
    assert_eq!(partitions[0].guid, Some(Uuid::from_u128(8)));
    assert_eq!(partitions[0].length, 20 << 20);
    let made = partitions.get(1)?;
    Some((table.name(made.number), made.clone()))
}

/// Whether nothing of what was there can be found in the partition.
fn is_blank(content: &[u8], partition: &Partition) -> bool {
    superblocks::places(partition.length).iter().all(|place| {
        let start = (partition.offset + place.start) as usize;
        let end = (partition.offset + place.end) as usize;
        content[start..end].iter().all(|byte| *byte == 0)
    })
}

#[test]
fn the_partition_fills_the_gap_before_the_member() {
    for block in [512, 4096] {
        let medium = disk(block);
        let (_, partition) = write(&medium, "uefi-holder-0", SMALL).unwrap();
        let (name, there) = found(&medium.content(), block).unwrap();
        assert_eq!((name.as_str(), &there), ("uefi-holder-0", &partition));
        assert_eq!(there.kind, PartitionKind::Gpt(gpt::EFI_SYSTEM));
        assert_eq!(
            (there.number, there.offset, there.length),
            (2, 1 << 20, SMALL)
        );
        // A second call finds it, and blanks it again.
        medium.write_at(there.offset, &[1; 512]).unwrap();
        let (_, again) = write(&medium, "uefi-holder-0", SMALL).unwrap();
        assert_eq!(again, partition);
        assert!(is_blank(&medium.content(), &again));
    }
}

#[test]
fn a_power_cut_leaves_no_partition_or_a_blank_one() {
    let medium = disk(512);
    write(&medium, "uefi-holder-1", SMALL).unwrap();
    let mut states = 0;
    let changes = medium.log().len();
    for count in 0..=changes {
        for kept in [false, true] {
            let content = medium.after_power_cut(count, || kept);
            if let Some((_, partition)) = found(&content, 512) {
                assert!(is_blank(&content, &partition), "after {count} changes");
                states += 1;
            }
            let again = MemoryMedium::of(content, 512);
            let (_, partition) = write(&again, "uefi-holder-1", SMALL).unwrap();
            let (_, there) = found(&again.content(), 512).unwrap();
            assert_eq!(there, partition);
            assert!(is_blank(&again.content(), &partition));
        }
    }
    assert!(states > 0);
}

#[test]
fn a_failing_disk_is_an_error_at_each_change() {
    let whole = disk(512);
    write(&whole, "uefi-holder-0", SMALL).unwrap();
    let changes = whole.log().len();
    assert!(changes >= 7, "{changes}");
    for change in 0..changes {
        let medium = disk(512).failing(Fault::Change(change, libc::EIO));
        assert!(write(&medium, "uefi-holder-0", SMALL).is_err(), "{change}");
        let content = medium.content();
        assert!(found(&content, 512).is_none_or(|(_, partition)| is_blank(&content, &partition)));
    }
}

#[test]
fn a_disk_without_room_says_so() {
    let words =
        |medium: &MemoryMedium| match place(&Recording::unpack("").root(), "/dev/sda", medium) {
            Ok(place) => panic!("{place:?}"),
            Err(Obstacle(why)) => why,
        };
    assert!(words(&disk(512)).contains("no unused space of 550 MiB"));
    assert!(
        words(&crate::block::fixture::mbr(0))
            .contains("/dev/sda, which holds a member, has no GPT")
    );
    let damaged = MemoryMedium::of(vec![0; MIB], 512);
    assert!(
        words(&damaged).contains("has no GPT"),
        "{}",
        words(&damaged)
    );
}

#[test]
fn a_member_that_is_a_whole_disk_leaves_no_room() {
    let member = |device: &str, disk: &str, partition| Member {
        device: device.to_owned(),
        disk: disk.to_owned(),
        partition,
    };
    let mut array = Array {
        device: "/dev/md0".to_owned(),
        kname: "md0".to_owned(),
        uuid: None,
        name: None,
        level: None,
        metadata: None,
        members: vec![
            member("/dev/sdb1", "/dev/sdb", Some(1)),
            member("/dev/nvme0n1p1", "/dev/nvme0n1", Some(1)),
            member("/dev/sdb2", "/dev/sdb", Some(2)),
        ],
        is_active: true,
    };
    assert_eq!(disks(&array).unwrap(), ["/dev/nvme0n1", "/dev/sdb"]);
    array.members.push(member("/dev/sdc", "/dev/sdc", None));
    let Obstacle(why) = disks(&array).unwrap_err();
    assert!(why.contains("/dev/sdc is no partition"), "{why}");
}
