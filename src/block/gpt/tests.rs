use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::block::fixture;
use crate::sys::memory_medium::MemoryMedium;

const MIB: u64 = 1 << 20;
const NEW: Uuid = Uuid::from_u128(0xd1d1_0000_0000_4000_8000_0000_0000_0003);

#[test]
fn what_sfdisk_made_is_read() {
    for block in [512, 4096] {
        let gpt = Gpt::read(&fixture::gpt(block, 0)).unwrap();
        assert!(gpt.backup_is_at_end());
        assert_eq!(gpt.damage(), None);
        let guid = |last: u128| {
            Some(Uuid::from_u128(
                0xaaaaaaaa_0000_4000_8000_000000000000 + last,
            ))
        };
        assert_eq!(
            gpt.partitions(),
            [
                Partition {
                    number: 1,
                    offset: MIB,
                    length: 4 * MIB,
                    kind: PartitionKind::Gpt(EFI_SYSTEM),
                    guid: guid(1),
                },
                Partition {
                    number: 2,
                    offset: 6 * MIB,
                    length: 2 * MIB,
                    kind: PartitionKind::Gpt(LINUX_FILE_SYSTEM),
                    guid: guid(2),
                }
            ]
        );
    }
}

#[test]
fn writing_without_a_change_changes_nothing() {
    for block in [512, 4096] {
        let medium = fixture::gpt(block, 0);
        let before = medium.content();
        Gpt::read(&medium).unwrap().write(&medium).unwrap();
        assert!(medium.content() == before, "block size {block}");
    }
}

#[test]
fn the_backup_moves_to_the_end_of_a_larger_disk_and_a_partition_is_added() {
    for block in [512, 4096] {
        let medium = fixture::gpt(block, 96 << 20);
        let mut gpt = Gpt::read(&medium).unwrap();
        assert!(!gpt.backup_is_at_end());
        assert!(gpt.write(&medium).is_err());
        gpt.move_backup_to_end().unwrap();
        let added = gpt
            .add_at_end(LINUX_FILE_SYSTEM, NEW, 64 * MIB, MIB)
            .unwrap();
        gpt.write(&medium).unwrap();
        // 96 MiB less the backup's 17 or 20 KiB, less 64 MiB, aligned down.
        assert_eq!((added.number, added.offset), (3, 31 * MIB));
        assert!((64 * MIB..65 * MIB).contains(&added.length));

        let again = Gpt::read(&medium).unwrap();
        assert!(again.backup_is_at_end());
        assert_eq!(again.partitions().len(), 3);
        assert_eq!(again.partitions()[2], added);

        // The backup alone is enough, and gives the primary copy again.
        let whole = medium.content();
        let mut damaged = whole.clone();
        damaged[block as usize..][..64].fill(0xff);
        let medium = MemoryMedium::of(damaged, block);
        let from_backup = Gpt::read(&medium).unwrap();
        assert!(from_backup.damage().is_some());
        from_backup.write(&medium).unwrap();
        assert!(medium.content() == whole, "block size {block}");
    }
}

#[test]
fn sgdisk_and_sfdisk_find_no_fault() {
    let medium = fixture::gpt(512, 96 << 20);
    let mut gpt = Gpt::read(&medium).unwrap();
    gpt.move_backup_to_end().unwrap();
    gpt.add_at_end(LINUX_FILE_SYSTEM, NEW, 64 * MIB, MIB)
        .unwrap();
    gpt.write(&medium).unwrap();
    if let Some(said) = fixture::judged_by("sgdisk", &["-v"], &medium.content()) {
        assert!(said.contains("No problems found"), "{said}");
    }
    if let Some(said) = fixture::judged_by("sfdisk", &["-V"], &medium.content()) {
        assert!(said.contains("No errors detected"), "{said}");
    }
    if let Some(said) = fixture::judged_by("sgdisk", &["-i", "3"], &medium.content()) {
        assert!(
            said.contains("D1D10000-0000-4000-8000-000000000003"),
            "{said}"
        );
        assert!(said.contains("Linux filesystem"), "{said}");
    }
}

#[test]
fn a_small_gap_takes_what_is_needed_and_no_less() {
    let medium = fixture::gpt(512, 0);
    let gpt = Gpt::read(&medium).unwrap();
    // Unused: 8 MiB from 8 MiB on, less the backup.
    let added = gpt
        .clone()
        .add_at_end(LINUX_FILE_SYSTEM, NEW, 64 * MIB, 3 * MIB)
        .unwrap();
    assert_eq!(added.offset, 12 * MIB);
    let error = gpt
        .clone()
        .add_at_end(LINUX_FILE_SYSTEM, NEW, 64 * MIB, 9 * MIB)
        .unwrap_err();
    assert!(matches!(error, TableError::Full { .. }), "{error}");
}

#[test]
fn a_full_table_is_no_room() {
    let medium = fixture::gpt(512, 0);
    let mut gpt = Gpt::read(&medium).unwrap();
    for number in 0..126_u64 {
        let entry = &mut gpt.entries[(2 + number as usize) * ENTRY..][..ENTRY];
        entry[..16].copy_from_slice(&LINUX_FILE_SYSTEM.to_bytes_le());
        put_u64(entry, 32, 20_000 + number);
        put_u64(entry, 40, 20_000 + number);
    }
    let error = gpt
        .add_at_end(LINUX_FILE_SYSTEM, NEW, MIB, MIB)
        .unwrap_err();
    assert!(error.to_string().contains("every entry"), "{error}");
}

#[test]
fn a_table_of_another_block_size_is_named() {
    let content = fixture::gpt(512, 0).content();
    let error = Gpt::read(&MemoryMedium::of(content, 4096)).unwrap_err();
    assert!(error.to_string().contains("another block size"), "{error}");
}

#[test]
fn partitions_at_the_place_of_the_backup_are_refused() {
    let medium = fixture::gpt(512, 0);
    let mut gpt = Gpt::read(&medium).unwrap();
    let last = gpt.blocks - 10;
    put_u64(&mut gpt.entries[ENTRY..], 40, last);
    let error = gpt.move_backup_to_end().unwrap_err();
    assert!(error.to_string().contains("partition 2 reaches"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever a header claims, with checksums that fit: no panic, and what is accepted lies on
    /// the disk.
    #[test]
    fn any_header_is_survived(
        changes in prop::collection::vec((8_usize..92, any::<u8>()), 0..6),
        entry_changes in prop::collection::vec((0_usize..256, any::<u8>()), 0..6),
    ) {
        static DISK: LazyLock<Vec<u8>> = LazyLock::new(|| {
            let mut content = fixture::gpt(512, 0).content();
            content.truncate(1 << 20);
            content.resize(2 << 20, 0);
            content
        });
        let mut content = DISK.clone();
        for (at, value) in entry_changes {
            content[1024 + at] = value;
        }
        for (at, value) in changes {
            content[512 + at] = value;
        }
        let entries = crc(&content[1024..1024 + 16384]);
        put_u32(&mut content[512..], field::ENTRIES_CRC, entries);
        put_u32(&mut content[512..], field::CRC, 0);
        let size = (u32_at(&content[512..], field::SIZE) as usize).min(512);
        let header = crc(&content[512..512 + size]);
        put_u32(&mut content[512..], field::CRC, header);
        let medium = MemoryMedium::of(content, 512);
        if let Ok(mut gpt) = Gpt::read(&medium) {
            for partition in gpt.partitions() {
                prop_assert!(partition.length > 0);
                prop_assert!(partition.offset + partition.length <= 2 << 20);
            }
            if gpt.move_backup_to_end().is_ok() {
                if let Ok(added) = gpt.add_at_end(LINUX_FILE_SYSTEM, NEW, 1 << 19, 4096) {
                    prop_assert!(added.offset + added.length <= 2 << 20);
                    prop_assert!(added.length >= 4096);
                }
                gpt.write(&medium).unwrap();
                prop_assert_eq!(Gpt::read(&medium).unwrap().partitions(), gpt.partitions());
            }
        }
    }
}

#[test]
fn the_first_gap_takes_a_partition_with_a_name() {
    for block in [512, 4096] {
        let medium = MemoryMedium::of(vec![0; 40 << 20], block);
        let mut table = Gpt::new(&medium, Uuid::from_u128(1)).unwrap();
        let mut add = |number, offset: u64, length: u64| {
            let (kind, guid) = (LINUX_FILE_SYSTEM, Uuid::from_u128(u128::from(number)));
            table.add(number, offset << 20, length << 20, kind, guid, "primary")
        };
        add(2, 3, 4).unwrap();
        add(3, 20, 10).unwrap();
        let mut made = |length: u64, name: &str| {
            let made = table.add_in_first_gap(length, EFI_SYSTEM, Uuid::from_u128(9), name);
            made.map(|made| (made.number, made.offset >> 20, table.name(made.number)))
        };
        let text = str::to_owned;
        assert_eq!(made(2 << 20, "a").unwrap(), (1, 1, text("a")), "{block}");
        assert_eq!(
            made(6 << 20, "uefi-holder-1").unwrap(),
            (4, 7, text("uefi-holder-1"))
        );
        assert_eq!(made(9 << 20, "c").unwrap(), (5, 30, text("c")));
        assert!(matches!(made(9 << 20, "d"), Err(TableError::Full { .. })));
        assert_eq!(table.name(2), "primary");
        assert_eq!(table.name(77), "");
    }
}
