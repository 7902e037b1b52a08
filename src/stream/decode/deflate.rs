//! deflate in the frame of zlib (RFC 1950), which HTTP calls `deflate`, by zlib-rs.

use flate2::{Decompress, FlushDecompress, Status};

use super::codec::{Codec, CompressionError, Step};

/// One stream, with nothing behind it.
pub(in crate::stream) struct Deflate {
    stream: Decompress,
    is_over: bool,
}

impl Default for Deflate {
    fn default() -> Self {
        Self {
            stream: Decompress::new(true),
            is_over: false,
        }
    }
}

impl Codec for Deflate {
    fn step(
        &mut self,
        input: &[u8],
        output: &mut [u8],
        ended: bool,
    ) -> Result<Step, CompressionError> {
        if self.is_over {
            if !input.is_empty() {
                return Err(CompressionError::Trailing);
            }
            return Ok(Step {
                finished: true,
                ..Step::default()
            });
        }
        let before = (self.stream.total_in(), self.stream.total_out());
        let status = self
            .stream
            .decompress(input, output, FlushDecompress::None)
            .map_err(|error| {
                let text = error.message().unwrap_or("invalid data").to_owned();
                CompressionError::Corrupt(text)
            })?;
        self.is_over = status == Status::StreamEnd;
        // Both are at most the lengths of slices.
        let step = Step {
            taken: (self.stream.total_in() - before.0) as usize,
            made: (self.stream.total_out() - before.1) as usize,
            finished: false,
        };
        if step.taken == 0 && step.made == 0 && !self.is_over {
            return Err(CompressionError::stuck(ended));
        }
        Ok(step)
    }
}
