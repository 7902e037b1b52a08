//! By how much the clock was wrong, for the log and the person at the console.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use tracing::{info, warn};

use super::super::status::Status;
use super::super::trouble::Topic;
use crate::sys::clock::utc_text;

/// A clock that is off by less is not worth a line at the console.
const NOTABLE: Duration = Duration::from_secs(1);

/// Say that the clock was set, and by how much it was wrong.
pub(super) fn tell(server: &str, before: SystemTime, now: SystemTime, status: &Status) {
    let (off, direction) = match now.duration_since(before) {
        Ok(behind) => (behind, "behind"),
        Err(ahead) => (ahead.duration(), "ahead"),
    };
    if off < NOTABLE {
        info!(
            server,
            off_by_seconds = off.as_secs_f64(),
            "the clock is set"
        );
        status.over(Topic::Clock);
        return;
    }
    let text = format!(
        "the clock was wrong by {}, {direction}: it said {}, now it says {}",
        in_words(off),
        utc_text(before),
        utc_text(now)
    );
    warn!(server, "{text}");
    status.over(Topic::Clock);
    status.tell("clock", &text);
}

/// The two largest units of a time: `9463 days 2 h`, `3 min 20 s`, `1.3 s`.
pub(in crate::agent) fn in_words(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [
        (seconds / 86_400, "days"),
        (seconds / 3600 % 24, "h"),
        (seconds / 60 % 60, "min"),
        (seconds % 60, "s"),
    ];
    let Some(first) = units[..3].iter().position(|(count, _)| *count > 0) else {
        return format!("{:.1} s", time.as_secs_f64());
    };
    let mut text = String::new();
    for (count, unit) in units[first..]
        .iter()
        .take(2)
        .filter(|(count, _)| *count > 0)
    {
        // Writing to a String cannot fail.
        let _ = write!(text, " {count} {unit}");
    }
    text.trim_start().to_owned()
}
