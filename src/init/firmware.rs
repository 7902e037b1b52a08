//! Cards that wait for firmware which is not in the ramdisk. Their drivers say so in the kernel's
//! log, where nobody looks when a server seems to have no network; PID 1 says it on the console.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::thread;

use super::console::Console;

/// Watch the kernel's log for as long as the ramdisk runs.
pub(super) fn watch(console: Console) {
    let Ok(mut log) = File::open("/dev/kmsg") else {
        return;
    };
    let watcher = move || {
        // One read gives one record, at most 8 KiB (CONSOLE_EXT_LOG_MAX of the kernel).
        let mut record = [0; 8192];
        let mut told = BTreeSet::new();
        loop {
            match log.read(&mut record) {
                Ok(0) => return,
                Ok(length) => {
                    let record = String::from_utf8_lossy(&record[..length]);
                    if let Some(missing) = missing_firmware(&record)
                        && told.insert(missing.clone())
                        && let Some(line) = missing.line(Path::new("/sys"))
                    {
                        console.say(&line);
                    }
                }
                // EPIPE: records were overwritten before they were read; the next read goes on.
                Err(error)
                    if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::Interrupted) => {}
                Err(_) => return,
            }
        }
    };
    // Without the thread the boot goes on; the kernel's log still has the lines.
    let _ = thread::Builder::new()
        .name("firmware".to_owned())
        .spawn(watcher);
}

/// A file that a device's driver asked for and did not get.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Missing {
    /// PCI address of the device.
    device: String,
    file: String,
}

impl Missing {
    /// What a person should know, for network cards and storage controllers; `None` for the rest
    /// (graphics, sound), which a ramdisk does without.
    fn line(&self, sysfs: &Path) -> Option<String> {
        let directory = sysfs.join("bus/pci/devices").join(&self.device);
        let read = |attribute: &str| {
            let text = fs::read_to_string(directory.join(attribute)).ok()?;
            Some(text.trim().trim_start_matches("0x").to_owned())
        };
        // PCI base classes: 01 mass storage, 02 network.
        let what = match read("class")?.get(..2)? {
            "01" => "storage controller",
            "02" => "network card",
            _ => return None,
        };
        let id = format!("{}:{}", read("vendor")?, read("device")?);
        let driver = fs::read_link(directory.join("driver"))
            .ok()
            .and_then(|link| Some(link.file_name()?.to_string_lossy().into_owned()))
            .map_or_else(String::new, |name| format!(" {name}"));
        Some(format!(
            "{what} {} ({id}{driver}) waits for firmware {} that this ramdisk does not have; \
             FIRMWARE=1 builds one that has Debian's",
            self.device, self.file
        ))
    }
}

/// Read a record of `/dev/kmsg` (Documentation/ABI/testing/dev-kmsg). Two messages say that a
/// file is missing: Debian's kernel has "firmware: failed to load FILE (ERRNO)", every kernel has
/// "Direct firmware load for FILE failed with error ERRNO".
fn missing_firmware(record: &str) -> Option<Missing> {
    let (_, message) = record.split_once(';')?;
    let mut lines = message.lines();
    let text = lines.next()?;
    let file = if let Some((_, rest)) = text.split_once("firmware: failed to load ") {
        rest.split_whitespace().next()?
    } else {
        let (_, rest) = text.split_once("Direct firmware load for ")?;
        rest.split_once(" failed with error")?.0
    };
    let device = lines.find_map(|line| line.trim().strip_prefix("DEVICE=+pci:"))?;
    Some(Missing {
        device: device.to_owned(),
        file: file.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DEBIAN: &str = "3,812,6183001,-;e100 0000:00:04.0: firmware: failed to load \
        e100/d101s_ucode.bin (-2)\n SUBSYSTEM=pci\n DEVICE=+pci:0000:00:04.0\n";

    #[test]
    fn both_wordings_are_read() {
        let missing = missing_firmware(DEBIAN).unwrap();
        assert_eq!(missing.device, "0000:00:04.0");
        assert_eq!(missing.file, "e100/d101s_ucode.bin");
        let upstream = "4,99,1,-;bnx2 0000:03:00.0: Direct firmware load for bnx2/x.fw failed \
            with error -2\n SUBSYSTEM=pci\n DEVICE=+pci:0000:03:00.0\n";
        assert_eq!(missing_firmware(upstream).unwrap().file, "bnx2/x.fw");
        assert_eq!(missing_firmware("6,1,0,-;Linux version 6.1.0\n"), None);
    }

    #[test]
    fn only_network_and_storage_are_named() {
        let sysfs = tempfile::tempdir().unwrap();
        let directory = sysfs.path().join("bus/pci/devices/0000:00:04.0");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("class"), "0x020000\n").unwrap();
        fs::write(directory.join("vendor"), "0x8086\n").unwrap();
        fs::write(directory.join("device"), "0x1229\n").unwrap();
        let missing = missing_firmware(DEBIAN).unwrap();
        let line = missing.line(sysfs.path()).unwrap();
        assert!(
            line.starts_with("network card 0000:00:04.0 (8086:1229)"),
            "{line}"
        );
        assert!(line.contains("e100/d101s_ucode.bin"), "{line}");
        fs::write(directory.join("class"), "0x030000\n").unwrap();
        assert_eq!(missing.line(sysfs.path()), None);
    }

    proptest! {
        #[test]
        fn no_record_makes_the_parser_panic(record: String) {
            let _ = missing_firmware(&record);
            let _ = missing_firmware(&format!("3,1,2,-;firmware: failed to load {record}"));
        }
    }
}
