use proptest::prelude::*;

use super::*;
use crate::block::fixture;
use crate::sys::memory_medium::MemoryMedium;

const MIB: u64 = 1 << 20;

fn of(content: Vec<u8>) -> Result<Mbr, TableError> {
    Mbr::read(&MemoryMedium::of(content, 512))
}

#[test]
fn what_sfdisk_made_is_read() {
    let mbr = Mbr::read(&fixture::mbr(0)).unwrap();
    assert_eq!(mbr.disk_signature(), 0x1a2b_3c4d);
    assert_eq!(mbr.primary_count(), 2);
    assert!(!mbr.is_protective());
    let found: Vec<_> = mbr
        .partitions()
        .iter()
        .map(|found| {
            (
                found.number,
                found.offset / MIB,
                found.length / MIB,
                found.kind,
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            (1, 1, 1, PartitionKind::Mbr(0x83)),
            // The kernel shows 1 KiB of it.
            (2, 3, 0, PartitionKind::Mbr(0x05)),
            (5, 4, 1, PartitionKind::Mbr(0x83)),
            (6, 6, 2, PartitionKind::Mbr(0x82)),
        ]
    );
}

#[test]
fn a_partition_is_added_at_the_end_and_sfdisk_finds_no_fault() {
    let medium = fixture::mbr((96 << 20) + 512);
    let mut mbr = Mbr::read(&medium).unwrap();
    let added = mbr.add_at_end(FAT32_LBA, 64 * MIB, MIB).unwrap();
    assert_eq!(
        (added.number, added.offset, added.length),
        (3, 32 * MIB, 64 * MIB)
    );
    mbr.write(&medium).unwrap();
    assert_eq!(Mbr::read(&medium).unwrap(), mbr);
    assert_eq!(mbr.partitions().len(), 5);
    if let Some(said) = fixture::judged_by("sfdisk", &["-V"], &medium.content()) {
        assert!(said.contains("No errors detected"), "{said}");
    }
    if let Some(said) = fixture::judged_by("sfdisk", &["-d"], &medium.content()) {
        assert!(
            said.contains("start=       65536, size=      131072, type=c"),
            "{said}"
        );
    }
}

#[test]
fn room_is_found_beside_the_extended_partition() {
    // 16 MiB: 11 MiB to 16 MiB are unused.
    let medium = fixture::mbr(0);
    let mut mbr = Mbr::read(&medium).unwrap();
    let added = mbr.add_at_end(FAT32_LBA, 64 * MIB, 2 * MIB).unwrap();
    assert_eq!((added.offset, added.length), (14 * MIB, 2 * MIB));
    let error = mbr.add_at_end(FAT32_LBA, 64 * MIB, 4 * MIB).unwrap_err();
    assert!(matches!(error, TableError::Full { .. }), "{error}");
}

#[test]
fn a_disk_beyond_two_tebibytes_is_used_up_to_there() {
    let medium = fixture::mbr(0);
    let mut mbr = Mbr::read(&medium).unwrap();
    mbr.blocks = 1 << 34;
    let added = mbr.add_at_end(FAT32_LBA, 64 * MIB, MIB).unwrap();
    assert_eq!(added.offset + added.length, (2 << 40) - MIB);
}

#[test]
fn no_table_is_told_from_an_empty_one() {
    assert!(matches!(of(vec![0; 4096]), Err(TableError::Absent { .. })));
    assert!(matches!(
        of(vec![0xaa; 100]),
        Err(TableError::Absent { .. })
    ));
    let mut empty = vec![0; 4096];
    empty[510..512].copy_from_slice(&[0x55, 0xaa]);
    assert_eq!(of(empty.clone()).unwrap().partitions(), []);
    // The boot code of a file system where the table would be.
    empty[446..510].fill(0x90);
    assert!(matches!(of(empty), Err(TableError::Absent { .. })));
}

#[test]
fn a_partition_beyond_the_disk_is_refused() {
    let mut content = fixture::mbr(0).content();
    content.truncate(10 << 20);
    assert!(matches!(of(content), Err(TableError::Damaged { .. })));
}

/// A disk of 256 MiB with an isohybrid image of 8 MiB, and in it an EFI system partition.
fn isohybrid(kind: u8) -> MemoryMedium {
    let mut content = vec![0; 256 << 20];
    content[510..512].copy_from_slice(&[0x55, 0xaa]);
    for (slot, active, kind, first, count) in
        [(0, 0x80, kind, 0, 16384), (1, 0, EFI_SYSTEM, 512, 4096)]
    {
        let entry = &mut content[TABLE + slot * ENTRY..][..ENTRY];
        entry[0] = active;
        entry[4] = kind;
        entry[8..12].copy_from_slice(&u32::to_le_bytes(first));
        entry[12..16].copy_from_slice(&u32::to_le_bytes(count));
    }
    MemoryMedium::of(content, 512)
}

#[test]
fn an_isohybrids_partition_begins_with_the_disk() {
    let esp = (2, MIB / 4, 2 * MIB, PartitionKind::Mbr(EFI_SYSTEM));
    // What isohybrid and xorriso write; Debian's images have an entry without a type.
    for (kind, expected) in [
        (0x17, vec![(1, 0, 8 * MIB, PartitionKind::Mbr(0x17)), esp]),
        (0x83, vec![(1, 0, 8 * MIB, PartitionKind::Mbr(0x83)), esp]),
        (
            UNUSED,
            vec![(1, 0, 8 * MIB, PartitionKind::Mbr(UNUSED)), esp],
        ),
    ] {
        let medium = isohybrid(kind);
        let mut mbr = Mbr::read(&medium).unwrap();
        let found: Vec<_> = mbr
            .partitions()
            .iter()
            .map(|found| (found.number, found.offset, found.length, found.kind))
            .collect();
        assert_eq!(found, expected);
        let before = medium.content()[TABLE..TABLE + 2 * ENTRY].to_vec();
        let added = mbr.add_at_end(FAT32_LBA, 64 * MIB, MIB).unwrap();
        assert_eq!(
            (added.number, added.offset, added.length),
            (3, 192 * MIB, 64 * MIB)
        );
        mbr.write(&medium).unwrap();
        // Its boot code looks for the entry of the image.
        assert_eq!(medium.content()[TABLE..TABLE + 2 * ENTRY], before);
        // The image's own room is not free, whatever its entry is called.
        let error = mbr.add_at_end(FAT32_LBA, 190 * MIB, 190 * MIB).unwrap_err();
        assert!(matches!(error, TableError::Full { .. }), "{error}");
    }
}

/// Both lie outside of the extended partition, at the disk's end, where Linux shows them all the same.
#[test]
fn a_new_partition_lies_on_no_logical_one_and_on_no_link() {
    let mut content = vec![0; 96 * MIB as usize];
    let mut put = |block: usize, slot: usize, kind: u8, first: u32, count: u32| {
        let at = block * 512 + TABLE + slot * ENTRY;
        content[at + 4] = kind;
        content[at + 8..at + 12].copy_from_slice(&first.to_le_bytes());
        content[at + 12..at + 16].copy_from_slice(&count.to_le_bytes());
        content[block * 512 + 510..block * 512 + 512].copy_from_slice(&[0x55, 0xaa]);
    };
    let (mib, end) = (2048_u32, 96 * 2048_u32);
    put(0, 0, 0x05, mib, mib);
    put(mib as usize, 0, 0x83, end - 5 * mib, 4 * mib);
    put(mib as usize, 1, 0x05, end - 7 * mib, mib);
    put((end - 6 * mib) as usize, 0, 0x83, 1, 1);
    let medium = MemoryMedium::of(content, 512);
    let mut mbr = Mbr::read(&medium).unwrap();
    let found: Vec<_> = mbr
        .partitions()
        .iter()
        .map(|found| found.offset / MIB)
        .collect();
    assert_eq!(found, [1, 92, 90]);
    let added = mbr.add_at_end(FAT32_LBA, 64 * MIB, 2 * MIB).unwrap();
    assert_eq!((added.offset, added.length), (26 * MIB, 64 * MIB));
}

/// Linux shows an entry without a type that has an extent.
#[test]
fn an_entry_with_an_extent_is_not_used_again() {
    let mut content = fixture::mbr(96 * MIB as usize).content();
    for (slot, kind) in [(2, 0x83), (3, 0)] {
        let at = TABLE + slot * ENTRY;
        content[at + 4] = kind;
        content[at + 8..at + 12].copy_from_slice(&(23_000 + slot as u32).to_le_bytes());
        content[at + 12..at + 16].copy_from_slice(&1_u32.to_le_bytes());
    }
    let mut mbr = of(content).unwrap();
    assert_eq!(mbr.primary_count(), 4);
    assert!(matches!(
        mbr.add_at_end(FAT32_LBA, MIB, MIB),
        Err(TableError::Full { .. })
    ));
}

#[test]
fn a_chain_that_begins_with_the_disk_is_refused() {
    let mut content = isohybrid(0x05).content();
    content[TABLE + 1..TABLE + 4].fill(0);
    assert!(matches!(of(content), Err(TableError::Damaged { .. })));
}

#[test]
fn the_protective_entry_grows_with_the_disk() {
    let medium = fixture::gpt(512, 96 << 20);
    let mut mbr = Mbr::read(&medium).unwrap();
    assert!(mbr.is_protective());
    assert!(mbr.protect_whole_disk());
    assert!(!mbr.protect_whole_disk());
    mbr.write(&medium).unwrap();
    let count = &medium.content()[446 + 12..446 + 16];
    assert_eq!(count, ((96 << 11) - 1_u32).to_le_bytes());
    assert!(!Mbr::read(&fixture::mbr(0)).unwrap().protect_whole_disk());
}

proptest! {
    /// Chains that lead anywhere, all of them over the same few links.
    #[test]
    fn any_chain_ends(
        records in prop::collection::vec(
            prop::collection::vec((0_u8..3, 0_u32..16, 0_u32..12), 4), 16),
        containers in prop::collection::vec(1_u32..16, 0..4),
    ) {
        let mut content = vec![0; 48 * 512];
        let mut put = |record: usize, slot: usize, kind: u8, first: u32, count: u32| {
            let start = record * 512;
            let entry = &mut content[start + TABLE + slot * ENTRY..][..ENTRY];
            entry[4] = kind;
            entry[8..12].copy_from_slice(&first.to_le_bytes());
            entry[12..16].copy_from_slice(&count.to_le_bytes());
            content[start + 510..start + 512].copy_from_slice(&[0x55, 0xaa]);
        };
        put(0, 3, 0, 0, 0);
        for (slot, container) in containers.iter().enumerate() {
            put(0, slot, EXTENDED[slot % 3], *container, 30);
        }
        for (at, record) in records.iter().enumerate() {
            for (slot, (kind, first, count)) in record.iter().enumerate() {
                put(at + 1, slot, [0x00, 0x83, 0x05][usize::from(*kind)], *first, *count);
            }
        }
        let mbr = of(content).unwrap();
        let numbers: Vec<u32> = mbr.logical.iter().map(|entry| entry.number).collect();
        prop_assert_eq!(numbers, (5..5 + mbr.logical.len() as u32).collect::<Vec<_>>());
        prop_assert!(mbr.logical.len() <= 251);
    }

    #[test]
    fn any_table_is_survived(
        table in prop::collection::vec(any::<u8>(), 64),
        chain in prop::collection::vec(any::<u8>(), 64),
        at in 0_usize..15,
    ) {
        let mut content = vec![0; 64 << 10];
        content[446..510].copy_from_slice(&table);
        for slot in 0..4 {
            content[446 + slot * 16] = 0;
            // Small numbers, so that some of them lie on the disk.
            for high in [9, 10, 11, 13, 14, 15] {
                content[446 + slot * 16 + high] = 0;
            }
        }
        content[510..512].copy_from_slice(&[0x55, 0xaa]);
        content[446 + 4] = 0x05;
        let link = (at + 1) * 512;
        content[link + 446..link + 510].copy_from_slice(&chain);
        content[link + 510..link + 512].copy_from_slice(&[0x55, 0xaa]);
        content[446 + 8] = at as u8 + 1;
        if let Ok(mut mbr) = of(content) {
            for partition in mbr.partitions() {
                prop_assert!(partition.offset + partition.length <= 64 << 10);
                prop_assert!(partition.number <= MOST_PARTITIONS);
            }
            let _ = mbr.add_at_end(FAT32_LBA, 4096, 512);
        }
    }
}
