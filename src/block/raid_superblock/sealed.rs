//! Devices with a superblock of any content whose checksum is right, so that tests get past it.

use super::external::{DDF_MAGIC, IMSM_CHECKSUM, IMSM_SIGNATURE, ddf_checksum, imsm_checksum};
use super::kernel::{CHECKSUM_0, CHECKSUM_1, MAGIC, checksum_1, fold};
use super::record::{Metadata, SUPERBLOCK, u32_le};

/// Bytes of such a device; its blocks are of 512 bytes.
const SIZE: usize = 1 << 20;

/// The device, and where its superblock begins.
pub(crate) fn device(metadata: Metadata, mut data: Vec<u8>) -> (Vec<u8>, usize) {
    data.resize(SUPERBLOCK, 0);
    let mut content = vec![0; SIZE];
    let put = |data: &mut [u8], at: usize, bytes: &[u8]| {
        data[at..at + bytes.len()].copy_from_slice(bytes);
    };
    let at = match metadata {
        Metadata::Imsm => {
            let length = 216 + u32_le(&data, 36) % 256 * 4;
            put(&mut data, 0, IMSM_SIGNATURE);
            put(&mut data, 36, &length.to_le_bytes());
            let sum = imsm_checksum(&data[..length as usize]);
            put(&mut data, IMSM_CHECKSUM, &sum.to_le_bytes());
            // What its last block but one has no room for lies before that.
            let more = (length as usize).div_ceil(512) * 512 - 512;
            put(&mut content, SIZE - 1024 - more, &data[512..512 + more]);
            data.truncate(512);
            SIZE - 1024
        }
        Metadata::Ddf => {
            data.truncate(512);
            put(&mut data, 0, &DDF_MAGIC.to_be_bytes());
            let sum = ddf_checksum(&data);
            put(&mut data, 4, &sum.to_be_bytes());
            SIZE - 512
        }
        Metadata::V0_90 => {
            put(&mut data, 0, &MAGIC.to_le_bytes());
            put(&mut data, 4, &[0, 0, 0, 0, 90, 0, 0, 0]);
            put(&mut data, CHECKSUM_0, &[0; 4]);
            let words = data.chunks_exact(4).map(|word| u64::from(u32_le(word, 0)));
            let sum = fold(words.sum());
            put(&mut data, CHECKSUM_0, &sum.to_le_bytes());
            offset(metadata)
        }
        Metadata::V1_0 | Metadata::V1_1 | Metadata::V1_2 => {
            let at = offset(metadata);
            let most = u32_le(&data, 220) % 1921;
            put(&mut data, 0, &MAGIC.to_le_bytes());
            put(&mut data, 4, &1_u32.to_le_bytes());
            put(&mut data, 144, &(at as u64 / 512).to_le_bytes());
            put(&mut data, 220, &most.to_le_bytes());
            let sum = checksum_1(&data[..256 + most as usize * 2]);
            put(&mut data, CHECKSUM_1, &sum.to_le_bytes());
            at
        }
    };
    put(&mut content, at, &data);
    (content, at)
}

fn offset(metadata: Metadata) -> usize {
    metadata.offset(SIZE as u64).unwrap_or_default() as usize
}
