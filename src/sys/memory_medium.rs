//! A medium in memory for tests: it remembers every change, can fail at any of them, and can show
//! what a power cut after any of them would have left.

use std::io;
use std::sync::{Mutex, MutexGuard};

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
}

struct State {
    content: Vec<u8>,
    log: Vec<Change>,
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
            match change {
                Change::Write { offset, data } => {
                    content[*offset as usize..][..data.len()].copy_from_slice(data);
                }
                Change::Zero { offset, length } => {
                    content[*offset as usize..][..*length as usize].fill(0);
                }
                Change::Flush => {}
            }
            look(index + 1, &content);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn change(&self, change: Change) -> Result<(), DiskError> {
        let mut state = self.state();
        if let Some(Fault::Change(number, errno)) = self.fault
            && state.log.len() >= number
        {
            return Err(error(&change, errno));
        }
        match &change {
            Change::Write { offset, data } => {
                let start = *offset as usize;
                let mut length = data.len();
                if let Some(Fault::Byte(byte, errno)) = self.fault
                    && (*offset..*offset + data.len() as u64).contains(&byte)
                {
                    length = (byte - offset) as usize;
                    let part = data[..length].to_vec();
                    state.content[start..start + length].copy_from_slice(&part);
                    state.log.push(Change::Write {
                        offset: *offset,
                        data: part,
                    });
                    return Err(error(&change, errno));
                }
                state.content[start..start + length].copy_from_slice(data);
            }
            Change::Zero { offset, length } => {
                state.content[*offset as usize..][..*length as usize].fill(0);
            }
            Change::Flush => {}
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

    fn zero_range(&self, offset: u64, length: u64) -> Result<(), DiskError> {
        self.change(Change::Zero { offset, length })
    }

    fn flush(&self) -> Result<(), DiskError> {
        self.change(Change::Flush)
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
