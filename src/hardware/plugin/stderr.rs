//! What a plugin has to say besides its answers: its stderr, in our log under its name.

use std::io::{BufRead, BufReader, Read};
use std::time::{Duration, Instant};

use tracing::{info, warn};

/// A line is cut here; what a person reads is shorter.
const LINE_LIMIT: u64 = 2048;

/// Lines in one window; a plugin that says more in it is told how many were left out.
const LINES: u32 = 200;
const WINDOW: Duration = Duration::from_secs(10);

/// Pass on what comes until it ends. The pipe is always read: a full one would stop the plugin.
pub(super) fn follow(name: &str, errors: impl Read) {
    let mut errors = BufReader::new(errors);
    let mut rate = Rate::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut errors).take(LINE_LIMIT).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        let (is_shown, left_out) = rate.next(Instant::now());
        if left_out > 0 {
            warn!(
                manager = name,
                lines = left_out,
                "said too much; lines were left out"
            );
        }
        if is_shown {
            let text = String::from_utf8_lossy(&line);
            info!(manager = name, said = text.trim_end(), "stderr");
        }
    }
}

/// At most [`LINES`] in a [`WINDOW`].
#[derive(Default)]
struct Rate {
    since: Option<Instant>,
    shown: u32,
    left_out: u32,
}

impl Rate {
    /// Whether a line that comes now is shown, and how many were left out in a window that ended.
    fn next(&mut self, now: Instant) -> (bool, u32) {
        let mut left_out = 0;
        if self.since.is_none_or(|since| now - since >= WINDOW) {
            left_out = std::mem::take(&mut self.left_out);
            self.since = Some(now);
            self.shown = 0;
        }
        let is_shown = self.shown < LINES;
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
        let mut rate = Rate::default();
        let start = Instant::now();
        let shown = (0..1000).filter(|_| rate.next(start).0).count();
        assert_eq!(shown, 200);
        assert_eq!(rate.next(start + WINDOW), (true, 800));
        assert_eq!(rate.next(start + WINDOW), (true, 0));
    }
}
