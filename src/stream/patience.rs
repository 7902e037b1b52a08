//! How long the source waits, for what and for whom.

use std::pin::pin;
use std::time::{Duration, Instant};

use super::error::DownloadError;
use super::halt::{Halt, LOOK};
use super::request::Location;
use crate::config::Options;

/// How long a download waits, for what and for whom.
#[derive(Clone)]
pub(super) struct Patience<'a> {
    halt: &'a Halt<'a>,
    /// `image_download_connection_timeout`
    stall: Duration,
    /// The end of `image_download_max_duration`, and that option's value in seconds.
    deadline: Option<(Instant, u64)>,
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
    pub(super) async fn wait<T>(
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

    pub(super) async fn pause(
        &self,
        length: Duration,
        location: &Location,
    ) -> Result<(), DownloadError> {
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
