//! Random data that can be made again at any offset.

use uuid::Uuid;

/// Bytes that one step of the counter gives.
const WORD: u64 = 8;

/// The increment and the two multipliers of SplitMix64 (Steele, Lea and Flood, "Fast splittable
/// pseudorandom number generators", 2014).
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
const FIRST: u64 = 0xbf58_476d_1ce4_e5b9;
const SECOND: u64 = 0x94d0_49bb_1331_11eb;

/// SplitMix64 with a random start and the offset on the device as counter: data that no device
/// compresses or finds twice, different in every pass, and what was written at an offset can be
/// computed again to compare it with what the device gives back.
///
/// Nothing here is secret, so it need be no cipher. AES in counter mode is as fast where the
/// processor has AES instructions, but 0.3 MiB/s where it has not (an emulated one was measured).
/// The kernel's generator cannot be replayed.
pub(super) struct Keystream(u64);

impl Keystream {
    /// A new stream.
    pub(super) fn random() -> Self {
        // 122 random bits of the kernel.
        let (high, low) = Uuid::new_v4().as_u64_pair();
        Self(high ^ low.rotate_left(32))
    }

    /// Fill the buffer with the stream's bytes from this offset, of which only whole multiples of
    /// 8 count: blocks of devices begin at such.
    pub(super) fn fill(&self, offset: u64, buffer: &mut [u8]) {
        debug_assert!(offset.is_multiple_of(WORD));
        let mut state = self.0.wrapping_add((offset / WORD).wrapping_mul(STEP));
        let mut words = buffer.chunks_exact_mut(WORD as usize);
        for word in &mut words {
            state = state.wrapping_add(STEP);
            word.copy_from_slice(&mix(state).to_le_bytes());
        }
        let rest = words.into_remainder();
        let last = mix(state.wrapping_add(STEP)).to_le_bytes();
        rest.copy_from_slice(&last[..rest.len()]);
    }
}

fn mix(state: u64) -> u64 {
    let mixed = (state ^ (state >> 30)).wrapping_mul(FIRST);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(SECOND);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_splitmix64() {
        // The first numbers from the start 1234567, as in the authors' reference code.
        let mut bytes = [0; 19];
        Keystream(1_234_567).fill(0, &mut bytes);
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
