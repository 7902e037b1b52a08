//! The kernel's first randomness.

use std::fs::File;
use std::io::Read;
use std::thread;

use super::console::Console;
use super::phase;

/// Have the kernel gather its first randomness now, on a thread, while udev looks for devices. On a
/// processor without RDRAND it does so only when someone waits for it, for about a second, and
/// DHCP and TLS would be the ones who wait.
pub(super) fn gather(console: Console) {
    let seed = move || {
        let read = File::open("/dev/random").and_then(|mut random| random.read_exact(&mut [0]));
        match read {
            Ok(()) => phase::record(&console, "random", ""),
            Err(error) => console.say(&format!("No randomness: {error}")),
        }
    };
    // Without the thread it happens later.
    let _ = thread::Builder::new().name("random".to_owned()).spawn(seed);
}
