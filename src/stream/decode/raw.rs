//! The bytes of the disk as they are.

use super::{Content, Decoder, Extent, Pass, PassOutcome};
use crate::stream::error::StreamError;

/// The file's buffers go to the disk themselves, so there may be as many as other formats have
/// for both: 32 MiB.
const BUFFERS: usize = 32;

/// A raw image.
pub(super) struct Raw {
    length: Option<u64>,
}

impl Raw {
    /// An image of this length, where it is known.
    pub(super) fn new(length: Option<u64>) -> Self {
        Self { length }
    }
}

impl Decoder for Raw {
    fn size(&self) -> Option<u64> {
        self.length
    }

    fn input_buffers(&self) -> usize {
        BUFFERS
    }

    fn pass(&mut self, pass: &mut Pass<'_>) -> Result<PassOutcome, StreamError> {
        let mut offset = 0;
        while let Some(data) = pass.input.next() {
            let length = data.len() as u64;
            let content = Content::Data(data);
            if pass.halt.is_set() || pass.output.send(Extent { offset, content }).is_err() {
                break;
            }
            offset += length;
        }
        Ok(PassOutcome::Done { size: offset })
    }
}
