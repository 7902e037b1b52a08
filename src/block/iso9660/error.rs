//! What can be wrong with an ISO 9660 image.

/// What is wrong with an image.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum IsoError {
    /// It contradicts itself, or is cut off.
    #[error("the ISO 9660 image is damaged: {0}")]
    Damaged(&'static str),
    /// Something lies outside of it.
    #[error("{0} does not lie in the ISO 9660 image: it is cut off or damaged")]
    Outside(
        /// The path from the root, or what it is instead.
        String,
    ),
    /// One of its files is nothing that could be copied.
    #[error("{path} in the ISO 9660 image {what}")]
    File {
        /// The file, from the root.
        path: String,
        /// What it is instead.
        what: String,
    },
}

impl IsoError {
    /// This file cannot be copied.
    pub(super) fn not_read(path: &str, what: &str) -> Self {
        Self::File {
            path: path.to_owned(),
            what: what.to_owned(),
        }
    }
}
