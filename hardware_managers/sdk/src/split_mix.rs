//! Numbers that look random and can be made again, in any order.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::iter;

/// The increment and the two multipliers of SplitMix64 (Steele, Lea and Flood, "Fast splittable
/// pseudorandom number generators", 2014).
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;
const FIRST: u64 = 0xbf58_476d_1ce4_e5b9;
const SECOND: u64 = 0x94d0_49bb_1331_11eb;

/// The sequence of SplitMix64 that a seed starts. Whoever knows the seed knows every number: nothing
/// secret may follow from them.
#[derive(Clone, Copy, Debug)]
pub struct SplitMix {
    seed: u64,
}

impl SplitMix {
    /// A sequence of its own, seeded by the kernel.
    ///
    /// From the keys of the standard library's hasher, for which the kernel gives what it has: the
    /// numbers of the uuid crate wait for the kernel's generator to be seeded, for ever on a
    /// machine without a hardware generator where nothing happens meanwhile (seen).
    pub fn random() -> Self {
        Self::with_seed(RandomState::new().build_hasher().finish())
    }

    /// The sequence of this seed.
    pub fn with_seed(seed: u64) -> Self {
        Self { seed }
    }

    /// The number at this place of the sequence, from 0.
    #[inline]
    pub fn number(self, index: u64) -> u64 {
        mix(self.state(index.wrapping_add(1)))
    }

    /// The numbers from this place on, without end. One after the other is faster than each by its
    /// place.
    #[inline]
    pub fn numbers(self, index: u64) -> impl Iterator<Item = u64> {
        let mut state = self.state(index);
        iter::repeat_with(move || {
            state = state.wrapping_add(GAMMA);
            mix(state)
        })
    }

    fn state(self, steps: u64) -> u64 {
        self.seed.wrapping_add(GAMMA.wrapping_mul(steps))
    }
}

#[inline]
fn mix(state: u64) -> u64 {
    let mixed = (state ^ (state >> 30)).wrapping_mul(FIRST);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(SECOND);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_splitmix64() {
        // The first numbers of the authors' reference code for the seed 1234567.
        let sequence = SplitMix::with_seed(1_234_567);
        assert_eq!(sequence.number(0), 6_457_827_717_110_365_317);
        assert_eq!(sequence.number(1), 3_203_168_211_198_807_973);
        assert!(
            sequence
                .numbers(5)
                .take(9)
                .eq((5..14).map(|index| sequence.number(index)))
        );
    }
}
