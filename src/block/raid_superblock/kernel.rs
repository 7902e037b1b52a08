//! The superblocks that the kernel reads itself: `mdp_super_t` (0.90) and `struct mdp_superblock_1` of
//! `linux/raid/md_p.h`.

use super::record::{Level, Metadata, RaidSuperblock, SUPERBLOCK, array, text, u32_le, uuid};

/// `MD_SB_MAGIC`.
pub(super) const MAGIC: u32 = 0xa92b_4efc;

/// Bytes of a superblock of version 1 before the members' roles.
const HEAD: usize = 256;
/// Where it has its checksum, which counts as 0 in it.
pub(super) const CHECKSUM_1: usize = 216;
/// The same of version 0.90.
pub(super) const CHECKSUM_0: usize = 38 * 4;

/// The superblock in these bytes from this offset; `None` where there is none, or none that the kernel would take.
pub(super) fn parse(metadata: Metadata, offset: u64, data: &[u8]) -> Option<RaidSuperblock> {
    let data = data.get(..SUPERBLOCK)?;
    match metadata {
        Metadata::V0_90 => version_0(offset, data),
        _ => version_1(metadata, offset, data),
    }
}

fn version_1(metadata: Metadata, offset: u64, data: &[u8]) -> Option<RaidSuperblock> {
    let most = u32_le(data, 220) as usize;
    let is_one = u32_le(data, 0) == MAGIC
        && u32_le(data, 4) == 1
        // It names its own place, so that a copy elsewhere is none.
        && u64::from_le_bytes(array(data, 144)) == offset / 512
        && most <= (SUPERBLOCK - HEAD) / 2
        && u32_le(data, CHECKSUM_1) == checksum_1(&data[..HEAD + most * 2]);
    is_one.then(|| RaidSuperblock {
        metadata,
        place: offset..offset + SUPERBLOCK as u64,
        array: uuid(&data[16..32]),
        name: text(&data[32..64]),
        level: Level::of_number(i32::from_le_bytes(array(data, 72))),
        events: u64::from_le_bytes(array(data, 200)),
    })
}

/// All of its words, the last of which may be a half.
pub(super) fn checksum_1(data: &[u8]) -> u32 {
    let mut sum: u64 = 0;
    for (index, word) in data.chunks(4).enumerate() {
        if index * 4 == CHECKSUM_1 {
            continue;
        }
        let mut bytes = [0; 4];
        bytes[..word.len()].copy_from_slice(word);
        sum += u64::from(u32::from_le_bytes(bytes));
    }
    fold(sum)
}

/// Written in the order of bytes of the machine that made it.
fn version_0(offset: u64, data: &[u8]) -> Option<RaidSuperblock> {
    let order: fn([u8; 4]) -> u32 = match MAGIC {
        magic if array(data, 0) == magic.to_le_bytes() => u32::from_le_bytes,
        magic if array(data, 0) == magic.to_be_bytes() => u32::from_be_bytes,
        _ => return None,
    };
    let word = |number: usize| order(array(data, number * 4));
    let mut sum: u64 = 0;
    for number in 0..SUPERBLOCK / 4 {
        if number * 4 != CHECKSUM_0 {
            sum += u64::from(word(number));
        }
    }
    // 91 while it is being reshaped.
    let is_one = word(1) == 0
        && matches!(word(2), 90 | 91)
        && halves(fold(sum)) == halves(order(array(data, CHECKSUM_0)));
    is_one.then(|| {
        let id: Vec<u8> = [5, 13, 14, 15]
            .into_iter()
            .flat_map(|number| word(number).to_be_bytes())
            .collect();
        // The two halves stand in the order of bytes of that machine, too.
        let (low, high) = match order([1, 0, 0, 0]) {
            1 => (word(39), word(40)),
            _ => (word(40), word(39)),
        };
        RaidSuperblock {
            metadata: Metadata::V0_90,
            place: offset..offset + SUPERBLOCK as u64,
            array: uuid(&id),
            name: None,
            level: Level::of_number(word(7).cast_signed()),
            events: u64::from(high) << 32 | u64::from(low),
        }
    })
}

pub(super) fn fold(sum: u64) -> u32 {
    ((sum & 0xffff_ffff) + (sum >> 32)) as u32
}

/// Some machines have computed 16 bits only; the kernel compares these.
fn halves(sum: u32) -> u32 {
    let once = (sum & 0xffff) + (sum >> 16);
    (once & 0xffff) + (once >> 16)
}
