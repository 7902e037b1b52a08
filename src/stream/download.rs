//! One URL's bytes, in order and without gaps, over as many connections as it takes.

use std::ops::ControlFlow;

use reqwest::header::{HeaderMap, HeaderValue, RANGE, TRANSFER_ENCODING};
use reqwest::{Response, StatusCode};

use super::error::DownloadError;
use super::remote::Remote;
use super::version::{Framing, Part, Version};

/// So many new bytes after a failure show that the connection works, and its retries start again
/// from none. Without that, a large image over a poor link would run out of tries near its end.
const PROGRESS: u64 = 16 << 20;

/// A download of one URL.
pub(super) struct Download<'a> {
    remote: Remote<'a>,
    received: u64,
    version: Option<Version>,
    opened: bool,
    is_verified: bool,
}

/// Who waits for the bytes.
pub(super) trait Receiver {
    /// The first reply is there, and this is what it is of; its length is known unless the server
    /// does not tell.
    fn opened(&mut self, version: &Version) -> ControlFlow<()>;

    /// The next bytes.
    fn bytes(&mut self, data: &[u8]) -> ControlFlow<()>;
}

impl<'a> Download<'a> {
    /// A download of the version given, or of whichever the first reply is of.
    pub(super) fn new(remote: Remote<'a>, version: Option<Version>) -> Self {
        Self {
            remote,
            received: 0,
            version,
            opened: false,
            is_verified: false,
        }
    }

    /// Go on after a failure even where the server does not tell one version from another: a
    /// digest of the whole is compared in the end.
    pub(super) fn verified(mut self, is_verified: bool) -> Self {
        self.is_verified = is_verified;
        self
    }

    /// Hand all bytes to the receiver. A connection that fails is made again, and goes on where the
    /// last one ended.
    pub(super) async fn run(mut self, to: &mut dyn Receiver) -> Result<(), DownloadError> {
        let mut failures = 0;
        let mut mark = 0;
        loop {
            let Err(error) = self.once(to).await else {
                return Ok(());
            };
            if self.received >= mark + PROGRESS {
                failures = 0;
            }
            mark = self.received;
            failures += 1;
            self.remote.wait_after(error, failures).await?;
        }
    }

    /// One connection, to the end of the content.
    async fn once(&mut self, to: &mut dyn Receiver) -> Result<(), DownloadError> {
        let mut response = self.open().await?;
        // Bytes that come again because the server does not do ranges.
        let mut again = if response.status() == StatusCode::PARTIAL_CONTENT {
            0
        } else {
            self.received
        };
        let version = Version::of(&response);
        let length = version.sent_length();
        let framing = Framing::of(response.headers());
        // The library reads on to the end of the connection then, which may stay open.
        let is_counted_here =
            response.headers().contains_key(TRANSFER_ENCODING) && framing != Framing::Chunks;
        let first = self.version.get_or_insert_with(|| version.clone());
        if !first.is_continued_by(&version) {
            return Err(self.remote.changed());
        }
        if self.received > 0 && !version.is_telling() && !self.is_verified {
            return Err(self.remote.changed());
        }
        if !self.opened {
            self.opened = true;
            self.go_on(to.opened(&version))?;
        }
        while !(is_counted_here && length == Some(self.received)) {
            let data = match self.remote.chunk(&mut response).await {
                Ok(None) => break,
                Ok(Some(data)) => data,
                // Nothing else tells the end, and the digest tells whether it is the right one.
                Err(error)
                    if self.is_verified
                        && framing == Framing::Connection
                        && length.is_none()
                        && error.is_end_without_notice() =>
                {
                    break;
                }
                Err(error) => return Err(error),
            };
            let skipped = again.min(data.len() as u64);
            again -= skipped;
            let new = &data[skipped as usize..];
            if let Some(expected) = length
                && self.received + new.len() as u64 > expected
            {
                return Err(DownloadError::Long {
                    location: self.remote.location().to_string(),
                    expected,
                });
            }
            self.received += new.len() as u64;
            let outcome = to.bytes(new);
            self.go_on(outcome)?;
        }
        match length {
            Some(expected) if expected != self.received => Err(DownloadError::Short {
                location: self.remote.location().to_string(),
                received: self.received,
                expected,
            }),
            _ if again > 0 => Err(self.remote.changed()),
            _ => Ok(()),
        }
    }

    async fn open(&self) -> Result<Response, DownloadError> {
        let mut headers = HeaderMap::new();
        let resumes = self.received > 0;
        if resumes {
            if let Ok(range) = HeaderValue::try_from(format!("bytes={}-", self.received)) {
                headers.insert(RANGE, range);
            }
            if let Some(version) = &self.version {
                version.demand(&mut headers);
            }
        }
        let response = self.remote.ask(headers).await?;
        match response.status() {
            StatusCode::OK => Ok(response),
            StatusCode::PARTIAL_CONTENT
                if resumes
                    && Part::of(&response).is_some_and(|part| part.start == self.received) =>
            {
                Ok(response)
            }
            StatusCode::PARTIAL_CONTENT
            | StatusCode::PRECONDITION_FAILED
            | StatusCode::RANGE_NOT_SATISFIABLE
                if resumes =>
            {
                Err(self.remote.changed())
            }
            _ => Err(self.remote.refusal(&response, resumes)),
        }
    }

    fn go_on(&self, flow: ControlFlow<()>) -> Result<(), DownloadError> {
        match flow {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(DownloadError::Interrupted {
                location: self.remote.location().to_string(),
            }),
        }
    }
}
