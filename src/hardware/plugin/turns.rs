//! Whose turn it is to call a plugin: one at a time, unless it takes more.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often somebody who waits looks whether it still should.
const POLL: Duration = Duration::from_millis(200);

/// How many calls are made at once.
pub(super) struct Turns {
    state: Mutex<(u32, u32)>,
    changed: Condvar,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            state: Mutex::new((0, 1)),
            changed: Condvar::new(),
        }
    }
}

/// Given back when dropped.
pub(super) struct Turn<'t>(&'t Turns);

impl Turns {
    /// Let so many be made at once; one until this is called.
    pub(super) fn allow(&self, limit: u32) {
        self.state().1 = limit;
        self.changed.notify_all();
    }

    /// Whether who comes now has to wait.
    pub(super) fn are_taken(&self) -> bool {
        let state = self.state();
        state.0 >= state.1
    }

    /// Wait for a turn, until this moment or until this says so.
    pub(super) fn take(&self, until: Instant, is_cancelled: impl Fn() -> bool) -> Option<Turn<'_>> {
        let mut state = self.state();
        while state.0 >= state.1 {
            if Instant::now() >= until || is_cancelled() {
                return None;
            }
            state = self
                .changed
                .wait_timeout(state, POLL)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        state.0 += 1;
        Some(Turn(self))
    }

    fn state(&self) -> MutexGuard<'_, (u32, u32)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.state().0 -= 1;
        self.0.changed.notify_all();
    }
}
