//! Whether the disk gives back what it was given, in constant memory.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use farrier_plugin::{AlignedBuffer, Progress, SplitMix};

use super::error::StreamError;
use super::halt::Halt;
use crate::sys::block_device::{DiskError, Medium};

/// Bytes that one read asks for, and how many reads are in flight.
const READ: usize = 4 << 20;
const READERS: usize = 2;

/// Bytes of a word of the sum.
const WORD: usize = 8;

/// A sum over bytes at their places on the disk, in whatever order and pieces they come.
///
/// The disk is taken as words of 8 bytes, little endian. Each word is multiplied by a random number
/// of its own, which follows from its place and a seed, and the 128-bit products are added. So it
/// does not matter in which order the image was written and where it was cut, zeros need not be
/// added at all, and a hundred terabytes need 16 bytes of memory, where a table of digests would
/// need gigabytes.
///
/// Any change of what is read, at one place or at many, leaves the sum as it was with a
/// probability of 2^-64 as far as the multipliers are random: the difference is a sum of
/// `change × multiplier` over the changed words, and whatever the others are, at most one
/// multiplier of a word makes it zero. It finds writes that were dropped, torn, changed or put in a
/// wrong place. It is no proof against a disk that knows the seed, which is in this process alone
/// and new for each image.
#[derive(Debug)]
pub(super) struct Sum {
    multipliers: SplitMix,
    total: Mutex<u128>,
}

impl Sum {
    /// Of nothing, with a new seed.
    pub(super) fn new() -> Self {
        Self::with(SplitMix::random())
    }

    fn with(multipliers: SplitMix) -> Self {
        Self {
            multipliers,
            total: Mutex::new(0),
        }
    }

    /// Add bytes that belong at this offset of the disk.
    pub(super) fn add(&self, offset: u64, bytes: &[u8]) {
        let sum = self.of(offset, bytes);
        let mut total = self.total.lock().unwrap_or_else(PoisonError::into_inner);
        *total = total.wrapping_add(sum);
    }

    fn total(&self) -> u128 {
        *self.total.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, offset: u64, bytes: &[u8]) -> u128 {
        let within = offset as usize % WORD;
        let mut index = offset / WORD as u64;
        let mut sum = 0_u128;
        let mut add = |index: u64, word: u64| {
            let product = u128::from(word) * u128::from(self.multipliers.number(index));
            sum = sum.wrapping_add(product);
        };
        // The first bytes may be the last of a word.
        let (first, rest) = bytes.split_at(bytes.len().min((WORD - within) % WORD));
        if !first.is_empty() {
            add(index, word(first) << (8 * within));
            index += 1;
        }
        let (words, last) = rest.as_chunks::<WORD>();
        for bytes in words {
            add(index, u64::from_le_bytes(*bytes));
            index += 1;
        }
        if !last.is_empty() {
            add(index, word(last));
        }
        sum
    }
}

/// A part of the disk to read back.
pub(super) struct ReadBack<'a> {
    pub(super) medium: &'a dyn Medium,
    pub(super) sum: &'a Sum,
    pub(super) halt: &'a Halt<'a>,
    pub(super) image: &'a str,
    pub(super) what: &'a str,
}

impl ReadBack<'_> {
    /// Read these bytes from the disk, and compare their sum with that of what was written.
    pub(super) fn compare(&self, start: u64, end: u64) -> Result<(), StreamError> {
        let next = AtomicU64::new(start);
        let found = Sum::with(self.sum.multipliers);
        let outcomes = thread::scope(|scope| {
            let readers: Vec<_> = (0..READERS)
                .map(|_| scope.spawn(|| self.read(&next, end, &found)))
                .collect();
            readers
                .into_iter()
                .map(|reader| {
                    reader
                        .join()
                        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                })
                .collect::<Vec<_>>()
        });
        for outcome in outcomes {
            outcome.map_err(|source| StreamError::Disk {
                image: self.image.to_owned(),
                source,
            })?;
        }
        if self.halt.is_set() {
            return Err(StreamError::Cancelled {
                image: self.image.to_owned(),
            });
        }
        if found.total() != self.sum.total() {
            return Err(StreamError::ReadBack {
                image: self.image.to_owned(),
            });
        }
        Ok(())
    }

    fn read(&self, next: &AtomicU64, end: u64, found: &Sum) -> Result<(), DiskError> {
        let mut buffer = AlignedBuffer::zeroed(READ);
        while !self.halt.is_set() {
            let offset = next.fetch_add(READ as u64, Ordering::Relaxed);
            if offset >= end {
                break;
            }
            let length = (end - offset).min(READ as u64) as usize;
            self.medium.read_at(offset, &mut buffer[..length])?;
            found.add(offset, &buffer[..length]);
            self.halt.context().report_progress(Progress {
                what: self.what.to_owned(),
                done: offset + length as u64,
                total: Some(end),
            });
        }
        Ok(())
    }
}

/// Fewer bytes than a word, little endian.
fn word(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |word, byte| word << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn neither_order_nor_cuts_matter(
            bytes in prop::collection::vec(any::<u8>(), 1..400),
            offset in 0_u64..1000,
            mut cuts in prop::collection::vec(0_usize..400, 0..8),
        ) {
            let whole = Sum::with(SplitMix::with_seed(7));
            whole.add(offset, &bytes);
            cuts.push(0);
            cuts.push(bytes.len());
            cuts.retain(|cut| *cut <= bytes.len());
            cuts.sort_unstable();
            let parts = Sum::with(SplitMix::with_seed(7));
            for pair in cuts.windows(2).rev() {
                parts.add(offset + pair[0] as u64, &bytes[pair[0]..pair[1]]);
            }
            prop_assert_eq!(whole.total(), parts.total());
        }

        #[test]
        fn what_changes_is_seen(
            bytes in prop::collection::vec(any::<u8>(), 16..400),
            offset in 0_u64..1000,
            place in any::<prop::sample::Index>(),
            bit in 0_u8..8,
            seed: u64,
        ) {
            let sum = |offset: u64, bytes: &[u8]| {
                let sum = Sum::with(SplitMix::with_seed(seed));
                sum.add(offset, bytes);
                sum.total()
            };
            let whole = sum(offset, &bytes);
            let mut changed = bytes.clone();
            changed[place.index(bytes.len())] ^= 1 << bit;
            prop_assert_ne!(whole, sum(offset, &changed));
            if bytes.iter().any(|byte| *byte != 0) {
                prop_assert_ne!(whole, sum(offset + 512, &bytes));
            }
            let mut swapped = bytes.clone();
            swapped.rotate_left(8);
            if swapped != bytes {
                prop_assert_ne!(whole, sum(offset, &swapped));
            }
        }
    }
}
