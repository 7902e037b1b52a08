//! A range of a disk as a medium of its own: what an image is streamed to.

use std::io::IoSlice;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use crate::sys::block_device::{DiskError, Medium};

/// A range of a disk. Before the first change in it something is done to the disk, once, and nothing
/// is changed where that fails: so an image that turns out not to fit, or not to be there, leaves
/// the disk as it was, and one that is written never lies beside what booted before.
pub(super) struct DiskRange<'m> {
    disk: &'m dyn Medium,
    offset: u64,
    length: u64,
    before: Mutex<Option<Before<'m>>>,
}

/// What is done before the first change.
type Before<'m> = Box<dyn Fn() -> Result<(), DiskError> + Send + Sync + 'm>;

impl<'m> DiskRange<'m> {
    /// Of these bytes, first and number.
    pub(super) fn new(
        disk: &'m dyn Medium,
        (offset, length): (u64, u64),
        before: impl Fn() -> Result<(), DiskError> + Send + Sync + 'm,
    ) -> Self {
        Self {
            disk,
            offset,
            length,
            before: Mutex::new(Some(Box::new(before))),
        }
    }

    /// The place on the disk of a change.
    fn change(&self, offset: u64, length: u64) -> Result<u64, DiskError> {
        let at = self.at(offset, length)?;
        let mut before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(prepare) = &*before {
            prepare()?;
            *before = None;
        }
        Ok(at)
    }

    fn at(&self, offset: u64, length: u64) -> Result<u64, DiskError> {
        if offset
            .checked_add(length)
            .is_some_and(|end| end <= self.length)
        {
            return Ok(self.offset + offset);
        }
        Err(DiskError::OutOfRange {
            path: PathBuf::from("the range of the image"),
            offset,
            length,
            size: self.length,
        })
    }
}

impl Medium for DiskRange<'_> {
    fn size(&self) -> u64 {
        self.length
    }

    fn logical_block_size(&self) -> u32 {
        self.disk.logical_block_size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), DiskError> {
        self.disk
            .read_at(self.at(offset, buffer.len() as u64)?, buffer)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), DiskError> {
        let at = self.change(offset, data.len() as u64)?;
        self.disk.write_at(at, data)
    }

    fn write_vectored_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> Result<(), DiskError> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let at = self.change(offset, length as u64)?;
        self.disk.write_vectored_at(at, parts)
    }

    fn zero_range(&self, offset: u64, length: u64) -> Result<(), DiskError> {
        let at = self.change(offset, length)?;
        self.disk.zero_range(at, length)
    }

    fn flush(&self) -> Result<(), DiskError> {
        self.disk.flush()
    }

    fn is_plain_file(&self) -> bool {
        self.disk.is_plain_file()
    }
}
