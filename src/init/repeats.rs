//! The same line once, with a count. A line that comes again and again would push off a screen what was said before it, and
//! fill a serial line's log.

use std::time::{Duration, Instant};

/// The line that came last, and how often.
#[derive(Debug)]
pub(super) struct Repeats {
    /// How long a count may wait.
    pause: Duration,
    last: Option<Last>,
}

#[derive(Debug)]
struct Last {
    /// With the time at which it came last.
    line: String,
    count: u32,
    told: u32,
    at: Instant,
}

/// What is to be written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Told {
    pub(super) line: String,
    /// How often it came in a row; more than once only of a line that was told before.
    pub(super) count: u32,
}

impl Repeats {
    /// A count waits at most so long.
    pub(super) fn new(pause: Duration) -> Self {
        Self { pause, last: None }
    }

    /// The same from now on.
    pub(super) fn set_pause(&mut self, pause: Duration) {
        self.pause = pause;
    }

    /// A line came. What is to be written of it, after a count of the one before; nothing of one that came again, which
    /// is counted (see [`Self::due`]).
    pub(super) fn take(&mut self, line: String, now: Instant) -> Vec<Told> {
        if let Some(last) = self.last.as_mut()
            && is_same(&last.line, &line)
        {
            last.line = line;
            last.count = last.count.saturating_add(1);
            return Vec::new();
        }
        let before = self.rest();
        self.last = Some(Last {
            line: line.clone(),
            count: 1,
            told: 1,
            at: now,
        });
        before
            .into_iter()
            .chain([Told { line, count: 1 }])
            .collect()
    }

    /// The count, if it has waited long enough.
    pub(super) fn due(&mut self, now: Instant) -> Option<Told> {
        if self.next()? > now {
            return None;
        }
        self.last.as_mut()?.at = now;
        self.rest()
    }

    /// When the count has waited long enough; `None` where there is nothing to tell.
    pub(super) fn next(&self) -> Option<Instant> {
        let last = self.last.as_ref()?;
        (last.count > last.told).then(|| last.at + self.pause)
    }

    /// The count now, if there is one to tell.
    pub(super) fn rest(&mut self) -> Option<Told> {
        let last = self.last.as_mut()?;
        if last.count == last.told {
            return None;
        }
        last.told = last.count;
        Some(Told {
            line: last.line.clone(),
            count: last.count,
        })
    }
}

/// Whether two lines say the same, at whatever times.
fn is_same(line: &str, other: &str) -> bool {
    let text = split_time(line).1;
    !text.is_empty() && text == split_time(other).1
}

/// The time that a line begins with, of the agent (`2026-11-30T01:34:04Z`) or of PID 1 (`   12.34 s`), and the rest.
pub(super) fn split_time(line: &str) -> (&str, &str) {
    let line = line.trim_start();
    let Some((time, rest)) = line.split_once(' ') else {
        return ("", line);
    };
    let is_date = time.len() >= 20
        && time.ends_with('Z')
        && time.bytes().take(4).all(|byte| byte.is_ascii_digit());
    let is_seconds = time
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    match rest.strip_prefix("s  ") {
        _ if is_date => (time, rest.trim_start()),
        Some(rest) if is_seconds => (time, rest.trim_start()),
        _ => ("", line),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PAUSE: Duration = Duration::from_secs(10);

    fn told(line: &str, count: u32) -> Told {
        Told {
            line: line.to_owned(),
            count,
        }
    }

    #[test]
    fn the_same_line_is_told_once_with_a_count() {
        let mut repeats = Repeats::new(PAUSE);
        let start = Instant::now();
        let mut take = |line: &str, seconds| {
            let now = start + Duration::from_secs(seconds);
            let mut told = repeats.take(line.to_owned(), now);
            told.extend(repeats.due(now));
            told
        };
        let first = "2026-11-30T01:34:04Z WARN  no disk";
        assert_eq!(take(first, 0), [told(first, 1)]);
        assert_eq!(take("2026-11-30T01:34:07Z WARN  no disk", 3), []);
        assert_eq!(take("2026-11-30T01:34:10Z WARN  no disk", 6), []);
        let last = "2026-11-30T01:34:14Z WARN  no disk";
        assert_eq!(take(last, 10), [told(last, 4)]);
        assert_eq!(take(last, 13), []);
        assert_eq!(
            take("   14.00 s  udev", 14),
            [told(last, 5), told("   14.00 s  udev", 1)]
        );
        assert_eq!(take("   15.00 s  udev", 15), []);
        assert_eq!(take("udev", 16), [], "its time is no part of a line");
        assert_eq!(take("", 17), [told("udev", 3), told("", 1)]);
        assert_eq!(
            take("", 18),
            [told("", 1)],
            "an empty line says nothing twice"
        );
    }

    #[test]
    fn a_count_waits_so_long_and_no_longer() {
        let mut repeats = Repeats::new(PAUSE);
        let start = Instant::now();
        repeats.take("a".to_owned(), start);
        assert_eq!((repeats.next(), repeats.rest()), (None, None));
        repeats.take("a".to_owned(), start + Duration::from_secs(1));
        let next = repeats.next().unwrap();
        assert_eq!(next, start + PAUSE);
        assert_eq!(repeats.due(next - Duration::from_millis(1)), None);
        assert_eq!(repeats.due(next), Some(told("a", 2)));
        assert_eq!(repeats.due(next), None);
    }

    proptest! {
        /// Whatever comes, and when: each line is counted where it came, and none is lost.
        #[test]
        fn no_line_is_lost(lines in prop::collection::vec((0..3u8, 0..8u64), 0..60)) {
            let mut repeats = Repeats::new(PAUSE);
            let mut now = Instant::now();
            let mut found = Vec::new();
            for (line, seconds) in &lines {
                now += Duration::from_secs(*seconds);
                found.extend(repeats.take(line.to_string(), now));
                found.extend(repeats.due(now));
            }
            found.extend(repeats.rest());
            let mut runs: Vec<Told> = Vec::new();
            for told in found {
                match runs.last_mut() {
                    Some(run) if run.line == told.line && told.count > run.count => *run = told,
                    _ => runs.push(told),
                }
            }
            let again: Vec<String> = runs.iter().flat_map(|run| vec![run.line.clone(); run.count as usize]).collect();
            let came: Vec<String> = lines.iter().map(|(line, _)| line.to_string()).collect();
            prop_assert_eq!(again, came);
        }
    }
}
