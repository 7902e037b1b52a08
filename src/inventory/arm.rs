//! Which ARM processors these are: by numbers, since ARM's `/proc/cpuinfo` has no name.
//!
//! Each processor has the number of its designer and, of that designer's, the number of the design (Main ID register,
//! MIDR_EL1, in the Arm Architecture Reference Manual; the kernel has them in `arch/arm64/include/asm/cputype.h`). What
//! is said here of those that servers and boards have is what lscpu of util-linux 2.41 says (`sys-utils/lscpu-arm.c`,
//! `lscpu` of Debian 13), because that is what the reference reports and inspection rules compare.

use std::collections::BTreeMap;

/// A design, by the numbers that its processors have.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct ArmDesign {
    designer: u32,
    part: u32,
}

impl ArmDesign {
    /// `Neoverse-N1`; `None` for a design that is not known here.
    pub(super) fn name(self) -> Option<&'static str> {
        Some(match (self.designer, self.part) {
            (0x41, 0xd03) => "Cortex-A53",
            (0x41, 0xd04) => "Cortex-A35",
            (0x41, 0xd05) => "Cortex-A55",
            (0x41, 0xd07) => "Cortex-A57",
            (0x41, 0xd08) => "Cortex-A72",
            (0x41, 0xd09) => "Cortex-A73",
            (0x41, 0xd0a) => "Cortex-A75",
            (0x41, 0xd0b) => "Cortex-A76",
            (0x41, 0xd0c) => "Neoverse-N1",
            (0x41, 0xd0d) => "Cortex-A77",
            (0x41, 0xd40) => "Neoverse-V1",
            (0x41, 0xd41) => "Cortex-A78",
            (0x41, 0xd42) => "Cortex-A78AE",
            (0x41, 0xd44) => "Cortex-X1",
            (0x41, 0xd46) => "Cortex-A510",
            (0x41, 0xd47) => "Cortex-A710",
            (0x41, 0xd48) => "Cortex-X2",
            (0x41, 0xd49) => "Neoverse-N2",
            (0x41, 0xd4a) => "Neoverse-E1",
            (0x41, 0xd4b) => "Cortex-A78C",
            (0x41, 0xd4c) => "Cortex-X1C",
            (0x41, 0xd4d) => "Cortex-A715",
            (0x41, 0xd4e) => "Cortex-X3",
            (0x41, 0xd4f) => "Neoverse-V2",
            (0x41, 0xd80) => "Cortex-A520",
            (0x41, 0xd81) => "Cortex-A720",
            (0x41, 0xd82) => "Cortex-X4",
            (0x41, 0xd83) => "Neoverse-V3AE",
            (0x41, 0xd84) => "Neoverse-V3",
            (0x41, 0xd85) => "Cortex-X925",
            (0x41, 0xd87) => "Cortex-A725",
            (0x41, 0xd8e) => "Neoverse-N3",
            (0x42, 0x516) => "ThunderX2",
            (0x43, 0x0a0) => "ThunderX",
            (0x43, 0x0a1) => "ThunderX-88XX",
            (0x43, 0x0a2) => "ThunderX-81XX",
            (0x43, 0x0a3) => "ThunderX-83XX",
            (0x43, 0x0af) => "ThunderX2-99xx",
            (0x43, 0x0b0) => "OcteonTX2",
            (0x43, 0x0b1) => "OcteonTX2-98XX",
            (0x43, 0x0b2) => "OcteonTX2-96XX",
            (0x43, 0x0b3) => "OcteonTX2-95XX",
            (0x43, 0x0b8) => "ThunderX3-T110",
            (0x46, 0x001) => "A64FX",
            (0x46, 0x003) => "MONAKA",
            (0x48, 0xd01) => "TaiShan-v110",
            (0x48, 0xd02) => "TaiShan-v120",
            (0x4e, 0x004) => "Carmel",
            (0x50, 0x000) => "X-Gene",
            (0x51, 0xc00) => "Falkor",
            (0x51, 0xc01) => "Saphira",
            (0x6d, 0xd49) => "Azure-Cobalt-100",
            (0x70, 0x303) => "FTC310",
            (0x70, 0x660) => "FTC660",
            (0x70, 0x661) => "FTC661",
            (0x70, 0x662) => "FTC662",
            (0x70, 0x663) => "FTC663",
            (0x70, 0x664) => "FTC664",
            (0x70, 0x862) => "FTC862",
            (0xc0, 0xac3) => "Ampere-1",
            (0xc0, 0xac4) => "Ampere-1a",
            _ => return None,
        })
    }

    /// Whose design it is: `ARM`.
    pub(super) fn designer(self) -> Option<&'static str> {
        Some(match self.designer {
            0x41 => "ARM",
            0x42 => "Broadcom",
            0x43 => "Cavium",
            0x46 => "FUJITSU",
            0x48 => "HiSilicon",
            0x4e => "NVIDIA",
            0x50 => "APM",
            0x51 => "Qualcomm",
            0x53 => "Samsung",
            0x56 => "Marvell",
            0x61 => "Apple",
            0x6d => "Microsoft",
            0x70 => "Phytium",
            0xc0 => "Ampere",
            _ => return None,
        })
    }

    /// The name, or for one that is not known the numbers, with the designer's name where that is known: `NVIDIA 0x010`,
    /// `0x77 0x123`.
    pub(super) fn name_or_numbers(self) -> String {
        if let Some(name) = self.name() {
            return name.to_owned();
        }
        match self.designer() {
            Some(designer) => format!("{designer} {:#05x}", self.part),
            None => format!("{:#04x} {:#05x}", self.designer, self.part),
        }
    }
}

/// How many processors there are of each design, by `/proc/cpuinfo`. Empty for other architectures.
///
/// In the order of lscpu's list, of whose last the reference reports the name.
pub(super) fn designs(cpuinfo: &str) -> BTreeMap<ArmDesign, u32> {
    let number = |text: &str| u32::from_str_radix(text.trim().strip_prefix("0x")?, 16).ok();
    let mut designs = BTreeMap::new();
    let mut designer = None;
    for (key, value) in cpuinfo.lines().filter_map(|line| line.split_once(':')) {
        match key.trim() {
            "processor" => designer = None,
            "CPU implementer" => designer = number(value),
            "CPU part" => {
                if let (Some(designer), Some(part)) = (designer.take(), number(value)) {
                    *designs.entry(ArmDesign { designer, part }).or_default() += 1;
                }
            }
            _ => {}
        }
    }
    designs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(designer: u32, part: u32) -> ArmDesign {
        ArmDesign { designer, part }
    }

    #[test]
    fn a_design_without_a_name_is_told_by_its_numbers() {
        assert_eq!(of(0x41, 0xd4f).name_or_numbers(), "Neoverse-V2");
        assert_eq!(of(0x4e, 0x010).name_or_numbers(), "NVIDIA 0x010");
        assert_eq!(of(0x07, 0xd4f).name_or_numbers(), "0x07 0xd4f");
    }

    #[test]
    fn other_architectures_have_none() {
        assert!(designs("processor\t: 0\nvendor_id\t: GenuineIntel\nmodel\t\t: 85\n").is_empty());
        // A part whose designer is not told could be anybody's.
        assert!(designs("CPU implementer: 0x41\nprocessor: 1\nCPU part: 0xd0c\n").is_empty());
    }

    proptest! {
        #[test]
        fn processors_are_counted_by_design(
            processors in prop::collection::vec((0u32..0x100, 0u32..0x1000), 0..40),
            features in "[a-z0-9 ]{0,40}",
        ) {
            let cpuinfo: String = processors
                .iter()
                .enumerate()
                .map(|(number, (designer, part))| format!(
                    "processor\t: {number}\nBogoMIPS\t: 50.00\nFeatures\t: {features}\nCPU implementer\t: {designer:#04x}\n\
                     CPU architecture: 8\nCPU variant\t: 0x3\nCPU part\t: {part:#05x}\nCPU revision\t: 1\n\n"
                ))
                .collect();
            let mut expected = BTreeMap::new();
            for (designer, part) in &processors {
                *expected.entry(of(*designer, *part)).or_insert(0u32) += 1;
            }
            prop_assert_eq!(designs(&cpuinfo), expected);
        }

        #[test]
        fn any_cpuinfo_is_taken(lines in prop::collection::vec("(processor|CPU implementer|CPU part|[a-z]{0,9})[ \t]*:?[ ]?(0x)?[0-9a-f]{0,12}", 0..30)) {
            for (design, count) in designs(&lines.join("\n")) {
                prop_assert!(count > 0);
                prop_assert!(!design.name_or_numbers().is_empty());
            }
        }
    }
}
