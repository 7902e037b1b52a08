//! What is still to be read from the file, in the order in which the file has it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::geometry::Geometry;

/// Units of the disk that a [`Mapping`] can number: 2^40, so 512 TiB with the smallest clusters.
pub(super) const UNITS: u64 = 1 << UNIT_BITS;

/// Entries by which a heap grows. Doubling would take a moment of one and a half times the budget.
const STEP: usize = 1 << 16;

const UNIT_BITS: u32 = 40;
const LENGTH_BITS: u32 = 20;
const ZEROS_BITS: u32 = 11;
const DATA_BITS: u32 = LENGTH_BITS + ZEROS_BITS;

/// Units that one mapping of plain data may have.
pub(super) const MOST_UNITS: u64 = (1 << LENGTH_BITS) - 1;
/// Units of zeros that one mapping may carry with it.
pub(super) const MOST_ZEROS: u64 = (1 << ZEROS_BITS) - 1;

/// Bytes of the file that hold bytes of the disk.
///
/// Packed into 16 bytes, because a badly fragmented image has millions: offset in the file (56
/// bits), whether compressed (1), unit of the disk (40), and either units of data (20) and of zeros
/// after them (11) or compressed bytes (31). Ordered by the offset in the file.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Mapping(u128);

/// A [`Mapping`] unpacked. All in bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Source {
    /// `length` bytes as they are, then so many zeros.
    Plain {
        host: u64,
        guest: u64,
        length: u64,
        zeros: u64,
    },
    /// One cluster out of `length` bytes or fewer.
    Compressed { host: u64, guest: u64, length: u64 },
}

impl Mapping {
    /// Plain data of whole units: at most [`MOST_UNITS`], and [`MOST_ZEROS`] after them.
    pub(super) fn plain(host: u64, guest_unit: u64, units: u64, zeros: u64) -> Self {
        debug_assert!(units <= MOST_UNITS && zeros <= MOST_ZEROS && guest_unit < UNITS);
        Self::pack(host, false, guest_unit, units << ZEROS_BITS | zeros)
    }

    /// A compressed cluster.
    pub(super) fn compressed(host: u64, guest_unit: u64, length: u64) -> Self {
        debug_assert!(length < 1 << DATA_BITS && guest_unit < UNITS);
        Self::pack(host, true, guest_unit, length)
    }

    fn pack(host: u64, compressed: bool, guest_unit: u64, data: u64) -> Self {
        debug_assert!(host >> 56 == 0);
        let place = u128::from(host) << 1 | u128::from(compressed);
        Self((place << UNIT_BITS | u128::from(guest_unit)) << DATA_BITS | u128::from(data))
    }

    /// Where in the file it starts.
    pub(super) fn host(self) -> u64 {
        (self.0 >> (UNIT_BITS + DATA_BITS + 1)) as u64
    }

    pub(super) fn unpack(self, geometry: Geometry) -> Source {
        let bits = geometry.unit_bits();
        let data = self.0 as u64 & ((1 << DATA_BITS) - 1);
        let host = self.host();
        let guest = ((self.0 >> DATA_BITS) as u64 & (UNITS - 1)) << bits;
        if (self.0 >> (UNIT_BITS + DATA_BITS)) & 1 == 1 {
            return Source::Compressed {
                host,
                guest,
                length: data,
            };
        }
        Source::Plain {
            host,
            guest,
            length: data >> ZEROS_BITS << bits,
            zeros: (data & MOST_ZEROS) << bits,
        }
    }
}

/// Things with a place in the file, the first first. Its memory grows in steps of 1 MiB.
#[derive(Debug)]
pub(super) struct Queue<T: Ord>(BinaryHeap<Reverse<T>>);

impl<T: Ord> Default for Queue<T> {
    fn default() -> Self {
        Self(BinaryHeap::new())
    }
}

impl<T: Ord + Copy> Queue<T> {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn first(&self) -> Option<T> {
        self.0.peek().map(|first| first.0)
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        self.0.pop().map(|first| first.0)
    }

    pub(super) fn push(&mut self, item: T) {
        if self.0.len() == self.0.capacity() {
            self.0.reserve_exact(STEP);
        }
        self.0.push(Reverse(item));
    }

    /// A queue of these, in their memory.
    pub(super) fn of(items: Vec<T>) -> Self {
        Self(items.into_iter().map(Reverse).collect::<Vec<_>>().into())
    }

    /// Take all out, in order.
    pub(super) fn drain_sorted(&mut self) -> Vec<T> {
        let mut items: Vec<T> = std::mem::take(&mut self.0)
            .into_vec()
            .into_iter()
            .map(|item| item.0)
            .collect();
        items.sort_unstable();
        items
    }
}

/// Append to a list whose memory grows as a [`Queue`]'s does.
pub(super) fn append<T>(list: &mut Vec<T>, item: T) {
    if list.len() == list.capacity() {
        list.reserve_exact(STEP / 16);
    }
    list.push(item);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_mapping_is_small() {
        assert_eq!(size_of::<Mapping>(), 16);
        assert_eq!(size_of::<Reverse<Mapping>>(), 16);
    }

    #[test]
    fn a_queue_gives_the_first_first_and_grows_by_steps() {
        let mut queue = Queue::default();
        for number in [5_u64, 3, 9, 1, 3] {
            queue.push(number);
        }
        assert_eq!(queue.0.capacity(), STEP);
        assert_eq!(
            (queue.first(), queue.pop(), queue.len()),
            (Some(1), Some(1), 4)
        );
        assert_eq!(queue.drain_sorted(), [3, 3, 5, 9]);
        assert_eq!(queue.len(), 0);
        let mut queue = Queue::of(vec![2, 1]);
        assert_eq!(queue.pop(), Some(1));
        for number in 0..=STEP as u64 {
            queue.push(number);
        }
        assert!(queue.0.capacity() <= 2 * STEP);
    }

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(
            host in 0_u64..1 << 56, guest in 0..UNITS, units in 0..=MOST_UNITS,
            zeros in 0..=MOST_ZEROS, bits in 9_u32..=21, other in 0_u64..1 << 56,
        ) {
            let geometry = Geometry {
                cluster_bits: bits,
                extended: false,
                zero_clusters: true,
                size: 0,
            };
            let plain = Mapping::plain(host, guest, units, zeros);
            prop_assert_eq!(plain.unpack(geometry), Source::Plain {
                host,
                guest: guest << bits,
                length: units << bits,
                zeros: zeros << bits,
            });
            let compressed = Mapping::compressed(other, guest, units);
            prop_assert_eq!(compressed.unpack(geometry), Source::Compressed {
                host: other,
                guest: guest << bits,
                length: units,
            });
            prop_assert_eq!(plain.host(), host);
            prop_assert!(host == other || (plain < compressed) == (host < other));
        }
    }
}
