//! What runs on the machine, what it has and what its sensors say.

use std::fmt::Write as _;
use std::time::SystemTime;

use nix::sys::statvfs::statvfs;

use crate::sys::clock;
use crate::sys::root::Root;

/// Free and used space of what is mounted. Paths of a recorded tree are not mounted here.
pub(super) fn file_systems(root: &Root) -> String {
    let mut text = String::new();
    if !root.is_system() {
        return text;
    }
    for line in root.text("/proc/mounts").unwrap_or_default().lines() {
        let mut fields = line.split(' ');
        let (Some(source), Some(place)) = (fields.next(), fields.next()) else {
            continue;
        };
        let Ok(facts) = statvfs(place) else { continue };
        let kib = |blocks: u64| blocks.saturating_mul(facts.fragment_size()) / 1024;
        let _ = writeln!(
            text,
            "{source} {place} {} KiB, {} KiB free",
            kib(facts.blocks()),
            kib(facts.blocks_available())
        );
    }
    text
}

/// The system's clock, the hardware's and how long the kernel runs: a wrong clock makes certificates
/// invalid.
pub(super) fn time(root: &Root) -> String {
    let mut text = format!("system clock: {}\n", clock::utc_text(SystemTime::now()));
    for rtc in root.names("/sys/class/rtc") {
        let attribute = |name: &str| {
            root.attribute(format!("/sys/class/rtc/{rtc}/{name}"))
                .unwrap_or_else(|| "-".to_owned())
        };
        let _ = writeln!(
            text,
            "{rtc}: {} {} ({})",
            attribute("date"),
            attribute("time"),
            attribute("name")
        );
    }
    for (name, path) in [
        ("uptime and idle time, s", "/proc/uptime"),
        (
            "clock source",
            "/sys/devices/system/clocksource/clocksource0/current_clocksource",
        ),
    ] {
        if let Some(value) = root.attribute(path) {
            let _ = writeln!(text, "{name}: {value}");
        }
    }
    text
}

/// Maker, model, serial numbers and firmware, as the kernel read them from the SMBIOS table.
pub(super) fn dmi(root: &Root) -> String {
    const DMI: &str = "/sys/class/dmi/id";
    let mut text = String::new();
    for name in root.names(DMI) {
        if !matches!(name.as_str(), "uevent" | "modalias")
            && let Some(value) = root.attribute(format!("{DMI}/{name}"))
        {
            let _ = writeln!(text, "{name}: {value}");
        }
    }
    text
}

/// Every PCI device in one line: a card without a driver is why a disk or a link is missing, and one
/// on fewer lanes than it could have is why it is slow.
pub(super) fn pci(root: &Root) -> String {
    const DEVICES: &str = "/sys/bus/pci/devices";
    let mut text = String::new();
    for address in root.names(DEVICES) {
        let attribute = |name: &str| root.attribute(format!("{DEVICES}/{address}/{name}"));
        let number = |name: &str| {
            let value = attribute(name).unwrap_or_default();
            value.trim_start_matches("0x").to_owned()
        };
        let driver = root
            .link_name(format!("{DEVICES}/{address}/driver"))
            .unwrap_or_else(|| "-".to_owned());
        let _ = write!(
            text,
            "{address} class {} {}:{} ({}:{}) driver {driver}",
            number("class"),
            number("vendor"),
            number("device"),
            number("subsystem_vendor"),
            number("subsystem_device")
        );
        let link = |which: &str| {
            let speed = attribute(&format!("{which}_link_speed"))?;
            Some(format!(
                "{speed} x{}",
                attribute(&format!("{which}_link_width"))?
            ))
        };
        if let (Some(now), Some(most)) = (link("current"), link("max")) {
            let _ = write!(text, " link {now} of {most}");
        }
        text.push('\n');
    }
    text
}

/// Temperatures, voltages, fans and optical power of boards, cards and drives, with limits and
/// alarms: millidegrees, millivolts, revolutions a minute, microwatts
/// (Documentation/hwmon/sysfs-interface.rst).
pub(super) fn sensors(root: &Root) -> String {
    const CLASS: &str = "/sys/class/hwmon";
    let mut text = String::new();
    for chip in root.names(CLASS) {
        let directory = format!("{CLASS}/{chip}");
        let attribute = |name: &str| root.attribute(format!("{directory}/{name}"));
        let _ = writeln!(
            text,
            "{chip} {} of {}",
            attribute("name").unwrap_or_default(),
            root.link_name(format!("{directory}/device"))
                .unwrap_or_else(|| "-".to_owned())
        );
        for file in root.names(&directory) {
            let Some(sensor) = file.strip_suffix("_input") else {
                continue;
            };
            // A sensor that does not answer is worth a line.
            let value = attribute(&file).unwrap_or_else(|| "no answer".to_owned());
            let label = attribute(&format!("{sensor}_label")).unwrap_or_default();
            let _ = write!(text, "    {sensor} {label}: {value}");
            for limit in [
                "min",
                "max",
                "crit",
                "alarm",
                "max_alarm",
                "crit_alarm",
                "fault",
            ] {
                if let Some(value) = attribute(&format!("{sensor}_{limit}")) {
                    let _ = write!(text, ", {limit} {value}");
                }
            }
            text.push('\n');
        }
    }
    text
}

/// All processes. Kernel threads have no command line.
pub(super) fn processes(root: &Root) -> String {
    let mut text = String::from("PID PPID STATE RSS_KIB COMMAND\n");
    let mut pids: Vec<u32> = root
        .names("/proc")
        .iter()
        .filter_map(|name| name.parse().ok())
        .collect();
    pids.sort_unstable();
    for pid in pids {
        // The name stands in parentheses and may hold any of the separators (proc_pid_stat(5)).
        let Ok(stat) = root.text(format!("/proc/{pid}/stat")) else {
            continue;
        };
        let Some((before, after)) = stat.rsplit_once(") ") else {
            continue;
        };
        let name = before.split_once('(').map_or("", |(_, name)| name);
        let fields: Vec<&str> = after.split(' ').collect();
        let field = |number: usize| fields.get(number).copied().unwrap_or("-");
        let pages: u64 = field(21).parse().unwrap_or(0);
        let command = root
            .text(format!("/proc/{pid}/cmdline"))
            .unwrap_or_default()
            .replace('\0', " ");
        let command = command.trim();
        let _ = writeln!(
            text,
            "{pid} {} {} {} {}",
            field(1),
            field(0),
            pages * 4,
            if command.is_empty() {
                format!("[{name}]")
            } else {
                command.chars().take(1000).collect()
            }
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::tests::tree;
    use super::*;

    #[test]
    fn this_machine_has_a_process_list_with_this_test() {
        let text = processes(&Root::system());
        let own = format!("\n{} ", std::process::id());
        assert!(text.contains(&own), "{text}");
    }

    #[test]
    fn sensors_are_shown_with_their_limits() {
        let (_dir, root) = tree(&[
            ("/sys/class/hwmon/hwmon0/name", b"sfp\n"),
            ("/sys/class/hwmon/hwmon0/power1_input", b"12\n"),
            ("/sys/class/hwmon/hwmon0/power1_label", b"RX_power\n"),
            ("/sys/class/hwmon/hwmon0/power1_crit_alarm", b"1\n"),
            ("/sys/class/hwmon/hwmon0/temp1_input", b""),
        ]);
        assert_eq!(
            sensors(&root),
            "hwmon0 sfp of -\n    power1 RX_power: 12, crit_alarm 1\n    temp1 : no answer\n"
        );
    }

    #[test]
    fn cards_are_shown_with_driver_and_lanes() {
        let (_dir, root) = tree(&[
            ("/sys/bus/pci/devices/0000:01:00.0/class", b"0x020000\n"),
            ("/sys/bus/pci/devices/0000:01:00.0/vendor", b"0x8086\n"),
            ("/sys/bus/pci/devices/0000:01:00.0/device", b"0x1572\n"),
            (
                "/sys/bus/pci/devices/0000:01:00.0/current_link_speed",
                b"5.0 GT/s PCIe\n",
            ),
            (
                "/sys/bus/pci/devices/0000:01:00.0/current_link_width",
                b"4\n",
            ),
            (
                "/sys/bus/pci/devices/0000:01:00.0/max_link_speed",
                b"8.0 GT/s PCIe\n",
            ),
            ("/sys/bus/pci/devices/0000:01:00.0/max_link_width", b"8\n"),
        ]);
        assert_eq!(
            pci(&root),
            "0000:01:00.0 class 020000 8086:1572 (:) driver - link 5.0 GT/s PCIe x4 of 8.0 GT/s \
             PCIe x8\n"
        );
    }
}
