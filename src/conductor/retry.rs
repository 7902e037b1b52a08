//! Waiting between tries, with chance in it so that a rack that boots at once does not ask at once.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// A number between the two, evenly spread.
pub(super) fn between(low: f64, high: f64) -> f64 {
    low + fraction() * (high - low).max(0.0)
}

/// So many seconds; none where the number is none, for ever where no clock can hold it.
pub(super) fn seconds(number: f64) -> Duration {
    Duration::try_from_secs_f64(number.max(0.0)).unwrap_or(Duration::MAX)
}

/// The pause after this many tries of a lookup (contract/control-plane 2.2): between the interval
/// and `2^(tries-1)` seconds, at most 60.
pub(super) fn lookup_pause(tries: u32, interval: Duration) -> Duration {
    let doubling = 2f64
        .powi(tries.saturating_sub(1).min(6).cast_signed())
        .min(60.0);
    let low = interval.as_secs_f64();
    seconds(between(low, doubling.max(low)))
}

/// The additional pause after this many answers with status 409.
pub(super) fn conflict_pause(conflicts: u32) -> Duration {
    Duration::from_secs(match conflicts {
        0 | 1 => 5,
        2 => 10,
        _ => 30,
    })
}

/// The pause after so many failed tries of what is repeated until it succeeds: from 5 s, doubling,
/// up to 60 s; from the second on by chance between the half and all of that.
pub(crate) fn repeat_pause(tries: u32) -> Duration {
    let doubling = (5.0 * 2f64.powi(tries.clamp(1, 5).cast_signed() - 1)).min(60.0);
    seconds(between((doubling / 2.0).max(5.0), doubling))
}

/// The pause between two of what is done each so often: by chance from 0.7 to 1.2 of that time
/// (contract/control-plane 9.9).
pub(crate) fn periodic_pause(period: Duration) -> Duration {
    seconds(between(0.7, 1.2) * period.as_secs_f64())
}

/// From 0 up to 1. The keys of the standard library's hasher come from the kernel's random numbers
/// and differ in each state; that is chance enough for pauses, and spares a crate.
fn fraction() -> f64 {
    let bits = RandomState::new().build_hasher().finish() >> 11;
    bits as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_minute() {
        for (tries, most) in [
            (1, 1.0),
            (2, 2.0),
            (3, 4.0),
            (6, 32.0),
            (7, 60.0),
            (1000, 60.0),
        ] {
            for _ in 0..50 {
                let pause = lookup_pause(tries, Duration::from_secs(1)).as_secs_f64();
                assert!((1.0..=most).contains(&pause), "{tries}: {pause}");
            }
        }
        assert!(lookup_pause(1, Duration::MAX) > Duration::from_secs(1 << 62));
        assert_eq!(
            lookup_pause(1, Duration::from_secs(90)),
            Duration::from_secs(90)
        );
    }

    #[test]
    fn what_is_repeated_comes_after_5_to_60_s() {
        for (tries, least, most) in [
            (0, 5.0, 5.0),
            (1, 5.0, 5.0),
            (2, 5.0, 10.0),
            (3, 10.0, 20.0),
            (4, 20.0, 40.0),
            (5, 30.0, 60.0),
            (u32::MAX, 30.0, 60.0),
        ] {
            for _ in 0..50 {
                let pause = repeat_pause(tries).as_secs_f64();
                assert!((least..=most).contains(&pause), "{tries}: {pause}");
            }
        }
    }

    #[test]
    fn what_is_done_each_so_often_has_chance_in_it() {
        for _ in 0..50 {
            let pause = periodic_pause(Duration::from_secs(300)).as_secs_f64();
            assert!((210.0..=360.0).contains(&pause), "{pause}");
        }
    }

    #[test]
    fn chance_covers_its_range() {
        let numbers: Vec<f64> = (0..1000).map(|_| between(0.3, 0.6)).collect();
        assert!(numbers.iter().all(|number| (0.3..0.6).contains(number)));
        assert!(numbers.iter().any(|number| *number < 0.35));
        assert!(numbers.iter().any(|number| *number > 0.55));
    }
}
