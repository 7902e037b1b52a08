//! One URL's bytes, in order and without gaps, over as many connections as it takes.

use std::ops::ControlFlow;
use std::pin::pin;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, HeaderName,
    HeaderValue, IF_MATCH, IF_RANGE, LAST_MODIFIED, RANGE, RETRY_AFTER,
};
use reqwest::{Client, Response, StatusCode};
use tracing::warn;

use super::client;
use super::error::DownloadError;
use super::halt::{Halt, LOOK};
use super::request::{Credentials, Location, Proxies};
use crate::config::Options;
use crate::sys::log::chain;

/// The longest pause that a server's `Retry-After` can ask for, in seconds.
const LONGEST_PAUSE: u64 = 300;

/// So many new bytes after a failure show that the connection works, and its retries start again
/// from none. Without that, a large image over a poor link would run out of tries near its end.
const PROGRESS: u64 = 16 << 20;

/// A download of one URL.
pub(super) struct Download<'a> {
    client: Client,
    location: &'a Location,
    authorization: Option<HeaderValue>,
    patience: Patience<'a>,
    interval: Duration,
    retries: u32,
    received: u64,
    first: Option<Version>,
}

/// Who waits for the bytes.
pub(super) trait Receiver {
    /// The first reply is there; the length is known unless the server does not tell.
    fn opened(&mut self, length: Option<u64>) -> ControlFlow<()>;

    /// The next bytes.
    fn bytes(&mut self, data: &[u8]) -> ControlFlow<()>;
}

/// How long a download waits, for what and for whom.
pub(super) struct Patience<'a> {
    pub(super) halt: &'a Halt<'a>,
    /// `image_download_connection_timeout`
    pub(super) stall: Duration,
    /// The end of `image_download_max_duration`, and that option's value in seconds.
    pub(super) deadline: Option<(Instant, u64)>,
}

/// What tells one version of the content from another.
#[derive(Debug)]
struct Version {
    etag: Option<HeaderValue>,
    modified: Option<HeaderValue>,
    length: Option<u64>,
}

impl<'a> Download<'a> {
    pub(super) fn new(
        location: &'a Location,
        credentials: &Credentials,
        proxies: &Proxies,
        options: &Options,
        patience: Patience<'a>,
    ) -> Result<Self, DownloadError> {
        Ok(Self {
            client: client::client(options, proxies)?,
            location,
            authorization: authorization(location, credentials)?,
            patience,
            interval: Duration::from_secs(options.image_download_connection_retry_interval),
            retries: options.image_download_connection_retries,
            received: 0,
            first: None,
        })
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
            if !error.may_pass() || failures > self.retries {
                return Err(error);
            }
            let pause = match &error {
                DownloadError::Status {
                    retry_after: Some(seconds),
                    ..
                } => Duration::from_secs((*seconds).min(LONGEST_PAUSE)).max(self.interval),
                _ => self.interval,
            };
            warn!(
                location = %self.location,
                received = self.received,
                failures,
                error = %chain(&error),
                "trying again in {} s",
                pause.as_secs()
            );
            self.patience.pause(pause, self.location).await?;
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
        match &self.first {
            // Some servers ignore If-Range; whether this is the same content is checked here.
            Some(first) if !first.agrees_with(&version) => return Err(self.changed()),
            Some(_) => {}
            None => {
                let length = version.length;
                self.first = Some(version);
                self.go_on(to.opened(length))?;
            }
        }
        while let Some(data) = self.chunk(&mut response).await? {
            let skipped = again.min(data.len() as u64);
            again -= skipped;
            let new = &data[skipped as usize..];
            self.received += new.len() as u64;
            let outcome = to.bytes(new);
            self.go_on(outcome)?;
        }
        match self.first.as_ref().and_then(|first| first.length) {
            Some(expected) if expected != self.received => Err(DownloadError::Short {
                location: self.location.to_string(),
                received: self.received,
                expected,
            }),
            _ if again > 0 => Err(self.changed()),
            _ => Ok(()),
        }
    }

    async fn open(&self) -> Result<Response, DownloadError> {
        let request = self
            .client
            .get(self.location.url().clone())
            .headers(self.headers());
        let response = self
            .patience
            .wait(request.send(), self.location)
            .await?
            .map_err(|error| self.transport(error))?;
        let status = response.status();
        let resumes = self.received > 0;
        match status {
            StatusCode::OK => Ok(response),
            StatusCode::PARTIAL_CONTENT
                if resumes
                    && content_range(&response)
                        .is_some_and(|(start, _)| start == self.received) =>
            {
                Ok(response)
            }
            StatusCode::PARTIAL_CONTENT
            | StatusCode::PRECONDITION_FAILED
            | StatusCode::RANGE_NOT_SATISFIABLE
                if resumes =>
            {
                Err(self.changed())
            }
            _ => Err(DownloadError::Status {
                location: self.location.to_string(),
                status: status.as_u16(),
                hint: match status {
                    StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if resumes => {
                        " (while resuming: the temporary URL has probably expired)"
                    }
                    _ => "",
                },
                retry_after: response
                    .headers()
                    .get(RETRY_AFTER)
                    .and_then(|value| value.to_str().ok()?.trim().parse().ok()),
            }),
        }
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        // The checksum is over the bytes as they are stored.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(value) = &self.authorization {
            headers.insert(AUTHORIZATION, value.clone());
        }
        if self.received == 0 {
            return headers;
        }
        if let Ok(range) = HeaderValue::try_from(format!("bytes={}-", self.received)) {
            headers.insert(RANGE, range);
        }
        let Some(first) = &self.first else {
            return headers;
        };
        if let Some(etag) = &first.etag {
            // A weak validator must not stand in these headers (RFC 9110 13.1.1, 13.1.5).
            if !etag.as_bytes().starts_with(b"W/") {
                headers.insert(IF_RANGE, etag.clone());
                headers.insert(IF_MATCH, etag.clone());
            }
        } else if let Some(modified) = &first.modified {
            headers.insert(IF_RANGE, modified.clone());
        }
        headers
    }

    async fn chunk(&self, response: &mut Response) -> Result<Option<bytes::Bytes>, DownloadError> {
        self.patience
            .wait(response.chunk(), self.location)
            .await?
            .map_err(|error| self.transport(error))
    }

    fn go_on(&self, flow: ControlFlow<()>) -> Result<(), DownloadError> {
        match flow {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(DownloadError::Interrupted {
                location: self.location.to_string(),
            }),
        }
    }

    fn changed(&self) -> DownloadError {
        DownloadError::Changed {
            location: self.location.to_string(),
        }
    }

    fn transport(&self, error: reqwest::Error) -> DownloadError {
        DownloadError::Transport {
            location: self.location.to_string(),
            source: error.without_url(),
        }
    }
}

impl<'a> Patience<'a> {
    pub(super) fn new(options: &Options, halt: &'a Halt<'a>, started: Instant) -> Self {
        let seconds = options.image_download_max_duration;
        Self {
            halt,
            stall: Duration::from_secs(options.image_download_connection_timeout.max(1)),
            deadline: (seconds > 0)
                .then(|| started.checked_add(Duration::from_secs(seconds)))
                .flatten()
                .map(|end| (end, seconds)),
        }
    }

    /// The outcome of an operation of the connection, if it comes before the patience ends.
    async fn wait<T>(
        &self,
        operation: impl Future<Output = T>,
        location: &Location,
    ) -> Result<T, DownloadError> {
        let mut operation = pin!(operation);
        let started = Instant::now();
        loop {
            self.check(location)?;
            if let Ok(outcome) = tokio::time::timeout(LOOK, &mut operation).await {
                return Ok(outcome);
            }
            if started.elapsed() >= self.stall {
                return Err(DownloadError::Stalled {
                    location: location.to_string(),
                    seconds: self.stall.as_secs(),
                });
            }
        }
    }

    async fn pause(&self, length: Duration, location: &Location) -> Result<(), DownloadError> {
        let end = Instant::now() + length;
        loop {
            self.check(location)?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            tokio::time::sleep(left.min(LOOK)).await;
        }
    }

    pub(super) fn check(&self, location: &Location) -> Result<(), DownloadError> {
        if self.halt.is_set() {
            return Err(DownloadError::Interrupted {
                location: location.to_string(),
            });
        }
        match self.deadline {
            Some((end, seconds)) if Instant::now() >= end => {
                Err(DownloadError::Deadline { seconds })
            }
            _ => Ok(()),
        }
    }
}

impl Version {
    /// The version that a reply is of.
    fn of(response: &Response) -> Self {
        let header = |name: HeaderName| response.headers().get(name).cloned();
        Self {
            etag: header(ETAG),
            modified: header(LAST_MODIFIED),
            length: match response.status() {
                StatusCode::PARTIAL_CONTENT => content_range(response).and_then(|range| range.1),
                _ => header(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok()),
            },
        }
    }

    /// Whether both can be of the same content. A length that one reply does not tell proves
    /// nothing.
    fn agrees_with(&self, other: &Self) -> bool {
        self.etag == other.etag
            && self.modified == other.modified
            && (self.length == other.length || self.length.is_none() || other.length.is_none())
    }
}

/// First byte and total length of a partial reply: `Content-Range: bytes 100-199/200`.
fn content_range(response: &Response) -> Option<(u64, Option<u64>)> {
    let value = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    let (range, total) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.trim().parse().ok()?, total.trim().parse().ok()))
}

fn authorization(
    location: &Location,
    credentials: &Credentials,
) -> Result<Option<HeaderValue>, DownloadError> {
    let value = match credentials {
        Credentials::None => return Ok(None),
        Credentials::Basic { user, password } => {
            format!(
                "Basic {}",
                BASE64_STANDARD.encode(format!("{user}:{password}"))
            )
        }
        Credentials::Authorization(value) => value.clone(),
    };
    let mut value = HeaderValue::try_from(value).map_err(|_| DownloadError::Unusable {
        location: location.to_string(),
        reason: "the credentials hold characters that a header cannot".to_owned(),
    })?;
    value.set_sensitive(true);
    Ok(Some(value))
}
