//! What a plugin has to say besides its answers: its stderr, in our log under its name.

use std::io::{BufRead, BufReader, Read};
use std::time::{Duration, Instant};

use tracing::{info, warn};

use crate::sys::rate::Rate;

/// A line is cut here; what a person reads is shorter.
const LINE_LIMIT: u64 = 2048;

/// Lines in one window; a plugin that says more in it is told how many were left out.
const LINES: u32 = 200;
const WINDOW: Duration = Duration::from_secs(10);

/// Pass on what comes until it ends. The pipe is always read: a full one would stop the plugin.
pub(super) fn follow(name: &str, errors: impl Read) {
    let mut errors = BufReader::new(errors);
    let mut rate = Rate::new(LINES, WINDOW);
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
