//! When a program that ended is started again.

use std::time::Duration;

/// The first pause; each further one is twice as long.
const FIRST: Duration = Duration::from_secs(1);

/// The longest pause.
const LONGEST: Duration = Duration::from_secs(60);

/// A program that ran this long before it ended counts as healthy: the next pause is the first. An
/// agent may ask a conductor for minutes before it gets the answer that ends it.
const HEALTHY: Duration = Duration::from_secs(600);

/// Pauses between the end of a program and its next start.
#[derive(Debug, Default)]
pub(super) struct BackOff {
    failures: u32,
}

impl BackOff {
    /// How often the program has ended in a row, none of the times after a long run.
    pub(super) fn in_a_row(&self) -> u32 {
        self.failures
    }

    /// The pause after a run of this length.
    pub(super) fn after(&mut self, run: Duration) -> Duration {
        if run >= HEALTHY {
            self.failures = 0;
        }
        // 2^6 s is past the longest already.
        let pause = FIRST.saturating_mul(1 << self.failures.min(6)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute() {
        let mut back_off = BackOff::default();
        let pauses: Vec<u64> = (0..9)
            .map(|_| back_off.after(Duration::from_secs(1)).as_secs())
            .collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn a_long_run_starts_over() {
        let mut back_off = BackOff::default();
        for _ in 0..5 {
            back_off.after(Duration::ZERO);
        }
        assert_eq!(back_off.after(Duration::from_secs(599)).as_secs(), 32);
        assert_eq!(back_off.after(Duration::from_secs(3600)).as_secs(), 1);
        assert_eq!(back_off.in_a_row(), 1);
        assert_eq!(back_off.after(Duration::ZERO).as_secs(), 2);
    }
}
