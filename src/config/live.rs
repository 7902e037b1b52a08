//! The options in force, shared.

use std::sync::{Arc, PoisonError, RwLock};

use super::Options;

/// The options in force, shared by all rooms: a lookup replaces some of them
/// (contract/control-plane 2.4).
#[derive(Clone, Debug, Default)]
pub struct Live(Arc<RwLock<Arc<Options>>>);

impl Live {
    /// Share these options.
    pub fn new(options: Options) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(options))))
    }

    /// The options as they are now.
    pub fn current(&self) -> Arc<Options> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Change some of them; who holds an earlier [`Live::current`] keeps what it had.
    pub fn change(&self, change: impl FnOnce(&mut Options)) {
        let mut options = self.0.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut options));
    }
}
