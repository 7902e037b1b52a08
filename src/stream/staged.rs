//! A medium on which all is written except its head.

use std::io::IoSlice;
use std::sync::{Mutex, MutexGuard, PoisonError};

use farrier_plugin::AlignedBuffer;

use super::error::StreamError;
use super::halt::Halt;
use super::read_back::{ReadBack, Sum};
use super::sector_size;
use crate::sys::block_device::{DiskError, Medium};

/// Bytes at the start of the medium that are held back, and bytes at its end that are zeroed
/// first. The head holds everything that firmware boots from or finds partitions by: boot record,
/// both forms of partition table, GRUB's core image in the gap.
pub(super) const HEAD_SIZE: u64 = 1 << 20;

/// Bytes at the start of the head that are written last of all. They hold the boot record, without
/// which neither BIOS nor UEFI looks at the rest; a power cut within the last MiB therefore leaves
/// nothing that boots either.
const BOOT_RECORD: usize = 4096;

/// A medium whose first MiB is zeros on the disk and held in memory instead.
///
/// It is a [`Medium`] itself: reads and writes of the first MiB go to the memory, all others to the
/// medium. So partition table and config drive are finished here before anything boots. Dropped
/// without [`Staged::commit`], it leaves the head blank.
pub(crate) struct Staged<'m> {
    medium: &'m dyn Medium,
    head: Mutex<AlignedBuffer>,
    image: String,
    /// Of all that the medium was given, where it shall be read back.
    sum: Option<Sum>,
}

impl<'m> Staged<'m> {
    /// Zero both ends of the medium, flush, and hold an empty head. With `read_back` a sum of all
    /// that is written is kept, for [`Staged::read_back`].
    pub(super) fn begin(
        medium: &'m dyn Medium,
        image: &str,
        read_back: bool,
    ) -> Result<Self, StreamError> {
        let head = HEAD_SIZE.min(medium.size());
        let staged = Self {
            medium,
            head: Mutex::new(AlignedBuffer::zeroed(head as usize)),
            image: image.to_owned(),
            sum: read_back.then(Sum::new),
        };
        let tail = medium.size().saturating_sub(HEAD_SIZE).max(head);
        medium
            .zero_range(0, head)
            .and_then(|()| medium.zero_range(tail, medium.size() - tail))
            .and_then(|()| medium.flush())
            .map_err(|source| staged.disk_error(source))?;
        Ok(staged)
    }

    /// Read the first `size` bytes of the medium but its head from the disk itself, and compare them
    /// with what was written, where that was asked for. Everything must be flushed.
    pub(super) fn read_back(
        &self,
        size: u64,
        halt: &Halt<'_>,
        what: &str,
    ) -> Result<(), StreamError> {
        let Some(sum) = &self.sum else {
            return Ok(());
        };
        let read_back = ReadBack {
            medium: self.medium,
            sum,
            halt,
            image: &self.image,
            what,
        };
        read_back.compare(self.held_back().min(size), size)
    }

    /// Refuse a GPT that this medium's sector size hides. A plain file has none to speak of.
    pub(super) fn check_sector_size(&self) -> Result<(), StreamError> {
        let device_sector = self.medium.logical_block_size();
        match sector_size::misfit(&self.held(), device_sector) {
            Some(image_sector) if !self.medium.is_plain_file() => Err(StreamError::SectorSize {
                image: self.image.clone(),
                image_sector,
                device_sector,
            }),
            _ => Ok(()),
        }
    }

    /// Write the head, its first 4 KiB last, with a flush before, between and after.
    pub(crate) fn commit(self) -> Result<(), StreamError> {
        let head = self.held();
        let boot_record = BOOT_RECORD.min(head.len());
        let outcome = self
            .medium
            .flush()
            .and_then(|()| {
                self.medium
                    .write_at(boot_record as u64, &head[boot_record..])
            })
            .and_then(|()| self.medium.flush())
            .and_then(|()| self.medium.write_at(0, &head[..boot_record]))
            .and_then(|()| self.medium.flush())
            .map_err(|source| self.disk_error(source))
            .and_then(|()| self.compare_head(&head));
        outcome.inspect_err(|_| {
            // What failed here may still have put the boot record down; the first error is the
            // one to tell.
            let _ = self.medium.zero_range(0, head.len() as u64);
            let _ = self.medium.flush();
        })
    }

    /// The head is small enough to be compared as it is.
    fn compare_head(&self, head: &[u8]) -> Result<(), StreamError> {
        if self.sum.is_none() {
            return Ok(());
        }
        let mut found = AlignedBuffer::zeroed(head.len());
        self.medium
            .read_at(0, &mut found)
            .map_err(|source| self.disk_error(source))?;
        if *found != *head {
            return Err(StreamError::ReadBack {
                image: self.image.clone(),
            });
        }
        Ok(())
    }

    /// Write what does not belong to the head.
    fn write_parts(&self, offset: u64, parts: &[IoSlice<'_>]) -> Result<(), DiskError> {
        match parts {
            [part] => self.medium.write_at(offset, part)?,
            parts => self.medium.write_vectored_at(offset, parts)?,
        }
        let Some(sum) = &self.sum else {
            return Ok(());
        };
        let mut at = offset;
        for part in parts {
            sum.add(at, part);
            at += part.len() as u64;
        }
        Ok(())
    }

    /// Bytes at the start of the medium that are held back.
    pub(super) fn held_back(&self) -> u64 {
        HEAD_SIZE.min(self.medium.size())
    }

    fn held(&self) -> MutexGuard<'_, AlignedBuffer> {
        self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn disk_error(&self, source: DiskError) -> StreamError {
        StreamError::Disk {
            image: self.image.clone(),
            source,
        }
    }
}

impl Medium for Staged<'_> {
    fn size(&self) -> u64 {
        self.medium.size()
    }

    fn logical_block_size(&self) -> u32 {
        self.medium.logical_block_size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), DiskError> {
        let head = self.held();
        let in_head = held_part(&head, offset, buffer.len() as u64);
        let (first, rest) = buffer.split_at_mut(in_head);
        if in_head > 0 {
            first.copy_from_slice(&head[offset as usize..][..in_head]);
        }
        drop(head);
        if rest.is_empty() {
            return Ok(());
        }
        self.medium.read_at(offset + in_head as u64, rest)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), DiskError> {
        let mut head = self.held();
        let in_head = held_part(&head, offset, data.len() as u64);
        if in_head > 0 {
            head[offset as usize..][..in_head].copy_from_slice(&data[..in_head]);
        }
        drop(head);
        if in_head == data.len() {
            return Ok(());
        }
        self.write_parts(offset + in_head as u64, &[IoSlice::new(&data[in_head..])])
    }

    fn write_vectored_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> Result<(), DiskError> {
        if offset >= self.held_back() {
            return self.write_parts(offset, parts);
        }
        let mut at = offset;
        for part in parts {
            self.write_at(at, part)?;
            at += part.len() as u64;
        }
        Ok(())
    }

    fn zero_range(&self, offset: u64, length: u64) -> Result<(), DiskError> {
        let mut head = self.held();
        let in_head = held_part(&head, offset, length);
        if in_head > 0 {
            head[offset as usize..][..in_head].fill(0);
        }
        drop(head);
        if in_head as u64 == length {
            return Ok(());
        }
        self.medium
            .zero_range(offset + in_head as u64, length - in_head as u64)
    }

    fn flush(&self) -> Result<(), DiskError> {
        self.medium.flush()
    }

    fn is_plain_file(&self) -> bool {
        self.medium.is_plain_file()
    }
}

/// How many of these bytes, from the first on, lie in the head.
fn held_part(head: &[u8], offset: u64, length: u64) -> usize {
    (head.len() as u64).saturating_sub(offset).min(length) as usize
}
