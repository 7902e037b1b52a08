//! Reused aligned buffers: the only memory that grows with nothing.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};

use farrier_plugin::AlignedBuffer;

use super::halt::{Halt, LOOK};

/// The buffers of one stage. A buffer goes home when it is dropped.
pub(super) struct Pool {
    size: usize,
    made: usize,
    limit: PoolLimit,
    home: Sender<AlignedBuffer>,
    free: Receiver<AlignedBuffer>,
    /// The memory of the next buffer, where that was looked for before.
    ready: Option<AlignedBuffer>,
}

/// How many buffers a pool may make; it can be raised while the pool is in use.
#[derive(Clone)]
pub(super) struct PoolLimit(Arc<AtomicUsize>);

/// Bytes on their way: an aligned buffer, filled up to a length.
#[derive(Debug)]
pub(super) struct Buffer {
    /// Present until the drop.
    memory: Option<AlignedBuffer>,
    length: usize,
    home: Sender<AlignedBuffer>,
}

impl Pool {
    /// A pool of at most `count` buffers of `size` bytes.
    pub(super) fn new(size: usize, count: usize) -> Self {
        let (home, free) = mpsc::channel();
        Self {
            size,
            made: 0,
            limit: PoolLimit(Arc::new(AtomicUsize::new(count))),
            home,
            free,
            ready: None,
        }
    }

    /// The means to let the pool grow.
    pub(super) fn limit(&self) -> PoolLimit {
        self.limit.clone()
    }

    /// An empty buffer, waited for; `None` when the pipeline stops.
    pub(super) fn take(&mut self, halt: &Halt<'_>) -> Option<Buffer> {
        let memory = self.memory(halt)?;
        Some(Buffer {
            memory: Some(memory),
            length: 0,
            home: self.home.clone(),
        })
    }

    /// Whether [`Pool::take`] would have to wait.
    pub(super) fn is_exhausted(&mut self) -> bool {
        if self.ready.is_none() {
            self.ready = self.memory_at_hand();
        }
        self.ready.is_none()
    }

    fn memory_at_hand(&mut self) -> Option<AlignedBuffer> {
        if let Some(memory) = self.ready.take() {
            return Some(memory);
        }
        if let Ok(memory) = self.free.try_recv() {
            return Some(memory);
        }
        // Made on demand, so that a small image needs little.
        if self.made < self.limit.0.load(Ordering::Relaxed) {
            self.made += 1;
            return Some(AlignedBuffer::zeroed(self.size));
        }
        None
    }

    fn memory(&mut self, halt: &Halt<'_>) -> Option<AlignedBuffer> {
        loop {
            if let Some(memory) = self.memory_at_hand() {
                return Some(memory);
            }
            match self.free.recv_timeout(LOOK) {
                Ok(memory) => return Some(memory),
                Err(RecvTimeoutError::Timeout) if !halt.is_set() => {}
                Err(_) => return None,
            }
        }
    }
}

impl PoolLimit {
    /// Let the pool have this many buffers.
    pub(super) fn raise(&self, count: usize) {
        self.0.fetch_max(count, Ordering::Relaxed);
    }
}

impl Buffer {
    /// Take as much as fits; returns how much that was.
    pub(super) fn fill_from(&mut self, data: &[u8]) -> usize {
        let start = self.length;
        let Some(memory) = &mut self.memory else {
            return 0;
        };
        let count = data.len().min(memory.len() - start);
        memory[start..start + count].copy_from_slice(&data[..count]);
        self.length += count;
        count
    }

    /// Fill by a function that is given the free part and says how much it filled.
    pub(super) fn fill_with<E>(
        &mut self,
        fill: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        let start = self.length;
        let Some(memory) = &mut self.memory else {
            return Ok(0);
        };
        let count = fill(&mut memory[start..])?;
        self.length = (start + count).min(memory.len());
        Ok(count)
    }

    /// These bytes without a copy, in another pool's care: that pool gives `spare`, an empty buffer
    /// of the same size, for it.
    pub(super) fn rehome(mut self, mut spare: Self) -> Self {
        std::mem::swap(&mut self.home, &mut spare.home);
        self
    }

    /// Bytes that fit into its memory.
    pub(super) fn capacity(&self) -> usize {
        self.memory.as_ref().map_or(0, |memory| memory.len())
    }

    /// Remove this many bytes at the start; the others move there.
    pub(super) fn remove_front(&mut self, count: usize) {
        let count = count.min(self.length);
        if let Some(memory) = &mut self.memory {
            memory.copy_within(count..self.length, 0);
        }
        self.length -= count;
    }

    pub(super) fn is_full(&self) -> bool {
        self.memory
            .as_ref()
            .is_none_or(|memory| self.length == memory.len())
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.memory
            .as_ref()
            .map_or(&[], |memory| &memory[..self.length])
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(memory) = self.memory.take() {
            // The pool may be gone already; then the memory simply ends here.
            let _ = self.home.send(memory);
        }
    }
}
