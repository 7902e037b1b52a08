//! How long a call may go on: until when, and what comes then and after a cancel.

use std::time::{Duration, Instant};

/// The time of one call.
pub(super) struct Clock {
    until: Instant,
    grace: Duration,
    /// Why the plugin was told to stop, and until when it may take.
    told: Option<(Cause, Instant)>,
}

/// Why a plugin is told to stop.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Cause {
    /// The call's time limit has passed.
    Limit,
    /// The work that it belongs to was cancelled.
    Cancel,
}

/// What it is time for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Look {
    /// To wait on.
    GoOn,
    /// To tell the plugin to stop.
    TellToStop,
    /// To kill it: it was told, and its grace has passed.
    End(Cause),
}

impl Clock {
    /// Of a call with this limit. Without a grace nobody is told.
    pub(super) fn new(until: Instant, grace: Duration) -> Self {
        Self {
            until,
            grace,
            told: None,
        }
    }

    /// What it is time for now. A plugin is told to stop once, by whichever comes first.
    pub(super) fn look(&mut self, now: Instant, is_cancelled: bool) -> Look {
        if let Some((cause, end)) = self.told {
            return if now >= end {
                Look::End(cause)
            } else {
                Look::GoOn
            };
        }
        let cause = if now >= self.until {
            Cause::Limit
        } else if is_cancelled {
            Cause::Cancel
        } else {
            return Look::GoOn;
        };
        self.told = Some((cause, now + self.grace));
        if self.grace.is_zero() {
            Look::End(cause)
        } else {
            Look::TellToStop
        }
    }

    /// Why the plugin was told to stop, where it was.
    pub(super) fn told(&self) -> Option<Cause> {
        self.told.map(|(cause, _)| cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn who_is_late_is_told_once_and_ended_after_its_grace() {
        let start = Instant::now();
        let mut clock = Clock::new(start + SECOND, 2 * SECOND);
        assert_eq!(clock.look(start, false), Look::GoOn);
        assert_eq!(clock.told(), None);
        assert_eq!(clock.look(start + SECOND, false), Look::TellToStop);
        assert_eq!(clock.look(start + 2 * SECOND, true), Look::GoOn);
        let end = Look::End(Cause::Limit);
        assert_eq!(clock.look(start + 3 * SECOND, true), end);
    }

    #[test]
    fn a_limit_in_the_grace_of_a_cancel_ends_nobody_earlier() {
        let start = Instant::now();
        let mut clock = Clock::new(start + SECOND, 2 * SECOND);
        assert_eq!(clock.look(start, true), Look::TellToStop);
        assert_eq!(clock.look(start + SECOND, true), Look::GoOn);
        let end = Look::End(Cause::Cancel);
        assert_eq!(clock.look(start + 2 * SECOND, true), end);
    }

    #[test]
    fn without_a_grace_nobody_is_told() {
        let start = Instant::now();
        let mut clock = Clock::new(start, Duration::ZERO);
        assert_eq!(clock.look(start, false), Look::End(Cause::Limit));
    }
}
