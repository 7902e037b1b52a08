//! The stage `sink`: extents onto the medium, several writes in flight.

use std::sync::mpsc::Receiver;
use std::sync::{Mutex, PoisonError};

use super::decode::{Content, Extent};
use super::error::StreamError;
use super::halt::Halt;
use super::staged::Staged;
use crate::sys::block_device::Medium;

/// Writes in flight. With direct I/O a single write leaves an NVMe drive idle between two; four
/// keep it busy, and a rotating disk's scheduler still sees them in order.
pub(super) const WRITERS: usize = 4;

/// What the writers share.
pub(super) struct Sink<'a> {
    pub(super) extents: Mutex<Receiver<Extent>>,
    pub(super) staged: &'a Staged<'a>,
    pub(super) halt: &'a Halt<'a>,
    pub(super) image: &'a str,
}

impl Sink<'_> {
    /// One writer: write extents until there are none, or something stops.
    pub(super) fn write(&self) -> Result<(), StreamError> {
        let outcome = self.write_all();
        if outcome.is_err() {
            self.halt.stop();
        }
        outcome
    }

    fn write_all(&self) -> Result<(), StreamError> {
        loop {
            let next = self
                .extents
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .recv();
            let Ok(Extent { offset, content }) = next else {
                return Ok(());
            };
            if self.halt.is_set() {
                return Ok(());
            }
            let length = match &content {
                Content::Data(data) => data.len() as u64,
                Content::Zeros(length) => *length,
            };
            let end = offset.saturating_add(length);
            if end > self.staged.size() {
                return Err(StreamError::TooLarge {
                    image: self.image.to_owned(),
                    size: end,
                    device_size: self.staged.size(),
                });
            }
            match &content {
                Content::Data(data) => self.staged.write_at(offset, data),
                Content::Zeros(length) => self.staged.zero_range(offset, *length),
            }
            .map_err(|source| StreamError::Disk {
                image: self.image.to_owned(),
                source,
            })?;
        }
    }
}
