//! Reused aligned buffers: the only memory that grows with nothing.

use std::ops::Deref;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};

use super::halt::{Halt, LOOK};
use crate::sys::aligned::AlignedBuffer;

/// Bytes in a buffer: large enough that a rotating disk streams and an NVMe drive fills its queue
/// with a few.
pub(super) const BUFFER_SIZE: usize = 4 << 20;

/// Buffers in a pool, so 32 MiB: four writes in flight, one buffer being hashed, one being filled,
/// and two to even out the stages.
pub(super) const BUFFERS: usize = 8;

/// The buffers of one pipeline. A buffer goes home when it is dropped.
pub(super) struct Pool {
    home: Sender<AlignedBuffer>,
    free: Receiver<AlignedBuffer>,
    unmade: usize,
}

/// Bytes on their way: an aligned buffer, filled up to a length.
#[derive(Debug)]
pub(super) struct Buffer {
    /// Present until the drop.
    memory: Option<AlignedBuffer>,
    length: usize,
    home: Sender<AlignedBuffer>,
}

impl Pool {
    pub(super) fn new() -> Self {
        let (home, free) = mpsc::channel();
        Self {
            home,
            free,
            unmade: BUFFERS,
        }
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

    fn memory(&mut self, halt: &Halt<'_>) -> Option<AlignedBuffer> {
        if let Ok(memory) = self.free.try_recv() {
            return Some(memory);
        }
        // Made on demand, so that a small image needs little.
        if self.unmade > 0 {
            self.unmade -= 1;
            return Some(AlignedBuffer::zeroed(BUFFER_SIZE));
        }
        loop {
            match self.free.recv_timeout(LOOK) {
                Ok(memory) => return Some(memory),
                Err(RecvTimeoutError::Timeout) if !halt.is_set() => {}
                Err(_) => return None,
            }
        }
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

    pub(super) fn is_full(&self) -> bool {
        self.length == BUFFER_SIZE
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
