//! What the person at the console sees of a long command: a bar, the rate, the remaining time.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use farrier_plugin::Progress;
use tokio::time::{Instant, interval};

use crate::command::CommandTable;
use crate::sys::log;

/// How often a line is shown. A serial console keeps up, and a screenful spans two minutes.
const PERIOD: Duration = Duration::from_secs(5);

/// Signs of a full bar.
const BAR: u64 = 24;

/// Show the progress of whatever command runs, for ever. The lines go to the console only: the log
/// has the commands' own events.
pub(super) async fn show(table: Arc<CommandTable>) -> Infallible {
    let mut ticks = interval(PERIOD);
    let mut shown: Option<Shown> = None;
    loop {
        ticks.tick().await;
        let running = table.running();
        let progress = running.as_ref().and_then(|command| command.progress());
        let (Some(command), Some(progress)) = (running, progress) else {
            shown = None;
            continue;
        };
        let same = shown
            .as_ref()
            .is_some_and(|shown| shown.what == progress.what && shown.done <= progress.done);
        let first = match shown.take().filter(|_| same) {
            Some(first) => first,
            None => Shown {
                what: progress.what.clone(),
                done: progress.done,
                since: Instant::now(),
            },
        };
        log::console(&line(
            command.name(),
            &progress,
            progress.done - first.done,
            first.since.elapsed(),
        ));
        shown = Some(first);
    }
}

/// Where the rate is counted from.
struct Shown {
    what: String,
    done: u64,
    since: Instant,
}

/// `done` of the progress was reached, `advanced` of it within `elapsed`.
fn line(command: &str, progress: &Progress, advanced: u64, elapsed: Duration) -> String {
    let rate = advanced as f64 / elapsed.as_secs_f64().max(1e-3);
    let moving = advanced > 0 && elapsed >= Duration::from_secs(1);
    let mut line = format!("farrier | {command}: {}", progress.what);
    if let Some(total) = progress.total.filter(|total| *total > 0) {
        let done = progress.done.min(total);
        // Through u128: bytes times bar length can exceed 64 bits.
        let full = (u128::from(done) * u128::from(BAR) / u128::from(total)) as usize;
        let rest = BAR as usize - full;
        line.push_str(&format!(
            " [{}{}] {:3.0} %",
            "#".repeat(full),
            "-".repeat(rest),
            done as f64 * 100.0 / total as f64
        ));
        if moving {
            let left = (total - done) as f64 / rate;
            line.push_str(&format!(", {} left", duration(left)));
        }
    }
    if moving {
        line.push_str(&format!(", {:.1} MB/s", rate / 1e6));
    }
    line
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
    use super::*;

    fn progress(done: u64, total: Option<u64>) -> Progress {
        Progress {
            what: "writing image to /dev/sda".to_owned(),
            done,
            total,
        }
    }

    #[test]
    fn a_line_says_how_far_how_fast_and_how_long() {
        assert_eq!(
            line(
                "execute_deploy_step",
                &progress(500_000_000, Some(2_000_000_000)),
                500_000_000,
                Duration::from_secs(5)
            ),
            "farrier | execute_deploy_step: writing image to /dev/sda [######------------------]  \
             25 %, 15 s left, 100.0 MB/s"
        );
        assert_eq!(
            line("x", &progress(7, None), 0, Duration::ZERO),
            "farrier | x: writing image to /dev/sda"
        );
        assert!(
            line("x", &progress(u64::MAX, Some(u64::MAX)), 0, Duration::ZERO).ends_with("100 %")
        );
        // A total that was too low, and none at all.
        assert!(line("x", &progress(9, Some(3)), 0, Duration::ZERO).ends_with("100 %"));
        assert!(line("x", &progress(9, Some(0)), 0, Duration::ZERO).ends_with("sda"));
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
