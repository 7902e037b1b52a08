//! Bytes of the disk into extents.

use std::io;
use std::sync::mpsc::Sender;

use super::error::Qcow2Error;
use crate::stream::buffer::{Buffer, Pool};
use crate::stream::decode::{Content, Extent, INPUT_BUFFER};
use crate::stream::error::DownloadError;
use crate::stream::halt::Halt;

/// Bytes of a buffer for a long run; one for a cluster of 2 MiB is as large as the cluster.
const LARGE: usize = INPUT_BUFFER;
/// Bytes of a buffer for scattered clusters, of which many are under way at once.
const SMALL: usize = 64 << 10;
/// Bytes of a buffer for scattered clusters of the smallest sizes, of which there are thousands.
const TINY: usize = 4 << 10;
/// From here on a run goes into large buffers.
const LONG: usize = 2 * SMALL;

/// Why a pass ends early.
#[derive(Debug)]
pub(super) enum Failure {
    /// The image's fault.
    Image(Qcow2Error),
    /// Tables did not arrive, or not as they were before.
    Download(DownloadError),
    /// The pipeline stops; somebody else says why.
    Gone,
    /// The machine gives no threads.
    Threads(io::Error),
}

impl From<Qcow2Error> for Failure {
    fn from(error: Qcow2Error) -> Self {
        Self::Image(error)
    }
}

/// Buffers for the disk's bytes.
pub(super) struct Pools {
    large: Pool,
    large_size: usize,
    small: Pool,
    tiny: Pool,
}

impl Pools {
    /// At most so many large, small and tiny buffers; a large one takes at least a cluster of so
    /// many bytes.
    pub(super) fn new([large, small, tiny]: [usize; 3], cluster: usize) -> Self {
        let large_size = LARGE.max(cluster);
        Self {
            large: Pool::new(large_size, large),
            large_size,
            small: Pool::new(SMALL, small),
            tiny: Pool::new(TINY, tiny),
        }
    }
}

/// Puts what is neighbouring in the disk into one extent, up to a buffer's size.
pub(super) struct Output<'a> {
    pools: &'a mut Pools,
    halt: &'a Halt<'a>,
    to: Sender<Extent>,
    /// Bytes of the disk; what lies behind is left out.
    size: u64,
    current: Option<Current>,
}

/// An extent that is being filled.
struct Current {
    offset: u64,
    buffer: Buffer,
    room: usize,
}

impl Current {
    fn end(&self) -> u64 {
        self.offset + self.buffer.len() as u64
    }
}

impl<'a> Output<'a> {
    pub(super) fn new(
        pools: &'a mut Pools,
        halt: &'a Halt<'a>,
        to: Sender<Extent>,
        size: u64,
    ) -> Self {
        Self {
            pools,
            halt,
            to,
            size,
            current: None,
        }
    }

    /// These bytes, copied.
    pub(super) fn data(&mut self, mut offset: u64, data: &[u8]) -> Result<(), Failure> {
        let mut data = &data[..self.within(offset, data.len() as u64)];
        while !data.is_empty() {
            let current = self.room(offset, 1, data.len())?;
            let count = current.buffer.fill_from(data);
            current.room -= count;
            data = &data[count..];
            offset += count as u64;
        }
        Ok(())
    }

    /// Zeros that are written along with the data before them.
    pub(super) fn carried_zeros(&mut self, mut offset: u64, length: u64) -> Result<(), Failure> {
        let mut left = self.within(offset, length);
        while left > 0 {
            let current = self.room(offset, 1, left)?;
            let count = left.min(current.room);
            let filled: Result<usize, Failure> = current.buffer.fill_with(|free| {
                free[..count].fill(0);
                Ok(count)
            });
            filled?;
            current.room -= count;
            left -= count;
            offset += count as u64;
        }
        Ok(())
    }

    /// A cluster that `inflate` makes in the place that it is given, of `expected` bytes that
    /// follow each other.
    pub(super) fn cluster(
        &mut self,
        offset: u64,
        length: usize,
        expected: usize,
        inflate: impl FnOnce(&mut [u8]) -> Result<(), Qcow2Error>,
    ) -> Result<(), Failure> {
        let wanted = self.within(offset, length as u64);
        let current = self.room(offset, length, expected)?;
        current.buffer.fill_with(|free| {
            inflate(&mut free[..length])?;
            Ok::<_, Qcow2Error>(wanted)
        })?;
        current.room -= wanted;
        if wanted == 0 {
            self.current = None;
        }
        Ok(())
    }

    /// A buffer of the file that is as a whole a part of the disk: it goes on without a copy, and
    /// a fresh one takes its place.
    pub(super) fn whole(&mut self, offset: u64, buffer: Buffer) -> Result<(), Failure> {
        let length = self.within(offset, buffer.len() as u64);
        if length < buffer.len() || length != self.pools.large_size {
            return self.data(offset, &buffer);
        }
        if self.pools.large.is_exhausted() {
            self.send(0, Content::Zeros(0))?;
        }
        let spare = self.pools.large.take(self.halt).ok_or(Failure::Gone)?;
        self.send(offset, Content::Data(buffer.rehome(spare)))
    }

    /// Zeros that the device is asked to make.
    pub(super) fn zeros(&self, offset: u64, length: u64) -> Result<(), Failure> {
        let length = length.min(self.size.saturating_sub(offset));
        if length == 0 {
            return Ok(());
        }
        self.send(offset, Content::Zeros(length))
    }

    /// Hand on what is being filled.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        match self.current.take() {
            Some(current) if !current.buffer.is_empty() => {
                self.send(current.offset, Content::Data(current.buffer))
            }
            _ => Ok(()),
        }
    }

    fn within(&self, offset: u64, length: u64) -> usize {
        length.min(self.size.saturating_sub(offset)) as usize
    }

    /// The extent to fill at this offset, with room for at least `least` bytes; `expected` come.
    fn room(
        &mut self,
        offset: u64,
        least: usize,
        expected: usize,
    ) -> Result<&mut Current, Failure> {
        let follows = self.current.as_ref().is_some_and(|c| c.end() == offset);
        let fits = self.current.as_ref().is_some_and(|c| c.room >= least);
        if !(follows && fits) {
            self.flush()?;
            // What outgrew a small buffer is a long run.
            let is_long = expected > LONG || least > SMALL || follows;
            let (pool, room) = match expected {
                _ if is_long => (&mut self.pools.large, self.pools.large_size),
                ..=TINY => (&mut self.pools.tiny, TINY),
                _ => (&mut self.pools.small, SMALL),
            };
            if pool.is_exhausted() {
                // The sink shall not wait for more before it gives buffers back.
                send(&self.to, self.halt, 0, Content::Zeros(0))?;
            }
            let buffer = pool.take(self.halt).ok_or(Failure::Gone)?;
            self.current = Some(Current {
                offset,
                buffer,
                room,
            });
        }
        self.current.as_mut().ok_or(Failure::Gone)
    }

    fn send(&self, offset: u64, content: Content) -> Result<(), Failure> {
        send(&self.to, self.halt, offset, content)
    }
}

fn send(
    to: &Sender<Extent>,
    halt: &Halt<'_>,
    offset: u64,
    content: Content,
) -> Result<(), Failure> {
    if halt.is_set() {
        return Err(Failure::Gone);
    }
    to.send(Extent { offset, content })
        .map_err(|_| Failure::Gone)
}
