//! What the adapters of the compression formats have in common.

use super::bzip2::Bzip2;
use super::gzip::Gzip;
use super::xz::Xz;
use super::zstd::Zstd;

/// The largest window (the bytes that a decompressor must keep to look back at), in bytes. It is
/// memory that the image's maker decides about, so it has an end: 128 MiB is what the zstd tool
/// takes unasked, and twice what `xz -9` needs.
pub(super) const WINDOW_LIMIT: u64 = 128 << 20;

/// A compression format that may be around an image.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::stream) enum Compression {
    Bzip2,
    Gzip,
    Xz,
    Zstd,
}

/// A decompressor, fed piece by piece. It goes on from one member, stream or frame to the next by
/// itself, up to the end of the file.
pub(in crate::stream) trait Codec: Send {
    /// Take some of the input and make some output, which has room for at least a byte. The input
    /// is empty only where `ended` says that no more will come.
    ///
    /// Takes or makes at least a byte, or has finished, or fails.
    fn step(
        &mut self,
        input: &[u8],
        output: &mut [u8],
        ended: bool,
    ) -> Result<Step, CompressionError>;
}

/// What a step did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(in crate::stream) struct Step {
    /// Bytes of the input that are done with.
    pub(in crate::stream) taken: usize,
    /// Bytes of output.
    pub(in crate::stream) made: usize,
    /// Whether all is decompressed; only ever where the input has ended.
    pub(in crate::stream) finished: bool,
}

/// What is wrong with compressed data.
#[derive(Debug, thiserror::Error)]
pub(in crate::stream) enum CompressionError {
    #[error("the compressed data is corrupt: {0}")]
    Corrupt(String),
    #[error("the compressed data needs {0}, which is not offered")]
    NotOffered(&'static str),
    #[error("something else follows the compressed data")]
    Trailing,
    #[error("the compressed data ends in the middle")]
    Truncated,
    #[error("the compressed data needs a window of more than 128 MiB: {remedy}")]
    Window { remedy: &'static str },
}

impl CompressionError {
    /// A step that neither took nor made a byte, `ended` as in [`Codec::step`].
    pub(super) fn stuck(ended: bool) -> Self {
        if ended {
            Self::Truncated
        } else {
            Self::Corrupt("it cannot be read on".to_owned())
        }
    }
}

impl Compression {
    /// The format's name.
    pub(in crate::stream) fn name(self) -> &'static str {
        match self {
            Self::Bzip2 => "bzip2",
            Self::Gzip => "gzip",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
        }
    }

    /// A decompressor at the start of a file.
    pub(in crate::stream) fn codec(self) -> Result<Box<dyn Codec>, CompressionError> {
        Ok(match self {
            Self::Bzip2 => Box::new(Bzip2::default()),
            Self::Gzip => Box::new(Gzip::default()),
            Self::Xz => Box::new(Xz::default()),
            Self::Zstd => Box::new(Zstd::new()?),
        })
    }
}
