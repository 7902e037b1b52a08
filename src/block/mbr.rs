//! Master boot records: four primary partitions, and logical ones in an extended partition.

use super::table::{Partition, PartitionKind, TableError, at_end, gaps};
use crate::sys::block_device::Medium;

/// Type byte of a FAT32 partition addressed by LBA, what parted's `fat32` becomes.
pub const FAT32_LBA: u8 = 0x0c;

/// Type byte of an EFI system partition.
pub const EFI_SYSTEM: u8 = 0xef;

/// Type byte of an entry that is no partition.
const UNUSED: u8 = 0x00;

/// Type byte that says that the disk has a GPT.
const PROTECTIVE: u8 = 0xee;

/// Type bytes of extended partitions: CHS, LBA, Linux.
const EXTENDED: [u8; 3] = [0x05, 0x0f, 0x85];

const TABLE: usize = 446;
const ENTRY: usize = 16;
const DISK_SIGNATURE: usize = 440;

/// The most logical partitions that are followed, against a chain that bites its tail; the kernel
/// stops at 256 partitions of a disk.
const MOST_LOGICAL: u32 = 252;

/// A CHS address that says "beyond what CHS can say".
const CHS_BEYOND: [u8; 3] = [0xfe, 0xff, 0xff];

/// A master boot record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mbr {
    block: u64,
    blocks: u64,
    /// The first 512 bytes of the disk.
    record: Vec<u8>,
    logical: Vec<Entry>,
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
    /// Read the record and follow its extended partition.
    ///
    /// [`TableError::Absent`] where the disk starts with something else, also where that is the
    /// boot sector of a file system, which has the same signature.
    pub fn read(medium: &dyn Medium) -> Result<Self, TableError> {
        let block_size = medium.logical_block_size();
        let absent = TableError::Absent { block_size };
        let block = u64::from(block_size);
        if medium.size() < block {
            return Err(absent);
        }
        let mut record = vec![0; 512];
        medium.read_at(0, &mut record)?;
        // As in the kernel's block/partitions/msdos.c: a table's flags are 0 or 0x80.
        let flags_known = (0..4).all(|slot| matches!(record[TABLE + slot * ENTRY], 0 | 0x80));
        if record[510..] != [0x55, 0xaa] || !flags_known {
            return Err(absent);
        }
        let mut mbr = Self {
            block,
            blocks: medium.size() / block,
            record,
            logical: Vec::new(),
        };
        mbr.check()?;
        let extended = mbr.primary().find(|entry| EXTENDED.contains(&entry.kind));
        if let Some(extended) = extended {
            mbr.logical = mbr.follow(medium, extended)?;
        }
        Ok(mbr)
    }

    /// Whether an entry says that the disk has a GPT.
    pub fn is_protective(&self) -> bool {
        self.primary().any(|entry| entry.kind == PROTECTIVE)
    }

    /// The disk's signature, which the conductor knows a whole-disk image by; 0 on most disks with
    /// a GPT.
    pub fn disk_signature(&self) -> u32 {
        u32_at(&self.record, DISK_SIGNATURE)
    }

    /// All partitions but the extended one, by number.
    pub fn partitions(&self) -> Vec<Partition> {
        self.primary()
            .filter(|entry| !EXTENDED.contains(&entry.kind))
            .chain(self.logical.iter().copied())
            .map(|entry| self.describe(entry))
            .collect()
    }

    /// How many of the four entries are in use, an extended partition's included.
    pub fn primary_count(&self) -> usize {
        self.primary().count()
    }

    /// Add a primary partition as far back on the disk as there is room, as parted does from -64MiB:
    /// at the end of the last unused space that takes `wanted` bytes, or else `least`.
    ///
    /// Blocks that the table's 32 bits do not reach are left alone.
    pub fn add_at_end(
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
        let align = super::table::ALIGNMENT / self.block;
        // The end is aligned too, as parted does with -a optimal.
        let reachable = self.blocks.min(u64::from(u32::MAX));
        let end = reachable - reachable % align;
        let mut used: Vec<(u64, u64)> = self
            .primary()
            .chain(self.covered())
            .map(|entry| (entry.first, entry.first + entry.count - 1))
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
        let bytes = &mut self.record[TABLE + slot * ENTRY..][..ENTRY];
        bytes[0] = 0;
        bytes[1..4].copy_from_slice(&CHS_BEYOND);
        bytes[4] = kind;
        bytes[5..8].copy_from_slice(&CHS_BEYOND);
        bytes[8..12].copy_from_slice(&start.to_le_bytes());
        bytes[12..16].copy_from_slice(&count.to_le_bytes());
        Ok(self.describe(entry))
    }

    /// Let the protective entry cover the whole disk (UEFI specification 2.10, table 5.4); true
    /// where that changed something. A hybrid table, which has further entries, is left as it is.
    pub fn protect_whole_disk(&mut self) -> bool {
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
    pub fn write(&self, medium: &dyn Medium) -> Result<(), TableError> {
        medium.write_at(0, &self.record)?;
        Ok(())
    }

    fn primary(&self) -> impl Iterator<Item = Entry> {
        self.entries().filter(|entry| entry.kind != UNUSED)
    }

    /// Entries without a type that still have an extent, which some isohybrids keep for the whole
    /// image: no partitions, but their room is not free.
    fn covered(&self) -> impl Iterator<Item = Entry> {
        self.entries().filter(|entry| entry.kind == UNUSED)
    }

    fn entries(&self) -> impl Iterator<Item = Entry> {
        (0..4).filter_map(|slot| entry(&self.record, slot, slot as u32 + 1, 0))
    }

    /// An entry for a new partition, rather one without an extent.
    fn free_slot(&self) -> Option<usize> {
        let slot = |slot: &usize| &self.record[TABLE + slot * ENTRY..][..ENTRY];
        let empty = |at: &usize| slot(at)[8..].iter().all(|byte| *byte == 0);
        let mut unused = (0..4).filter(|at| slot(at)[4] == UNUSED);
        unused.clone().find(empty).or_else(|| unused.next())
    }

    /// No primary partition lies beyond the disk. A protective entry may claim more: images for
    /// larger disks do, and 0xffffffff is usual. The partition of an isohybrid begins with the disk:
    /// it is the file system that the whole image is. An extended one that does would lead back to
    /// this record.
    fn check(&self) -> Result<(), TableError> {
        for entry in self.primary().filter(|entry| entry.kind != PROTECTIVE) {
            let leads_back = entry.first == 0 && EXTENDED.contains(&entry.kind);
            if leads_back || entry.first + entry.count > self.blocks {
                return Err(TableError::damaged(format!(
                    "partition {} does not lie on the disk",
                    entry.number
                )));
            }
        }
        Ok(())
    }

    /// The logical partitions: each boot record in the chain has one, and a link to the next.
    fn follow(&self, medium: &dyn Medium, extended: Entry) -> Result<Vec<Entry>, TableError> {
        let mut found = Vec::new();
        let mut at = extended.first;
        let mut record = vec![0; 512];
        for number in 5..5 + MOST_LOGICAL {
            if at >= self.blocks {
                return Err(TableError::damaged(
                    "its chain of logical partitions leaves the disk",
                ));
            }
            medium.read_at(at * self.block, &mut record)?;
            if record[510..] != [0x55, 0xaa] {
                break;
            }
            let own = entry(&record, 0, number, at).filter(|own| own.kind != UNUSED);
            if let Some(own) = own.filter(|own| own.first + own.count <= self.blocks) {
                found.push(own);
            }
            match entry(&record, 1, 0, extended.first) {
                Some(next) if EXTENDED.contains(&next.kind) && next.first > at => at = next.first,
                _ => break,
            }
        }
        Ok(found)
    }

    fn describe(&self, entry: Entry) -> Partition {
        Partition {
            number: entry.number,
            offset: entry.first * self.block,
            length: entry.count * self.block,
            kind: PartitionKind::Mbr(entry.kind),
            guid: None,
        }
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
