//! What gptman and mbrman make of tables: whatever one side writes the other reads equal.
//!
//! Neither is used outside of tests; ARCHITECTURE.md says why.

use std::io::Cursor;

use gptman::{GPT, GPTPartitionEntry};
use mbrman::{BOOT_INACTIVE, CHS, MBR, MBRPartitionEntry};
use proptest::prelude::*;
use proptest::sample::Index;
use uuid::Uuid;

use super::gpt::{self, Gpt};
use super::mbr::{self, Mbr};
use super::partition::{Partition, PartitionKind};
use super::table::Table;
use super::table_error::TableError;
use crate::sys::memory_medium::MemoryMedium;

const MIB: usize = 1 << 20;
const NEW: [u8; 16] = [0x4e; 16];

/// A wish for a partition: which gap, from which block of it, how many of the rest.
type Wish = (Index, Index, Index);

fn disks() -> impl Strategy<Value = (usize, usize)> {
    (prop_oneof![Just(512_usize), Just(4096)], 256..3000_usize)
        .prop_map(|(block, kib)| (block, kib * 1024 / block * block))
}

fn wishes(most: usize) -> impl Strategy<Value = Vec<Wish>> {
    proptest::collection::vec(any::<Wish>(), 0..most)
}

/// First block and number of blocks of what is wished for in these gaps; `None` if nothing is left.
fn place(gaps: &[(u64, u64)], (gap, skip, count): &Wish) -> Option<(u64, u64)> {
    if gaps.is_empty() {
        return None;
    }
    let (first, length) = *gap.get(gaps);
    let skipped = skip.index(length as usize) as u64;
    Some((
        first + skipped,
        1 + count.index((length - skipped) as usize) as u64,
    ))
}

/// A table of gptman's with its protective MBR on a disk of this size, in bytes.
fn their_gpt(block: usize, size: usize, wishes: &[Wish]) -> (GPT, Vec<u8>) {
    let mut disk = Cursor::new(vec![0; size]);
    let mut table = GPT::new_from(&mut disk, block as u64, [0xd1; 16]).unwrap();
    table.align = 1;
    for (index, wish) in wishes.iter().enumerate() {
        let Some((first, count)) = place(&table.find_free_sectors(), wish) else {
            break;
        };
        // Numbers with gaps between them.
        table[1 + 3 * index as u32] = GPTPartitionEntry {
            partition_type_guid: [0x11 + index as u8; 16],
            unique_partition_guid: [0x81 + index as u8; 16],
            starting_lba: first,
            ending_lba: first + count - 1,
            attribute_bits: 1 << 60,
            partition_name: "Größe".into(),
        };
    }
    GPT::write_protective_mbr_into(&mut disk, block as u64).unwrap();
    table.write_into(&mut disk).unwrap();
    (table, disk.into_inner())
}

fn partitions_of_gpt(table: &GPT) -> Vec<Partition> {
    table
        .iter()
        .filter(|(_, entry)| entry.is_used())
        .map(|(number, entry)| Partition {
            number,
            offset: entry.starting_lba * table.sector_size,
            length: entry.size().unwrap() * table.sector_size,
            kind: PartitionKind::Gpt(Uuid::from_bytes_le(entry.partition_type_guid)),
            guid: Some(Uuid::from_bytes_le(entry.unique_partition_guid)),
        })
        .collect()
}

/// A table of mbrman's: a primary partition, an extended one with logical ones in it, a primary.
fn their_mbr(block: usize, size: usize, wishes: &[Wish], logical: usize) -> (MBR, Vec<u8>) {
    let mut disk = Cursor::new(vec![0; size]);
    let mut table = MBR::new_from(&mut disk, block as u32, [1, 2, 3, 4]).unwrap();
    table.align = 1;
    for (slot, (kind, wish)) in [0x83, 0x05, 0x07].into_iter().zip(wishes).enumerate() {
        let gaps: Vec<(u64, u64)> = table
            .find_free_sectors()
            .into_iter()
            .map(|(first, length)| (first.into(), length.into()))
            .collect();
        let Some((first, count)) = place(&gaps, wish) else {
            break;
        };
        // Without the extended one until the end: mbrman counts the space in it as free.
        table[slot + 1] = MBRPartitionEntry {
            boot: BOOT_INACTIVE,
            first_chs: CHS::empty(),
            sys: if kind == 0x05 { 0x83 } else { kind },
            last_chs: CHS::empty(),
            starting_lba: first as u32,
            sectors: count as u32,
        };
    }
    if table[2].is_used() {
        table[2].sys = 0x05;
        let (mut next, end) = (
            table[2].starting_lba,
            table[2].starting_lba + table[2].sectors,
        );
        for number in 0..logical {
            let length = 2 + number as u32;
            if next + length > end {
                break;
            }
            table.push(0x83, next, length).unwrap();
            next += length;
        }
    }
    table.write_into(&mut disk).unwrap();
    (table, disk.into_inner())
}

fn partitions_of_mbr(table: &MBR) -> Vec<Partition> {
    let block = u64::from(table.sector_size);
    table
        .iter()
        .filter(|(_, entry)| entry.is_used())
        .map(|(number, entry)| Partition {
            number: number as u32,
            offset: u64::from(entry.starting_lba) * block,
            length: match entry.is_extended() {
                // The kernel's view, not the table's: room for a boot loader.
                true => block * u64::from(entry.sectors).min((1024 / block).max(1)),
                false => u64::from(entry.sectors) * block,
            },
            kind: PartitionKind::Mbr(entry.sys),
            guid: None,
        })
        .collect()
}

/// What gptman reads, of the first copy and, with that damaged, of the second.
fn either_copy(medium: &MemoryMedium, block: usize) -> [(bool, GPT); 2] {
    [false, true].map(|is_damaged| {
        let mut content = medium.content();
        content[block] ^= u8::from(is_damaged);
        let read = GPT::read_from(&mut Cursor::new(content), block as u64).unwrap();
        (is_damaged, read)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_gpt_of_gptman_is_read_and_written_back_as_it_is(
        (block, size) in disks(), wishes in wishes(8)
    ) {
        let (theirs, content) = their_gpt(block, size, &wishes);
        let medium = MemoryMedium::of(content, block as u32);
        let Table::Gpt(ours) = Table::read(&medium).unwrap() else {
            panic!("no GPT");
        };
        prop_assert_eq!(ours.partitions(), partitions_of_gpt(&theirs));
        prop_assert_eq!(ours.damage(), None);
        prop_assert!(ours.backup_is_at_end());
        let before = medium.content();
        ours.write(&medium).unwrap();
        prop_assert!(medium.content() == before);
    }

    /// The way of a deployed image: a disk that is larger, the backup moved, a partition added.
    #[test]
    fn gptman_reads_what_is_written_either_copy(
        (block, size) in disks(), wishes in wishes(8), more in 0..2000_usize, wanted in 1..4 * MIB,
    ) {
        let (theirs, mut content) = their_gpt(block, size, &wishes);
        content.resize(size + more * block, 0);
        let medium = MemoryMedium::of(content, block as u32);
        let mut ours = Gpt::read(&medium).unwrap();
        ours.move_backup_to_end().unwrap();
        ours.write(&medium).unwrap();
        let mut moved = GPT::read_from(&mut Cursor::new(medium.content()), block as u64).unwrap();
        moved.align = 1;
        let gaps = moved.find_free_sectors();
        let added = match ours.add_at_end(gpt::LINUX_FILE_SYSTEM, Uuid::from_bytes_le(NEW), wanted as u64, 1) {
            Ok(added) => Some(added),
            Err(TableError::Full { .. }) => None,
            Err(error) => panic!("{error}"),
        };
        ours.write(&medium).unwrap();

        let mut expected = theirs.clone();
        expected.header.update_from(&mut Cursor::new(medium.content()), block as u64).unwrap();
        for (is_damaged, read) in either_copy(&medium, block) {
            prop_assert_eq!(read.is_backup(), is_damaged);
            prop_assert_eq!(read.header.disk_guid, expected.header.disk_guid);
            prop_assert_eq!(read.header.first_usable_lba, expected.header.first_usable_lba);
            prop_assert_eq!(read.header.last_usable_lba, expected.header.last_usable_lba);
            prop_assert_eq!(partitions_of_gpt(&read), ours.partitions());
            // What was there is as it was, names and attributes too.
            for (number, entry) in theirs.iter().filter(|(_, entry)| entry.is_used()) {
                prop_assert_eq!(&read[number], entry);
            }
            if let Some(added) = &added {
                prop_assert_eq!(read[added.number].unique_partition_guid, NEW);
                let block = block as u64;
                let (first, last) = (added.offset / block, (added.offset + added.length) / block - 1);
                let largest = gaps.iter().map(|(_, length)| *length).max();
                let within = gaps.iter().any(|(start, length)| {
                    Some(*length) == largest && first >= *start && last == start + length - 1
                });
                prop_assert!(within, "{first} to {last} in {gaps:?}");
            }
        }
    }

    #[test]
    fn an_mbr_of_mbrman_is_read_and_written_back_as_it_is(
        (block, size) in disks(), wishes in wishes(4), logical in 0..12_usize
    ) {
        let (theirs, content) = their_mbr(block, size, &wishes, logical);
        let medium = MemoryMedium::of(content, block as u32);
        let ours = Mbr::read(&medium).unwrap();
        prop_assert_eq!(ours.partitions(), partitions_of_mbr(&theirs));
        prop_assert_eq!(ours.disk_signature(), 0x0403_0201);
        let before = medium.content();
        ours.write(&medium).unwrap();
        prop_assert!(medium.content() == before);
    }

    #[test]
    fn mbrman_reads_a_partition_that_was_added(
        (block, size) in disks(), wishes in wishes(4), logical in 0..12_usize, wanted in 1..4 * MIB,
    ) {
        let (theirs, content) = their_mbr(block, size, &wishes, logical);
        let medium = MemoryMedium::of(content, block as u32);
        let mut ours = Mbr::read(&medium).unwrap();
        let added = match ours.add_at_end(mbr::FAT32_LBA, wanted as u64, 1) {
            Ok(added) => added,
            Err(TableError::Full { .. }) => return Ok(()),
            Err(error) => panic!("{error}"),
        };
        ours.write(&medium).unwrap();
        let read = MBR::read_from(&mut Cursor::new(medium.content()), block as u32).unwrap();
        let mut expected = partitions_of_mbr(&theirs);
        expected.push(added.clone());
        expected.sort_by_key(|partition| partition.number);
        prop_assert_eq!(partitions_of_mbr(&read), expected);
        prop_assert_eq!(read.header.disk_signature, theirs.header.disk_signature);
        for other in partitions_of_mbr(&theirs) {
            let apart = added.offset >= other.offset + other.length
                || other.offset >= added.offset + added.length;
            prop_assert!(apart, "{added:?} over {other:?}");
        }
    }

    /// A table made new: whatever fits is read by the other as it was asked for, and what does not is
    /// refused without a change.
    #[test]
    fn gptman_reads_a_new_table_either_copy(
        (block, size) in disks(), wishes in wishes(8)
    ) {
        let medium = MemoryMedium::of(vec![0; size], block as u32);
        let disk = Uuid::from_bytes_le([0xd2; 16]);
        let mut ours = Gpt::new(&medium, disk).unwrap();
        let (theirs, _) = their_gpt(block, size, &wishes);
        let mut expected = Vec::new();
        for (number, entry) in theirs.iter().filter(|(_, entry)| entry.is_used()) {
            let wanted = Partition {
                number,
                offset: entry.starting_lba * block as u64,
                length: entry.size().unwrap() * block as u64,
                kind: PartitionKind::Gpt(gpt::LINUX_SWAP),
                guid: Some(Uuid::from_bytes_le(entry.unique_partition_guid)),
            };
            let add = |table: &mut Gpt, number| table.add(
                number, wanted.offset, wanted.length, gpt::LINUX_SWAP, wanted.guid.unwrap(), "primary",
            );
            prop_assert_eq!(&add(&mut ours, number).unwrap(), &wanted);
            let before = ours.clone();
            for number in [number, number + 1, 0, 129] {
                prop_assert!(add(&mut ours, number).is_err());
            }
            prop_assert_eq!(&ours, &before);
            expected.push(wanted);
        }
        ours.write(&medium).unwrap();
        Mbr::protective(&medium).write(&medium).unwrap();
        let Table::Gpt(again) = Table::read(&medium).unwrap() else {
            panic!("no GPT");
        };
        prop_assert_eq!(again.partitions(), expected.clone());
        prop_assert!(again.backup_is_at_end());
        prop_assert_eq!(again.disk_guid(), disk);
        for (is_damaged, read) in either_copy(&medium, block) {
            prop_assert_eq!(read.is_backup(), is_damaged);
            prop_assert_eq!(read.header.disk_guid, [0xd2; 16]);
            prop_assert_eq!(read.header.first_usable_lba, theirs.header.first_usable_lba);
            prop_assert_eq!(read.header.last_usable_lba, theirs.header.last_usable_lba);
            prop_assert_eq!(partitions_of_gpt(&read), expected.clone());
            for (_, entry) in read.iter().filter(|(_, entry)| entry.is_used()) {
                prop_assert_eq!(entry.partition_name.as_str(), "primary");
            }
        }
        let said = MBR::read_from(&mut Cursor::new(medium.content()), block as u32).unwrap();
        prop_assert_eq!((said[1].sys, said[1].starting_lba), (0xee, 1));
        prop_assert_eq!(said[1].sectors as usize, size / block - 1);
    }

    #[test]
    fn mbrman_reads_a_new_record(
        (block, size) in disks(), wishes in wishes(3), active in 0..5_u32
    ) {
        let medium = MemoryMedium::of(vec![0; size], block as u32);
        let mut ours = Mbr::new(&medium, 0x0403_0201);
        let (theirs, _) = their_mbr(block, size, &wishes, 0);
        let mut expected = Vec::new();
        for (number, entry) in theirs.iter().filter(|(_, entry)| entry.is_used()) {
            let [first, count] = [entry.starting_lba, entry.sectors].map(u64::from);
            let (offset, length) = (first * block as u64, count * block as u64);
            let number = number as u32;
            let add = |table: &mut Mbr, number| {
                table.add(number, offset, length, mbr::LINUX, number == active)
            };
            expected.push(add(&mut ours, number).unwrap());
            let before = ours.clone();
            for number in [number, number + 1, 0, 5] {
                prop_assert!(add(&mut ours, number).is_err());
            }
            prop_assert_eq!(&ours, &before);
        }
        ours.write(&medium).unwrap();
        prop_assert_eq!(Mbr::read(&medium).unwrap().partitions(), expected.clone());
        let read = MBR::read_from(&mut Cursor::new(medium.content()), block as u32).unwrap();
        prop_assert_eq!(partitions_of_mbr(&read), expected);
        prop_assert_eq!(read.header.disk_signature, [1, 2, 3, 4]);
        for (number, entry) in read.iter().filter(|(_, entry)| entry.is_used()) {
            prop_assert_eq!(entry.is_active(), number as u32 == active);
        }
    }
}
