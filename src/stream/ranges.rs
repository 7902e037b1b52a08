//! Random access to the content that a pass reads in order: HTTP ranges, and `pread` for `file:`.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderValue, RANGE};
use tokio::runtime::Runtime;
use tracing::info;

use super::error::DownloadError;
use super::patience::Patience;
use super::remote::Remote;
use super::request::{ImageRequest, Location};
use super::source::{self, runtime};
use super::version::{Part, Version};
use crate::config::Options;

/// Random access to a content while a pass over it runs.
pub(super) trait Ranges: Sync {
    /// Exactly these bytes of the version that the pass reads. It may be called from any plain
    /// thread, waits for the answer, and ends early when the pipeline stops or its time is over.
    fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, RangeError>;
}

/// Why a part of the content could not be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum RangeError {
    /// Parts are not to be had here: the server answers with the whole, or with another part, or
    /// does not tell the length of the whole. It stays so.
    #[error("The server does not serve parts of the image")]
    Refused,
    /// The part did not arrive.
    #[error(transparent)]
    Download(#[from] DownloadError),
}

/// Random access to this version of the content at a location. Nothing is opened before the first
/// read.
pub(super) fn of<'a>(
    location: &'a Location,
    request: &'a ImageRequest,
    options: &'a Options,
    patience: Patience<'a>,
    version: Version,
) -> Box<dyn Ranges + 'a> {
    if location.url().scheme() == "file" {
        return Box::new(FileRanges {
            location,
            patience,
            version,
            file: Mutex::new(None),
        });
    }
    Box::new(HttpRanges {
        location,
        request,
        options,
        patience,
        version,
        connected: Mutex::new(None),
        refused: AtomicBool::new(false),
    })
}

/// Parts by HTTP. The connection is one of its own, so that it works while the pass's own is held
/// back by a full pipeline.
struct HttpRanges<'a> {
    location: &'a Location,
    request: &'a ImageRequest,
    options: &'a Options,
    patience: Patience<'a>,
    version: Version,
    connected: Mutex<Option<Connected<'a>>>,
    refused: AtomicBool,
}

/// The client keeps its connection open between reads; the connection lives in the runtime.
struct Connected<'a> {
    remote: Remote<'a>,
    runtime: Runtime,
}

impl Ranges for HttpRanges<'_> {
    fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, RangeError> {
        let Some(total) = self.version.length() else {
            return Err(RangeError::Refused);
        };
        let end = end_within(self.location, offset, length, total)?;
        if self.refused.load(Ordering::Relaxed) {
            return Err(RangeError::Refused);
        }
        if length == 0 {
            return Ok(Vec::new());
        }
        let mut connected = self
            .connected
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let connected = match &mut *connected {
            Some(connected) => connected,
            none => none.insert(self.connect()?),
        };
        let outcome = connected
            .runtime
            .block_on(self.part(&connected.remote, offset, end));
        if let Err(RangeError::Refused) = outcome {
            info!(location = %self.location, "the server does not serve parts of the image");
            self.refused.store(true, Ordering::Relaxed);
        }
        outcome
    }
}

impl<'a> HttpRanges<'a> {
    fn connect(&self) -> Result<Connected<'a>, DownloadError> {
        Ok(Connected {
            remote: Remote::new(
                self.location,
                &self.request.credentials,
                &self.request.proxies,
                self.options,
                self.patience.clone(),
            )?
            .with_encodings(self.request.checksum.is_some()),
            runtime: runtime(self.location)?,
        })
    }

    async fn part(&self, remote: &Remote<'_>, start: u64, end: u64) -> Result<Vec<u8>, RangeError> {
        let mut failures = 0;
        loop {
            match self.once(remote, start, end).await {
                Err(RangeError::Download(error)) => {
                    failures += 1;
                    remote.wait_after(error, failures).await?;
                }
                outcome => return outcome,
            }
        }
    }

    async fn once(&self, remote: &Remote<'_>, start: u64, end: u64) -> Result<Vec<u8>, RangeError> {
        let mut headers = HeaderMap::new();
        if let Ok(range) = HeaderValue::try_from(format!("bytes={start}-{}", end - 1)) {
            headers.insert(RANGE, range);
        }
        self.version.demand(&mut headers);
        let mut response = remote.ask(headers).await?;
        match response.status() {
            StatusCode::PARTIAL_CONTENT => {}
            // The whole, because the server does no ranges, or because this version is gone.
            StatusCode::OK if Version::of(&response) == self.version => {
                return Err(RangeError::Refused);
            }
            StatusCode::OK
            | StatusCode::PRECONDITION_FAILED
            | StatusCode::RANGE_NOT_SATISFIABLE => return Err(remote.changed().into()),
            _ => return Err(remote.refusal(&response, true).into()),
        }
        match Part::of(&response) {
            Some(part) if part.start == start && part.end == end && part.total.is_some() => {}
            _ => return Err(RangeError::Refused),
        }
        if Version::of(&response) != self.version {
            return Err(remote.changed().into());
        }
        let expected = end - start;
        let mut content = Vec::with_capacity(expected as usize);
        while let Some(data) = remote.chunk(&mut response).await? {
            if (content.len() + data.len()) as u64 > expected {
                return Err(RangeError::Refused);
            }
            content.extend_from_slice(&data);
        }
        if (content.len() as u64) < expected {
            return Err(RangeError::Download(DownloadError::Short {
                location: self.location.to_string(),
                received: content.len() as u64,
                expected,
            }));
        }
        Ok(content)
    }
}

/// Parts of a local file.
struct FileRanges<'a> {
    location: &'a Location,
    patience: Patience<'a>,
    version: Version,
    file: Mutex<Option<File>>,
}

impl Ranges for FileRanges<'_> {
    fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, RangeError> {
        let Some(total) = self.version.length() else {
            return Err(RangeError::Refused);
        };
        end_within(self.location, offset, length, total)?;
        self.patience.check(self.location)?;
        let path = source::path(self.location)?;
        let file_error = |source: io::Error| DownloadError::File {
            path: path.clone(),
            source,
        };
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match &mut *file {
            Some(file) => file,
            none => none.insert(File::open(&path).map_err(file_error)?),
        };
        let mut content = vec![0; length];
        file.read_exact_at(&mut content, offset)
            .map_err(file_error)?;
        // After the read, so that what was read is of this version.
        let facts = file.metadata().map_err(file_error)?;
        if Version::of_file(&facts) != self.version {
            return Err(RangeError::Download(DownloadError::Changed {
                location: self.location.to_string(),
            }));
        }
        Ok(content)
    }
}

/// The byte after the last, where the content has it.
fn end_within(
    location: &Location,
    offset: u64,
    length: usize,
    total: u64,
) -> Result<u64, DownloadError> {
    offset
        .checked_add(length as u64)
        .filter(|end| *end <= total)
        .ok_or_else(|| DownloadError::Unusable {
            location: location.to_string(),
            reason: format!("{length} bytes at {offset} are not within its {total} bytes"),
        })
}

#[cfg(test)]
mod tests;
