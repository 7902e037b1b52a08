//! How the stages stop together.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use farrier_plugin::Context;

/// How often a waiting stage looks whether it should stop.
pub(super) const LOOK: Duration = Duration::from_millis(200);

/// Set by the first stage that fails, and by the command's cancellation.
pub(super) struct Halt<'c> {
    context: &'c dyn Context,
    stopped: AtomicBool,
}

impl<'c> Halt<'c> {
    pub(super) fn new(context: &'c dyn Context) -> Self {
        Self {
            context,
            stopped: AtomicBool::new(false),
        }
    }

    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether work should end, for whatever reason.
    pub(super) fn is_set(&self) -> bool {
        self.stopped.load(Ordering::Relaxed) || self.is_cancelled()
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.context.is_cancelled()
    }

    pub(super) fn context(&self) -> &'c dyn Context {
        self.context
    }
}
