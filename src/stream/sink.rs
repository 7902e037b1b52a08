//! The stage `sink`: extents onto the medium, sorted and merged, several writes in flight.

mod edges;
mod memory;
mod window;
mod zeros;

use std::io::IoSlice;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use edges::Edges;
use farrier_plugin::aligned::ALIGNMENT;
use memory::Slice;
use window::{Window, Write};

use super::buffer::Buffer;
use super::decode::{Content, Extent};
use super::error::StreamError;
use super::halt::Halt;
use super::staged::Staged;
use crate::sys::block_device::{DiskError, Medium};

/// Writes in flight. With direct I/O a single write leaves an NVMe drive idle between two; four of
/// several MiB keep it busy, and a rotating disk's scheduler still sees them in order.
pub(super) const WRITERS: usize = 4;

/// Memory of waiting and flying pieces from which on every free writer takes what is next, however
/// small: most of the 32 MiB that all pools together have, so that the decoder is not stopped.
const MOST_HELD: usize = 24 << 20;

/// Pieces in the window from which on the same happens. Zeros hold no memory, and each of these
/// takes some.
const MOST_PIECES: usize = 1 << 14;

/// Nothing came for so long: then half of what waits is written, whatever comes meanwhile. So the
/// window never keeps the last buffers from a decoder that waits for them, and one that lives on few
/// buffers is not made to wait again for each that it gets back. Short, since some decoders have pools
/// of a MiB; a slow source does not need the disk's full rate, and if the disk is slower still, the
/// window fills meanwhile.
const IDLE: Duration = Duration::from_millis(2);

/// What the writers share.
///
/// There is no thread that hands out work: a writer that is free takes the queue, sorts what has
/// come into the window, takes one batch and leaves the queue to the next. Merging therefore costs
/// no hand-over, and it gathers the more the slower the disk is.
pub(super) struct Sink<'a> {
    queue: Mutex<Queue>,
    staged: &'a Staged<'a>,
    halt: &'a Halt<'a>,
    image: &'a str,
}

struct Queue {
    /// `None` once there will be no more.
    extents: Option<Receiver<Extent>>,
    window: Window,
    edges: Edges,
    /// While more than this waits, it is written: set when nothing came for some time, or the decoder
    /// says that nothing will.
    drain_to: u64,
    /// Bytes of memory that waiting and flying pieces hold.
    held: Arc<AtomicUsize>,
}

impl<'a> Sink<'a> {
    /// A sink for these extents, which must not overlap.
    pub(super) fn new(
        extents: Receiver<Extent>,
        staged: &'a Staged<'a>,
        halt: &'a Halt<'a>,
        image: &'a str,
    ) -> Self {
        Self {
            queue: Mutex::new(Queue {
                extents: Some(extents),
                window: Window::default(),
                edges: Edges::new(u64::from(staged.logical_block_size())),
                drain_to: u64::MAX,
                held: Arc::default(),
            }),
            staged,
            halt,
            image,
        }
    }

    /// One writer: write until all is written, or something stops.
    pub(super) fn write(&self) -> Result<(), StreamError> {
        let outcome = self.write_all();
        if outcome.is_err() {
            self.halt.stop();
            // A decoder that still sends is told so.
            let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
            queue.extents = None;
        }
        outcome
    }

    fn write_all(&self) -> Result<(), StreamError> {
        while let Some(write) = self.next()? {
            match write {
                Write::Data { offset, slices } => {
                    let parts: Vec<_> = slices.iter().map(|slice| IoSlice::new(slice)).collect();
                    self.staged.write_vectored_at(offset, &parts)
                }
                Write::Zeros { offset, length } => self.staged.zero_range(offset, length),
            }
            .map_err(|source| self.disk_error(source))?;
        }
        Ok(())
    }

    /// The next write, waited for; `None` at the end, or when the pipeline stops.
    fn next(&self) -> Result<Option<Write>, StreamError> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if self.halt.is_set() {
                queue.extents = None;
                return Ok(None);
            }
            self.take_in(&mut queue)?;
            let all = queue.must_write();
            if let Some(write) = queue.window.take(all) {
                return Ok(Some(write));
            }
            let Some(extents) = &queue.extents else {
                // Here the queue is held, and nobody else writes into the blocks of the edges.
                self.write_edges(&mut queue.edges)?;
                return Ok(None);
            };
            let next = if queue.window.is_empty() {
                extents.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                extents.recv_timeout(IDLE)
            };
            match next {
                Ok(extent) => self.accept(&mut queue, extent)?,
                Err(RecvTimeoutError::Timeout) => queue.drain_to = queue.window.load() / 2,
                Err(RecvTimeoutError::Disconnected) => queue.extents = None,
            }
        }
    }

    /// Sort in what has come already.
    fn take_in(&self, queue: &mut Queue) -> Result<(), StreamError> {
        while let Some(extents) = &queue.extents
            && queue.window.len() < MOST_PIECES
        {
            match extents.try_recv() {
                Ok(extent) => self.accept(queue, extent)?,
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => queue.extents = None,
            }
        }
        Ok(())
    }

    /// Sort one extent into head, edges and window.
    fn accept(&self, queue: &mut Queue, extent: Extent) -> Result<(), StreamError> {
        let Extent { offset, content } = extent;
        let length = match &content {
            Content::Data(data) => data.len() as u64,
            Content::Zeros(length) => *length,
        };
        if length == 0 {
            // The decoder waits for memory: nothing more comes before something is written.
            queue.drain_to = queue.drain_to.min(queue.window.load() / 2);
            return Ok(());
        }
        let end = offset.saturating_add(length);
        if end > self.staged.size() {
            return Err(StreamError::TooLarge {
                image: self.image.to_owned(),
                size: end,
                device_size: self.staged.size(),
            });
        }
        // What is held back goes there at once; the rest is cut at the blocks' borders.
        let block = u64::from(self.staged.logical_block_size());
        let body = self.staged.held_back().clamp(offset, end);
        let whole = body.next_multiple_of(block).min(end);
        let tail = (end - end % block).max(whole);
        match content {
            Content::Data(data) => {
                let part =
                    |from: u64, to: u64| &data[(from - offset) as usize..][..(to - from) as usize];
                self.staged
                    .write_at(offset, part(offset, body))
                    .map_err(|source| self.disk_error(source))?;
                self.add_edge(queue, body, part(body, whole))?;
                self.add_edge(queue, tail, part(tail, end))?;
                if whole < tail {
                    let skip = (whole - offset) as usize;
                    let slice = aligned(data, skip, (tail - whole) as usize, &queue.held);
                    insert(&mut queue.window, whole, &slice, block);
                }
            }
            Content::Zeros(_) => {
                self.staged
                    .zero_range(offset, body - offset)
                    .map_err(|source| self.disk_error(source))?;
                let zeros = vec![0; block as usize];
                self.add_edge(queue, body, &zeros[..(whole - body) as usize])?;
                self.add_edge(queue, tail, &zeros[..(end - tail) as usize])?;
                queue.window.insert_zeros(whole, tail - whole);
            }
        }
        Ok(())
    }

    fn add_edge(&self, queue: &mut Queue, offset: u64, bytes: &[u8]) -> Result<(), StreamError> {
        if bytes.is_empty() {
            return Ok(());
        }
        if let Some((start, block)) = queue.edges.add(offset, bytes) {
            let slice = Slice::of_block(block, &queue.held);
            queue.window.insert_data(start, slice);
        }
        if queue.edges.is_full() {
            self.write_edges(&mut queue.edges)?;
        }
        Ok(())
    }

    /// Write the unfinished blocks into what the disk holds, one after the other.
    fn write_edges(&self, edges: &mut Edges) -> Result<(), StreamError> {
        for patch in edges.patches() {
            self.staged
                .write_at(patch.offset, &patch.bytes)
                .map_err(|source| self.disk_error(source))?;
        }
        Ok(())
    }

    fn disk_error(&self, source: DiskError) -> StreamError {
        StreamError::Disk {
            image: self.image.to_owned(),
            source,
        }
    }
}

impl Queue {
    /// Whether what waits must be written even if it could still grow.
    fn must_write(&mut self) -> bool {
        if self.window.load() <= self.drain_to {
            self.drain_to = u64::MAX;
        }
        self.drain_to < u64::MAX
            || self.extents.is_none()
            || self.window.len() >= MOST_PIECES
            || self.held.load(Ordering::Relaxed) >= MOST_HELD
    }
}

/// The part of a buffer's bytes that covers whole blocks, at an address that direct I/O takes.
fn aligned(mut data: Buffer, skip: usize, length: usize, held: &Arc<AtomicUsize>) -> Slice {
    let mut start = skip;
    if !skip.is_multiple_of(ALIGNMENT) {
        // Only where an image's clusters are smaller than the disk's blocks.
        data.remove_front(skip);
        start = 0;
    }
    Slice::of_buffer(data, held).part(start, length)
}

/// Put bytes that cover whole blocks into the window, their long runs of zeros as such.
fn insert(window: &mut Window, offset: u64, slice: &Slice, block: u64) {
    let mut from = 0;
    for run in zeros::runs(slice) {
        // Ends at multiples of 4 KiB may lie within a larger block.
        let start = (run.start as u64).next_multiple_of(block);
        let end = run.end as u64 - run.end as u64 % block;
        if start + zeros::SHORTEST > end {
            continue;
        }
        window.insert_data(
            offset + from,
            slice.part(from as usize, (start - from) as usize),
        );
        window.insert_zeros(offset + start, end - start);
        from = end;
    }
    let rest = slice.len() - from as usize;
    window.insert_data(offset + from, slice.part(from as usize, rest));
}
