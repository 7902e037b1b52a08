//! bzip2, by libbz2-rs-sys: memory-safe, and as fast as the C library.

use bzip2::{Decompress, Error, Status};

use super::codec::CompressionError;
use super::members::{Member, MemberError, Members};

/// A file of bzip2 streams, as parallel compressors make them.
pub(super) type Bzip2 = Members<Bzip2Stream>;

pub(super) struct Bzip2Stream(Decompress);

impl Member for Bzip2Stream {
    const FIRST: u8 = b'B';
    const PADDING: u64 = 0;

    fn start() -> Result<Self, CompressionError> {
        // The slow way with less memory would save 1.5 MiB.
        Ok(Self(Decompress::new(false)))
    }

    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<bool, MemberError> {
        let status = self
            .0
            .decompress(input, output)
            .map_err(|error| match error {
                Error::DataMagic => MemberError::NoMember,
                other => MemberError::Wrong(CompressionError::Corrupt(other.to_string())),
            })?;
        if status == Status::MemNeeded {
            return Err(MemberError::Wrong(CompressionError::NotOffered(
                "more memory than there is",
            )));
        }
        Ok(status == Status::StreamEnd)
    }

    fn totals(&self) -> (u64, u64) {
        (self.0.total_in(), self.0.total_out())
    }
}
