//! A medium on which all is written except its head.

use std::io::IoSlice;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::error::StreamError;
use crate::sys::aligned::AlignedBuffer;
use crate::sys::block_device::{DiskError, Medium};

/// Bytes at the start of the medium that are held back, and bytes at its end that are zeroed
/// first. The head holds everything that firmware boots from or finds partitions by: boot record,
/// both forms of partition table, GRUB's core image in the gap.
pub const HEAD_SIZE: u64 = 1 << 20;

/// Bytes at the start of the head that are written last of all. They hold the boot record, without
/// which neither BIOS nor UEFI looks at the rest; a power cut within the last MiB therefore leaves
/// nothing that boots either.
const BOOT_RECORD: usize = 4096;

/// A medium whose first MiB is zeros on the disk and held in memory instead.
///
/// It is a [`Medium`] itself: reads and writes of the first MiB go to the memory, all others to the
/// medium. So partition table and config drive are finished here before anything boots. Dropped
/// without [`Staged::commit`], it leaves the head blank.
pub struct Staged<'m> {
    medium: &'m dyn Medium,
    head: Mutex<AlignedBuffer>,
    image: String,
    size: u64,
    digest: Option<String>,
}

impl<'m> Staged<'m> {
    /// Zero both ends of the medium, flush, and hold an empty head.
    pub(super) fn begin(medium: &'m dyn Medium, image: &str) -> Result<Self, StreamError> {
        let head = HEAD_SIZE.min(medium.size());
        let staged = Self {
            medium,
            head: Mutex::new(AlignedBuffer::zeroed(head as usize)),
            image: image.to_owned(),
            size: 0,
            digest: None,
        };
        let tail = medium.size().saturating_sub(HEAD_SIZE).max(head);
        medium
            .zero_range(0, head)
            .and_then(|()| medium.zero_range(tail, medium.size() - tail))
            .and_then(|()| medium.flush())
            .map_err(|source| staged.disk_error(source))?;
        Ok(staged)
    }

    pub(super) fn finish(&mut self, size: u64, digest: Option<String>) {
        self.size = size;
        self.digest = digest;
    }

    /// Bytes of the image on the disk.
    pub fn image_size(&self) -> u64 {
        self.size
    }

    /// The digest that was verified, in lower-case hexadecimal.
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// Write the head, its first 4 KiB last, with a flush before, between and after.
    pub fn commit(self) -> Result<(), StreamError> {
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
            .and_then(|()| self.medium.flush());
        outcome.map_err(|source| {
            // What failed here may still have put the boot record down; the first error is the
            // one to tell.
            let _ = self.medium.zero_range(0, head.len() as u64);
            let _ = self.medium.flush();
            self.disk_error(source)
        })
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
        self.medium
            .write_at(offset + in_head as u64, &data[in_head..])
    }

    fn write_vectored_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> Result<(), DiskError> {
        if offset >= self.held_back() {
            return self.medium.write_vectored_at(offset, parts);
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
