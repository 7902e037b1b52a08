//! gzip (RFC 1952), by zlib-rs.

use flate2::{Decompress, FlushDecompress, Status};

use super::codec::CompressionError;
use super::members::{Member, MemberError, Members};

/// Base-two logarithm of deflate's window: 32 KiB, the largest there is.
const WINDOW_BITS: u8 = 15;

/// The length of a header without its optional fields, and of the magic number in it.
const MAGIC: u64 = 2;

/// A file of gzip members. Zeros behind the last are taken for the padding of a tape or a block
/// device, as the gzip tool does; anything else there, which the tool leaves out with a warning, is
/// an error here: nobody reads warnings of a deployment.
pub(super) type Gzip = Members<GzipMember>;

pub(super) struct GzipMember(Decompress);

impl Member for GzipMember {
    const FIRST: u8 = 0x1f;
    const PADDING: u64 = 1;

    fn start() -> Result<Self, CompressionError> {
        Ok(Self(Decompress::new_gzip(WINDOW_BITS)))
    }

    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<bool, MemberError> {
        let status = self
            .0
            .decompress(input, output, FlushDecompress::None)
            .map_err(|error| {
                // The header's first fields are wrong: this is something else than a member.
                if self.0.total_in() <= MAGIC && self.0.total_out() == 0 {
                    return MemberError::NoMember;
                }
                let text = error.message().unwrap_or("invalid data").to_owned();
                MemberError::Wrong(CompressionError::Corrupt(text))
            })?;
        Ok(status == Status::StreamEnd)
    }

    fn totals(&self) -> (u64, u64) {
        (self.0.total_in(), self.0.total_out())
    }
}
