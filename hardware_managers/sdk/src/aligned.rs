//! Memory that direct I/O accepts.

use std::ops::{Deref, DerefMut};

/// Alignment of every [`AlignedBuffer`], in bytes.
///
/// Direct I/O wants buffers aligned to the device's DMA alignment, which is at most the logical
/// block size (open(2), O_DIRECT); 4096 covers every block size that disks have today.
pub const ALIGNMENT: usize = 4096;

/// A fixed number of bytes that start at a multiple of [`ALIGNMENT`].
///
/// It is a slice inside a slightly larger allocation rather than an aligned allocation of its own:
/// 4 KiB are lost, and no unsafe code is needed. The allocation is never resized, so its address
/// stays.
#[derive(Debug)]
pub struct AlignedBuffer {
    memory: Box<[u8]>,
    start: usize,
    length: usize,
}

impl AlignedBuffer {
    /// `length` zero bytes.
    pub fn zeroed(length: usize) -> Self {
        let memory = vec![0; length + ALIGNMENT].into_boxed_slice();
        let address = memory.as_ptr().addr();
        Self {
            start: address.next_multiple_of(ALIGNMENT) - address,
            memory,
            length,
        }
    }
}

impl Deref for AlignedBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.length]
    }
}

impl DerefMut for AlignedBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.start + self.length]
    }
}

/// Whether this memory may be handed to direct I/O as it stands.
pub fn is_aligned(memory: &[u8]) -> bool {
    memory.as_ptr().addr().is_multiple_of(ALIGNMENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_aligned_and_survives_a_move() {
        for length in [0, 1, 511, 4096, 1 << 20] {
            let mut buffer = AlignedBuffer::zeroed(length);
            buffer.fill(7);
            let moved = [buffer];
            assert!(is_aligned(&moved[0]), "{length}");
            assert_eq!(moved[0].len(), length);
            assert!(moved[0].iter().all(|byte| *byte == 7));
        }
    }
}
