//! Bytes that wait to be written, and how much memory they keep from the pools.

use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use farrier_plugin::AlignedBuffer;

use super::zeros::SHORTEST;
use crate::stream::buffer::Buffer;

/// Zeros that are written because they are too few to be worth a call of their own.
static ZEROS: LazyLock<Slice> = LazyLock::new(|| {
    Slice::of_block(
        AlignedBuffer::zeroed(SHORTEST as usize),
        &Arc::new(AtomicUsize::new(0)),
    )
});

/// Aligned bytes that belong next to each other on the disk. Several slices may share a buffer,
/// which goes home with the last of them.
#[derive(Clone)]
pub(super) struct Slice {
    memory: Arc<Held>,
    start: usize,
    length: usize,
}

/// A buffer, counted for as long as it is held.
struct Held {
    bytes: Bytes,
    size: usize,
    counter: Arc<AtomicUsize>,
}

enum Bytes {
    Pooled(Buffer),
    Block(AlignedBuffer),
}

impl Slice {
    /// All of a pool's buffer.
    pub(super) fn of_buffer(buffer: Buffer, counter: &Arc<AtomicUsize>) -> Self {
        let size = buffer.capacity();
        Self::new(buffer.len(), Bytes::Pooled(buffer), size, counter)
    }

    /// A block that was put together here.
    pub(super) fn of_block(block: AlignedBuffer, counter: &Arc<AtomicUsize>) -> Self {
        let size = block.len();
        Self::new(size, Bytes::Block(block), size, counter)
    }

    /// So many zeros, at most [`SHORTEST`].
    pub(super) fn of_zeros(length: u64) -> Self {
        ZEROS.part(0, length as usize)
    }

    fn new(length: usize, bytes: Bytes, size: usize, counter: &Arc<AtomicUsize>) -> Self {
        counter.fetch_add(size, Ordering::Relaxed);
        Self {
            memory: Arc::new(Held {
                bytes,
                size,
                counter: Arc::clone(counter),
            }),
            start: 0,
            length,
        }
    }

    /// A part of these bytes.
    pub(super) fn part(&self, start: usize, length: usize) -> Self {
        debug_assert!(start + length <= self.length);
        Self {
            memory: Arc::clone(&self.memory),
            start: self.start + start,
            length,
        }
    }
}

impl Deref for Slice {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let bytes: &[u8] = match &self.memory.bytes {
            Bytes::Pooled(buffer) => buffer,
            Bytes::Block(block) => block,
        };
        &bytes[self.start..self.start + self.length]
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.counter.fetch_sub(self.size, Ordering::Relaxed);
    }
}
