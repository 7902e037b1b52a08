//! The image's file as a decoder reads it: in order, counted, with a look at its start.

use std::sync::mpsc::Receiver;

use farrier_plugin::Progress;

use crate::stream::buffer::Buffer;
use crate::stream::halt::Halt;

/// One pass over the file's bytes.
pub(in crate::stream) struct Input<'a> {
    from: Receiver<Buffer>,
    first: Option<Buffer>,
    halt: &'a Halt<'a>,
    what: String,
    read: u64,
    total: Option<u64>,
}

impl<'a> Input<'a> {
    /// The buffers that come from here, of a file of `total` bytes; `what` is being done with it.
    pub(in crate::stream) fn new(
        from: Receiver<Buffer>,
        what: String,
        total: Option<u64>,
        halt: &'a Halt<'a>,
    ) -> Self {
        Self {
            from,
            first: None,
            halt,
            what,
            read: 0,
            total,
        }
    }

    /// The first buffer, which stays to be read; empty where the file is.
    pub(in crate::stream) fn start(&mut self) -> &[u8] {
        if self.first.is_none() && self.read == 0 {
            self.first = self.from.recv().ok();
        }
        self.first.as_deref().unwrap_or_default()
    }

    /// The next buffer; `None` at the end, and where the pipeline stops.
    pub(in crate::stream) fn next(&mut self) -> Option<Buffer> {
        let buffer = match self.first.take() {
            Some(buffer) => buffer,
            None => self.from.recv().ok()?,
        };
        if self.halt.is_set() {
            return None;
        }
        self.read += buffer.len() as u64;
        self.halt.context().report_progress(Progress {
            what: self.what.clone(),
            done: self.read,
            total: self.total,
        });
        Some(buffer)
    }

    /// Bytes that were read.
    pub(in crate::stream) fn read(&self) -> u64 {
        self.read
    }

    /// Read to the end.
    pub(in crate::stream) fn drain(&mut self) {
        while self.next().is_some() {}
    }
}
