//! A disk in memory for tests, with the faults that real ones have.

use std::io;
use std::ops::Range;
use std::sync::Mutex;

use crate::sys::block_device::{Discard, DiskError, Medium};

/// What is wrong with a fake disk. Ranges are bytes of the disk.
#[derive(Clone, Debug)]
pub(in crate::erase) enum Fault {
    /// Writes that touch the range fail; what comes before it in the same write lands.
    Write(Range<u64>, i32),
    /// Reads that touch the range fail.
    Read(Range<u64>, i32),
    /// Every flush after so many fails.
    Flush { after: usize },
    /// Writes into the range are taken and dropped, after so many bytes in all were written.
    Drops { range: Range<u64>, after: u64 },
    /// Discards leave the range as it is.
    KeepsOnDiscard(Range<u64>),
    /// Less memory than the size says: addresses wrap around.
    Counterfeit { real: u64 },
}

pub(in crate::erase) struct FakeMedium {
    size: u64,
    block_size: u32,
    faults: Vec<Fault>,
    state: Mutex<State>,
}

struct State {
    bytes: Vec<u8>,
    written: u64,
    flushes: usize,
}

impl FakeMedium {
    /// A disk full of old data.
    pub(in crate::erase) fn new(size: u64, faults: Vec<Fault>) -> Self {
        Self {
            size,
            block_size: 512,
            faults,
            state: Mutex::new(State {
                bytes: vec![0x5a; size as usize],
                written: 0,
                flushes: 0,
            }),
        }
    }

    pub(in crate::erase) fn with_block_size(mut self, block_size: u32) -> Self {
        self.block_size = block_size;
        self
    }

    pub(in crate::erase) fn bytes(&self) -> Vec<u8> {
        self.state.lock().unwrap().bytes.clone()
    }

    pub(in crate::erase) fn put(&self, offset: usize, data: &[u8]) {
        self.state.lock().unwrap().bytes[offset..offset + data.len()].copy_from_slice(data);
    }

    /// Which part of a buffer lies where in the memory.
    fn places(&self, offset: u64, length: usize) -> Vec<(Range<usize>, Range<usize>)> {
        let real = self.faults.iter().find_map(|fault| match fault {
            Fault::Counterfeit { real } => Some(*real as usize),
            _ => None,
        });
        let real = real.unwrap_or(self.size as usize);
        let mut places = Vec::new();
        let mut done = 0;
        while done < length {
            let place = (offset as usize + done) % real;
            let count = (length - done).min(real - place);
            places.push((done..done + count, place..place + count));
            done += count;
        }
        places
    }
}

impl Medium for FakeMedium {
    fn size(&self) -> u64 {
        self.size
    }

    fn logical_block_size(&self) -> u32 {
        self.block_size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), DiskError> {
        let length = buffer.len() as u64;
        let touched = offset..offset + length;
        for fault in &self.faults {
            if let Fault::Read(range, errno) = fault
                && overlap(range, &touched).is_some()
            {
                return Err(DiskError::Read {
                    path: "/dev/fake".into(),
                    offset,
                    length,
                    source: io::Error::from_raw_os_error(*errno),
                });
            }
        }
        let state = self.state.lock().unwrap();
        for (part, place) in self.places(offset, buffer.len()) {
            buffer[part].copy_from_slice(&state.bytes[place]);
        }
        Ok(())
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), DiskError> {
        let mut touched = offset..offset + data.len() as u64;
        assert!(touched.end <= self.size, "a write beyond the end");
        let mut failure = None;
        for fault in &self.faults {
            if let Fault::Write(range, errno) = fault
                && let Some(common) = overlap(range, &touched)
            {
                touched.end = common.start;
                failure = Some(*errno);
            }
        }
        let landed = &data[..(touched.end - touched.start) as usize];
        let mut state = self.state.lock().unwrap();
        let mut dropped = Vec::new();
        for fault in &self.faults {
            if let Fault::Drops { range, after } = fault {
                let first = touched.start + after.saturating_sub(state.written);
                if let Some(common) = overlap(range, &(first..touched.end)) {
                    let kept = common.start as usize..common.end as usize;
                    dropped.push((kept.start, state.bytes[kept].to_vec()));
                }
            }
        }
        for (part, place) in self.places(offset, landed.len()) {
            state.bytes[place].copy_from_slice(&landed[part]);
        }
        for (start, kept) in dropped {
            state.bytes[start..start + kept.len()].copy_from_slice(&kept);
        }
        state.written += landed.len() as u64;
        drop(state);
        match failure {
            None => Ok(()),
            Some(errno) => Err(DiskError::Write {
                path: "/dev/fake".into(),
                offset,
                length: data.len() as u64,
                source: io::Error::from_raw_os_error(errno),
            }),
        }
    }

    fn zero_range(&self, offset: u64, length: u64) -> Result<(), DiskError> {
        self.write_at(offset, &vec![0; length as usize])
    }

    fn flush(&self) -> Result<(), DiskError> {
        let mut state = self.state.lock().unwrap();
        state.flushes += 1;
        let fails = self
            .faults
            .iter()
            .any(|fault| matches!(fault, Fault::Flush { after } if state.flushes > *after));
        if fails {
            return Err(DiskError::Flush {
                path: "/dev/fake".into(),
                source: io::Error::from_raw_os_error(libc::EIO),
            });
        }
        Ok(())
    }
}

impl Discard for FakeMedium {
    fn discard(&self, offset: u64, length: u64, _secure: bool) -> Result<(), DiskError> {
        let mut state = self.state.lock().unwrap();
        for at in offset..offset + length {
            let kept = self
                .faults
                .iter()
                .any(|fault| matches!(fault, Fault::KeepsOnDiscard(range) if range.contains(&at)));
            if !kept {
                state.bytes[at as usize] = 0;
            }
        }
        Ok(())
    }
}

fn overlap(one: &Range<u64>, other: &Range<u64>) -> Option<Range<u64>> {
    let common = one.start.max(other.start)..one.end.min(other.end);
    (!common.is_empty()).then_some(common)
}
