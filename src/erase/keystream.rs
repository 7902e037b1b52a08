//! Random data that can be made again at any offset.

use aws_lc_rs::cipher::{AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rand;

/// Bytes that one step of the counter gives.
const AES_BLOCK: u64 = 16;

/// AES-256 in counter mode with a random key and the offset on the device as counter: as fast as
/// memory on processors with AES instructions, different in every block of every pass, and what
/// was written at an offset can be computed again to compare it with what the device gives back.
///
/// The kernel's generator was rejected: it is several times slower and cannot be replayed.
pub(super) struct Keystream(EncryptingKey);

impl Keystream {
    /// A new stream, with a key from the system's random numbers.
    pub(super) fn random() -> Result<Self, Unspecified> {
        let mut key = [0; 32];
        rand::fill(&mut key)?;
        let key = UnboundCipherKey::new(&AES_256, &key)?;
        Ok(Self(EncryptingKey::ctr(key)?))
    }

    /// Fill the buffer with the stream's bytes from this offset, a multiple of 16.
    pub(super) fn fill(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Unspecified> {
        if !offset.is_multiple_of(AES_BLOCK) {
            return Err(Unspecified);
        }
        buffer.fill(0);
        let counter = u128::from(offset / AES_BLOCK).to_be_bytes();
        let context = EncryptionContext::Iv128(FixedLength::from(counter));
        self.0.less_safe_encrypt(buffer, context)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_the_same_as_in_the_whole() {
        let stream = Keystream::random().unwrap();
        let mut whole = vec![0; 10_000];
        stream.fill(4096, &mut whole).unwrap();
        let mut part = vec![1; 1000];
        stream.fill(4096 + 512, &mut part).unwrap();
        assert_eq!(part, whole[512..1512]);
    }

    #[test]
    fn two_streams_differ_and_no_block_repeats() {
        let mut one = vec![0; 4096];
        let mut other = vec![0; 4096];
        Keystream::random().unwrap().fill(0, &mut one).unwrap();
        Keystream::random().unwrap().fill(0, &mut other).unwrap();
        assert_ne!(one, other);
        let blocks: std::collections::BTreeSet<&[u8]> = one.chunks(16).collect();
        assert_eq!(blocks.len(), 256);
    }

    #[test]
    fn an_offset_between_two_counters_is_refused() {
        assert!(Keystream::random().unwrap().fill(8, &mut [0; 16]).is_err());
    }
}
