//! An erase that a drive does by itself, as it is followed.

use std::time::Duration;

use farrier_plugin::Context;

/// How often a drive is asked how far it is.
const POLL: Duration = Duration::from_secs(2);

/// One erase: how it is told about, and how often it is asked for.
pub(in crate::erase) struct Watch<'a> {
    pub(in crate::erase) context: &'a dyn Context,
    pub(in crate::erase) device: &'a str,
    /// Bytes of the device, the unit of progress.
    pub(in crate::erase) size: u64,
    pub(in crate::erase) pause: Duration,
}

impl<'a> Watch<'a> {
    /// Of this device of so many bytes.
    pub(in crate::erase) fn new(context: &'a dyn Context, device: &'a str, size: u64) -> Self {
        Self {
            context,
            device,
            size,
            pause: POLL,
        }
    }
}
