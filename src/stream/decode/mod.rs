//! The stage `decode`: from the image's bytes to extents of the disk.
//!
//! [`plan`] looks at the image's first bytes and answers with the [`Decoder`] for them, or refuses.
//! Nothing was written then. The decoder is given the file once, and again as often as it asks.

mod bzip2;
mod codec;
mod compressed;
mod compression;
mod deflate;
mod gzip;
mod input;
mod lzma;
mod members;
mod qcow2;
mod raw;
#[cfg(test)]
mod tests;
mod xz;
mod zstd;

use std::sync::mpsc::Sender;

pub(super) use codec::{Codec, CompressionError, Step};
pub(super) use compression::Compression;
pub(super) use deflate::Deflate;
pub(super) use input::Input;
pub(super) use lzma::is_lzma;

use self::compressed::Compressed;
use self::qcow2::Qcow2;
use self::raw::Raw;
use super::buffer::Buffer;
use super::error::StreamError;
use super::format::{self, Kind};
use super::halt::Halt;
use super::ranges::Ranges;
use super::request::ImageRequest;
use crate::sys::block_device::Medium;

/// Bytes in a buffer of the image's file: enough that a stage's hand-over costs nothing, few
/// enough that the stages overlap early.
pub(super) const INPUT_BUFFER: usize = 1 << 20;

/// Buffers of the file for a format with buffers of its own for the disk's bytes.
pub(super) const INPUT_BUFFERS: usize = 8;

/// Bytes that belong at an offset of the disk. Extents come in any order, with any length and
/// alignment, and none says anything of a byte that another one spoke of.
pub(super) struct Extent {
    pub(super) offset: u64,
    pub(super) content: Content,
}

/// What an extent holds.
pub(super) enum Content {
    /// These bytes.
    Data(Buffer),
    /// So many zeros. None at all say that the decoder waits for buffers, so that there is no point
    /// in waiting for neighbours of what came.
    Zeros(u64),
}

/// What a decoder works with during one pass over the file.
pub(super) struct Pass<'a> {
    /// The file's bytes from the first to the last, hashed already.
    pub(super) input: Input<'a>,
    /// Takes the extents.
    pub(super) output: Sender<Extent>,
    /// Any place of the same file, where the server offers that.
    pub(super) ranges: &'a dyn Ranges,
    pub(super) halt: &'a Halt<'a>,
    pub(super) request: &'a ImageRequest,
    /// What the extents are written to.
    pub(super) device: &'a dyn Medium,
}

/// The decoder of one format, in use from an image's first pass to its last.
pub(super) trait Decoder: Send {
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
    fn pass(&mut self, pass: &mut Pass<'_>) -> Result<Outcome, StreamError>;
}

/// How a pass ended.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    /// The image is decoded: so many bytes of the disk.
    Done { size: u64 },
    /// The file is needed once more, from its first byte.
    Again,
}

/// What an image is, and what decodes it.
pub(super) struct Plan {
    pub(super) kind: Kind,
    pub(super) decoder: Box<dyn Decoder>,
}

/// The decoder for the image that starts with these bytes: its first buffer, which is full unless
/// the whole file is smaller. `length` is the file's, where the server told it.
pub(super) fn plan(
    request: &ImageRequest,
    start: &[u8],
    length: Option<u64>,
) -> Result<Plan, StreamError> {
    let kind = format::check(request, start)?;
    let decoder: Box<dyn Decoder> = match kind {
        Kind::Compressed(compression) => Box::new(Compressed::new(compression, request, start)?),
        Kind::Qcow2 => Box::new(Qcow2::new(&request.id, start, length)?),
        _ => Box::new(Raw::new(length)),
    };
    Ok(Plan { kind, decoder })
}
