//! xz, by liblzma.
//!
//! Of the decoders that link statically, liblzma was the fastest by far (300 MB of programs and
//! libraries, `xz -6`, one core: liblzma 111 MB/s, lzma-rust2 63, xz4rust 39), and at these speeds
//! it is the decoder that a deployment waits for.

use liblzma::stream::{Action, Error, Status, Stream};

use super::codec::{CompressionError, WINDOW_LIMIT};
use super::members::{Member, MemberError, Members};

/// What the decoder needs besides the dictionary: tables, and the dictionary's own slack.
const BESIDES: u64 = 1 << 20;

/// A file of xz streams, with padding of four bytes or a multiple (the format, 2.2).
pub(super) type Xz = Members<XzStream>;

pub(super) struct XzStream(Stream);

impl Member for XzStream {
    const FIRST: u8 = 0xfd;
    const PADDING: u64 = 4;

    fn start() -> Result<Self, CompressionError> {
        // No flags: what follows the stream is the business of `Members`.
        Stream::new_stream_decoder(WINDOW_LIMIT + BESIDES, 0)
            .map(Self)
            .map_err(|error| CompressionError::Corrupt(error.to_string()))
    }

    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<bool, MemberError> {
        let status = self
            .0
            .process(input, output, Action::Run)
            .map_err(|error| {
                MemberError::Wrong(match error {
                    Error::Format => return MemberError::NoMember,
                    Error::MemLimit => CompressionError::Window {
                        remedy: "compress it with a smaller one (xz -9 needs 64 MiB)",
                    },
                    Error::Options => CompressionError::NotOffered("a filter or check"),
                    other => CompressionError::Corrupt(other.to_string()),
                })
            })?;
        Ok(status == Status::StreamEnd)
    }

    fn totals(&self) -> (u64, u64) {
        (self.0.total_in(), self.0.total_out())
    }
}
