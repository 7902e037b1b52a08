//! How many lines others may put into the log.

use std::time::{Duration, Instant};

/// At most so many lines in a window of time; further ones are left out and counted.
#[derive(Debug)]
pub(crate) struct Rate {
    lines: u32,
    window: Duration,
    since: Option<Instant>,
    shown: u32,
    left_out: u32,
}

impl Rate {
    /// At most this many lines in this time.
    pub(crate) fn new(lines: u32, window: Duration) -> Self {
        Self {
            lines,
            window,
            since: None,
            shown: 0,
            left_out: 0,
        }
    }

    /// Whether a line that comes now is shown, and how many were left out in a window that ended.
    pub(crate) fn next(&mut self, now: Instant) -> (bool, u32) {
        let mut left_out = 0;
        if self.since.is_none_or(|since| now - since >= self.window) {
            left_out = std::mem::take(&mut self.left_out);
            self.since = Some(now);
            self.shown = 0;
        }
        let is_shown = self.shown < self.lines;
        if is_shown {
            self.shown += 1;
        } else {
            self.left_out += 1;
        }
        (is_shown, left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_thinned_and_counted() {
        let window = Duration::from_secs(10);
        let mut rate = Rate::new(200, window);
        let start = Instant::now();
        let shown = (0..1000).filter(|_| rate.next(start).0).count();
        assert_eq!(shown, 200);
        assert_eq!(rate.next(start + window), (true, 800));
        assert_eq!(rate.next(start + window), (true, 0));
    }
}
