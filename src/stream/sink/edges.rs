//! Bytes of extents that cover a part of a block only: put together to whole blocks here.

use std::collections::BTreeMap;
use std::ops::Range;

use farrier_plugin::AlignedBuffer;

/// Unfinished blocks that are kept. An image whose clusters are smaller than the disk's blocks and
/// lie scattered needs many; with 4 KiB each these take 4 MiB.
const MOST: usize = 1024;

/// The blocks of which some bytes are known.
///
/// Direct I/O writes whole blocks, and two writes at once into one block would undo each other.
/// So the parts of a block are gathered until it is whole; what is still unfinished at the end, as
/// the last block of an image whose length is no multiple of it, is added to what the disk holds.
pub(super) struct Edges {
    block: u64,
    open: BTreeMap<u64, Edge>,
}

struct Edge {
    bytes: Vec<u8>,
    known: Vec<Range<usize>>,
}

/// Bytes of one block, to be written into it.
pub(super) struct Patch {
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
}

impl Edges {
    /// Of a disk with blocks of so many bytes.
    pub(super) fn new(block: u64) -> Self {
        Self {
            block,
            open: BTreeMap::new(),
        }
    }

    /// Add bytes that lie within one block; the block's offset and content where that makes it
    /// whole.
    pub(super) fn add(&mut self, offset: u64, bytes: &[u8]) -> Option<(u64, AlignedBuffer)> {
        let start = offset - offset % self.block;
        let within = (offset - start) as usize..(offset - start) as usize + bytes.len();
        let size = self.block as usize;
        let edge = self.open.entry(start).or_insert_with(|| Edge {
            bytes: vec![0; size],
            known: Vec::new(),
        });
        edge.bytes[within.clone()].copy_from_slice(bytes);
        edge.note(within);
        if !matches!(&edge.known[..], [all] if all.len() == size) {
            return None;
        }
        let edge = self.open.remove(&start)?;
        let mut whole = AlignedBuffer::zeroed(size);
        whole.copy_from_slice(&edge.bytes);
        Some((start, whole))
    }

    /// Whether [`Edges::patches`] must be written before more is added.
    pub(super) fn is_full(&self) -> bool {
        self.open.len() >= MOST
    }

    /// Give up gathering: everything, by offset.
    pub(super) fn patches(&mut self) -> Vec<Patch> {
        let mut patches = Vec::new();
        for (start, edge) in std::mem::take(&mut self.open) {
            for range in edge.known {
                patches.push(Patch {
                    offset: start + range.start as u64,
                    bytes: edge.bytes[range].to_vec(),
                });
            }
        }
        patches
    }
}

impl Edge {
    /// Add a range to those that are known, merged and in order.
    fn note(&mut self, new: Range<usize>) {
        self.known.push(new);
        self.known.sort_unstable_by_key(|range| range.start);
        let mut merged: Vec<Range<usize>> = Vec::with_capacity(self.known.len());
        for range in self.known.drain(..) {
            match merged.last_mut() {
                Some(last) if last.end >= range.start => last.end = last.end.max(range.end),
                _ => merged.push(range),
            }
        }
        self.known = merged;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_comes_when_its_last_byte_does() {
        let mut edges = Edges::new(4096);
        assert!(edges.add(8192 + 512, &[1; 1000]).is_none());
        assert!(edges.add(8192 + 2000, &[2; 2096]).is_none());
        assert!(edges.add(8192, &[3; 512]).is_none());
        let (offset, block) = edges.add(8192 + 1512, &[4; 488]).unwrap();
        assert_eq!(offset, 8192);
        let expected = [vec![3; 512], vec![1; 1000], vec![4; 488], vec![2; 2096]].concat();
        assert_eq!(*block, *expected);
        assert!(edges.patches().is_empty());
    }

    #[test]
    fn what_stays_unfinished_comes_in_order() {
        let mut edges = Edges::new(512);
        for offset in [1024_u64, 10, 100] {
            assert!(edges.add(offset, &[offset as u8; 5]).is_none());
        }
        assert!(!edges.is_full());
        let patches = edges.patches();
        let offsets: Vec<_> = patches.iter().map(|patch| patch.offset).collect();
        assert_eq!(offsets, [10, 100, 1024]);
        assert_eq!(patches[1].bytes, [100; 5]);
        for block in 0..MOST as u64 {
            assert!(!edges.is_full());
            edges.add(block * 512, &[1]);
        }
        assert!(edges.is_full());
    }
}
