//! What waits to be written, sorted and merged.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::memory::Slice;
use super::zeros::SHORTEST;

/// Bytes of one write: enough that a rotating disk spends its time writing and not seeking, and
/// that the calls cost nothing; few enough that several are in flight with 32 MiB of buffers.
pub(super) const BATCH: u64 = 4 << 20;

/// Zeros that are asked for at once. They take no memory, so that only the time between two looks
/// at a cancellation bounds them.
const ZEROS: u64 = 128 << 20;

/// What a piece counts beside its bytes.
const PIECE: u64 = 1024;

/// Parts of one write (IOV_MAX of limits.h).
const PARTS: usize = crate::sys::block_device::MOST_PARTS;

/// Pieces that wait to be written, by their offset on the disk; neighbours of one kind are merged.
#[derive(Default)]
pub(super) struct Window {
    runs: BTreeMap<u64, Run>,
    /// The offsets of those runs that are worth a write already.
    ready: BTreeSet<u64>,
    /// Bytes of data in all runs.
    bytes: u64,
    /// Where the last write ended: the next one is the nearest behind it, from the disk's end
    /// again from its start, as a lift goes. So a rotating disk seeks little, and nothing waits for
    /// ever.
    position: u64,
}

/// Bytes without a gap.
enum Run {
    Data {
        length: u64,
        slices: VecDeque<Slice>,
    },
    Zeros {
        length: u64,
    },
}

/// One thing to do to the disk.
pub(super) enum Write {
    /// Write these bytes behind each other.
    Data { offset: u64, slices: Vec<Slice> },
    /// Make these bytes read as zeros.
    Zeros { offset: u64, length: u64 },
}

impl Window {
    pub(super) fn insert_data(&mut self, offset: u64, slice: Slice) {
        let length = slice.len() as u64;
        if length > 0 {
            let slices = VecDeque::from([slice]);
            self.insert(offset, Run::Data { length, slices });
        }
    }

    pub(super) fn insert_zeros(&mut self, offset: u64, length: u64) {
        if length > 0 {
            self.insert(offset, Run::Zeros { length });
        }
    }

    /// The next write that is worth it: a whole batch; or with `any` whatever is next.
    pub(super) fn take(&mut self, any: bool) -> Option<Write> {
        let from = self.position;
        let offset = if any {
            let mut ahead = self.runs.range(from..).chain(&self.runs);
            *ahead.next()?.0
        } else {
            let mut ahead = self.ready.range(from..).chain(&self.ready);
            *ahead.next()?
        };
        let write = match self.runs.get(&offset)? {
            Run::Zeros { length } if *length >= SHORTEST => {
                let (length, most) = (*length, (*length).min(ZEROS));
                self.remove(offset);
                self.insert_zeros(offset + most, length - most);
                self.position = offset + most;
                Write::Zeros {
                    offset,
                    length: most,
                }
            }
            _ => self.batch(offset),
        };
        Some(write)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Pieces that could not be merged.
    pub(super) fn len(&self) -> usize {
        self.runs.len()
    }

    /// How much waits: bytes, and something for each piece, since zeros take none.
    pub(super) fn load(&self) -> u64 {
        self.bytes + self.runs.len() as u64 * PIECE
    }

    /// Everything from here on that fits into one write; few zeros between data are written.
    fn batch(&mut self, offset: u64) -> Write {
        let mut at = offset;
        let mut slices = Vec::new();
        let room = |at: u64, count: usize, next: u64| {
            count == 0 || at - offset + next <= BATCH && count < PARTS
        };
        loop {
            match self.runs.get(&at) {
                Some(Run::Zeros { length })
                    if *length < SHORTEST && room(at, slices.len(), *length) =>
                {
                    slices.push(Slice::of_zeros(*length));
                    let length = *length;
                    self.remove(at);
                    at += length;
                }
                Some(Run::Data { .. }) => {
                    let Some(Run::Data {
                        mut length,
                        slices: mut waiting,
                    }) = self.remove(at)
                    else {
                        break;
                    };
                    while let Some(slice) =
                        waiting.pop_front_if(|next| room(at, slices.len(), next.len() as u64))
                    {
                        at += slice.len() as u64;
                        length -= slice.len() as u64;
                        slices.push(slice);
                    }
                    if length > 0 {
                        self.put(
                            at,
                            Run::Data {
                                length,
                                slices: waiting,
                            },
                        );
                        break;
                    }
                }
                _ => break,
            }
        }
        self.position = at;
        Write::Data { offset, slices }
    }

    fn insert(&mut self, offset: u64, run: Run) {
        let end = offset + run.length();
        let before = self.runs.range(..offset).next_back();
        let before = before.map(|(start, run)| (*start, run.length()));
        debug_assert!(before.is_none_or(|(start, length)| start + length <= offset));
        debug_assert!(self.runs.range(offset..end).next().is_none());
        let (mut start, mut whole) = (offset, run);
        if let Some((at, length)) = before
            && at + length == offset
            && let Some(mut run) = self.remove(at)
        {
            match run.append(whole) {
                None => (start, whole) = (at, run),
                Some(other) => {
                    self.put(at, run);
                    whole = other;
                }
            }
        }
        if let Some(run) = self.remove(end)
            && let Some(other) = whole.append(run)
        {
            self.put(end, other);
        }
        self.put(start, whole);
    }

    fn put(&mut self, offset: u64, run: Run) {
        let enough = match run {
            Run::Data { .. } => BATCH,
            Run::Zeros { .. } => ZEROS,
        };
        if run.length() >= enough {
            self.ready.insert(offset);
        }
        self.bytes += run.bytes();
        self.runs.insert(offset, run);
    }

    fn remove(&mut self, offset: u64) -> Option<Run> {
        self.ready.remove(&offset);
        let run = self.runs.remove(&offset)?;
        self.bytes -= run.bytes();
        Some(run)
    }
}

impl Run {
    fn length(&self) -> u64 {
        match self {
            Self::Data { length, .. } | Self::Zeros { length } => *length,
        }
    }

    /// Bytes that are no zeros.
    fn bytes(&self) -> u64 {
        match self {
            Self::Data { length, .. } => *length,
            Self::Zeros { .. } => 0,
        }
    }

    /// Take the run behind this one in; given back where it is of the other kind.
    fn append(&mut self, next: Self) -> Option<Self> {
        match (&mut *self, next) {
            (
                Self::Data { length, slices },
                Self::Data {
                    length: more,
                    slices: mut others,
                },
            ) => {
                *length += more;
                // The smaller one moves, or an image written backwards would move every piece
                // for every piece.
                if slices.len() < others.len() {
                    std::mem::swap(slices, &mut others);
                    while let Some(slice) = others.pop_back() {
                        slices.push_front(slice);
                    }
                } else {
                    slices.append(&mut others);
                }
                None
            }
            (Self::Zeros { length }, Self::Zeros { length: more }) => {
                *length += more;
                None
            }
            (_, next) => Some(next),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use farrier_plugin::AlignedBuffer;

    use super::*;

    const MIB: u64 = 1 << 20;

    /// Bytes of data, filled with the number of their MiB.
    fn data(offset: u64, length: u64) -> Slice {
        let mut block = AlignedBuffer::zeroed(length as usize);
        block.fill((offset / MIB) as u8 + 1);
        Slice::of_block(block, &Arc::default())
    }

    fn window(pieces: &[(u64, u64)]) -> Window {
        let mut window = Window::default();
        for (offset, length) in pieces {
            window.insert_data(*offset, data(*offset, *length));
        }
        window
    }

    /// Offset and length of the next write, with the number of its parts; 0 for zeros.
    fn next(window: &mut Window, any: bool) -> Option<(u64, u64, usize)> {
        window.take(any).map(|write| match write {
            Write::Zeros { offset, length } => (offset, length, 0),
            Write::Data { offset, slices } => {
                let length = slices.iter().map(|slice| slice.len() as u64).sum();
                (offset, length, slices.len())
            }
        })
    }

    #[test]
    fn whole_batches_go_at_once_and_the_rest_when_it_must() {
        for backwards in [false, true] {
            let mut pieces: Vec<_> = (0..9).map(|number| (number * MIB, MIB)).collect();
            if backwards {
                pieces.reverse();
            }
            let mut window = window(&pieces);
            assert_eq!((window.len(), window.load()), (1, 9 * MIB + PIECE));
            assert_eq!(next(&mut window, false), Some((0, 4 * MIB, 4)));
            assert_eq!(next(&mut window, false), Some((4 * MIB, 4 * MIB, 4)));
            assert_eq!(next(&mut window, false), None);
            assert_eq!(next(&mut window, true), Some((8 * MIB, MIB, 1)));
            assert!(window.is_empty());
            assert_eq!(window.load(), 0);
        }
    }

    #[test]
    fn writes_go_up_the_disk_and_start_again() {
        let mut window = window(&[(10 * MIB, 512), (2 * MIB, 512), (6 * MIB, 512)]);
        let mut offsets = Vec::new();
        while let Some((offset, ..)) = next(&mut window, true) {
            offsets.push(offset / MIB);
            if offsets.len() == 1 {
                window.insert_data(MIB, data(MIB, 512));
                window.insert_data(8 * MIB, data(8 * MIB, 512));
            }
        }
        assert_eq!(offsets, [2, 6, 8, 10, 1]);
    }

    #[test]
    fn few_zeros_are_written_and_many_are_asked_for() {
        let mut window = window(&[(0, 4096), (8192, 4096), (12288 + SHORTEST, 4096)]);
        window.insert_zeros(4096, 4096);
        window.insert_zeros(12288, SHORTEST);
        assert_eq!(next(&mut window, false), None);
        assert_eq!(next(&mut window, true), Some((0, 12288, 3)));
        assert_eq!(next(&mut window, true), Some((12288, SHORTEST, 0)));
        assert_eq!(next(&mut window, true), Some((12288 + SHORTEST, 4096, 1)));
        // Without end, and still in portions.
        window.insert_zeros(0, 3 * ZEROS + 1);
        window.insert_zeros(3 * ZEROS + 1, 4095);
        assert_eq!(window.len(), 1);
        for number in 0..3 {
            let portion = (number * ZEROS, ZEROS, 0);
            assert_eq!(next(&mut window, false), Some(portion));
        }
        assert_eq!(next(&mut window, true), Some((3 * ZEROS, 4096, 1)));
        assert!(window.is_empty());
    }

    #[test]
    fn no_write_has_more_parts_than_the_kernel_takes() {
        let pieces: Vec<_> = (0..2000).map(|number| (number * 512, 512)).collect();
        let mut window = window(&pieces);
        assert_eq!(next(&mut window, true), Some((0, 512 * 1024, PARTS)));
        assert_eq!(next(&mut window, true), Some((512 * 1024, 512 * 976, 976)));
    }

    #[test]
    fn memory_is_counted_until_its_last_part_is_gone() {
        let held = Arc::new(AtomicUsize::new(0));
        let whole = Slice::of_block(AlignedBuffer::zeroed(8192), &held);
        let part = whole.part(4096, 4096);
        assert_eq!(held.load(Ordering::Relaxed), 8192);
        drop(whole);
        assert_eq!((part.len(), held.load(Ordering::Relaxed)), (4096, 8192));
        drop(part);
        assert_eq!(held.load(Ordering::Relaxed), 0);
    }
}
