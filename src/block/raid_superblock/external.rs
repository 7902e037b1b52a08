//! What firmware keeps on the disks of its arrays. Neither format is needed for more here than to tell an operator
//! what there is, and to end it.

use super::record::{Level, Metadata, RaidSuperblock, Reader, array, text, u32_le, uuid};

/// `MPB_SIGNATURE` of mdadm's super-intel.c; the version follows it.
pub(super) const IMSM_SIGNATURE: &[u8] = b"Intel Raid ISM Cfg Sig. ";
/// Where an IMSM anchor has its checksum, which counts as 0 in it.
pub(super) const IMSM_CHECKSUM: usize = 32;
/// Where its disks begin, and bytes of each; the first volume follows them, its name first.
const IMSM_DISKS: usize = 0xd8;
const IMSM_DISK: usize = 48;
/// The most bytes of it that are taken: mdadm itself reserves 2210 sectors, and uses a few.
const IMSM_MOST: u64 = 1 << 20;

/// `DDF_HEADER_MAGIC`.
pub(super) const DDF_MAGIC: u32 = 0xde11_de11;
/// Bytes of a DDF header, whatever the disk's blocks are.
pub(super) const DDF_HEADER: usize = 512;

/// The anchor is in the last block but one; what it has no room for lies before it.
pub(super) fn imsm(size: u64, block: u32, read: Reader<'_>) -> Option<RaidSuperblock> {
    let block = u64::from(block);
    let anchor = size.checked_sub(2 * block)?;
    let mut data = read(anchor, usize::try_from(block).ok()?)?;
    if data.len() < IMSM_DISKS || !data.starts_with(IMSM_SIGNATURE) {
        return None;
    }
    let length = u64::from(u32_le(&data, 36));
    if !(IMSM_DISKS as u64..=IMSM_MOST).contains(&length) {
        return None;
    }
    let more = (length.div_ceil(block) - 1) * block;
    let start = anchor.checked_sub(more)?;
    if more > 0 {
        data.extend(read(start, usize::try_from(more).ok()?)?);
    }
    let data = data.get(..usize::try_from(length).ok()?)?;
    if imsm_checksum(data) != u32_le(data, IMSM_CHECKSUM) {
        return None;
    }
    let volume = IMSM_DISKS + usize::from(data[0x38]) * IMSM_DISK;
    Some(RaidSuperblock {
        metadata: Metadata::Imsm,
        place: start..anchor + block,
        array: format!("{:08x}", u32_le(data, 40)),
        // Of several volumes none is the one.
        name: (data[0x39] == 1)
            .then(|| data.get(volume..volume + 16).and_then(text))
            .flatten(),
        level: Some(Level::Container),
        events: u32_le(data, 44).into(),
    })
}

pub(super) fn imsm_checksum(data: &[u8]) -> u32 {
    let mut sum: u32 = 0;
    for (index, word) in data.chunks_exact(4).enumerate() {
        if index * 4 != IMSM_CHECKSUM {
            sum = sum.wrapping_add(u32_le(word, 0));
        }
    }
    sum
}

/// The anchor is in the last 512 bytes; Adaptec's is 257 such sectors before the end.
pub(super) fn ddf(size: u64, block: u32, read: Reader<'_>) -> Option<RaidSuperblock> {
    let places = [1, 257].map(|sectors| size.checked_sub(sectors * DDF_HEADER as u64));
    places.into_iter().flatten().find_map(|at| {
        let data = read(at, DDF_HEADER)?;
        let is_one = array(&data, 0) == DDF_MAGIC.to_be_bytes()
            && u32::from_be_bytes(array(&data, 4)) == ddf_checksum(&data);
        is_one.then(|| {
            let block = u64::from(block);
            RaidSuperblock {
                metadata: Metadata::Ddf,
                place: at - at % block..(at + DDF_HEADER as u64).next_multiple_of(block),
                array: uuid(&data[8..32]),
                name: None,
                level: Some(Level::Container),
                // The anchor does not count.
                events: 0,
            }
        })
    })
}

/// CRC-32 with ones in its own place, from 0 on and without the inversions of zlib's, as mdadm has it.
pub(super) fn ddf_checksum(data: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0xedb8_8320;
    let field = 4..8;
    let bytes = data.iter().enumerate();
    bytes.fold(0, |crc, (index, byte)| {
        let byte = if field.contains(&index) { 0xff } else { *byte };
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (POLYNOMIAL * (crc & 1))
        })
    })
}
