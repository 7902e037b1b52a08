//! What peers without the token may put into the log.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::warn;

use crate::sys::rate::Rate;

/// Lines about such peers in one window. The log keeps some thousands, and what an honest conductor
/// did must not be pushed out of it.
const LINES: u32 = 100;
const WINDOW: Duration = Duration::from_secs(60);

/// Lets lines about peers without the token through, not too many.
pub(super) struct RequestsLog(Mutex<Rate>);

impl Default for RequestsLog {
    fn default() -> Self {
        Self(Mutex::new(Rate::new(LINES, WINDOW)))
    }
}

impl RequestsLog {
    /// Log something about a peer that has not shown the token, unless too much was said already.
    pub(super) fn of_stranger(&self, log: impl FnOnce()) {
        let (is_shown, left_out) = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .next(Instant::now());
        if left_out > 0 {
            warn!(
                lines = left_out,
                "peers without the token asked too much; lines were left out"
            );
        }
        if is_shown {
            log();
        }
    }
}
