//! The phases of the boot that PID 1 sees: for the log archive, and on the consoles.

use super::console::Console;
use crate::sys::boot_times;

/// Record a phase of the boot, and say so.
pub(super) fn mark(console: &Console, phase: &str, text: &str) {
    record(console, phase, text);
    console.say(text);
}

/// Record a phase of the boot.
pub(super) fn record(console: &Console, phase: &str, detail: &str) {
    if let Err(error) = boot_times::mark(phase, detail) {
        console.say(&format!("Could not record the boot's times ({error})"));
    }
}
