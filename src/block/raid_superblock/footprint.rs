//! What an array uses of a member: its data, and what the kernel notes beside that.

use std::ops::Range;

use super::record::{Level, Metadata, RaidSuperblock, Reader, SUPERBLOCK, array, u32_le};

/// Bytes of the kernel's unit of places.
const SECTOR: u64 = 512;

/// What the kernel keeps free from a superblock of version 1 that lies before the data, in bytes, whatever is noted there
/// (`md_super_1_load`; mdadm's `super1.c` has it as `(32+4)*2` sectors).
const HEAD: u64 = 36 << 10;

/// What 0.90 has for its superblock and its bitmap, at the end (`MD_RESERVED_BYTES`).
const RESERVED: u64 = 64 << 10;

/// `BITMAP_MAGIC` of `md-bitmap.h`.
const BITMAP: u32 = 0x6d74_6962;

/// The latest version with one bit for each chunk (`BITMAP_MAJOR_HI`). Those of clusters (5) have one for each machine, and
/// those that need no lock (6, since Linux 6.18) a byte for each chunk.
const BITMAP_VERSION: u32 = 4;

/// Bytes of a bitmap's own superblock, behind which are its bits.
const BITMAP_HEAD: u64 = 256;

/// A bitmap is written by whole pages.
const PAGE: u64 = 4096;

/// Bits of a superblock's `feature_map`: what can be there without anything else on the member being used.
mod feature {
    pub(super) const BITMAP: u32 = 1;
    const RECOVERY_OFFSET: u32 = 2;
    const BAD_BLOCKS: u32 = 8;
    const REPLACEMENT: u32 = 16;
    const RECOVERY_BITMAP: u32 = 128;
    const RAID0_LAYOUT: u32 = 4096;
    pub(super) const KNOWN: u32 =
        BITMAP | RECOVERY_OFFSET | BAD_BLOCKS | REPLACEMENT | RECOVERY_BITMAP | RAID0_LAYOUT;
}

/// The bytes of a member that belong to its array. All others are read and written by nobody.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Footprint {
    /// What the array's content lies in.
    pub data: Range<u64>,
    /// The superblock, the bitmap and the list of bad blocks.
    pub notes: Range<u64>,
}

/// Why it cannot be told what an array uses of a member, in words that follow its name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Unknown(pub(crate) String);

impl Footprint {
    /// That of an array with this kind of superblock on a device of this size and block size, in bytes.
    ///
    /// # Errors
    /// There is no such superblock; or the array keeps more on its members than is known here: it is being reshaped, has
    /// a journal or a log of partial parity, or belongs to a cluster.
    pub(crate) fn read(
        metadata: Metadata,
        size: u64,
        block: u32,
        read: Reader<'_>,
    ) -> Result<Self, Unknown> {
        let unknown = |why: &str| Unknown(why.to_owned());
        if metadata.is_external() {
            return Err(unknown("has metadata of firmware"));
        }
        let superblock = RaidSuperblock::read(metadata, size, block, read)
            .ok_or_else(|| unknown("has no superblock that can be read"))?;
        let place = superblock.place.start;
        let data = read(place, SUPERBLOCK).ok_or_else(|| unknown("cannot be read"))?;
        let footprint = match metadata {
            Metadata::V0_90 => version_0(&superblock, &data, size),
            _ => version_1(&superblock, &data, read),
        }?;
        let Self { data, notes } = &footprint;
        let is_apart = data.end <= notes.start || notes.end <= data.start;
        if data.is_empty() || data.end > size || notes.end > size || !is_apart {
            return Err(unknown("has a superblock that contradicts itself"));
        }
        Ok(footprint)
    }
}

fn version_1(
    superblock: &RaidSuperblock,
    data: &[u8],
    read: Reader<'_>,
) -> Result<Footprint, Unknown> {
    let number = |offset: usize| u64::from_le_bytes(array(data, offset));
    let features = u32_le(data, 8);
    if features & !feature::KNOWN != 0 {
        return Err(Unknown(format!(
            "uses features of arrays (0x{features:x}) of which this agent does not know what they keep on a member"
        )));
    }
    let overflow = || Unknown("has a superblock that contradicts itself".to_owned());
    let bytes = |sectors: u64| sectors.checked_mul(SECTOR).ok_or_else(overflow);
    let start = bytes(number(128))?;
    let used = used(superblock.level, number(80), number(136), u32_le(data, 88));
    let end = start.checked_add(bytes(used)?).ok_or_else(overflow)?;
    let place = superblock.place.start;
    let beside = |sectors: i32| {
        let distance = i64::from(sectors) * SECTOR as i64;
        place.checked_add_signed(distance).ok_or_else(overflow)
    };
    let mut notes = place..place + SUPERBLOCK as u64;
    if place < start {
        // The kernel refuses data that begin in the superblock; it may be shorter than what is read of it here, and then
        // nobody's mdadm has put data so near.
        if start < notes.end {
            return Err(overflow());
        }
        notes.end = notes.end.max(place + HEAD).min(start);
    }
    let mut add = |from: u64, length: u64| {
        notes = notes.start.min(from)..notes.end.max(from.saturating_add(length));
    };
    let log = u64::from(u16::from_le_bytes(array(data, 186)));
    if log > 0 {
        add(beside(i32::from_le_bytes(array(data, 188)))?, log * SECTOR);
    }
    if features & feature::BITMAP != 0 {
        let from = beside(i32::from_le_bytes(array(data, 96)))?;
        add(from, bitmap(from, read)?);
    }
    Ok(Footprint {
        data: start..end,
        notes,
    })
}

/// Sectors of a member that hold an array's content. Levels with redundancy use of each as much as the smallest has;
/// striped ones whole chunks of it.
fn used(level: Option<Level>, component: u64, available: u64, chunk: u32) -> u64 {
    match level {
        Some(Level::Raid1 | Level::Raid4 | Level::Raid5 | Level::Raid6 | Level::Raid10)
            if component > 0 =>
        {
            component.min(available)
        }
        Some(Level::Raid0) if chunk > 0 => available - available % u64::from(chunk),
        _ => available,
    }
}

/// Bytes of the bitmap that lies there: what is reserved for it, and its bits in any case.
fn bitmap(from: u64, read: Reader<'_>) -> Result<u64, Unknown> {
    let unknown = || Unknown("has a bitmap that cannot be read".to_owned());
    let head = read(from, BITMAP_HEAD as usize).ok_or_else(unknown)?;
    let chunk = u64::from(u32_le(&head, 52)) / SECTOR;
    if u32_le(&head, 0) != BITMAP
        || u32_le(&head, 4) > BITMAP_VERSION
        || chunk == 0
        || u32_le(&head, 68) != 0
    {
        return Err(unknown());
    }
    let sectors = u64::from_le_bytes(array(&head, 40));
    let bits = BITMAP_HEAD + sectors.div_ceil(chunk).div_ceil(8);
    let reserved = u64::from(u32_le(&head, 64)) * SECTOR;
    Ok(bits.next_multiple_of(PAGE).max(reserved))
}

/// Data first, and behind it what is reserved for the superblock and a bitmap.
fn version_0(superblock: &RaidSuperblock, data: &[u8], size: u64) -> Result<Footprint, Unknown> {
    let place = superblock.place.start;
    let word = |number: usize| -> [u8; 4] { array(data, number * 4) };
    // The words are in the order of bytes of the machine that wrote them; its minor version is 90 in either.
    let order = match u32::from_le_bytes(word(2)) {
        90 => u32::from_le_bytes,
        _ if u32::from_be_bytes(word(2)) == 90 => u32::from_be_bytes,
        _ => return Err(Unknown("is being reshaped".to_owned())),
    };
    let component = u64::from(order(word(8))) << 10;
    let end = match superblock.level {
        Some(Level::Raid1 | Level::Raid4 | Level::Raid5 | Level::Raid6 | Level::Raid10)
            if component > 0 =>
        {
            component.min(place)
        }
        _ => place,
    };
    Ok(Footprint {
        data: 0..end,
        notes: place..(place + RESERVED).min(size),
    })
}
