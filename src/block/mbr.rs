//! Master boot records: four primary partitions, and logical ones in extended partitions, read and
//! numbered as the kernel does it (block/partitions/msdos.c).

use std::collections::BTreeSet;
use std::ops::Range;

use super::gap::{ALIGNMENT, at_end, gaps};
use super::partition::{Partition, PartitionKind};
use super::slices;
use super::table_error::TableError;
use crate::sys::block_device::Medium;

/// Type byte of a FAT32 partition addressed by LBA, what parted's `fat32` becomes.
pub(crate) const FAT32_LBA: u8 = 0x0c;

/// Type byte of an EFI system partition.
pub(crate) const EFI_SYSTEM: u8 = 0xef;

/// Type byte of a partition with a file system of Linux.
pub(crate) const LINUX: u8 = 0x83;

/// Type byte of a swap area of Linux.
pub(crate) const LINUX_SWAP: u8 = 0x82;

/// Type byte of an entry that is no partition.
const UNUSED: u8 = 0x00;

/// Type byte that says that the disk has a GPT.
const PROTECTIVE: u8 = 0xee;

/// Type bytes of extended partitions: CHS, LBA, Linux.
const EXTENDED: [u8; 3] = [0x05, 0x0f, 0x85];

const TABLE: usize = 446;
const ENTRY: usize = 16;
const DISK_SIGNATURE: usize = 440;

/// The number of the first logical partition.
const FIRST_LOGICAL: u32 = 5;

/// The highest number that the kernel gives (DISK_MAX_PARTS less one).
const MOST_PARTITIONS: u32 = 255;

/// The most links without a partition, one behind the other, that the kernel follows.
const MOST_EMPTY_LINKS: usize = 100;

/// The most bytes of an extended partition that the kernel shows, so that nobody makes a file
/// system over the chain: room for a boot loader.
const EXTENDED_SHOWN: u64 = 1024;

/// The first letters of an AIX disk, which has no table: IBMA in EBCDIC.
const AIX: [u8; 4] = [0xc9, 0xc2, 0xd4, 0xc1];

/// Where AIX's volume manager says its name.
const AIX_VOLUMES: u64 = 7 * 512;

/// Types with which the kernel takes a disk for a Linux one in spite of AIX's mark: swap, Linux,
/// LVM, RAID.
const OF_LINUX: [u8; 4] = [LINUX_SWAP, LINUX, 0x8e, 0xfd];

/// A CHS address that says "beyond what CHS can say".
const CHS_BEYOND: [u8; 3] = [0xfe, 0xff, 0xff];

/// The CHS address of the second block, where a protective entry begins.
const CHS_SECOND: [u8; 3] = [0x00, 0x02, 0x00];

/// The flag of the partition that a BIOS boots from.
const ACTIVE: u8 = 0x80;

/// A master boot record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Mbr {
    block: u64,
    blocks: u64,
    /// The first 512 bytes of the disk.
    record: Vec<u8>,
    logical: Vec<Entry>,
    /// Blocks that lead to them, which may lie outside of the extended partition as they do.
    links: Vec<u64>,
    /// What lies within primary partitions of other systems.
    slices: Vec<Partition>,
}

/// A partition, in blocks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Entry {
    number: u32,
    kind: u8,
    first: u64,
    count: u64,
}

impl Mbr {
    /// A record without partitions and without boot code, with this signature of the disk. It is in
    /// memory until [`Mbr::write`].
    pub(crate) fn new(medium: &dyn Medium, signature: u32) -> Self {
        let block = u64::from(medium.logical_block_size());
        let mut record = vec![0; 512];
        record[DISK_SIGNATURE..][..4].copy_from_slice(&signature.to_le_bytes());
        record[510..].copy_from_slice(&[0x55, 0xaa]);
        Self {
            block,
            blocks: medium.size() / block,
            record,
            logical: Vec::new(),
            links: Vec::new(),
            slices: Vec::new(),
        }
    }

    /// The record before a GPT, whose only entry covers the disk (UEFI specification 2.10, table
    /// 5.4).
    pub(crate) fn protective(medium: &dyn Medium) -> Self {
        let mut mbr = Self::new(medium, 0);
        let count = u32::try_from(mbr.blocks.saturating_sub(1)).unwrap_or(u32::MAX);
        mbr.put(0, 0, PROTECTIVE, 1, count);
        mbr.record[TABLE + 1..][..3].copy_from_slice(&CHS_SECOND);
        mbr
    }

    /// Add a primary partition under this number, of these bytes, which are whole blocks; `active`
    /// is what a BIOS boots from.
    pub(crate) fn add(
        &mut self,
        number: u32,
        offset: u64,
        length: u64,
        kind: u8,
        active: bool,
    ) -> Result<Partition, TableError> {
        let full = |reason: &str| TableError::Full {
            size: length,
            reason: reason.to_owned(),
        };
        let slot = (number as usize).wrapping_sub(1);
        if slot >= 4 || self.slot(slot) != [0; ENTRY] {
            return Err(full("its entry of the table is in use"));
        }
        let entry = Entry {
            number,
            kind,
            first: offset / self.block,
            count: length / self.block,
        };
        if entry.first == 0 || entry.count == 0 || entry.first + entry.count > self.blocks {
            return Err(full("it reaches beyond the disk"));
        }
        let is_over = |other: &Entry| {
            entry.first < other.first + other.count && other.first < entry.first + entry.count
        };
        if self.entries().any(|other| is_over(&other)) {
            return Err(full("another partition is there"));
        }
        // The last block counts, too: some firmware adds the two numbers in 32 bits.
        let [first, count] = [entry.first, entry.count].map(u32::try_from);
        let (Ok(first), Ok(count)) = (first, count) else {
            return Err(full("the table cannot address it"));
        };
        if first.checked_add(count).is_none() {
            return Err(full("the table cannot address it"));
        }
        self.put(slot, if active { ACTIVE } else { 0 }, kind, first, count);
        Ok(self.describe(entry))
    }

    /// Read the record and follow its extended partition.
    ///
    /// [`TableError::Absent`] where the disk starts with something else, also where that is the
    /// boot sector of a file system, which has the same signature.
    pub(crate) fn read(medium: &dyn Medium) -> Result<Self, TableError> {
        let block_size = medium.logical_block_size();
        let absent = TableError::Absent { block_size };
        let block = u64::from(block_size);
        if medium.size() < block {
            return Err(absent);
        }
        let mut record = vec![0; 512];
        medium.read_at(0, &mut record)?;
        if record[510..] != [0x55, 0xaa] {
            return Err(absent);
        }
        let mut mbr = Self {
            block,
            blocks: medium.size() / block,
            record,
            logical: Vec::new(),
            links: Vec::new(),
            slices: Vec::new(),
        };
        // Beside a protective entry nothing counts.
        if mbr.is_protective() {
            return Ok(mbr);
        }
        // The flags of a table are 0 or 0x80; a boot sector has code there.
        let flags_known = (0..4).all(|slot| matches!(mbr.slot(slot)[0], 0 | 0x80));
        if !flags_known || mbr.is_of_aix(medium)? {
            return Err(absent);
        }
        mbr.check()?;
        let containers: Vec<Entry> = mbr.entries().filter(Entry::is_extended).collect();
        for container in containers {
            mbr.follow(medium, container)?;
        }
        mbr.look_within(medium)?;
        Ok(mbr)
    }

    /// Whether an entry claims that the disk has a GPT.
    pub(crate) fn is_protective(&self) -> bool {
        (0..4).any(|slot| self.slot(slot)[4] == PROTECTIVE)
    }

    /// Whether it claims so as the kernel and UEFI firmware want it: from the second block on.
    pub(super) fn leads_to_gpt(&self) -> bool {
        (0..4).any(|slot| self.slot(slot)[4] == PROTECTIVE && u32_at(self.slot(slot), 8) == 1)
    }

    /// The disk's signature, which the conductor knows a whole-disk image by; 0 on most disks with
    /// a GPT.
    pub(crate) fn disk_signature(&self) -> u32 {
        u32_at(&self.record, DISK_SIGNATURE)
    }

    /// All partitions, by number, those within others too. Of an extended one there is only the
    /// beginning, as for the kernel; an entry without a type is a partition if it has an extent.
    pub(crate) fn partitions(&self) -> Vec<Partition> {
        self.entries()
            .filter(|entry| entry.first < self.blocks)
            .chain(self.logical.iter().copied())
            .map(|entry| self.describe(entry))
            .chain(self.slices.iter().cloned())
            .collect()
    }

    /// The bytes of the disk that the table takes: the first block, and those that lead to logical partitions.
    pub(super) fn places(&self) -> Vec<Range<u64>> {
        let links = self.links.iter().copied();
        let blocks = [0].into_iter().chain(links);
        let byte = |block: u64| block.min(self.blocks).saturating_mul(self.block);
        blocks
            .map(|block| byte(block)..byte(block.saturating_add(1)))
            .collect()
    }

    /// How many of the four entries are in use, an extended partition's included, and those that
    /// have an extent without a type.
    pub(crate) fn primary_count(&self) -> usize {
        self.entries().count()
    }

    /// Add a primary partition as far back on the disk as there is room, as parted does from -64MiB:
    /// at the end of the last unused space that takes `wanted` bytes, or else `least`.
    ///
    /// Blocks that the table's 32 bits do not reach are left alone.
    pub(crate) fn add_at_end(
        &mut self,
        kind: u8,
        wanted: u64,
        least: u64,
    ) -> Result<Partition, TableError> {
        let full = |reason: &str| TableError::Full {
            size: least,
            reason: reason.to_owned(),
        };
        let slot = self
            .free_slot()
            .ok_or_else(|| full("all four entries of the table are in use"))?;
        let align = ALIGNMENT / self.block;
        // The end is aligned too, as parted does with -a optimal.
        let reachable = self.blocks.min(u64::from(u32::MAX));
        let end = reachable - reachable % align;
        let mut used: Vec<(u64, u64)> = self
            .entries()
            .chain(self.logical.iter().copied())
            .map(|entry| (entry.first, entry.first + entry.count - 1))
            .chain(self.links.iter().map(|link| (*link, *link)))
            .chain(self.slices.iter().map(|slice| {
                let last = slice.offset + slice.length - 1;
                (slice.offset / self.block, last / self.block)
            }))
            .collect();
        let (first, last) = gaps(&mut used, align, end.saturating_sub(1))
            .into_iter()
            .rev()
            .find_map(|gap| at_end(gap, self.block, wanted, least))
            .ok_or_else(|| full("no unused space is as large"))?;
        let entry = Entry {
            number: slot as u32 + 1,
            kind,
            first,
            count: last - first + 1,
        };
        let too_far = |_| full("the table cannot address it");
        let start = u32::try_from(entry.first).map_err(too_far)?;
        let count = u32::try_from(entry.count).map_err(too_far)?;
        self.put(slot, 0, kind, start, count);
        Ok(self.describe(entry))
    }

    /// Let the protective entry cover the whole disk (UEFI specification 2.10, table 5.4); true
    /// where that changed something. A hybrid table, which has further entries, is left as it is.
    pub(crate) fn protect_whole_disk(&mut self) -> bool {
        let alone = self.primary_count() == 1 && self.record[TABLE + 4] == PROTECTIVE;
        if !alone || u32_at(&self.record, TABLE + 8) != 1 {
            return false;
        }
        let count = u32::try_from(self.blocks - 1).unwrap_or(u32::MAX);
        let place = &mut self.record[TABLE + 12..TABLE + 16];
        let changed = *place != count.to_le_bytes();
        place.copy_from_slice(&count.to_le_bytes());
        changed
    }

    /// Write the record back. Logical partitions are never changed here.
    pub(crate) fn write(&self, medium: &dyn Medium) -> Result<(), TableError> {
        medium.write_at(0, &self.record)?;
        Ok(())
    }

    fn put(&mut self, slot: usize, flag: u8, kind: u8, first: u32, count: u32) {
        let bytes = &mut self.record[TABLE + slot * ENTRY..][..ENTRY];
        bytes[0] = flag;
        bytes[1..4].copy_from_slice(&CHS_BEYOND);
        bytes[4] = kind;
        bytes[5..8].copy_from_slice(&CHS_BEYOND);
        bytes[8..12].copy_from_slice(&first.to_le_bytes());
        bytes[12..16].copy_from_slice(&count.to_le_bytes());
    }

    fn primary(&self) -> impl Iterator<Item = Entry> {
        self.entries().filter(|entry| entry.kind != UNUSED)
    }

    fn entries(&self) -> impl Iterator<Item = Entry> {
        (0..4).filter_map(|slot| entry(&self.record, slot, slot as u32 + 1, 0))
    }

    fn slot(&self, slot: usize) -> &[u8] {
        &self.record[TABLE + slot * ENTRY..][..ENTRY]
    }

    /// An entry for a new partition. One with an extent is a partition of Linux's, whatever its type.
    fn free_slot(&self) -> Option<usize> {
        let is_unused =
            |slot: &usize| self.slot(*slot)[4] == UNUSED && u32_at(self.slot(*slot), 12) == 0;
        (0..4).find(is_unused)
    }

    /// Whether this is AIX's disk, and what looks like a table is none.
    fn is_of_aix(&self, medium: &dyn Medium) -> Result<bool, TableError> {
        let is_linux = |slot| {
            let kind = self.slot(slot)[4];
            OF_LINUX.contains(&kind) || EXTENDED.contains(&kind)
        };
        if self.record[..4] != AIX || (0..4).any(is_linux) || medium.size() < AIX_VOLUMES + 512 {
            return Ok(false);
        }
        let mut name = [0; 512];
        medium.read_at(AIX_VOLUMES, &mut name)?;
        Ok(name.starts_with(b"_LVM"))
    }

    /// No primary partition lies beyond the disk; the kernel would cut it off. The partition of an
    /// isohybrid begins with the disk: it is the file system that the whole image is. An extended
    /// one that does would lead back to this record.
    fn check(&self) -> Result<(), TableError> {
        for entry in self.primary() {
            if entry.first == 0 && entry.is_extended() {
                return Err(self.beyond(entry));
            }
            self.check_extent(entry)?;
        }
        Ok(())
    }

    fn check_extent(&self, entry: Entry) -> Result<(), TableError> {
        match entry.first + entry.count > self.blocks {
            true => Err(self.beyond(entry)),
            false => Ok(()),
        }
    }

    fn beyond(&self, entry: Entry) -> TableError {
        TableError::damaged(format!(
            "partition {} does not lie on the disk",
            entry.number
        ))
    }

    /// Add the logical partitions of this container: each link of its chain has four entries for
    /// partitions, usually one is used, and for the way to the next link, which may lie anywhere.
    /// They are numbered as they come; a link without a partition has no number.
    fn follow(&mut self, medium: &dyn Medium, container: Entry) -> Result<(), TableError> {
        let mut seen = BTreeSet::new();
        let mut link = container;
        let mut record = vec![0; 512];
        let mut empty = 0;
        // The kernel goes on in a chain that bites its tail, and shows its partitions many times.
        while empty < MOST_EMPTY_LINKS && link.first < self.blocks && seen.insert(link.first) {
            medium.read_at(link.first * self.block, &mut record)?;
            if record[510..] != [0x55, 0xaa] {
                break;
            }
            self.links.push(link.first);
            empty += 1;
            for slot in 0..4 {
                let number = FIRST_LOGICAL + self.logical.len() as u32;
                let Some(own) = entry(&record, slot, number, link.first) else {
                    continue;
                };
                let is_rubbish = slot >= 2 && !(own.is_within(&link) && own.is_within(&container));
                if own.is_extended() || is_rubbish {
                    continue;
                }
                if number > MOST_PARTITIONS {
                    return Ok(());
                }
                self.check_extent(own)?;
                self.logical.push(own);
                empty = 0;
            }
            let next = (0..4)
                .filter_map(|slot| entry(&record, slot, 0, container.first))
                .find(Entry::is_extended);
            let Some(next) = next else {
                break;
            };
            link = next;
        }
        Ok(())
    }

    /// Add the partitions of other systems, whose numbers come behind the logical ones'.
    fn look_within(&mut self, medium: &dyn Medium) -> Result<(), TableError> {
        let unit = self.block / slices::SECTOR;
        let mut number = FIRST_LOGICAL + self.logical.len() as u32;
        let parents: Vec<Entry> = self.entries().collect();
        for parent in parents {
            let place = slices::Range {
                first: parent.first * unit,
                count: parent.count * unit,
            };
            for slice in slices::within(medium, parent.kind, place)? {
                // As the kernel: one without an extent takes a number, one beyond the disk is cut off.
                let offset = slice.first * slices::SECTOR;
                let length = (slice.count * slices::SECTOR)
                    .min((self.blocks * self.block).saturating_sub(offset));
                if length > 0 && number <= MOST_PARTITIONS {
                    self.slices.push(Partition {
                        number,
                        offset,
                        length,
                        kind: PartitionKind::Mbr(parent.kind),
                        guid: None,
                    });
                }
                number += 1;
            }
        }
        Ok(())
    }

    fn describe(&self, entry: Entry) -> Partition {
        let length = match entry.is_extended() {
            true => entry.count.min((EXTENDED_SHOWN / self.block).max(1)),
            // Only an entry without a type may reach beyond the disk.
            false => entry.count.min(self.blocks.saturating_sub(entry.first)),
        };
        Partition {
            number: entry.number,
            offset: entry.first * self.block,
            length: length * self.block,
            kind: PartitionKind::Mbr(entry.kind),
            guid: None,
        }
    }
}

impl Entry {
    fn is_extended(&self) -> bool {
        EXTENDED.contains(&self.kind)
    }

    fn is_within(&self, other: &Self) -> bool {
        self.first >= other.first && self.first + self.count <= other.first + other.count
    }
}

/// The entry in this slot, its start counted from `base`; `None` where it has no extent.
fn entry(record: &[u8], slot: usize, number: u32, base: u64) -> Option<Entry> {
    let bytes = &record[TABLE + slot * ENTRY..][..ENTRY];
    let entry = Entry {
        number,
        kind: bytes[4],
        first: base + u64::from(u32_at(bytes, 8)),
        count: u64::from(u32_at(bytes, 12)),
    };
    (entry.count > 0).then_some(entry)
}

fn u32_at(data: &[u8], offset: usize) -> u32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&data[offset..offset + 4]);
    u32::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests;
