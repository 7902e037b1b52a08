//! Zstandard (RFC 8878), by libzstd.

use zstd::zstd_safe::zstd_sys::ZSTD_ErrorCode;
use zstd::zstd_safe::{
    DCtx, DParameter, InBuffer, OutBuffer, get_error_name, get_frame_content_size,
};

use super::codec::{Codec, CompressionError, Step, WINDOW_LIMIT};

/// A file of zstd frames and skippable frames.
pub(super) struct Zstd {
    context: DCtx<'static>,
    /// Whether the last frame is over.
    between: bool,
}

impl Zstd {
    pub(super) fn new() -> Result<Self, CompressionError> {
        let mut context = DCtx::create();
        context
            .set_parameter(DParameter::WindowLogMax(WINDOW_LIMIT.ilog2()))
            .map_err(error)?;
        Ok(Self {
            context,
            between: false,
        })
    }
}

impl Codec for Zstd {
    fn step(
        &mut self,
        input: &[u8],
        output: &mut [u8],
        ended: bool,
    ) -> Result<Step, CompressionError> {
        if input.is_empty() && self.between {
            return Ok(Step {
                finished: true,
                ..Step::default()
            });
        }
        let mut from = InBuffer::around(input);
        let mut to = OutBuffer::around(output);
        let left = self
            .context
            .decompress_stream(&mut to, &mut from)
            .map_err(error)?;
        let step = Step {
            taken: from.pos,
            made: to.pos(),
            finished: false,
        };
        if step.taken == 0 && step.made == 0 && left != 0 {
            return Err(CompressionError::stuck(ended));
        }
        // The library goes on with the next frame by itself.
        self.between = left == 0;
        Ok(step)
    }
}

/// Decompressed bytes of the frame that starts here, where it says so; the tool writes that wherever
/// it reads a file and not a pipe.
pub(super) fn size_of_frame(start: &[u8]) -> Option<u64> {
    get_frame_content_size(start).ok().flatten()
}

/// The library's error. The numbers of errors are fixed for ever (zstd_errors.h), and the return
/// value is the number's negative.
fn error(code: usize) -> CompressionError {
    let is = |known: ZSTD_ErrorCode| code.wrapping_neg() == known as usize;
    if is(ZSTD_ErrorCode::ZSTD_error_frameParameter_windowTooLarge) {
        CompressionError::Window {
            remedy: "compress it with a smaller one (zstd --long=27 or less)",
        }
    } else if is(ZSTD_ErrorCode::ZSTD_error_dictionary_wrong) {
        CompressionError::NotOffered("a dictionary of its own")
    } else if is(ZSTD_ErrorCode::ZSTD_error_prefix_unknown) {
        // The file's first frame was recognised before.
        CompressionError::Trailing
    } else {
        CompressionError::Corrupt(get_error_name(code).to_owned())
    }
}
