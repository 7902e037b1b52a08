//! The stage `decode`: from the image's bytes to extents of the disk.
//!
//! [`recognise`] looks at the image's first bytes and answers with the [`Decoder`] for them, or refuses.
//! Nothing was written then. The decoder is given the file once, and again as often as it asks.

mod bzip2;
mod codec;
mod compressed;
mod compression;
mod decoder;
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

pub(super) use codec::{Codec, CompressionError, Step};
pub(super) use compression::Compression;
pub(super) use decoder::{
    Content, Decoder, Extent, INPUT_BUFFER, INPUT_BUFFERS, Pass, PassOutcome,
};
pub(super) use deflate::Deflate;
pub(super) use input::Input;
pub(super) use lzma::is_lzma;

use self::compressed::Compressed;
use self::qcow2::Qcow2;
use self::raw::Raw;
use super::error::StreamError;
use super::format::{self, Kind};
use super::request::ImageRequest;

/// What an image is, and what decodes it.
pub(super) struct Recognised {
    pub(super) kind: Kind,
    pub(super) decoder: Box<dyn Decoder>,
}

/// The decoder for the image that starts with these bytes: its first buffer, which is full unless
/// the whole file is smaller. `length` is the file's, where the server told it.
pub(super) fn recognise(
    request: &ImageRequest,
    start: &[u8],
    length: Option<u64>,
) -> Result<Recognised, StreamError> {
    let kind = format::check(request, start)?;
    let decoder: Box<dyn Decoder> = match kind {
        Kind::Compressed(compression) => Box::new(Compressed::new(compression, request, start)?),
        Kind::Qcow2 => Box::new(Qcow2::new(&request.id, start, length)?),
        _ => Box::new(Raw::new(length)),
    };
    Ok(Recognised { kind, decoder })
}
