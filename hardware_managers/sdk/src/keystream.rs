//! Random data that can be made again at any offset.

use crate::SplitMix;

/// Bytes that one step of the counter gives.
const WORD: u64 = 8;

/// SplitMix64 with a random start and the offset on the device as counter: data that no device
/// compresses or finds twice, different in every pass, and what was written at an offset can be
/// computed again to compare it with what the device gives back.
///
/// Nothing here is secret, so it need be no cipher. AES in counter mode is as fast where the
/// processor has AES instructions, but 0.3 MiB/s where it has not (an emulated one was measured).
/// The kernel's generator cannot be replayed.
#[derive(Clone, Copy, Debug)]
pub struct Keystream(SplitMix);

impl Keystream {
    /// A new stream.
    pub fn random() -> Self {
        Self(SplitMix::random())
    }

    /// The stream of this seed.
    pub fn with_seed(seed: u64) -> Self {
        Self(SplitMix::with_seed(seed))
    }

    /// Fill the buffer with the stream's bytes from this offset, of which only whole multiples of
    /// 8 count: blocks of devices begin at such.
    pub fn fill(&self, offset: u64, buffer: &mut [u8]) {
        debug_assert!(offset.is_multiple_of(WORD));
        let mut numbers = self.0.numbers(offset / WORD);
        let mut words = buffer.chunks_exact_mut(WORD as usize);
        for (word, number) in (&mut words).zip(&mut numbers) {
            word.copy_from_slice(&number.to_le_bytes());
        }
        let rest = words.into_remainder();
        if let Some(last) = numbers.next() {
            rest.copy_from_slice(&last.to_le_bytes()[..rest.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_splitmix64() {
        // The first numbers from the start 1234567, as in the authors' reference code.
        let mut bytes = [0; 19];
        Keystream(SplitMix::with_seed(1_234_567)).fill(0, &mut bytes);
        assert_eq!(bytes[..8], 6_457_827_717_110_365_317_u64.to_le_bytes());
        assert_eq!(bytes[8..16], 3_203_168_211_198_807_973_u64.to_le_bytes());
        assert_eq!(
            bytes[16..],
            9_817_491_932_198_370_423_u64.to_le_bytes()[..3]
        );
    }

    #[test]
    fn a_part_is_the_same_as_in_the_whole() {
        let stream = Keystream::random();
        let mut whole = vec![0; 10_000];
        stream.fill(4096, &mut whole);
        let mut part = vec![1; 1001];
        stream.fill(4096 + 512, &mut part);
        assert_eq!(part, whole[512..1513]);
    }

    #[test]
    fn two_streams_differ_and_no_block_repeats() {
        let mut one = vec![0; 4096];
        let mut other = vec![0; 4096];
        Keystream::random().fill(0, &mut one);
        Keystream::random().fill(0, &mut other);
        assert_ne!(one, other);
        let words: std::collections::BTreeSet<&[u8]> = one.chunks(8).collect();
        assert_eq!(words.len(), 512);
    }
}
