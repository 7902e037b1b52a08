//! The bytes that went by before their map did.

use std::collections::BTreeMap;

use super::geometry::SECTOR;

/// Bytes of a block. A block is let go when none of its sectors is wanted.
const BLOCK: u64 = SECTOR * u128::BITS as u64;

/// Sectors of the file that nothing laid claim to yet.
///
/// Kept in blocks of 64 KiB with a bit for each sector, because what is left over between claimed
/// data is small and scattered.
#[derive(Debug, Default)]
pub(super) struct LookBack {
    blocks: BTreeMap<u64, Block>,
    /// Memory of blocks that were let go, to be used again.
    spare: Vec<Box<[u8]>>,
}

#[derive(Debug)]
struct Block {
    /// The sectors that are here, from the lowest bit on.
    sectors: u128,
    bytes: Box<[u8]>,
}

impl LookBack {
    /// Keep these bytes of the file. What is not whole sectors is kept where the rest of the sector
    /// comes with the next call; a sector that starts in an earlier call must have been kept whole.
    pub(super) fn keep(&mut self, offset: u64, mut data: &[u8]) {
        let mut offset = offset;
        while !data.is_empty() {
            let within = (offset % BLOCK) as usize;
            let (here, rest) = data.split_at(data.len().min(BLOCK as usize - within));
            let spare = &mut self.spare;
            let block = self.blocks.entry(offset / BLOCK).or_insert_with(|| Block {
                sectors: 0,
                bytes: spare
                    .pop()
                    .unwrap_or_else(|| vec![0; BLOCK as usize].into()),
            });
            block.bytes[within..within + here.len()].copy_from_slice(here);
            block.sectors |= sectors(within as u64, (within + here.len()) as u64);
            offset += here.len() as u64;
            data = rest;
        }
    }

    /// Whether more than so many bytes are kept.
    pub(super) fn is_over(&self, bytes: usize) -> bool {
        self.blocks.len() > bytes / BLOCK as usize
    }

    /// Let the oldest go until there is no more than that.
    pub(super) fn shrink(&mut self, bytes: usize) {
        while self.is_over(bytes) {
            if let Some((_, block)) = self.blocks.pop_first() {
                self.spare.push(block.bytes);
            }
        }
    }

    /// Give all memory back.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Let go what lies before this offset.
    pub(super) fn forget_before(&mut self, offset: u64) {
        while let Some(first) = self.blocks.first_entry() {
            if (first.key() + 1) * BLOCK > offset {
                return;
            }
            self.spare.push(first.remove().bytes);
        }
    }

    /// The bytes from `start` to `end`, in pieces in order; `None` where one of them is not here.
    pub(super) fn pieces(&self, start: u64, end: u64) -> Option<Vec<&[u8]>> {
        let mut pieces = Vec::new();
        let mut offset = start;
        while offset < end {
            let stop = end.min((offset / BLOCK + 1) * BLOCK);
            let within = offset % BLOCK;
            let until = within + (stop - offset);
            let block = self.blocks.get(&(offset / BLOCK))?;
            let wanted = sectors(within, until);
            if block.sectors & wanted != wanted {
                return None;
            }
            pieces.push(&block.bytes[within as usize..until as usize]);
            offset = stop;
        }
        Some(pieces)
    }

    /// These bytes were used. Sectors that they only touch stay: compressed clusters share them.
    pub(super) fn release(&mut self, start: u64, end: u64) {
        let mut offset = start.next_multiple_of(SECTOR);
        let end = end / SECTOR * SECTOR;
        while offset < end {
            let stop = end.min((offset / BLOCK + 1) * BLOCK);
            let key = offset / BLOCK;
            if let Some(block) = self.blocks.get_mut(&key) {
                let within = offset % BLOCK;
                block.sectors &= !sectors(within, within + (stop - offset));
                if block.sectors == 0
                    && let Some(block) = self.blocks.remove(&key)
                {
                    self.spare.push(block.bytes);
                }
            }
            offset = stop;
        }
    }
}

/// The bits of the sectors of a block that these bytes touch; `end` may be the block's end.
fn sectors(start: u64, end: u64) -> u128 {
    let first = start / SECTOR;
    let count = end.div_ceil(SECTOR) - first;
    match count {
        0 => 0,
        count => (u128::MAX >> (u64::from(u128::BITS) - count)) << first,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(look_back: &LookBack, start: u64, end: u64) -> Option<Vec<u8>> {
        look_back.pieces(start, end).map(|pieces| pieces.concat())
    }

    #[test]
    fn a_shared_sector_stays() {
        let mut look_back = LookBack::default();
        look_back.keep(1024, &[7; 2048]);
        look_back.release(1100, 2000);
        assert_eq!(read(&look_back, 1024, 1536), Some(vec![7; 512]));
        assert_eq!(read(&look_back, 1536, 1540), Some(vec![7; 4]));
        look_back.release(1024, 2048);
        assert_eq!(read(&look_back, 1500, 1501), None);
        assert_eq!(read(&look_back, 2048, 3072), Some(vec![7; 1024]));
        look_back.release(2048, 3072);
        assert!(look_back.blocks.is_empty());
    }

    #[test]
    fn the_oldest_goes_first() {
        let mut look_back = LookBack::default();
        for mib in 0..17 {
            look_back.keep(mib << 20, &vec![mib as u8; 1 << 20]);
        }
        assert!(look_back.is_over(16 << 20));
        look_back.shrink(16 << 20);
        assert_eq!(read(&look_back, 0, 1), None);
        assert_eq!(read(&look_back, 1 << 20, (1 << 20) + 1), Some(vec![1]));
        look_back.forget_before(5 << 20);
        assert_eq!(read(&look_back, (5 << 20) - 1, 5 << 20), None);
        assert_eq!(read(&look_back, 5 << 20, (5 << 20) + 1), Some(vec![5]));
    }

    proptest! {
        /// Against a plain list of which sector is there.
        #[test]
        fn what_is_kept_is_read(steps in prop::collection::vec(
            (any::<bool>(), 0_u64..1000, 1_u64..400), 1..40)) {
            let mut look_back = LookBack::default();
            let mut model = vec![None; 1400];
            for (number, (keep, start, count)) in steps.into_iter().enumerate() {
                let (from, to) = (start as usize, (start + count) as usize);
                if keep {
                    look_back.keep(start * SECTOR, &vec![number as u8; (count * SECTOR) as usize]);
                    model[from..to].fill(Some(number as u8));
                } else {
                    look_back.release(start * SECTOR, (start + count) * SECTOR);
                    model[from..to].fill(None);
                }
            }
            for (sector, expected) in model.iter().enumerate() {
                let start = sector as u64 * SECTOR;
                let found = read(&look_back, start, start + SECTOR);
                prop_assert_eq!(found, expected.map(|byte| vec![byte; SECTOR as usize]));
            }
            for (from, window) in model.windows(300).enumerate().step_by(97) {
                let start = from as u64 * SECTOR + 5;
                let found = look_back.pieces(start, start + 299 * SECTOR);
                prop_assert_eq!(found.is_some(), window.iter().all(Option::is_some));
            }
        }
    }
}
