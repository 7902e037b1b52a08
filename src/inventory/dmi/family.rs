//! Processor families (DSP0134, 7.5.2), and what a family's processor says by its ID.

use super::rows::{OUT_OF_SPEC, Rows};

/// Names from a code on, with `|` between them, ordered by code; a code in between is reserved.
const NAMES: &[(u16, &str)] = &[
    (
        0x01,
        "Other|Unknown|8086|80286|80386|80486|8087|80287|80387|80487|Pentium|Pentium Pro|\
Pentium II|Pentium MMX|Celeron|Pentium II Xeon|Pentium III|M1|M2|Celeron M|Pentium 4 HT|Intel",
    ),
    (
        0x18,
        "Duron|K5|K6|K6-2|K6-3|Athlon|AMD29000|K6-2+|Power PC|Power PC 601|Power PC 603|\
Power PC 603+|Power PC 604|Power PC 620|Power PC x704|Power PC 750|Core Duo|Core Duo Mobile|\
Core Solo Mobile|Atom|Core M|Core m3|Core m5|Core m7|Alpha|Alpha 21064|Alpha 21066|Alpha 21164|\
Alpha 21164PC|Alpha 21164a|Alpha 21264|Alpha 21364|Turion II Ultra Dual-Core Mobile M|\
Turion II Dual-Core Mobile M|Athlon II Dual-Core M|Opteron 6100|Opteron 4100|Opteron 6200|\
Opteron 4200|FX|MIPS|MIPS R4000|MIPS R4200|MIPS R4400|MIPS R4600|MIPS R10000|C-Series|E-Series|\
A-Series|G-Series|Z-Series|R-Series|Opteron 4300|Opteron 6300|Opteron 3300|FirePro|SPARC|\
SuperSPARC|MicroSPARC II|MicroSPARC IIep|UltraSPARC|UltraSPARC II|UltraSPARC IIi|UltraSPARC III|\
UltraSPARC IIIi",
    ),
    (
        0x60,
        "68040|68xxx|68000|68010|68020|68030|Athlon X4|Opteron X1000|Opteron X2000|\
Opteron A-Series|Opteron X3000|Zen",
    ),
    (0x70, "Hobbit"),
    (0x78, "Crusoe TM5000|Crusoe TM3000|Efficeon TM8000"),
    (0x80, "Weitek"),
    (
        0x82,
        "Itanium|Athlon 64|Opteron|Sempron|Turion 64|Dual-Core Opteron|Athlon 64 X2|Turion 64 X2|\
Quad-Core Opteron|Third-Generation Opteron|Phenom FX|Phenom X4|Phenom X2|Athlon X2|PA-RISC|\
PA-RISC 8500|PA-RISC 8000|PA-RISC 7300LC|PA-RISC 7200|PA-RISC 7100LC|PA-RISC 7100",
    ),
    (
        0xa0,
        "V30|Quad-Core Xeon 3200|Dual-Core Xeon 3000|Quad-Core Xeon 5300|Dual-Core Xeon 5100|\
Dual-Core Xeon 5000|Dual-Core Xeon LV|Dual-Core Xeon ULV|Dual-Core Xeon 7100|\
Quad-Core Xeon 5400|Quad-Core Xeon|Dual-Core Xeon 5200|Dual-Core Xeon 7200|Quad-Core Xeon 7300|\
Quad-Core Xeon 7400|Multi-Core Xeon 7400|Pentium III Xeon|Pentium III Speedstep|Pentium 4|Xeon|\
AS400|Xeon MP|Athlon XP|Athlon MP|Itanium 2|Pentium M|Celeron D|Pentium D|Pentium EE|Core Solo",
    ),
    // 0xbe is two families at once.
    (
        0xbf,
        "Core 2 Duo|Core 2 Solo|Core 2 Extreme|Core 2 Quad|Core 2 Extreme Mobile|\
Core 2 Duo Mobile|Core 2 Solo Mobile|Core i7|Dual-Core Celeron|IBM390|G4|G5|ESA/390 G6|\
z/Architecture|Core i5|Core i3|Core i9",
    ),
    (
        0xd2,
        "C7-M|C7-D|C7|Eden|Multi-Core Xeon|Dual-Core Xeon 3xxx|Quad-Core Xeon 3xxx|Nano|\
Dual-Core Xeon 5xxx|Quad-Core Xeon 5xxx",
    ),
    (
        0xdd,
        "Dual-Core Xeon 7xxx|Quad-Core Xeon 7xxx|Multi-Core Xeon 7xxx|Multi-Core Xeon 3400",
    ),
    (
        0xe4,
        "Opteron 3000|Sempron II|Embedded Opteron Quad-Core|Phenom Triple-Core|\
Turion Ultra Dual-Core Mobile|Turion Dual-Core Mobile|Athlon Dual-Core|Sempron SI|Phenom II|\
Athlon II|Six-Core Opteron|Sempron M",
    ),
    (0xfa, "i860|i960"),
    (0x100, "ARMv7|ARMv8|ARMv9|ARM|SH-3|SH-4"),
    (0x118, "ARM|StrongARM"),
    (0x12c, "6x86|MediaGX|MII"),
    (0x140, "WinChip"),
    (0x15e, "DSP"),
    (0x1f4, "Video Processor"),
    (0x200, "RV32|RV64|RV128"),
    (
        0x258,
        "LoongArch|Loongson 1|Loongson 2|Loongson 3|Loongson 2K|Loongson 3A|Loongson 3B|\
Loongson 3C|Loongson 3D|Loongson 3E|Dual-Core Loongson 2K 2xxx",
    ),
    (
        0x26c,
        "Quad-Core Loongson 3A 5xxx|Multi-Core Loongson 3A 5xxx|Quad-Core Loongson 3B 5xxx|\
Multi-Core Loongson 3B 5xxx|Multi-Core Loongson 3C 5xxx|Multi-Core Loongson 3D 5xxx",
    ),
];

/// A family's code.
#[derive(Clone, Copy)]
pub(super) struct Family(u16);

/// How the eight bytes of a processor's ID are to be read.
#[derive(Clone, Copy)]
pub(super) enum Signature {
    I386,
    I486,
    Intel,
    Amd,
    /// The main ID register.
    ArmMainId,
    /// What the firmware call SMCCC_ARCH_SOC_ID gives.
    ArmSocId,
    LoongArch,
    Unknown,
}

impl Family {
    /// The family of a processor's structure: a byte, or the word that it refers to.
    pub(super) fn of(rows: &Rows<'_>) -> Self {
        match rows.byte(0x06) {
            0xfe if rows.length() >= 0x2a => Self(rows.word(0x28)),
            code => Self(code.into()),
        }
    }

    pub(super) fn name(self, rows: &Rows<'_>, version: (u8, u8)) -> &'static str {
        let maker = rows.string_at(0x07);
        let is_by = |name: &str| {
            let starts = maker
                .get(..name.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(name));
            starts || maker.contains(name)
        };
        match self.0 {
            // Version 2.0 gave the Pentium Pro what is an Alpha since.
            0x30 if version == (2, 0) && is_by("Intel") => return "Pentium Pro",
            0xbe if is_by("Intel") => return "Core 2",
            0xbe if is_by("AMD") => return "K7",
            0xbe => return "Core 2 or K7",
            _ => {}
        }
        NAMES
            .iter()
            .rfind(|(first, _)| *first <= self.0)
            .and_then(|(first, names)| names.split('|').nth((self.0 - first).into()))
            .unwrap_or(OUT_OF_SPEC)
    }

    pub(super) fn signature(self, rows: &Rows<'_>) -> Signature {
        match self.0 {
            0x05 => Signature::I386,
            0x06 => {
                // Some 80486 know CPUID, and write its answer here.
                let id = rows.word(0x08);
                let model = id >> 4 & 0xf;
                let has_cpuid = id >> 8 & 0xf == 4 && (model == 4 || model >= 7) && id & 0xf >= 3;
                match has_cpuid {
                    true => Signature::Intel,
                    false => Signature::I486,
                }
            }
            0x100..=0x102 | 0x118..=0x119 => {
                if rows.length() >= 0x28 && rows.word(0x26) & 1 << 9 != 0 {
                    Signature::ArmSocId
                } else {
                    Signature::ArmMainId
                }
            }
            0x0b..=0x15
            | 0x28..=0x2f
            | 0xa1..=0xb3
            | 0xb5
            | 0xb9..=0xc7
            | 0xcd..=0xcf
            | 0xd2..=0xdb
            | 0xdd..=0xe0 => Signature::Intel,
            0x18..=0x1d
            | 0x1f
            | 0x38..=0x3f
            | 0x46..=0x4f
            | 0x66..=0x6b
            | 0x83..=0x8f
            | 0xb6..=0xb7
            | 0xe4..=0xef => Signature::Amd,
            0x258..=0x262 | 0x26c..=0x271 => Signature::LoongArch,
            _ => Signature::Unknown,
        }
    }
}

impl Signature {
    /// Whether the second half of the ID is what CPUID leaves in EDX.
    pub(super) fn has_flags(self) -> bool {
        matches!(self, Self::Intel | Self::Amd)
    }

    /// The ID in words: `low` and `high` are its halves. `None` where there is nothing to say.
    pub(super) fn text(self, low: u32, high: u32) -> Option<String> {
        let nibble = |shift: u32| low >> shift & 0xf;
        let text = match self {
            Self::Unknown => return None,
            Self::I386 => format!(
                "Type {}, Family {}, Major Stepping {}, Minor Stepping {}",
                nibble(12),
                nibble(8),
                nibble(4),
                nibble(0)
            ),
            Self::I486 => format!(
                "Type {}, Family {}, Model {}, Stepping {}",
                nibble(12) & 3,
                nibble(8),
                nibble(4),
                nibble(0)
            ),
            Self::Intel => format!(
                "Type {}, Family {}, Model {}, Stepping {}",
                nibble(12) & 3,
                (low >> 20 & 0xff) + nibble(8),
                (low >> 12 & 0xf0) + nibble(4),
                nibble(0)
            ),
            Self::Amd => {
                // Only family 15 is continued in the extended fields.
                let (family, model) = match nibble(8) {
                    0xf => (0xf + (low >> 20 & 0xff), low >> 12 & 0xf0 | nibble(4)),
                    family => (family, nibble(4)),
                };
                format!("Family {family}, Model {model}, Stepping {}", nibble(0))
            }
            // Firmware older than SMBIOS 3.1 leaves this zero.
            Self::ArmMainId if low == 0 => return None,
            Self::ArmMainId => format!(
                "Implementor 0x{:02x}, Variant 0x{:x}, Architecture {}, Part 0x{:03x}, Revision {}",
                low >> 24,
                nibble(20),
                nibble(16),
                low >> 4 & 0xfff,
                nibble(0)
            ),
            Self::ArmSocId => format!(
                "JEP-106 Bank 0x{:02x} Manufacturer 0x{:02x}, SoC ID 0x{:04x}, \
                 SoC Revision 0x{high:08x}",
                low >> 24 & 0x7f,
                low >> 16 & 0x7f,
                low & 0xffff
            ),
            // dmidecode 3.6 ends this with an empty line, at which the reference takes the rest of
            // the processor for no part of it. Here nothing is lost.
            Self::LoongArch => format!("Processor Identity 0x{low:08x}"),
        };
        Some(text)
    }
}
