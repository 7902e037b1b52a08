//! How fast a long command comes along, and how long it will still take.

use std::time::{Duration, Instant};

use farrier_plugin::Progress;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

/// Signs of a full bar.
const BAR: u64 = 24;

/// A rate is told after this time; what was done within less says little.
const SETTLED: Duration = Duration::from_secs(1);

/// The newest progress of one stage (what is being done), and when and where that stage began.
///
/// Serialises as the progress with `rate` (units a second) and `remaining` (seconds) beside it,
/// each null as long as it is not known. `Display` is a line with a bar.
#[derive(Clone, Debug)]
pub struct Pace {
    latest: Progress,
    first: u64,
    began: Instant,
    told: Instant,
}

impl Pace {
    /// A stage that begins now.
    pub fn new(progress: Progress, now: Instant) -> Self {
        Self {
            first: progress.done,
            latest: progress,
            began: now,
            told: now,
        }
    }

    /// Take new progress. Another stage, or an earlier point of this one (it starts again), is
    /// counted from here.
    pub fn tell(&mut self, progress: Progress, now: Instant) {
        if progress.what != self.latest.what || progress.done < self.latest.done {
            *self = Self::new(progress, now);
        } else {
            self.latest = progress;
            self.told = now;
        }
    }

    /// What was told last.
    pub fn progress(&self) -> &Progress {
        &self.latest
    }

    /// Units a second, over the whole stage so far.
    pub fn rate(&self) -> Option<f64> {
        let elapsed = self.told.saturating_duration_since(self.began);
        let done = self.latest.done - self.first;
        (done > 0 && elapsed >= SETTLED).then(|| done as f64 / elapsed.as_secs_f64())
    }

    /// Seconds until the stage's end at this rate.
    pub fn remaining(&self) -> Option<f64> {
        let left = self.latest.total?.saturating_sub(self.latest.done);
        Some(left as f64 / self.rate()?)
    }
}

impl Pace {
    /// Percent of the whole, rounded down: 100 is the end. `None` where the whole is not known.
    pub fn percent(&self) -> Option<u8> {
        let total = self.latest.total.filter(|total| *total > 0)?;
        let done = self.latest.done.min(total);
        // Through u128: bytes times 100 can exceed 64 bits.
        u8::try_from(u128::from(done) * 100 / u128::from(total)).ok()
    }

    /// What is being done, how long it will take and how fast it comes along, without the bar:
    /// `writing image to /dev/sda, 15 s left, 100.0 MB/s`.
    pub fn in_words(&self) -> String {
        let mut words = self.latest.what.clone();
        if let Some(seconds) = self.remaining() {
            words.push_str(&format!(", {} left", duration(seconds)));
        } else if self.latest.total.is_none_or(|total| total == 0) && self.latest.done > 0 {
            words.push_str(&format!(", {:.0} MB", self.latest.done as f64 / 1e6));
        }
        if let Some(rate) = self.rate() {
            words.push_str(&format!(", {:.1} MB/s", rate / 1e6));
        }
        words
    }
}

impl std::fmt::Display for Pace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let progress = &self.latest;
        f.write_str(&progress.what)?;
        if let Some(total) = progress.total.filter(|total| *total > 0) {
            let done = progress.done.min(total);
            // Through u128: bytes times bar length can exceed 64 bits.
            let full = (u128::from(done) * u128::from(BAR) / u128::from(total)) as usize;
            write!(
                f,
                " [{}{}] {:3.0} %",
                "#".repeat(full),
                "-".repeat(BAR as usize - full),
                // Rounded down: 100 % is the end.
                (done as f64 * 100.0 / total as f64).floor()
            )?;
            if let Some(seconds) = self.remaining() {
                write!(f, ", {} left", duration(seconds))?;
            }
        } else if progress.done > 0 {
            write!(f, " {:.0} MB", progress.done as f64 / 1e6)?;
        }
        match self.rate() {
            Some(rate) => write!(f, ", {:.1} MB/s", rate / 1e6),
            None => Ok(()),
        }
    }
}

impl Serialize for Pace {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Progress", 5)?;
        object.serialize_field("what", &self.latest.what)?;
        object.serialize_field("done", &self.latest.done)?;
        object.serialize_field("total", &self.latest.total)?;
        // Whole numbers: nobody plans by fractions of a byte, and they saturate.
        object.serialize_field("rate", &self.rate().map(|rate| rate as u64))?;
        let remaining = self.remaining().map(|seconds| seconds.ceil() as u64);
        object.serialize_field("remaining", &remaining)?;
        object.end()
    }
}

fn duration(seconds: f64) -> String {
    // Saturates far above any duration that matters.
    let seconds = seconds.round() as u64;
    if seconds < 120 {
        format!("{seconds} s")
    } else if seconds < 7200 {
        format!("{} min", seconds / 60)
    } else {
        format!("{} h {} min", seconds / 3600, seconds / 60 % 60)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn progress(done: u64, total: Option<u64>) -> Progress {
        Progress {
            what: "writing image to /dev/sda".to_owned(),
            done,
            total,
        }
    }

    fn pace(first: Progress, then: Progress, after: Duration) -> Pace {
        let start = Instant::now();
        let mut pace = Pace::new(first, start);
        pace.tell(then, start + after);
        pace
    }

    #[test]
    fn a_line_says_how_far_how_fast_and_how_long() {
        let total = Some(2_000_000_000);
        let five = Duration::from_secs(5);
        assert_eq!(
            pace(progress(0, total), progress(500_000_000, total), five).to_string(),
            "writing image to /dev/sda [######------------------]  25 %, 15 s left, 100.0 MB/s"
        );
        let line = |done, total| Pace::new(progress(done, total), Instant::now()).to_string();
        assert_eq!(line(0, None), "writing image to /dev/sda");
        assert_eq!(line(7_000_000, None), "writing image to /dev/sda 7 MB");
        assert!(line(u64::MAX, Some(u64::MAX)).ends_with("100 %"));
        assert!(line(999, Some(1000)).ends_with(" 99 %"));
        // A total that was too low, and none at all.
        assert!(line(9, Some(3)).ends_with("100 %"));
        assert!(line(0, Some(0)).ends_with("sda"));
    }

    #[test]
    fn percent_and_words_say_the_same_without_a_bar() {
        let total = Some(2_000_000_000);
        let five = Duration::from_secs(5);
        let pace = pace(progress(0, total), progress(500_000_000, total), five);
        assert_eq!(pace.percent(), Some(25));
        assert_eq!(
            pace.in_words(),
            "writing image to /dev/sda, 15 s left, 100.0 MB/s"
        );
        let at = |done, total| Pace::new(progress(done, total), Instant::now());
        assert_eq!(at(999, Some(1000)).percent(), Some(99));
        assert_eq!(at(u64::MAX, Some(u64::MAX)).percent(), Some(100));
        assert_eq!(at(9, Some(3)).percent(), Some(100));
        assert_eq!(
            (at(9, Some(0)).percent(), at(9, None).percent()),
            (None, None)
        );
        assert_eq!(
            at(7_000_000, None).in_words(),
            "writing image to /dev/sda, 7 MB"
        );
    }

    #[test]
    fn rate_and_remaining_time_stand_beside_the_progress() {
        let pace = pace(
            progress(100, Some(900)),
            progress(300, Some(900)),
            Duration::from_secs(2),
        );
        assert_eq!(
            serde_json::to_value(&pace).unwrap(),
            json!({"what": "writing image to /dev/sda", "done": 300, "total": 900, "rate": 100,
                   "remaining": 6})
        );
        let first = Pace::new(progress(300, None), Instant::now());
        assert_eq!(
            serde_json::to_value(&first).unwrap(),
            json!({"what": "writing image to /dev/sda", "done": 300, "total": null, "rate": null,
                   "remaining": null})
        );
    }

    #[test]
    fn another_stage_and_a_new_start_are_counted_anew() {
        let start = Instant::now();
        let mut pace = Pace::new(progress(0, Some(10)), start);
        pace.tell(progress(8, Some(10)), start + Duration::from_secs(4));
        assert_eq!(pace.rate(), Some(2.0));
        pace.tell(progress(2, Some(10)), start + Duration::from_secs(5));
        assert_eq!(pace.rate(), None);
        pace.tell(progress(6, Some(10)), start + Duration::from_secs(7));
        assert_eq!(pace.rate(), Some(2.0));
        let mut flushing = progress(6, Some(10));
        flushing.what.push_str(": flushing");
        pace.tell(flushing, start + Duration::from_secs(8));
        assert_eq!((pace.rate(), pace.remaining()), (None, None));
    }

    #[test]
    fn durations_are_readable() {
        assert_eq!(duration(0.4), "0 s");
        assert_eq!(duration(119.0), "119 s");
        assert_eq!(duration(3599.0), "59 min");
        assert_eq!(duration(100_000.0), "27 h 46 min");
        assert!(duration(f64::MAX).ends_with("min"));
    }
}
