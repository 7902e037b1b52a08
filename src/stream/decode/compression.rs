//! The compression formats, and the decompressor of each.

use super::bzip2::Bzip2;
use super::codec::{Codec, CompressionError};
use super::gzip::Gzip;
use super::xz::Xz;
use super::zstd::Zstd;

/// A compression format that may be around an image.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::stream) enum Compression {
    Bzip2,
    Gzip,
    Xz,
    Zstd,
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
