//! A medium in memory for tests: it remembers every change, can fail at any of them, and can show
//! what a power cut after any of them would have left.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::sys::block_device::{DiskError, Medium};

/// One change, in the order in which they were made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Change {
    Write { offset: u64, data: Vec<u8> },
    Zero { offset: u64, length: u64 },
    Flush,
}

/// Bytes in memory with a log of changes.
pub(crate) struct MemoryMedium {
    initial: Vec<u8>,
    logical_block_size: u32,
    fault: Option<Fault>,
    state: Mutex<State>,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// The change of this number and all later ones fail with this errno.
    Change(usize, i32),
    /// A write that touches this byte fails with this errno after writing what lies before.
    Byte(u64, i32),
    /// The block that holds this byte keeps what it holds, and every write says it went well.
    Loses(u64),
}

struct State {
    content: Vec<u8>,
    log: Vec<Change>,
    /// The bytes of the blocks that are being changed at this moment.
    busy: Vec<Range<u64>>,
}

impl MemoryMedium {
    /// A used disk: full of 0xaa.
    pub(crate) fn used(size: usize) -> Self {
        Self::of(vec![0xaa; size], 512)
    }

    /// A disk with this content.
    pub(crate) fn of(content: Vec<u8>, logical_block_size: u32) -> Self {
        Self {
            initial: content.clone(),
            logical_block_size,
            fault: None,
            state: Mutex::new(State {
                content,
                log: Vec::new(),
                busy: Vec::new(),
            }),
        }
    }

    #[must_use]
    pub(crate) fn failing(mut self, fault: Fault) -> Self {
        self.fault = Some(fault);
        self
    }

    pub(crate) fn content(&self) -> Vec<u8> {
        self.state().content.clone()
    }

    pub(crate) fn log(&self) -> Vec<Change> {
        self.state().log.clone()
    }

    /// What the disk held after each prefix of the changes, shown one after another.
    pub(crate) fn replay(&self, mut look: impl FnMut(usize, &[u8])) {
        let mut content = self.initial.clone();
        look(0, &content);
        for (index, change) in self.log().iter().enumerate() {
            change.apply(&mut content);
            look(index + 1, &content);
        }
    }

    /// What a power cut after so many changes leaves, where the disk has a volatile cache: of the
    /// changes since the last flush those blocks survive that are `kept`, in any case all before.
    pub(crate) fn after_power_cut(
        &self,
        changes: usize,
        mut kept: impl FnMut() -> bool,
    ) -> Vec<u8> {
        let log = &self.log()[..changes];
        let flushed = log.iter().rposition(|change| *change == Change::Flush);
        let block = u64::from(self.logical_block_size);
        let mut content = self.initial.clone();
        for (index, change) in log.iter().enumerate() {
            if flushed.is_some_and(|flushed| index < flushed) {
                change.apply(&mut content);
                continue;
            }
            let mut after = content.clone();
            change.apply(&mut after);
            for start in change.blocks(block).step_by(block as usize) {
                let range = start as usize..((start + block) as usize).min(content.len());
                if kept() {
                    content[range.clone()].copy_from_slice(&after[range]);
                }
            }
        }
        content
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A thread that panicked on a defect must not hide it behind others' panics.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Make a change, unless another one is at work in the same blocks: that is a defect of the
    /// caller's, which a real disk would answer by losing one of the two.
    fn change(&self, change: Change) -> Result<(), DiskError> {
        let blocks = change.blocks(u64::from(self.logical_block_size));
        {
            let mut state = self.state();
            let clash = state
                .busy
                .iter()
                .find(|busy| busy.start < blocks.end && blocks.start < busy.end);
            assert_eq!(clash, None, "two changes at once at {blocks:?}");
            state.busy.push(blocks.clone());
        }
        thread::yield_now();
        let outcome = self.make(change);
        self.state().busy.retain(|busy| *busy != blocks);
        outcome
    }

    fn make(&self, change: Change) -> Result<(), DiskError> {
        let mut state = self.state();
        if let Some(Fault::Change(number, errno)) = self.fault
            && state.log.len() >= number
        {
            return Err(error(&change, errno));
        }
        match &change {
            Change::Write { offset, data } => {
                let start = *offset as usize;
                if let Some(Fault::Byte(byte, errno)) = self.fault
                    && (*offset..*offset + data.len() as u64).contains(&byte)
                {
                    let length = (byte - offset) as usize;
                    let part = data[..length].to_vec();
                    state.content[start..start + length].copy_from_slice(&part);
                    state.log.push(Change::Write {
                        offset: *offset,
                        data: part,
                    });
                    return Err(error(&change, errno));
                }
            }
            Change::Zero { .. } | Change::Flush => {}
        }
        let lost = match self.fault {
            Some(Fault::Loses(byte)) => {
                let block = u64::from(self.logical_block_size);
                let start = (byte - byte % block) as usize;
                let end = (start + block as usize).min(state.content.len());
                Some((start, state.content[start..end].to_vec()))
            }
            _ => None,
        };
        change.apply(&mut state.content);
        if let Some((start, before)) = lost {
            state.content[start..start + before.len()].copy_from_slice(&before);
        }
        state.log.push(change);
        Ok(())
    }
}

impl Medium for MemoryMedium {
    fn size(&self) -> u64 {
        self.initial.len() as u64
    }

    fn logical_block_size(&self) -> u32 {
        self.logical_block_size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), DiskError> {
        let state = self.state();
        let range = offset as usize..offset as usize + buffer.len();
        let Some(content) = state.content.get(range) else {
            return Err(DiskError::OutOfRange {
                path: "memory".into(),
                offset,
                length: buffer.len() as u64,
                size: self.size(),
            });
        };
        buffer.copy_from_slice(content);
        Ok(())
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), DiskError> {
        self.change(Change::Write {
            offset,
            data: data.to_vec(),
        })
    }

    /// One change, as pwritev(2) is for a disk.
    fn write_vectored_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> Result<(), DiskError> {
        self.change(Change::Write {
            offset,
            data: parts.iter().flat_map(|part| part.to_vec()).collect(),
        })
    }

    fn zero_range(&self, offset: u64, length: u64) -> Result<(), DiskError> {
        self.change(Change::Zero { offset, length })
    }

    fn flush(&self) -> Result<(), DiskError> {
        self.change(Change::Flush)
    }
}

impl Change {
    /// The whole blocks that it touches.
    fn blocks(&self, block: u64) -> Range<u64> {
        let (offset, length) = match self {
            Self::Write { offset, data } => (*offset, data.len() as u64),
            Self::Zero { offset, length } => (*offset, *length),
            Self::Flush => return 0..0,
        };
        offset - offset % block..(offset + length).next_multiple_of(block)
    }

    fn apply(&self, content: &mut [u8]) {
        match self {
            Self::Write { offset, data } => {
                content[*offset as usize..][..data.len()].copy_from_slice(data);
            }
            Self::Zero { offset, length } => {
                content[*offset as usize..][..*length as usize].fill(0);
            }
            Self::Flush => {}
        }
    }
}

fn error(change: &Change, errno: i32) -> DiskError {
    let path = "memory".into();
    let source = io::Error::from_raw_os_error(errno);
    match change {
        Change::Flush => DiskError::Flush { path, source },
        Change::Write { offset, data } => DiskError::Write {
            path,
            offset: *offset,
            length: data.len() as u64,
            source,
        },
        Change::Zero { offset, length } => DiskError::Write {
            path,
            offset: *offset,
            length: *length,
            source,
        },
    }
}
