//! The processors.

use std::collections::{BTreeMap, BTreeSet};

use farrier_plugin::Cpu;

use crate::inventory::arm::{self, ArmDesign};
use crate::inventory::machine_name::given;
use crate::inventory::smbios::Smbios;
use crate::sys::root::Root;

const CPUS: &str = "/sys/devices/system/cpu";

/// What `uname -m` says of 64-bit ARM.
const ARM_64: &str = "aarch64";

/// Which processors are in one socket, by ACPI.
const PROCESSOR_TOPOLOGY_TABLE: &str = "/sys/firmware/acpi/tables/PPTT";

/// The processors as lscpu describes them, which the reference runs (contract/data-plane 8.3).
///
/// Of ARM processors of several kinds the name is that of the last kind in lscpu's list, which is what is left in the
/// reference's dictionary; the frequency is the greatest of all, and the reference's that of the last kind.
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
    let architecture = architecture(root);
    let design = arm::designs(&cpuinfo).into_keys().next_back();
    Cpu {
        model_name: design
            .and_then(ArmDesign::name)
            .or_else(|| first(&["model name"]))
            .map(str::to_owned)
            .or_else(|| named_by_firmware(smbios?))
            .or_else(|| Some(design?.name_or_numbers())),
        frequency: greatest_frequency(root, &numbers)
            .or_else(|| firmware_frequency(smbios?, &architecture))
            .unwrap_or_default(),
        count: present.map_or(in_cpuinfo, |cpus| cpus.len()) as u32,
        flags: first(&["flags", "Features"])
            .unwrap_or_default()
            .split_whitespace()
            .map(str::to_owned)
            .collect(),
        socket_count: sockets(root, &numbers, &cpuinfo, smbios, &architecture),
        architecture,
    }
}

/// What a person calls the processors where the model name does not say it all: ARM's of several kinds, with how many
/// there are of each, and what the firmware calls an ARM processor, whose name is that of a design that many makers use.
/// `None` elsewhere.
pub(crate) fn processor_names(root: &Root, smbios: Option<&Smbios>) -> Option<String> {
    let cpuinfo = root.text("/proc/cpuinfo").unwrap_or_default();
    let designs = arm::designs(&cpuinfo);
    let mut names = match designs.len() {
        0 => return None,
        1 => designs.into_keys().next()?.name_or_numbers(),
        _ => designs
            .into_iter()
            .map(|(design, count)| format!("{count} {}", design.name_or_numbers()))
            .collect::<Vec<_>>()
            .join(", "),
    };
    if let Some(version) = smbios.and_then(named_by_firmware)
        && version != names
    {
        names.push_str(&format!(" ({version})"));
    }
    Some(names)
}

/// What the firmware calls the first processor, but for a placeholder.
fn named_by_firmware(smbios: &Smbios) -> Option<String> {
    smbios
        .processor_version()
        .filter(|version| given(version).is_some())
}

/// The machine's name for its processors, `uname -m`: `x86_64`, `aarch64`. Empty for a recording
/// that does not hold it.
pub(super) fn architecture(root: &Root) -> String {
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

/// The greatest frequency that any processor can run at, in MHz with four decimals; `None` where
/// the kernel does not scale frequencies, as in most virtual machines.
///
/// The frequency now, which `/proc/cpuinfo` has, is not a substitute: lscpu stopped to show it as
/// "CPU MHz" since it is another one at each look.
fn greatest_frequency(root: &Root, cpus: &BTreeSet<u32>) -> Option<String> {
    cpus.iter()
        .filter_map(|cpu| root.number(format!("{CPUS}/cpu{cpu}/cpufreq/cpuinfo_max_freq")))
        .max()
        .map(|khz| format!("{}.{:03}0", khz / 1000, khz % 1000))
}

/// The greatest frequency that the firmware of an ARM server tells, in the same form.
///
/// Of these only: on them the kernel scales frequencies where a module for the firmware's interface (CPPC) is there and
/// the firmware offers it, and `/proc/cpuinfo` has none, so that the reference has nothing to tell. On x86 it tells
/// nothing in virtual machines only, whose firmware says 2000 MHz of any processor.
fn firmware_frequency(smbios: &Smbios, architecture: &str) -> Option<String> {
    let mhz = (architecture == ARM_64).then(|| smbios.processor_speed())??;
    Some(format!("{mhz}.0000"))
}

/// Sockets by the kernel's topology, else by `/proc/cpuinfo`, else by the firmware.
///
/// An ARM kernel knows of sockets by the firmware's table of processors (PPTT). Without it, what it calls a package is a
/// NUMA node or a cluster, and lscpu asks SMBIOS; where there is neither, lscpu answers `-`, at which the reference's
/// whole inventory fails, and here the kernel's answer is better than none.
fn sockets(
    root: &Root,
    cpus: &BTreeSet<u32>,
    cpuinfo: &str,
    smbios: Option<&Smbios>,
    architecture: &str,
) -> Option<u32> {
    let in_firmware = || {
        smbios
            .map(Smbios::processor_count)
            .filter(|count| *count > 0)
    };
    if architecture == ARM_64 && !root.exists(PROCESSOR_TOPOLOGY_TABLE) {
        let count = in_firmware();
        if count.is_some() {
            return count;
        }
    }
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
        .or_else(in_firmware)
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
    use crate::sys::recording::Recording;

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

    /// One processor of ARM, and what is beside it.
    fn arm(part: &str, more: &str) -> Cpu {
        let listing = format!(
            "/proc/sys/kernel/arch = aarch64\n/proc/cpuinfo <<\nprocessor\t: 0\nFeatures\t: fp asimd\n\
             CPU implementer\t: 0x41\nCPU variant\t: 0x3\nCPU part\t: {part}\nCPU revision\t: 1\n.\n\
             /sys/devices/system/cpu/present = 0\n\
             /sys/devices/system/cpu/cpu0/topology/physical_package_id = 36\n{more}"
        );
        let recording = Recording::unpack(&listing);
        let root = recording.root();
        cpu(&root, Smbios::read(&root).as_ref())
    }

    /// SMBIOS of two sockets, of which one is empty, and a co-processor.
    const ONE_OF_TWO_SOCKETS: &str = r#"
/sys/firmware/dmi/tables/smbios_entry_point #= "_SM3_" 00 18 03 03 00 01 00 00 00 00 00 00 00 00 00 00 00 00 00
/sys/firmware/dmi/tables/DMI #<<
04 1a 00 00 01 03 fe 00 00 00 00 00 00 00 00 00 02 00 00 00 00 00 b8 0b 41 06 "CPU0" 00 "Altra" 00 00
04 1a 01 00 01 03 fe 00 00 00 00 00 00 00 00 00 02 00 00 00 e4 0c 00 00 00 06 "CPU1" 00 "Altra" 00 00
04 1a 02 00 01 05 fe 00 00 00 00 00 00 00 00 00 02 00 00 00 e4 0c 00 00 41 06 "DSP0" 00 "Altra" 00 00
7f 04 03 00 00 00
.
"#;

    #[test]
    fn a_design_that_has_no_name_here_is_told_by_the_firmware_or_by_its_numbers() {
        assert_eq!(arm("0xd0c", "").model_name.as_deref(), Some("Neoverse-N1"));
        let named = arm("0xd0c", ONE_OF_TWO_SOCKETS);
        assert_eq!(named.model_name.as_deref(), Some("Neoverse-N1"));
        let unknown = arm("0xfff", ONE_OF_TWO_SOCKETS);
        assert_eq!(unknown.model_name.as_deref(), Some("Altra"));
        assert_eq!(arm("0xfff", "").model_name.as_deref(), Some("ARM 0xfff"));
        let placeholder = ONE_OF_TWO_SOCKETS.replace("\"Altra\"", "\"Not Specified\"");
        let unnamed = arm("0xfff", &placeholder);
        assert_eq!(unnamed.model_name.as_deref(), Some("ARM 0xfff"));
    }

    #[test]
    fn the_firmware_tells_the_frequency_that_the_kernel_does_not() {
        assert_eq!(arm("0xd0c", "").frequency, "");
        assert_eq!(arm("0xd0c", ONE_OF_TWO_SOCKETS).frequency, "3000.0000");
        let scaled = "/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq = 2800000\n";
        let scaled = arm("0xd0c", &format!("{scaled}{ONE_OF_TWO_SOCKETS}"));
        assert_eq!(scaled.frequency, "2800.0000");
    }

    #[test]
    fn sockets_of_arm_are_the_kernels_where_it_was_told_of_them() {
        let package = |number: &str| {
            format!("/sys/devices/system/cpu/cpu0/topology/physical_package_id = {number}\n")
        };
        let second = "/sys/devices/system/cpu/present = 0-1\n\
                      /sys/devices/system/cpu/cpu1/topology/physical_package_id = 8442\n";
        // NUMA nodes or clusters, which the kernel takes for packages without a table.
        let nodes = format!("{second}{ONE_OF_TWO_SOCKETS}");
        assert_eq!(arm("0xd0c", &nodes).socket_count, Some(1));
        let told = format!("/sys/firmware/acpi/tables/PPTT =\n{nodes}");
        assert_eq!(arm("0xd0c", &told).socket_count, Some(2));
        assert_eq!(arm("0xd0c", second).socket_count, Some(2));
        assert_eq!(arm("0xd0c", &package("-1")).socket_count, None);
        let by_firmware = format!("{}{ONE_OF_TWO_SOCKETS}", package("-1"));
        assert_eq!(arm("0xd0c", &by_firmware).socket_count, Some(1));
    }

    proptest! {
        #[test]
        fn any_list_parses(list in "[0-9,\\- a]{0,12}") {
            parse_cpu_list(&list);
        }
    }
}
