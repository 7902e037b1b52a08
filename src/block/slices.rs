//! Partitions that BSD, Minix, UnixWare and Solaris keep within one of an MBR's, as far as Debian's
//! kernel reads them (block/partitions/msdos.c). All numbers are of 512 bytes, whatever the disk's
//! blocks are, but for the MBR's own.

use crate::sys::block_device::{DiskError, Medium};

/// The unit.
pub(super) const SECTOR: u64 = 512;

const FREE_BSD: u8 = 0xa5;
const OPEN_BSD: u8 = 0xa6;
const NET_BSD: u8 = 0xa9;
const MINIX: u8 = 0x81;
const UNIX_WARE: u8 = 0x63;
/// The older of Solaris' two types is Linux' swap, too.
const SOLARIS: [u8; 2] = [0x82, 0xbf];

const BSD_MAGIC: u32 = 0x8256_4557;
const UNIX_WARE_MAGIC: u32 = 0xca5e_600d;
const TABLE_MAGIC: u32 = 0x600d_deee;

/// Entries of a label.
const MOST: usize = 16;

/// A range of sectors.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Range {
    pub(super) first: u64,
    pub(super) count: u64,
}

/// What reads a label or table: its sector, the type of the partition that it is in, and that one.
type Reader = fn(&[u8], u8, Range) -> Vec<Range>;

/// The partitions within this one, which has this type, in the order of their numbers. Those without
/// an extent have a number, too.
pub(super) fn within(
    medium: &dyn Medium,
    kind: u8,
    parent: Range,
) -> Result<Vec<Range>, DiskError> {
    let label = |sector: u64| -> Result<Option<Vec<u8>>, DiskError> {
        let at = (parent.first + sector) * SECTOR;
        if at + SECTOR > medium.size() {
            return Ok(None);
        }
        let mut label = vec![0; SECTOR as usize];
        medium.read_at(at, &mut label)?;
        Ok(Some(label))
    };
    let (sector, read): (u64, Reader) = match kind {
        FREE_BSD | OPEN_BSD | NET_BSD => (1, bsd),
        MINIX => (0, minix),
        UNIX_WARE => (29, unix_ware),
        kind if SOLARIS.contains(&kind) => (1, solaris),
        _ => return Ok(Vec::new()),
    };
    Ok(label(sector)?.map_or_else(Vec::new, |label| read(&label, kind, parent)))
}

fn bsd(label: &[u8], kind: u8, parent: Range) -> Vec<Range> {
    const ENTRIES: usize = 148;
    let entry = |index: usize| &label[ENTRIES + index * 16..][..16];
    if u32_at(label, 0) != BSD_MAGIC {
        return Vec::new();
    }
    // FreeBSD counts from its partition where the third entry, which is all of it, begins with 0.
    let base = match kind == FREE_BSD && u32_at(entry(2), 4) == 0 {
        true => parent.first,
        false => 0,
    };
    (0..usize::from(u16_at(label, 138)).min(MOST))
        .map(entry)
        .filter(|entry| entry[12] != 0)
        .map(|entry| Range {
            first: base + u64::from(u32_at(entry, 4)),
            count: u32_at(entry, 0).into(),
        })
        .filter(|slice| {
            let lies_within = slice.first >= parent.first
                && slice.first + slice.count <= parent.first + parent.count;
            lies_within && *slice != parent
        })
        .collect()
}

/// A table like an MBR's, or the boot sector of a file system.
fn minix(record: &[u8], _: u8, _: Range) -> Vec<Range> {
    let entry = |slot: usize| &record[446 + slot * 16..][..16];
    if record[510..] != [0x55, 0xaa] || entry(0)[4] != MINIX {
        return Vec::new();
    }
    (0..4)
        .map(entry)
        .filter(|entry| entry[4] == MINIX)
        .map(|entry| Range {
            first: u32_at(entry, 8).into(),
            count: u32_at(entry, 12).into(),
        })
        .collect()
}

fn unix_ware(label: &[u8], _: u8, _: Range) -> Vec<Range> {
    if u32_at(label, 4) != UNIX_WARE_MAGIC || u32_at(label, 156) != TABLE_MAGIC {
        return Vec::new();
    }
    // The first is the whole disk.
    (1..MOST)
        .map(|index| &label[216 + index * 12..][..12])
        .filter(|entry| u16_at(entry, 0) != 0)
        .map(|entry| Range {
            first: u32_at(entry, 4).into(),
            count: u32_at(entry, 8).into(),
        })
        .collect()
}

fn solaris(table: &[u8], _: u8, parent: Range) -> Vec<Range> {
    if u32_at(table, 12) != TABLE_MAGIC || u32_at(table, 16) != 1 {
        return Vec::new();
    }
    let count = if u16_at(table, 30) > 8 { MOST } else { 8 };
    (0..count)
        .map(|index| &table[72 + index * 12..][..12])
        .map(|entry| Range {
            first: parent.first + u64::from(u32_at(entry, 4)),
            count: u32_at(entry, 8).into(),
        })
        .filter(|slice| slice.count > 0)
        .collect()
}

fn u16_at(data: &[u8], offset: usize) -> u16 {
    u16::from_le_bytes([data[offset], data[offset + 1]])
}

fn u32_at(data: &[u8], offset: usize) -> u32 {
    u32::from(u16_at(data, offset)) | u32::from(u16_at(data, offset + 2)) << 16
}
