//! The machine's power button, which a BMC also presses for a graceful shutdown ("soft power off"
//! of the conductor): switches the machine off in order.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// `struct input_event` of linux/input.h on 64-bit machines: two longs of time, then type, code
/// and value.
const EVENT: usize = 24;

/// `EV_KEY` of linux/input-event-codes.h.
const KEY: u16 = 1;

/// `KEY_POWER` of linux/input-event-codes.h.
const POWER: u16 = 116;

/// What the kernel's ACPI driver calls the button. Power keys of keyboards do not count: they are
/// pressed by mistake.
const NAME: &str = "Power Button";

/// Listen to every power button there is now, each on a thread. To be called once udev has
/// settled: the driver is a module.
pub(super) fn watch() {
    for device in buttons(Path::new("/sys/class/input")) {
        let Ok(mut events) = File::open(&device) else {
            continue;
        };
        let listen = move || {
            let mut event = [0; EVENT];
            // Fails when the device goes; then nobody can press it.
            while events.read_exact(&mut event).is_ok() {
                if is_press(&event) {
                    // PID 1 handles it as it handles every SIGTERM.
                    let _ = kill(Pid::this(), Signal::SIGTERM);
                }
            }
        };
        // Without the thread the BMC's graceful shutdown times out and it cuts the power.
        let _ = thread::Builder::new()
            .name("power button".to_owned())
            .spawn(listen);
    }
}

/// Device nodes of the power buttons below `/sys/class/input`.
fn buttons(class: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(class) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter(|entry| {
            let name = fs::read_to_string(entry.path().join("device/name")).unwrap_or_default();
            name.trim() == NAME && entry.file_name().to_string_lossy().starts_with("event")
        })
        .map(|entry| Path::new("/dev/input").join(entry.file_name()))
        .collect()
}

fn is_press(event: &[u8; EVENT]) -> bool {
    let kind = u16::from_ne_bytes([event[16], event[17]]);
    let code = u16::from_ne_bytes([event[18], event[19]]);
    let value = i32::from_ne_bytes([event[20], event[21], event[22], event[23]]);
    kind == KEY && code == POWER && value == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: u16, code: u16, value: i32) -> [u8; EVENT] {
        let mut event = [0; EVENT];
        event[16..18].copy_from_slice(&kind.to_ne_bytes());
        event[18..20].copy_from_slice(&code.to_ne_bytes());
        event[20..24].copy_from_slice(&value.to_ne_bytes());
        event
    }

    #[test]
    fn only_the_press_of_the_power_key_counts() {
        assert!(is_press(&event(1, 116, 1)));
        assert!(!is_press(&event(1, 116, 0)), "the release");
        assert!(!is_press(&event(1, 28, 1)), "Enter");
        assert!(!is_press(&event(0, 0, 0)), "the end of a report");
    }

    #[test]
    fn the_button_is_found_among_inputs() {
        let class = tempfile::tempdir().unwrap();
        for (node, name) in [
            ("event0", "AT Translated Set 2 keyboard"),
            ("event1", NAME),
            ("input1", NAME),
        ] {
            let device = class.path().join(node).join("device");
            fs::create_dir_all(&device).unwrap();
            fs::write(device.join("name"), format!("{name}\n")).unwrap();
        }
        assert_eq!(buttons(class.path()), [PathBuf::from("/dev/input/event1")]);
    }
}
