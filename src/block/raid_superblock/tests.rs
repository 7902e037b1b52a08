use super::kernel::{CHECKSUM_1, MAGIC, checksum_1};
use super::*;

/// What a superblock of version 1 of these says.
pub(crate) fn version_1(metadata: Metadata, size: u64, name: &str, array: [u8; 16]) -> Vec<u8> {
    let mut data = vec![0; SUPERBLOCK];
    let offset = metadata.offset(size).unwrap();
    data[..4].copy_from_slice(&MAGIC.to_le_bytes());
    data[4] = 1;
    data[16..32].copy_from_slice(&array);
    data[32..32 + name.len()].copy_from_slice(name.as_bytes());
    data[72] = 1;
    data[144..152].copy_from_slice(&(offset / 512).to_le_bytes());
    data[200] = 7;
    data[220] = 2;
    let checksum = checksum_1(&data[..256 + 4]);
    data[CHECKSUM_1..CHECKSUM_1 + 4].copy_from_slice(&checksum.to_le_bytes());
    data
}
