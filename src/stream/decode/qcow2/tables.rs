//! Tables that are read as the file goes by.

use super::geometry::Geometry;

const FROM_BITS: u32 = 24;
const INDEX_BITS: u32 = 32;

/// An L2 table that is still to be read, or its rest.
///
/// Packed into 16 bytes: offset in the file (56 bits), index in the L1 table (32), first unit of the
/// disk in it that is wanted (24 bits: a table maps at most 2^22). Ordered by the offset.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Table(u128);

impl Table {
    /// The table at this offset, from this unit on.
    pub(super) fn new(host: u64, index: u64, from: u64) -> Self {
        debug_assert!(host >> 56 == 0 && index >> INDEX_BITS == 0 && from >> FROM_BITS == 0);
        let place = u128::from(host) << INDEX_BITS | u128::from(index);
        Self(place << FROM_BITS | u128::from(from))
    }

    pub(super) fn host(self) -> u64 {
        (self.0 >> (INDEX_BITS + FROM_BITS)) as u64
    }

    pub(super) fn index(self) -> u64 {
        (self.0 >> FROM_BITS) as u64 & ((1 << INDEX_BITS) - 1)
    }

    pub(super) fn from(self) -> u64 {
        self.0 as u64 & ((1 << FROM_BITS) - 1)
    }

    /// The unit of the disk that the table's first entry maps.
    pub(super) fn first_unit(self, geometry: Geometry) -> u64 {
        self.index() * (geometry.table_span() >> geometry.unit_bits())
    }
}

/// Big-endian words in a part of the file, which comes in pieces of any length.
#[derive(Debug)]
pub(super) struct Words {
    next: u64,
    end: u64,
    index: u64,
    carried: Vec<u8>,
}

impl Words {
    /// The words from this offset on.
    pub(super) fn new(offset: u64, count: u64) -> Self {
        Self {
            next: offset,
            end: offset + count * 8,
            index: 0,
            carried: Vec::with_capacity(8),
        }
    }

    /// Whether all words were given.
    pub(super) fn is_done(&self) -> bool {
        self.next == self.end
    }

    /// The offset of the byte that is wanted next.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Where the last word ends.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Give index and value of each word that is complete with these bytes of the file. Bytes that
    /// are not wanted next are left alone.
    pub(super) fn feed<E>(
        &mut self,
        offset: u64,
        data: &[u8],
        mut take: impl FnMut(u64, u64) -> Result<(), E>,
    ) -> Result<(), E> {
        let data_end = offset + data.len() as u64;
        if self.is_done() || self.next < offset || self.next >= data_end {
            return Ok(());
        }
        let stop = self.end.min(data_end);
        let mut data = &data[(self.next - offset) as usize..(stop - offset) as usize];
        self.next = stop;
        if !self.carried.is_empty() {
            let (missing, rest) = data.split_at(data.len().min(8 - self.carried.len()));
            self.carried.extend_from_slice(missing);
            data = rest;
            if let Ok(word) = <[u8; 8]>::try_from(self.carried.as_slice()) {
                take(self.index, u64::from_be_bytes(word))?;
                self.index += 1;
                self.carried.clear();
            }
        }
        let (words, rest) = data.as_chunks::<8>();
        for word in words {
            take(self.index, u64::from_be_bytes(*word))?;
            self.index += 1;
        }
        self.carried.extend_from_slice(rest);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_table_is_unpacked(host in 0_u64..1 << 56, index: u32, from in 0_u64..1 << 24) {
            let table = Table::new(host, u64::from(index), from);
            let unpacked = (table.host(), table.index(), table.from());
            prop_assert_eq!(unpacked, (host, u64::from(index), from));
        }

        #[test]
        fn words_come_in_pieces(
            before in 0_u64..30, count in 0_u64..40,
            cuts in prop::collection::vec(1_usize..60, 1..30),
        ) {
            let mut file = vec![0xee; before as usize];
            for word in 0..count {
                file.extend((word * 0x0101_0101_0101).to_be_bytes());
            }
            file.extend([0xee; 50]);
            let mut words = Words::new(before, count);
            let mut seen = Vec::new();
            let mut offset = 0;
            let mut cuts = cuts.iter().cycle();
            while offset < file.len() {
                let end = file.len().min(offset + cuts.next().unwrap());
                words.feed(offset as u64, &file[offset..end], |index, word| {
                    seen.push((index, word));
                    Ok::<_, Infallible>(())
                }).unwrap();
                offset = end;
            }
            let expected: Vec<_> = (0..count).map(|word| (word, word * 0x0101_0101_0101)).collect();
            prop_assert!(words.is_done());
            prop_assert_eq!(seen, expected);
        }
    }
}
