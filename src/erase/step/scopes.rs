//! Methods that erase more than one device: run once, by one device's turn, for all of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::erase::record::Together;

/// What was erased together with another device in this step, and who is at it.
#[derive(Debug, Default)]
pub(super) struct Scopes {
    erased: Mutex<BTreeMap<String, Together>>,
    /// By the subsystem's name.
    turns: Mutex<BTreeMap<String, Arc<Mutex<()>>>>,
}

impl Scopes {
    /// Whose turn it is among the devices of this subsystem: held while one of them is erased by
    /// something that can touch the others.
    pub(super) fn turn(&self, subsystem: &str) -> Arc<Mutex<()>> {
        Arc::clone(lock(&self.turns).entry(subsystem.to_owned()).or_default())
    }

    pub(super) fn erased(&self, device: &str, together: Together) {
        lock(&self.erased).insert(device.to_owned(), together);
    }

    /// Whether another device's turn erased this one.
    pub(super) fn take(&self, device: &str) -> Option<Together> {
        lock(&self.erased).remove(device)
    }
}

/// A thread that panicked was its device's failure; the map is as good as before.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
