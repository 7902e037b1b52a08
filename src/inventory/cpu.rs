//! The processors.

use std::collections::{BTreeMap, BTreeSet};

use farrier_plugin::Cpu;

use crate::inventory::smbios::Smbios;
use crate::sys::root::Root;

const CPUS: &str = "/sys/devices/system/cpu";

/// The processors as lscpu describes them, which the reference runs (contract/data-plane 8.3).
pub(crate) fn cpu(root: &Root, smbios: Option<&Smbios>) -> Cpu {
    let cpuinfo = root.text("/proc/cpuinfo").unwrap_or_default();
    let first = |names: &[&str]| names.iter().find_map(|name| value(&cpuinfo, name));
    let present = root
        .attribute(format!("{CPUS}/present"))
        .map(|list| parse_cpu_list(&list))
        .filter(|cpus| !cpus.is_empty());
    let in_cpuinfo = values(&cpuinfo, "processor").count();
    let numbers = present
        .clone()
        .unwrap_or_else(|| (0..in_cpuinfo as u32).collect());
    Cpu {
        // ARM's /proc/cpuinfo has numbers instead of a name.
        model_name: first(&["model name"])
            .or_else(|| arm_name(first(&["CPU implementer"])?, first(&["CPU part"])?))
            .map(str::to_owned)
            .or_else(|| smbios?.processor_version()),
        frequency: greatest_frequency(root, &numbers),
        count: present.map_or(in_cpuinfo, |cpus| cpus.len()) as u32,
        architecture: architecture(root),
        flags: first(&["flags", "Features"])
            .unwrap_or_default()
            .split_whitespace()
            .map(str::to_owned)
            .collect(),
        socket_count: sockets(root, &numbers, &cpuinfo),
    }
}

/// What lscpu calls the ARM processors of servers, by the numbers of their designer and design
/// (MIDR_EL1). Of others the firmware's name is taken.
fn arm_name(implementer: &str, part: &str) -> Option<&'static str> {
    let number = |text: &str| u32::from_str_radix(text.trim_start_matches("0x"), 16).ok();
    Some(match (number(implementer)?, number(part)?) {
        (0x41, 0xd03) => "Cortex-A53",
        (0x41, 0xd05) => "Cortex-A55",
        (0x41, 0xd07) => "Cortex-A57",
        (0x41, 0xd08) => "Cortex-A72",
        (0x41, 0xd0b) => "Cortex-A76",
        (0x41, 0xd0c) => "Neoverse-N1",
        (0x41, 0xd40) => "Neoverse-V1",
        (0x41, 0xd49) => "Neoverse-N2",
        (0x41, 0xd4a) => "Neoverse-E1",
        (0x41, 0xd4f) => "Neoverse-V2",
        (0x43, 0x0af) => "ThunderX2-99xx",
        (0x46, 0x001) => "A64FX",
        (0x48, 0xd01) => "TaiShan-v110",
        (0xc0, 0xac3) => "Ampere-1",
        (0xc0, 0xac4) => "Ampere-1a",
        _ => return None,
    })
}

/// The machine's name for its processors, `uname -m`: `x86_64`, `aarch64`. Empty for a recording
/// that does not hold it.
fn architecture(root: &Root) -> String {
    const RECORDED: &str = "uname";
    const MACHINE: &str = "machine";
    // Linux 6.1 and later.
    if let Some(architecture) = root.attribute("/proc/sys/kernel/arch") {
        return architecture;
    }
    if !root.is_system() {
        return root
            .recorded::<BTreeMap<String, String>>(RECORDED)
            .and_then(|mut uname| uname.remove(MACHINE))
            .unwrap_or_default();
    }
    // The agent has no 32-bit builds, so its own architecture is the machine's.
    let architecture = std::env::consts::ARCH;
    root.remember(RECORDED, MACHINE, architecture);
    architecture.to_owned()
}

/// The greatest frequency that any processor can run at, in MHz with four decimals; empty where
/// the kernel does not scale frequencies, as in most virtual machines.
///
/// The frequency now, which `/proc/cpuinfo` has, is not a substitute: lscpu stopped to show it as
/// "CPU MHz" since it is another one at each look.
fn greatest_frequency(root: &Root, cpus: &BTreeSet<u32>) -> String {
    cpus.iter()
        .filter_map(|cpu| root.number(format!("{CPUS}/cpu{cpu}/cpufreq/cpuinfo_max_freq")))
        .max()
        .map(|khz| format!("{}.{:03}0", khz / 1000, khz % 1000))
        .unwrap_or_default()
}

/// Sockets by the kernel's topology, else by `/proc/cpuinfo`.
fn sockets(root: &Root, cpus: &BTreeSet<u32>, cpuinfo: &str) -> Option<u32> {
    let mut packages: BTreeSet<String> = cpus
        .iter()
        .filter_map(|cpu| root.attribute(format!("{CPUS}/cpu{cpu}/topology/physical_package_id")))
        // -1: the platform does not say.
        .filter(|package| !package.starts_with('-'))
        .collect();
    if packages.is_empty() {
        packages = values(cpuinfo, "physical id").map(str::to_owned).collect();
    }
    u32::try_from(packages.len())
        .ok()
        .filter(|count| *count > 0)
}

pub(super) fn value<'c>(cpuinfo: &'c str, name: &str) -> Option<&'c str> {
    values(cpuinfo, name).find(|value| !value.is_empty())
}

fn values<'c>(cpuinfo: &'c str, name: &str) -> impl Iterator<Item = &'c str> {
    cpuinfo
        .lines()
        .filter_map(|line| line.split_once(':'))
        .filter(move |(key, _)| key.trim() == name)
        .map(|(_, value)| value.trim())
}

/// A kernel list of numbers: `0-3,8`.
///
/// A range is cut at 65536 members, eight times what Linux can be built for.
pub(super) fn parse_cpu_list(list: &str) -> BTreeSet<u32> {
    const MOST: u32 = 65_536;
    let mut numbers = BTreeSet::new();
    for part in list.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (Ok(first), Ok(last)) = (first.trim().parse::<u32>(), last.trim().parse::<u32>())
        else {
            continue;
        };
        numbers.extend((first..=last).take(MOST as usize));
    }
    numbers
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cpu_lists() {
        assert_eq!(parse_cpu_list("0-3,8\n"), BTreeSet::from([0, 1, 2, 3, 8]));
        assert_eq!(parse_cpu_list("0"), BTreeSet::from([0]));
        assert_eq!(parse_cpu_list(""), BTreeSet::new());
        assert_eq!(parse_cpu_list("0-4294967295").len(), 65_536);
    }

    #[test]
    fn this_machine_has_processors() {
        let cpu = cpu(&Root::system(), None);
        assert!(cpu.count > 0);
        assert!(!cpu.flags.is_empty());
    }

    proptest! {
        #[test]
        fn any_list_parses(list in "[0-9,\\- a]{0,12}") {
            parse_cpu_list(&list);
        }
    }
}
