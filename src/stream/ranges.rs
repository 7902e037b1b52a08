//! Any place of the image's file, where a format needs its tables before its data.

use super::download::Patience;
use super::error::DownloadError;
use super::request::{ImageRequest, Location};
use crate::config::Options;

/// Random access to the file that is being streamed, in the same version.
pub(super) trait Ranges: Sync {
    /// These bytes, all of them.
    fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, RangeError>;
}

/// Why a range was not read.
#[derive(Debug)]
pub(super) enum RangeError {
    /// The server gives whole files only.
    Refused,
    /// It did not arrive.
    Download(DownloadError),
}

/// Random access to the file at this location.
pub(super) fn of<'a>(
    _location: &'a Location,
    _request: &'a ImageRequest,
    _options: &'a Options,
    _patience: Patience<'a>,
) -> Box<dyn Ranges + 'a> {
    Box::new(Nowhere)
}

struct Nowhere;

impl Ranges for Nowhere {
    fn read(&self, _offset: u64, _length: usize) -> Result<Vec<u8>, RangeError> {
        Err(RangeError::Refused)
    }
}
