//! The bytes of a disk, compressed as a whole.

use super::codec::{CompressionError, Step};
use super::compression::Compression;
use super::{Content, Decoder, Extent, INPUT_BUFFER, Pass, PassOutcome, zstd};
use crate::stream::buffer::Pool;
use crate::stream::error::StreamError;
use crate::stream::format;
use crate::stream::request::ImageRequest;

/// Bytes in a buffer of the disk's bytes, and buffers: 32 MiB, of which the sink gathers and writes
/// one part while the decompressor fills the other.
const BUFFER: usize = 1 << 20;
const BUFFERS: usize = 32;

/// Decompressed bytes that tell what is inside: the volume descriptor of an ISO 9660 file system
/// lies furthest from the start, in its 17th block of 2 KiB.
const START: usize = 36 << 10;

/// A compressed image.
pub(super) struct Compressed {
    compression: Compression,
    /// What the first frame says of itself; others may follow.
    least: u64,
}

impl Compressed {
    /// The image that starts with these bytes, unless it can be seen already that what is inside
    /// will not do.
    pub(super) fn new(
        compression: Compression,
        request: &ImageRequest,
        start: &[u8],
    ) -> Result<Self, StreamError> {
        let compressed = Self {
            compression,
            least: match compression {
                Compression::Zstd => zstd::size_of_frame(start).unwrap_or(0),
                // What the others know of their size stands at their end.
                _ => 0,
            },
        };
        let mut inside = vec![0; START];
        let count = compressed
            .peek(start, &mut inside)
            .or_else(|error| match error {
                CompressionError::NotOffered(_) | CompressionError::Window { .. } => {
                    Err(compressed.error(request, error))
                }
                // Perhaps damaged on the way: the pass will tell, and the digest of it all.
                _ => Ok(0),
            })?;
        // Where less comes of the first buffer of a larger file, the pass looks again.
        if count == START || (count > 0 && start.len() < INPUT_BUFFER) {
            format::check_inside(request, compression, &inside[..count])?;
        }
        Ok(compressed)
    }

    /// Decompress as much of the file's start as there is room for.
    fn peek(&self, start: &[u8], inside: &mut [u8]) -> Result<usize, CompressionError> {
        let mut codec = self.compression.codec()?;
        let (mut from, mut to) = (0, 0);
        while from < start.len() && to < inside.len() {
            let step = codec.step(&start[from..], &mut inside[to..], false)?;
            from += step.taken;
            to += step.made;
        }
        Ok(to)
    }

    fn error(&self, request: &ImageRequest, source: CompressionError) -> StreamError {
        let image = request.id.clone();
        let name = self.compression.name();
        match source {
            CompressionError::Window { remedy } => StreamError::FormatNotOffered {
                image,
                format: format!("{name} with a window of more than 128 MiB"),
                remedy: remedy.to_owned(),
            },
            CompressionError::NotOffered(what) => StreamError::FormatNotOffered {
                image,
                format: format!("{name} with {what}"),
                remedy: "compress it with the tool's defaults".to_owned(),
            },
            source => StreamError::Damaged {
                source: match (&source, self.compression) {
                    (CompressionError::Trailing, Compression::Gzip | Compression::Bzip2) => format!(
                        "{name}: {source}. `{name} -dc IMAGE > IMAGE.raw` leaves that out with a \
                         warning; where it is a signature, as behind OpenWrt's images, verify it \
                         first, then give IMAGE.raw with a checksum of its own"
                    ),
                    _ => format!("{name}: {source}"),
                }
                .into(),
                image,
            },
        }
    }
}

impl Decoder for Compressed {
    /// Only the end tells.
    fn size(&self) -> Option<u64> {
        None
    }

    fn least_size(&self) -> u64 {
        self.least
    }

    fn pass(&mut self, pass: &mut Pass<'_>) -> Result<PassOutcome, StreamError> {
        let mut codec = self
            .compression
            .codec()
            .map_err(|source| self.error(pass.request, source))?;
        let mut pool = Pool::new(BUFFER, BUFFERS);
        let mut from = pass.input.next();
        let mut taken = 0;
        let mut offset = 0;
        let stopped = Ok(PassOutcome::Done { size: 0 });
        let Some(mut to) = pool.take(pass.halt) else {
            return stopped;
        };
        loop {
            while from.as_ref().is_some_and(|from| taken == from.len()) {
                from = pass.input.next();
                taken = 0;
            }
            if pass.halt.is_set() {
                return stopped;
            }
            let input = from.as_deref().map_or(&[][..], |from| &from[taken..]);
            let mut step = Step::default();
            to.fill_with(|free| {
                step = codec.step(input, free, from.is_none())?;
                Ok(step.made)
            })
            .map_err(|source| self.error(pass.request, source))?;
            taken += step.taken;
            let size = offset + to.len() as u64;
            if size > pass.device.size() {
                return Err(StreamError::Overflow {
                    image: pass.request.id.clone(),
                    device_size: pass.device.size(),
                });
            }
            if !to.is_full() && !step.finished {
                continue;
            }
            if offset == 0 {
                format::check_inside(pass.request, self.compression, &to)?;
            }
            let content = Content::Data(to);
            if size > offset && pass.output.send(Extent { offset, content }).is_err() {
                return stopped;
            }
            offset = size;
            if step.finished {
                return Ok(PassOutcome::Done { size });
            }
            let Some(next) = pool.take(pass.halt) else {
                return stopped;
            };
            to = next;
        }
    }
}
