//! Why a file was not injected.

use crate::deploy::image_tree::ImageTreeError;
use crate::stream::DownloadError;

/// Why a file could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InjectError {
    /// The file system.
    #[error(transparent)]
    Tree(#[from] ImageTreeError),
    /// A partition that may be the one to look for.
    #[error(
        "The search for its partition ended at one that could not be looked into; name the partition, by \
         its number"
    )]
    Search(#[source] ImageTreeError),
    /// Its content.
    #[error("Unable to read data from {location}")]
    Download {
        /// The address, without its secrets.
        location: String,
        /// Why not.
        #[source]
        source: DownloadError,
    },
    /// Its content, which was readable before.
    #[error("Its content could not be read")]
    Content(#[source] std::io::Error),
}
