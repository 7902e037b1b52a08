//! GUID partition tables (UEFI specification 2.10, section 5.3): made new, read from either copy,
//! extended to the disk's true end, given one more partition, written back.

use std::ops::Range;

use flate2::Crc;
use uuid::Uuid;

use super::gap::{ALIGNMENT, Gap, at_end, gaps};
use super::partition::{Partition, PartitionKind};
use super::table_error::TableError;
use crate::sys::block_device::Medium;

/// Type GUID of an EFI system partition.
pub(crate) const EFI_SYSTEM: Uuid = Uuid::from_u128(0xc12a7328_f81f_11d2_ba4b_00a0c93ec93b);

/// Type GUID of a Linux file system, sgdisk's 8300.
pub(crate) const LINUX_FILE_SYSTEM: Uuid = Uuid::from_u128(0x0fc63daf_8483_4772_8e79_3d69d8477de4);

/// Type GUID of the partition that GRUB keeps its core image in where BIOS boots from a GPT, sgdisk's
/// EF02.
pub(crate) const BIOS_BOOT: Uuid = Uuid::from_u128(0x21686148_6449_6e6f_744e_656564454649);

/// Type GUID of a swap area, sgdisk's 8200.
pub(crate) const LINUX_SWAP: Uuid = Uuid::from_u128(0x0657fd6d_a4ab_43c4_84e5_0933c84b4f4f);

const SIGNATURE: &[u8; 8] = b"EFI PART";

/// Revision 1.0, which is the only one.
const REVISION: u32 = 0x0001_0000;

/// Entries of a new table, of [`ENTRY`] bytes each: the least that UEFI firmware reserves space for.
const NEW_ENTRIES: u32 = 128;

/// Where an entry has its name, 36 letters of UTF-16.
const NAME: usize = 56;

/// Bytes of the header that are defined; it may be longer.
const HEADER: usize = 92;

/// Bytes of an entry that are defined; it may be longer.
const ENTRY: usize = 128;

/// The most bytes of entries that are taken. Tables have 16 KiB of them; the header's two numbers
/// could claim 16 EiB.
const MOST_ENTRIES: u64 = 1 << 20;

/// The most entries that the kernel looks at (DISK_MAX_PARTS less one). What entries behind them
/// cover is no partition, but not free either.
const MOST_PARTITIONS: usize = 255;

/// Offsets in the header, all little endian.
mod field {
    pub(super) const REVISION: usize = 8;
    pub(super) const SIZE: usize = 12;
    pub(super) const CRC: usize = 16;
    pub(super) const OWN_BLOCK: usize = 24;
    pub(super) const OTHER_BLOCK: usize = 32;
    pub(super) const FIRST_USABLE: usize = 40;
    pub(super) const LAST_USABLE: usize = 48;
    pub(super) const DISK_GUID: usize = 56;
    pub(super) const ENTRIES_BLOCK: usize = 72;
    pub(super) const ENTRY_COUNT: usize = 80;
    pub(super) const ENTRY_SIZE: usize = 84;
    pub(super) const ENTRIES_CRC: usize = 88;
}

/// A GUID partition table in memory.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Gpt {
    block: u64,
    blocks: u64,
    /// The primary header, wherever the table was read from; its checksums are made when written.
    header: Vec<u8>,
    entries: Vec<u8>,
    damage: Option<String>,
}

impl Gpt {
    /// A table without partitions, with its backup at the disk's end. It is in memory until
    /// [`Gpt::write`], and counts for nothing without [`super::mbr::Mbr::protective`].
    pub(crate) fn new(medium: &dyn Medium, disk: Uuid) -> Result<Self, TableError> {
        let block = u64::from(medium.logical_block_size());
        let blocks = medium.size() / block;
        let mut header = vec![0; block as usize];
        header[..SIGNATURE.len()].copy_from_slice(SIGNATURE);
        put_u32(&mut header, field::REVISION, REVISION);
        put_u32(&mut header, field::SIZE, HEADER as u32);
        put_u64(&mut header, field::OWN_BLOCK, 1);
        header[field::DISK_GUID..][..16].copy_from_slice(&disk.to_bytes_le());
        put_u64(&mut header, field::ENTRIES_BLOCK, 2);
        put_u32(&mut header, field::ENTRY_COUNT, NEW_ENTRIES);
        put_u32(&mut header, field::ENTRY_SIZE, ENTRY as u32);
        let mut table = Self {
            block,
            blocks,
            header,
            entries: vec![0; NEW_ENTRIES as usize * ENTRY],
            damage: None,
        };
        let first = 2 + table.entries_blocks();
        put_u64(&mut table.header, field::FIRST_USABLE, first);
        table.move_backup_to_end()?;
        Ok(table)
    }

    /// Add a partition under this number, of these bytes, which are whole blocks.
    pub(crate) fn add(
        &mut self,
        number: u32,
        offset: u64,
        length: u64,
        kind: Uuid,
        guid: Uuid,
        name: &str,
    ) -> Result<Partition, TableError> {
        let full = |reason: &str| TableError::Full {
            size: length,
            reason: reason.to_owned(),
        };
        let first = offset / self.block;
        let last = (offset + length) / self.block - 1;
        let usable =
            u64_at(&self.header, field::FIRST_USABLE)..=u64_at(&self.header, field::LAST_USABLE);
        if !usable.contains(&first) || !usable.contains(&last) || last < first {
            return Err(full("it reaches beyond the usable blocks"));
        }
        if self
            .used()
            .any(|(_, entry)| first <= u64_at(entry, 40) && u64_at(entry, 32) <= last)
        {
            return Err(full("another partition is there"));
        }
        let size = self.entry_size();
        let index = (number as usize).wrapping_sub(1);
        let entry = self
            .entries
            .chunks_mut(size)
            .nth(index)
            .filter(|entry| entry[..16] == [0; 16])
            .ok_or_else(|| full("its entry of the table is in use"))?;
        write_entry(entry, kind, guid, first, last);
        for (place, letter) in entry[NAME..ENTRY]
            .chunks_exact_mut(2)
            .zip(name.encode_utf16())
        {
            place.copy_from_slice(&letter.to_le_bytes());
        }
        Ok(Partition {
            number,
            offset,
            length,
            kind: PartitionKind::Gpt(kind),
            guid: Some(guid),
        })
    }

    /// Add a partition of so many bytes at the start of the first unused space that has room for it, aligned as
    /// sgdisk does, under the lowest free number: as `sgdisk -n 0:FIRST:+SIZE` where the space begins with the disk.
    pub(crate) fn add_in_first_gap(
        &mut self,
        length: u64,
        kind: Uuid,
        guid: Uuid,
        name: &str,
    ) -> Result<Partition, TableError> {
        let offset = self.first_gap(length).ok_or_else(|| TableError::Full {
            size: length,
            reason: "no unused space is as large".to_owned(),
        })?;
        let number = self
            .entries
            .chunks(self.entry_size())
            .take(MOST_PARTITIONS)
            .position(|entry| entry[..16] == [0; 16])
            .ok_or_else(|| TableError::Full {
                size: length,
                reason: "every entry of the table is in use".to_owned(),
            })?;
        self.add(number as u32 + 1, offset, length, kind, guid, name)
    }

    /// Where in the first unused space with room for so many bytes an aligned partition begins, in bytes.
    pub(crate) fn first_gap(&self, length: u64) -> Option<u64> {
        let align = (ALIGNMENT / self.block).max(1);
        let blocks = length.div_ceil(self.block);
        self.gaps().into_iter().find_map(|gap| {
            let start = gap.first.next_multiple_of(align);
            (start.checked_add(blocks)? <= gap.last + 1).then_some(start * self.block)
        })
    }

    /// The name that a partition has in the table; empty where it has none, or there is no such partition.
    pub(crate) fn name(&self, number: u32) -> String {
        let index = (number as usize).wrapping_sub(1);
        let entry = self.used().find(|(place, _)| *place == index);
        let units = entry.map_or_else(Vec::new, |(_, entry)| {
            let letters = entry[NAME..ENTRY].chunks_exact(2);
            letters
                .map(|letter| u16::from_le_bytes([letter[0], letter[1]]))
                .take_while(|letter| *letter != 0)
                .collect()
        });
        String::from_utf16_lossy(&units)
    }

    /// The disk's own GUID.
    pub(crate) fn disk_guid(&self) -> Uuid {
        guid_at(&self.header, field::DISK_GUID)
    }

    /// Read the primary copy, or where that is damaged the one in the last block.
    pub(crate) fn read(medium: &dyn Medium) -> Result<Self, TableError> {
        let block = u64::from(medium.logical_block_size());
        let blocks = medium.size() / block;
        if blocks < 3 {
            return Err(TableError::damaged("the disk is too small for a GPT"));
        }
        match Self::read_copy(medium, blocks, 1) {
            Err(TableError::Damaged { reason }) => {
                let mut table = Self::read_copy(medium, blocks, blocks - 1)
                    .map_err(|_| TableError::damaged(reason.clone()))?;
                table.make_primary()?;
                table.damage = Some(reason);
                Ok(table)
            }
            outcome => outcome,
        }
    }

    /// The partitions, by number.
    pub(crate) fn partitions(&self) -> Vec<Partition> {
        self.used()
            .filter(|(index, _)| *index < MOST_PARTITIONS)
            .map(|(index, entry)| {
                let first = u64_at(entry, 32);
                Partition {
                    number: index as u32 + 1,
                    offset: first * self.block,
                    length: (u64_at(entry, 40) - first + 1) * self.block,
                    kind: PartitionKind::Gpt(guid_at(entry, 0)),
                    guid: Some(guid_at(entry, 16)),
                }
            })
            .collect()
    }

    /// The bytes of the disk that both copies take, and the block before them that leads to the first.
    pub(super) fn places(&self) -> Vec<Range<u64>> {
        let entries = self.entries_blocks();
        let first = u64_at(&self.header, field::ENTRIES_BLOCK);
        let backup = u64_at(&self.header, field::OTHER_BLOCK);
        let bytes = |blocks: Range<u64>| {
            let byte = |block: u64| block.min(self.blocks).saturating_mul(self.block);
            byte(blocks.start)..byte(blocks.end)
        };
        vec![
            bytes(0..2),
            bytes(first..first.saturating_add(entries)),
            bytes(backup.saturating_sub(entries)..backup.saturating_add(1)),
        ]
    }

    /// Whether the backup copy is where it belongs, at the disk's end. An image made for a smaller
    /// disk has it elsewhere, and firmware and tools then take the table for damaged.
    pub(crate) fn backup_is_at_end(&self) -> bool {
        u64_at(&self.header, field::OTHER_BLOCK) == self.blocks - 1
    }

    /// Whether the backup is at the disk's end and Linux takes the table.
    pub(super) fn fits_disk(&self) -> bool {
        self.backup_is_at_end() && self.is_taken_by_linux()
    }

    /// Whether no usable block is beyond the disk: else Linux shows no partition.
    pub(super) fn is_taken_by_linux(&self) -> bool {
        u64_at(&self.header, field::LAST_USABLE) < self.blocks
    }

    /// Why the primary copy was not used, where the table comes from the backup.
    pub(crate) fn damage(&self) -> Option<&str> {
        self.damage.as_deref()
    }

    /// Put the backup copy at the disk's end and let partitions use the space up to it.
    pub(crate) fn move_backup_to_end(&mut self) -> Result<(), TableError> {
        let last_usable = (self.blocks - 1)
            .checked_sub(self.entries_blocks() + 1)
            .filter(|last| *last >= u64_at(&self.header, field::FIRST_USABLE))
            .ok_or_else(|| TableError::damaged("the disk is too small for its entries"))?;
        if let Some((index, _)) = self
            .used()
            .find(|(_, entry)| u64_at(entry, 40) > last_usable)
        {
            return Err(TableError::damaged(format!(
                "partition {} reaches into the space of the backup table at the disk's end",
                index + 1
            )));
        }
        let end = self.blocks - 1;
        put_u64(&mut self.header, field::OTHER_BLOCK, end);
        put_u64(&mut self.header, field::LAST_USABLE, last_usable);
        Ok(())
    }

    /// Add a partition at the end of the largest unused space, as `sgdisk -n 0:-SIZE:0` does: its
    /// start is aligned down to 1 MiB, so that it may be up to 1 MiB larger. Where `wanted` bytes do
    /// not fit, `least` do.
    pub(crate) fn add_at_end(
        &mut self,
        kind: Uuid,
        guid: Uuid,
        wanted: u64,
        least: u64,
    ) -> Result<Partition, TableError> {
        let full = |reason: &str| TableError::Full {
            size: least,
            reason: reason.to_owned(),
        };
        let (first, last) = self
            .largest_gap()
            .and_then(|gap| at_end(gap, self.block, wanted, least))
            .ok_or_else(|| full("the largest unused space is smaller"))?;
        let size = self.entry_size();
        let index = self
            .entries
            .chunks(size)
            .take(MOST_PARTITIONS)
            .position(|entry| entry[..16] == [0; 16])
            .ok_or_else(|| full("every entry of the table is in use"))?;
        let entry = &mut self.entries[index * size..][..size];
        write_entry(entry, kind, guid, first, last);
        Ok(Partition {
            number: index as u32 + 1,
            offset: first * self.block,
            length: (last - first + 1) * self.block,
            kind: PartitionKind::Gpt(kind),
            guid: Some(guid),
        })
    }

    /// Write both copies, the backup first, so that one of them is whole at every moment. The backup
    /// must have been moved to the disk's end, if it was not there.
    pub(crate) fn write(&self, medium: &dyn Medium) -> Result<(), TableError> {
        if !self.backup_is_at_end() {
            return Err(TableError::damaged(
                "its backup copy does not belong to the end of this disk",
            ));
        }
        let end = self.blocks - 1;
        let backup_entries = end.saturating_sub(self.entries_blocks());
        let mut primary = self.header.clone();
        put_u32(&mut primary, field::ENTRIES_CRC, crc(&self.entries));
        let mut backup = primary.clone();
        put_u64(&mut backup, field::OWN_BLOCK, end);
        put_u64(&mut backup, field::OTHER_BLOCK, 1);
        put_u64(&mut backup, field::ENTRIES_BLOCK, backup_entries);
        for (mut header, own) in [(backup, end), (primary, 1)] {
            let size = u32_at(&header, field::SIZE) as usize;
            put_u32(&mut header, field::CRC, 0);
            let sum = crc(&header[..size]);
            put_u32(&mut header, field::CRC, sum);
            let entries = u64_at(&header, field::ENTRIES_BLOCK);
            medium.write_at(entries * self.block, &self.entries)?;
            medium.write_at(own * self.block, &header)?;
        }
        Ok(())
    }

    fn read_copy(medium: &dyn Medium, blocks: u64, own: u64) -> Result<Self, TableError> {
        let block = u64::from(medium.logical_block_size());
        let mut header = vec![0; block as usize];
        medium.read_at(own * block, &mut header)?;
        check_header(&header, own, blocks)?;
        let size = entries_size(&header)?;
        let start = u64_at(&header, field::ENTRIES_BLOCK);
        let end = start.saturating_add(size.div_ceil(block));
        if start == 0 || end > blocks {
            return Err(TableError::damaged("its entries do not lie on the disk"));
        }
        let mut entries = vec![0; size as usize];
        medium.read_at(start * block, &mut entries)?;
        if crc(&entries) != u32_at(&header, field::ENTRIES_CRC) {
            return Err(TableError::damaged("the checksum of its entries is wrong"));
        }
        let table = Self {
            block,
            blocks,
            header,
            entries,
            damage: None,
        };
        table.check_entries()?;
        Ok(table)
    }

    /// No partition ends before it starts or beyond the disk, and no two overlap.
    fn check_entries(&self) -> Result<(), TableError> {
        let mut ranges: Vec<(u64, u64, usize)> = self
            .used()
            .map(|(index, entry)| (u64_at(entry, 32), u64_at(entry, 40), index + 1))
            .collect();
        ranges.sort_unstable();
        for (first, last, number) in &ranges {
            if *first == 0 || last < first || *last >= self.blocks {
                return Err(TableError::damaged(format!(
                    "partition {number} does not lie on the disk"
                )));
            }
        }
        for pair in ranges.windows(2) {
            if pair[1].0 <= pair[0].1 {
                return Err(TableError::damaged(format!(
                    "partitions {} and {} overlap",
                    pair[0].2, pair[1].2
                )));
            }
        }
        Ok(())
    }

    /// Turn the header of the backup copy into that of the primary one.
    fn make_primary(&mut self) -> Result<(), TableError> {
        if 2 + self.entries_blocks() > u64_at(&self.header, field::FIRST_USABLE) {
            return Err(TableError::damaged(
                "its entries reach into the usable blocks",
            ));
        }
        let own = u64_at(&self.header, field::OWN_BLOCK);
        put_u64(&mut self.header, field::OWN_BLOCK, 1);
        put_u64(&mut self.header, field::OTHER_BLOCK, own);
        put_u64(&mut self.header, field::ENTRIES_BLOCK, 2);
        Ok(())
    }

    fn used(&self) -> impl Iterator<Item = (usize, &[u8])> {
        self.entries
            .chunks(self.entry_size())
            .enumerate()
            .filter(|(_, entry)| entry[..16] != [0; 16])
    }

    fn largest_gap(&self) -> Option<Gap> {
        self.gaps()
            .into_iter()
            .max_by_key(|gap| gap.last - gap.first)
    }

    /// The unused spaces, from the disk's start to its end.
    fn gaps(&self) -> Vec<Gap> {
        let mut used: Vec<(u64, u64)> = self
            .used()
            .map(|(_, entry)| (u64_at(entry, 32), u64_at(entry, 40)))
            .collect();
        gaps(
            &mut used,
            u64_at(&self.header, field::FIRST_USABLE),
            u64_at(&self.header, field::LAST_USABLE),
        )
    }

    fn entry_size(&self) -> usize {
        u32_at(&self.header, field::ENTRY_SIZE) as usize
    }

    fn entries_blocks(&self) -> u64 {
        (self.entries.len() as u64).div_ceil(self.block)
    }
}

fn write_entry(entry: &mut [u8], kind: Uuid, guid: Uuid, first: u64, last: u64) {
    entry.fill(0);
    entry[..16].copy_from_slice(&kind.to_bytes_le());
    entry[16..32].copy_from_slice(&guid.to_bytes_le());
    put_u64(entry, 32, first);
    put_u64(entry, 40, last);
}

/// Whether a whole header that belongs into the block with this number is in these bytes of it. They
/// are at least the 92 of a header.
pub(crate) fn holds_header(block: &[u8], own: u64) -> bool {
    check_whole(block, own).is_ok()
}

fn check_header(header: &[u8], own: u64, blocks: u64) -> Result<(), TableError> {
    check_whole(header, own)?;
    let first = u64_at(header, field::FIRST_USABLE);
    let last = u64_at(header, field::LAST_USABLE);
    if first < 2 || first > last || first >= blocks {
        return Err(TableError::damaged(format!(
            "its usable blocks are {first} to {last}"
        )));
    }
    Ok(())
}

/// Signature, size, checksum and place.
fn check_whole(header: &[u8], own: u64) -> Result<(), TableError> {
    if !header.starts_with(SIGNATURE) {
        return Err(TableError::damaged(format!(
            "block {own} holds no GPT header; is the image made for another block size?"
        )));
    }
    let size = u32_at(header, field::SIZE) as usize;
    if !(HEADER..=header.len()).contains(&size) {
        return Err(TableError::damaged(format!(
            "its header claims {size} bytes"
        )));
    }
    let mut blank = header[..size].to_vec();
    put_u32(&mut blank, field::CRC, 0);
    if crc(&blank) != u32_at(header, field::CRC) {
        return Err(TableError::damaged("the checksum of its header is wrong"));
    }
    if u64_at(header, field::OWN_BLOCK) != own {
        return Err(TableError::damaged("its header belongs into another block"));
    }
    Ok(())
}

/// Bytes of all entries.
fn entries_size(header: &[u8]) -> Result<u64, TableError> {
    let count = u64::from(u32_at(header, field::ENTRY_COUNT));
    let size = u64::from(u32_at(header, field::ENTRY_SIZE));
    if count == 0 || size < ENTRY as u64 || !size.is_power_of_two() || count * size > MOST_ENTRIES {
        return Err(TableError::damaged(format!(
            "its header claims {count} entries of {size} bytes"
        )));
    }
    Ok(count * size)
}

fn crc(data: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(data);
    crc.sum()
}

fn u32_at(data: &[u8], offset: usize) -> u32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&data[offset..offset + 4]);
    u32::from_le_bytes(bytes)
}

fn u64_at(data: &[u8], offset: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&data[offset..offset + 8]);
    u64::from_le_bytes(bytes)
}

fn guid_at(data: &[u8], offset: usize) -> Uuid {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&data[offset..offset + 16]);
    Uuid::from_bytes_le(bytes)
}

fn put_u32(data: &mut [u8], offset: usize, value: u32) {
    data[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
}

fn put_u64(data: &mut [u8], offset: usize, value: u64) {
    data[offset..offset + 8].copy_from_slice(&value.to_le_bytes());
}

#[cfg(test)]
mod tests;
