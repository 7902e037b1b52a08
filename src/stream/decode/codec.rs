//! What the adapters of the compression formats have in common.

/// The largest window (the bytes that a decompressor must keep to look back at), in bytes. It is
/// memory that the image's maker decides about, so it has an end: 128 MiB is what the zstd tool
/// takes unasked, and twice what `xz -9` needs.
pub(super) const WINDOW_LIMIT: u64 = 128 << 20;

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
