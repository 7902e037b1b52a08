//! Cards whose drivers asked for firmware that is not in the ramdisk. The drivers say so in the
//! kernel's log at most, where nobody looks when a server seems to have no network, and some are
//! content with less than the card can do; PID 1 says it on the console.

mod record;
mod table;

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::thread;

use self::record::{Event, Record};
use self::table::{Kind, Origin, TABLE};
use super::console::Console;
use crate::sys::{printable, run_files};

/// Lines on the console, all told: a driver that asks without an end for names of its own does not
/// push everything else off it. A server with every kind of card takes a dozen.
const MOST_LINES: usize = 100;

/// Requests that gave no line and are remembered, so that they are not looked up again.
const MOST_SILENT: usize = 1000;

/// Watch the kernel's log for as long as the ramdisk runs: some drivers ask when their device is
/// found, some when its interface is brought up.
pub(super) fn watch(console: Console) {
    let Ok(mut log) = File::open("/dev/kmsg") else {
        return;
    };
    let watcher = move || {
        // One read gives one record, at most 8 KiB (CONSOLE_EXT_LOG_MAX of the kernel).
        let mut record = [0; 8192];
        let mut listener = Listener::default();
        while listener.is_listening() {
            match log.read(&mut record) {
                Ok(0) => return,
                Ok(length) => {
                    let record = String::from_utf8_lossy(&record[..length]);
                    if let Some(record) = record::read(&record)
                        && let Some(line) = listener.hear(&record, read_table, Path::new("/"))
                    {
                        keep(&line);
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

/// For the agent, which tells why there is no network or no disk. The number of lines is bounded ([`MOST_LINES`]).
fn keep(line: &str) {
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(run_files::MISSING_FIRMWARE);
    // Without it the line is on the console still.
    let _ = file.and_then(|mut file| writeln!(file, "{}", printable::line(line)));
}

/// Read anew for each card and file: it is rare, and the table is memory.
fn read_table() -> String {
    fs::read_to_string(TABLE).unwrap_or_default()
}

/// What was heard already.
#[derive(Default)]
struct Listener {
    told: BTreeSet<(String, String)>,
    /// Of each function of a card and each wording: another may give a line.
    silent: BTreeSet<String>,
}

impl Listener {
    fn is_listening(&self) -> bool {
        self.told.len() < MOST_LINES && self.silent.len() < MOST_SILENT
    }

    /// The line for a record, if it has one that was not told.
    fn hear(
        &mut self,
        record: &Record<'_>,
        table: impl Fn() -> String,
        root: &Path,
    ) -> Option<String> {
        let (told, silent) = (once(record), format!("{record:?}"));
        if self.told.contains(&told) || self.silent.contains(&silent) {
            return None;
        }
        let line = line(record, &table(), root);
        if line.is_some() {
            self.told.insert(told);
        } else {
            self.silent.insert(silent);
        }
        line
    }
}

/// What is told once: a file for a card, not for each function of it, in whichever wording.
fn once(record: &Record<'_>) -> (String, String) {
    let card = if record.is_pci {
        record.device.split('.').next().unwrap_or_default()
    } else {
        record.device
    };
    let what = match record.event {
        Event::Missing(file) | Event::NotFound(file) => file,
        Event::SafeMode(words) => words,
    };
    (card.to_owned(), what.to_owned())
}

/// What a person should know, for network cards and storage controllers; `None` for the rest
/// (graphics, sound), which a ramdisk does without.
fn line(record: &Record<'_>, table: &str, root: &Path) -> Option<String> {
    let card = |kind| {
        Some(format!(
            "{} {}",
            what(record, kind, root)?,
            name(record, root)
        ))
    };
    match record.event {
        Event::SafeMode(words) => Some(format!("{}: {words}", card(None)?)),
        Event::Missing(file) => Some(asked(&card(kind_of(table, file))?, table, file, root)),
        // What no driver named to the build it can do without, and what is there compressed is
        // what the kernel looks for next.
        Event::NotFound(file) => {
            let row = table::look_up(table, file)?;
            if has_compressed(root, file) {
                return None;
            }
            Some(asked(&card(Some(row.kind))?, table, file, root))
        }
    }
}

/// Whether the ramdisk has a file in one of the compressions that the kernel knows.
fn has_compressed(root: &Path, file: &str) -> bool {
    let folder = root.join("lib/firmware");
    [".xz", ".zst"]
        .iter()
        .any(|compression| folder.join(format!("{file}{compression}")).exists())
}

fn kind_of(table: &str, file: &str) -> Option<Kind> {
    table::look_up(table, file).map(|row| row.kind)
}

fn asked(card: &str, table: &str, file: &str, root: &Path) -> String {
    let origin = table::look_up(table, file).map_or(Origin::Unknown, |row| row.origin);
    let remedy = match origin {
        Origin::Package(package) => {
            format!("FIRMWARE=1 builds one that has it, from Debian's {package}")
        }
        Origin::Nowhere => "Debian's firmware packages do not have it either".to_owned(),
        Origin::Unknown => "FIRMWARE=1 builds one that has Debian's".to_owned(),
    };
    // Drivers that are content with an older file ask for the newest first (bnx2x, ice).
    let folder = root.join("lib/firmware");
    let others = if table::others(table, file)
        .any(|other| folder.join(other).exists() || has_compressed(root, other))
    {
        " (but others of this driver, which may do)"
    } else {
        ""
    };
    format!("{card} asked for firmware {file}, which this ramdisk does not have{others}; {remedy}")
}

/// What the device is; `None` for what is no network card or storage controller. By its PCI class
/// where it has one of those, else by what its driver drives.
fn what(record: &Record<'_>, kind: Option<Kind>, root: &Path) -> Option<&'static str> {
    let class = record
        .is_pci
        .then(|| attribute(root, record.device, "class"))
        .flatten();
    let class = class.as_deref().unwrap_or_default();
    Some(match (class.get(..2), class.get(..4), kind) {
        (Some("01"), ..) => "storage controller",
        (Some("02"), ..) => "network card",
        (_, Some("0c04"), _) => "Fibre Channel adapter",
        (_, Some("0c06"), _) => "InfiniBand adapter",
        // Processors on a card (LiquidIO), cards on USB, PHYs.
        (.., Some(Kind::Network)) => "network card",
        (.., Some(Kind::Storage)) => "storage controller",
        _ => return None,
    })
}

/// `0000:03:00.0 (14e4:168e bnx2x)`, `1-2:1.0 (r8152)`.
fn name(record: &Record<'_>, root: &Path) -> String {
    let id = |attribute_name| attribute(root, record.device, attribute_name);
    let ids = match (id("vendor"), id("device")) {
        (Some(vendor), Some(device)) if record.is_pci => format!("{vendor}:{device}"),
        _ => String::new(),
    };
    let about = format!("{ids} {}", record.driver);
    format!("{} ({})", record.device, about.trim())
}

/// A number from sysfs without its "0x". The device may be gone, and what the log calls it may be
/// no name of a file.
fn attribute(root: &Path, device: &str, name: &str) -> Option<String> {
    if device.contains('/') {
        return None;
    }
    let path = root.join("sys/bus/pci/devices").join(device).join(name);
    let text = fs::read_to_string(path).ok()?;
    Some(text.trim().trim_start_matches("0x").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
        bnx2x/bnx2x-e2-7.13.21.0.fw bnx2x network firmware-bnx2x\n\
        intel/ice/ddp/ice.pkg ice network firmware-intel-misc\n\
        netronome/nic_AMDA0081-0001_1x40.nffw nfp network firmware-netronome\n\
        ql2500_fw.bin qla2xxx storage firmware-qlogic\n\
        liquidio/lio_23xx_nic.bin liquidio network firmware-cavium\n\
        rtl_nic/rtl8157-1.fw r8152 network -\n\
        radeon/R520_cp.bin radeon other -\n";

    /// The root of a system with one PCI device.
    fn root(address: &str, class: &str, vendor: &str, device: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("sys/bus/pci/devices").join(address);
        fs::create_dir_all(&directory).unwrap();
        for (name, value) in [("class", class), ("vendor", vendor), ("device", device)] {
            fs::write(directory.join(name), format!("0x{value}\n")).unwrap();
        }
        root
    }

    fn record<'a>(driver: &'a str, device: &'a str, event: Event<'a>) -> Record<'a> {
        Record {
            driver,
            device,
            is_pci: device.starts_with("0000:"),
            event,
        }
    }

    #[test]
    fn card_driver_file_and_package_are_named() {
        let root = root("0000:03:00.0", "020000", "14e4", "168e");
        let missing = Event::Missing("bnx2x/bnx2x-e2-7.13.21.0.fw");
        let record = record("bnx2x", "0000:03:00.0", missing);
        assert_eq!(
            line(&record, TABLE, root.path()).unwrap(),
            "network card 0000:03:00.0 (14e4:168e bnx2x) asked for firmware \
             bnx2x/bnx2x-e2-7.13.21.0.fw, which this ramdisk does not have; FIRMWARE=1 builds one \
             that has it, from Debian's firmware-bnx2x"
        );
        // Without a table, as in a ramdisk that somebody made from other parts.
        let line = line(&record, "", root.path()).unwrap();
        assert!(
            line.ends_with("FIRMWARE=1 builds one that has Debian's"),
            "{line}"
        );
    }

    #[test]
    fn what_the_build_did_not_know_is_not_denied() {
        let missing = Event::Missing("rtl_nic/rtl8157-1.fw");
        let record = record("r8152", "1-2:1.0", missing);
        let table = TABLE.replace("network -", "network ?");
        let line = line(&record, &table, Path::new("/nowhere")).unwrap();
        assert!(
            line.ends_with("does not have; FIRMWARE=1 builds one that has Debian's"),
            "{line}"
        );
    }

    #[test]
    fn older_file_that_the_driver_may_take_is_told() {
        let root = root("0000:03:00.0", "020000", "14e4", "168e");
        let missing = Event::Missing("bnx2x/bnx2x-e2-7.13.21.0.fw");
        let record = record("bnx2x", "0000:03:00.0", missing);
        let table = format!("{TABLE}bnx2x/bnx2x-e2-7.13.15.0.fw bnx2x network firmware-bnx2x\n");
        let folder = root.path().join("lib/firmware/bnx2x");
        fs::create_dir_all(&folder).unwrap();
        let text = line(&record, &table, root.path()).unwrap();
        assert!(!text.contains("others"), "{text}");
        fs::write(folder.join("bnx2x-e2-7.13.15.0.fw"), "").unwrap();
        let text = line(&record, &table, root.path()).unwrap();
        assert!(
            text.contains("does not have (but others of this driver, which may do); "),
            "{text}"
        );
    }

    #[test]
    fn what_was_heard_is_not_looked_up_again() {
        let root = root("0000:3b:00.0", "020000", "8086", "1592");
        let mut listener = Listener::default();
        let mut hear = |record: &Record<'_>, table: fn() -> String| {
            listener.hear(record, table, root.path()).is_some()
        };
        let ice = |event| record("ice", "0000:3b:00.0", event);
        let own = "intel/ice/ddp/ice-b49691ffff7c1234.pkg";
        let unread = || panic!("the table was read again");
        assert!(!hear(&ice(Event::NotFound(own)), || TABLE.to_owned()));
        assert!(!hear(&ice(Event::NotFound(own)), unread));
        // What says nothing in one wording may in the other.
        assert!(hear(&ice(Event::Missing(own)), || TABLE.to_owned()));
        assert!(!hear(&ice(Event::Missing(own)), unread));
    }

    #[test]
    fn lines_have_an_end() {
        let root = root("0000:3b:00.0", "020000", "8086", "1592");
        let mut listener = Listener::default();
        for number in 0..MOST_LINES {
            assert!(listener.is_listening());
            let file = number.to_string();
            let record = record("ice", "0000:3b:00.0", Event::Missing(&file));
            assert!(listener.hear(&record, String::new, root.path()).is_some());
        }
        assert!(!listener.is_listening());
    }

    #[test]
    fn what_no_package_has_is_not_promised() {
        let missing = Event::Missing("rtl_nic/rtl8157-1.fw");
        let record = record("r8152", "1-2:1.0", missing);
        let line = line(&record, TABLE, Path::new("/nowhere")).unwrap();
        assert!(
            line.starts_with("network card 1-2:1.0 (r8152) asked for"),
            "{line}"
        );
        assert!(
            line.ends_with("Debian's firmware packages do not have it either"),
            "{line}"
        );
    }

    #[test]
    fn adapters_of_other_classes_are_named() {
        let qla = record("qla2xxx", "0000:05:00.0", Event::Missing("ql2500_fw.bin"));
        let fibre_channel = root("0000:05:00.0", "0c0400", "1077", "2532");
        let text = line(&qla, TABLE, fibre_channel.path()).unwrap();
        assert!(
            text.starts_with("Fibre Channel adapter 0000:05:00.0 (1077:2532 qla2xxx)"),
            "{text}"
        );
        let file = Event::Missing("liquidio/lio_23xx_nic.bin");
        let liquidio = record("LiquidIO", "0000:05:00.0", file);
        let processor = root("0000:05:00.0", "0b3000", "177d", "9702");
        let text = line(&liquidio, TABLE, processor.path()).unwrap();
        assert!(text.starts_with("network card 0000:05:00.0"), "{text}");
    }

    #[test]
    fn only_network_and_storage_are_named() {
        let root = root("0000:01:00.0", "030000", "1002", "7149");
        for file in ["radeon/R520_cp.bin", "radeon/unknown.bin"] {
            let radeon = record("radeon", "0000:01:00.0", Event::Missing(file));
            assert_eq!(line(&radeon, TABLE, root.path()), None);
        }
    }

    #[test]
    fn files_that_may_be_missing_are_told_only_where_drivers_name_them() {
        let root = root("0000:3b:00.0", "020000", "8086", "1592");
        let own = Event::NotFound("intel/ice/ddp/ice-b49691ffff7c1234.pkg");
        assert_eq!(
            line(&record("ice", "0000:3b:00.0", own), TABLE, root.path()),
            None
        );
        let nfp = Event::NotFound("netronome/nic_AMDA0081-0001_1x40.nffw");
        let line = line(&record("nfp", "0000:3b:00.0", nfp), TABLE, root.path()).unwrap();
        assert!(line.ends_with("from Debian's firmware-netronome"), "{line}");
    }

    #[test]
    fn file_that_is_there_compressed_is_not_missing() {
        let root = root("0000:3b:00.0", "020000", "8086", "1592");
        let folder = root.path().join("lib/firmware/intel/ice/ddp");
        let record = record(
            "ice",
            "0000:3b:00.0",
            Event::NotFound("intel/ice/ddp/ice.pkg"),
        );
        assert!(line(&record, TABLE, root.path()).is_some());
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("ice.pkg.zst"), "").unwrap();
        assert_eq!(line(&record, TABLE, root.path()), None);
    }

    #[test]
    fn safe_mode_is_told_in_the_drivers_words() {
        let root = root("0000:3b:00.0", "020000", "8086", "1592");
        let words = "The DDP package file was not found or could not be read. Entering Safe Mode";
        let ice = record("ice", "0000:3b:00.0", Event::SafeMode(words));
        let line = line(&ice, TABLE, root.path()).unwrap();
        assert_eq!(
            line,
            format!("network card 0000:3b:00.0 (8086:1592 ice): {words}")
        );
    }

    #[test]
    fn functions_of_a_card_and_both_wordings_are_told_once() {
        let file = "bnx2x/bnx2x-e2-7.13.21.0.fw";
        let first = once(&record("bnx2x", "0000:03:00.0", Event::NotFound(file)));
        assert_eq!(
            first,
            once(&record("bnx2x", "0000:03:00.0", Event::Missing(file)))
        );
        assert_eq!(
            first,
            once(&record("bnx2x", "0000:03:00.1", Event::Missing(file)))
        );
        assert_ne!(
            first,
            once(&record("bnx2x", "0000:04:00.0", Event::Missing(file)))
        );
        assert_ne!(
            first,
            once(&record("bnx2x", "0000:03:00.0", Event::Missing("other")))
        );
    }

    #[test]
    fn names_from_the_log_lead_nowhere_else() {
        let root = root("0000:01:00.0", "020000", "1", "2");
        assert_eq!(
            attribute(root.path(), "0000:01:00.0", "class").unwrap(),
            "020000"
        );
        assert_eq!(
            attribute(root.path(), "../devices/0000:01:00.0", "class"),
            None
        );
    }
}
