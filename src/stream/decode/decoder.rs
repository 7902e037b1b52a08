//! What a decoder is given for a pass over the file, and what it gives.

use std::sync::mpsc::Sender;

use super::input::Input;
use crate::stream::buffer::Buffer;
use crate::stream::error::StreamError;
use crate::stream::halt::Halt;
use crate::stream::ranges::Ranges;
use crate::stream::request::ImageRequest;
use crate::sys::block_device::Medium;

/// Bytes in a buffer of the image's file: enough that a stage's hand-over costs nothing, few
/// enough that the stages overlap early.
pub(in crate::stream) const INPUT_BUFFER: usize = 1 << 20;

/// Buffers of the file for a format with buffers of its own for the disk's bytes.
pub(in crate::stream) const INPUT_BUFFERS: usize = 8;

/// Bytes that belong at an offset of the disk. Extents come in any order, with any length and
/// alignment, and none says anything of a byte that another one spoke of.
pub(in crate::stream) struct Extent {
    pub(in crate::stream) offset: u64,
    pub(in crate::stream) content: Content,
}

/// What an extent holds.
pub(in crate::stream) enum Content {
    /// These bytes.
    Data(Buffer),
    /// So many zeros. None at all say that the decoder waits for buffers, so that there is no point
    /// in waiting for neighbours of what came.
    Zeros(u64),
}

/// What a decoder works with during one pass over the file.
pub(in crate::stream) struct Pass<'a> {
    /// The file's bytes from the first to the last, hashed already.
    pub(in crate::stream) input: Input<'a>,
    /// Takes the extents.
    pub(in crate::stream) output: Sender<Extent>,
    /// Any place of the same file, where the server offers that.
    pub(in crate::stream) ranges: &'a dyn Ranges,
    pub(in crate::stream) halt: &'a Halt<'a>,
    pub(in crate::stream) request: &'a ImageRequest,
    /// What the extents are written to.
    pub(in crate::stream) device: &'a dyn Medium,
}

/// The decoder of one format, in use from an image's first pass to its last.
pub(in crate::stream) trait Decoder: Send {
    /// Bytes of the disk that the image makes, where that is known beforehand.
    fn size(&self) -> Option<u64>;

    /// Bytes of the disk that it makes at least.
    fn least_size(&self) -> u64 {
        self.size().unwrap_or(0)
    }

    /// Buffers of [`INPUT_BUFFER`] bytes that the file may take up.
    fn input_buffers(&self) -> usize {
        INPUT_BUFFERS
    }

    /// Decode the file. All of it is read, whatever the format says about its end, because the
    /// digest is that of all bytes; [`Input::drain`] takes what a decoder has no use for.
    ///
    /// Where the pipeline stops or a later stage is gone, any outcome will do: the stage that
    /// failed has said why.
    fn pass(&mut self, pass: &mut Pass<'_>) -> Result<PassOutcome, StreamError>;
}

/// How a pass ended.
#[derive(Debug, Eq, PartialEq)]
pub(in crate::stream) enum PassOutcome {
    /// The image is decoded: so many bytes of the disk.
    Done { size: u64 },
    /// The file is needed once more, from its first byte.
    Again,
}
