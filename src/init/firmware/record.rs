//! What the kernel's log says about firmware, a record of `/dev/kmsg` at a time
//! (Documentation/ABI/testing/dev-kmsg).

/// A record that is about a device's firmware.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Record<'a> {
    /// Name of the driver, as the kernel's message begins with it; empty where it does not.
    pub(super) driver: &'a str,
    /// Name of the device on its bus: `0000:03:00.0` on PCI, `1-2:1.0` on USB.
    pub(super) device: &'a str,
    /// Whether that bus is PCI.
    pub(super) is_pci: bool,
    pub(super) event: Event<'a>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Event<'a> {
    /// The driver did not get a file and goes on without. Every kernel says so, except for requests
    /// that the driver marked as ones that may fail.
    Missing(&'a str),
    /// The kernel looked for a file, under one of the names it may have. Debian's kernels alone say
    /// so, for every request: another name may be found next (`.xz`, `.zst`), and the file may be
    /// one that hardly any machine has (an E800's package for its own serial number). Some drivers
    /// need what they say may fail (nfp).
    NotFound(&'a str),
    /// The driver's own words: a network card of Intel's E800 series does without most of what it
    /// can do. Also said where there is a file, but one too old, too new or damaged.
    SafeMode(&'a str),
}

/// ENOENT. With any other number the file is there, which is nothing that another ramdisk mends.
const NO_SUCH_FILE: &str = "-2";

/// Read a record. The wordings are those of `_request_firmware` in
/// drivers/base/firmware_loader/main.c, of Debian's patch to `fw_get_filesystem_firmware` there (an
/// error in Linux 6.1, an information since), and of `ice_request_fw` and `ice_log_pkg_init` in
/// drivers/net/ethernet/intel/ice/ice_main.c.
pub(super) fn read(record: &str) -> Option<Record<'_>> {
    let (_, message) = record.split_once(';')?;
    let mut lines = message.lines();
    let text = lines.next()?;
    let device = lines.find_map(|line| line.trim_start().strip_prefix("DEVICE="))?;
    let (is_pci, device) = match device.strip_prefix("+pci:") {
        Some(address) => (true, address),
        // Buses: "+usb:1-2:1.0", "+mdio_bus:…"; nodes: "c189:1", "b8:0", "n3".
        None => (false, device.strip_prefix('+')?.split_once(':')?.1),
    };
    let (driver, event) = event(text, device)?;
    Some(Record {
        driver,
        device,
        is_pci,
        event,
    })
}

/// "DRIVER DEVICE: WORDS"; the name of the driver of a PHY has spaces.
fn event<'a>(text: &'a str, device: &str) -> Option<(&'a str, Event<'a>)> {
    let (driver, words) = text.split_once(device)?;
    let words = words.strip_prefix(": ")?;
    let missing = |file_and_error: Option<(&'a str, &'a str)>, event: fn(&'a str) -> Event<'a>| {
        let (file, error) = file_and_error?;
        (!file.is_empty() && error == NO_SUCH_FILE).then(|| event(file))
    };
    let event = if let Some(rest) = words.strip_prefix("Direct firmware load for ") {
        missing(rest.rsplit_once(" failed with error "), Event::Missing)?
    } else if let Some(rest) = words.strip_prefix("firmware: failed to load ") {
        let rest = rest.strip_suffix(')')?;
        missing(rest.rsplit_once(" ("), Event::NotFound)?
    } else {
        words
            .contains("Entering Safe Mode")
            .then_some(Event::SafeMode(words))?
    };
    Some((driver.trim_end(), event))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A record as the kernel writes it for a PCI device.
    fn pci(driver: &str, device: &str, words: &str) -> String {
        format!(
            "4,812,6183001,-;{driver} {device}: {words}\n SUBSYSTEM=pci\n DEVICE=+pci:{device}\n"
        )
    }

    fn event_of(record: &str) -> Option<Event<'_>> {
        read(record).map(|record| record.event)
    }

    /// `/dev/kmsg` of guests with QEMU's i82551, whose driver needs a file, as Debian's kernels
    /// 6.1.192, 6.12.118 and 7.3.4 wrote it. Only 6.1's driver says nothing itself.
    const GUESTS: &str = include_str!("e100.kmsg");

    #[test]
    fn what_three_kernels_said_is_read() {
        let file = "e100/d102e_ucode.bin";
        for guest in GUESTS.split("6,0,0,-;Linux version ").skip(1) {
            let lines: Vec<_> = guest.lines().collect();
            // A record goes on in the lines that begin with a space.
            let starts = (0..lines.len()).filter(|&at| !lines[at].starts_with(' '));
            let records: Vec<_> = starts
                .map(|at| {
                    let more = lines[at + 1..]
                        .iter()
                        .take_while(|line| line.starts_with(' '));
                    lines[at..=at + more.count()].join("\n")
                })
                .collect();
            let read: Vec<_> = records.iter().filter_map(|record| read(record)).collect();
            assert!(read.iter().all(|read| {
                (read.driver, read.device, read.is_pci) == ("e100", "0000:00:03.0", true)
            }));
            let events: Vec<_> = read.iter().map(|read| read.event).collect();
            let (last, before) = events.split_last().unwrap();
            assert_eq!(*last, Event::Missing(file), "{guest}");
            // One for the file and each compression that the kernel knows.
            assert!((2..=3).contains(&before.len()), "{guest}");
            assert!(before.iter().all(|event| *event == Event::NotFound(file)));
        }
    }

    #[test]
    fn all_wordings_are_read() {
        let file = "bnx2x/bnx2x-e2-7.13.21.0.fw";
        let record = pci(
            "bnx2x",
            "0000:03:00.0",
            "Direct firmware load for bnx2x/bnx2x-e2-7.13.21.0.fw failed with error -2",
        );
        let read = read(&record).unwrap();
        assert_eq!((read.driver, read.device), ("bnx2x", "0000:03:00.0"));
        assert!(read.is_pci);
        assert_eq!(read.event, Event::Missing(file));
        let debian = pci(
            "bnx2x",
            "0000:03:00.0",
            "firmware: failed to load bnx2x/bnx2x-e2-7.13.21.0.fw (-2)",
        );
        assert_eq!(event_of(&debian), Some(Event::NotFound(file)));
    }

    #[test]
    fn safe_mode_of_the_ice_driver_is_read_in_all_its_words() {
        // From ice.ko of 6.1.192, 6.12.118 and 7.3.4, which have the same.
        for words in [
            "The DDP package file was not found or could not be read. Entering Safe Mode",
            "The DDP package file version is higher than the driver supports.  Please use an \
             updated driver.  Entering Safe Mode.",
            "The DDP package file version is lower than the driver supports.  The driver requires \
             version 1.3.x.x.  Please use an updated DDP Package file.  Entering Safe Mode.",
            "The DDP package file is invalid. Entering Safe Mode.",
            "An unknown error occurred when loading the DDP package.  Entering Safe Mode.",
        ] {
            let record = pci("ice", "0000:3b:00.0", words);
            assert_eq!(event_of(&record), Some(Event::SafeMode(words)));
        }
        let record = pci(
            "ice",
            "0000:3b:00.0",
            "Changing channel in Safe Mode is not supported",
        );
        assert_eq!(event_of(&record), None);
    }

    #[test]
    fn devices_of_other_buses_have_their_names() {
        let usb = "4,9,1,-;r8152 1-2:1.0: Direct firmware load for rtl_nic/rtl8153b-2.fw failed with \
            error -2\n SUBSYSTEM=usb\n DEVICE=+usb:1-2:1.0\n";
        let read_usb = read(usb).unwrap();
        assert_eq!((read_usb.driver, read_usb.device), ("r8152", "1-2:1.0"));
        assert!(!read_usb.is_pci);
        let phy = "4,9,1,-;Realtek RTL8261N 10Gbps PHY tn40_mdio:01: Direct firmware load for \
            rtl_nic/rtl8261n.bin failed with error -2\n SUBSYSTEM=mdio_bus\n \
            DEVICE=+mdio_bus:tn40_mdio:01\n";
        let read_phy = read(phy).unwrap();
        assert_eq!(read_phy.driver, "Realtek RTL8261N 10Gbps PHY");
        assert_eq!(read_phy.device, "tn40_mdio:01");
    }

    #[test]
    fn only_a_file_that_is_not_there_counts() {
        for words in [
            "Direct firmware load for tigon/tg3.bin failed with error -12",
            "firmware: failed to load tigon/tg3.bin (-22)",
            "firmware: direct-loading firmware tigon/tg3.bin",
            "Direct firmware load for  failed with error -2",
            "Link is up at 1000 Mbps, full duplex",
        ] {
            assert_eq!(
                event_of(&pci("tg3", "0000:02:00.0", words)),
                None,
                "{words}"
            );
        }
        assert_eq!(read("6,1,0,-;Linux version 6.1.0\n"), None);
        // What a program wrote into the log has no device.
        assert_eq!(
            read("12,1,0,-;x: Direct firmware load for a failed with error -2\n"),
            None
        );
    }

    proptest! {
        #[test]
        fn no_record_makes_the_parser_panic(record: String) {
            let _ = read(&record);
            let _ = read(&format!("3,1,2,-;a b: firmware: failed to load {record}\n DEVICE=+pci:b\n"));
            let _ = read(&format!("3,1,2,-;{record}: Direct firmware load for\n DEVICE=+{record}\n"));
        }

        #[test]
        fn every_name_is_found_again(
            driver in "[a-z][a-z0-9_]{0,15}",
            device in "[0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\\.[0-7]",
            file in "[!-~]([ -~]{0,60}[!-~])?",
        ) {
            let words = format!("Direct firmware load for {file} failed with error -2");
            let record = pci(&driver, &device, &words);
            let missing = read(&record).unwrap();
            prop_assert_eq!(missing.driver, &driver);
            prop_assert_eq!(missing.device, &device);
            prop_assert_eq!(missing.event, Event::Missing(&file));
            let record = pci(&driver, &device, &format!("firmware: failed to load {file} (-2)"));
            prop_assert_eq!(event_of(&record), Some(Event::NotFound(&file)));
        }
    }
}
