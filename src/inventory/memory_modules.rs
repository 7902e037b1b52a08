//! The memory modules that the firmware lists.

use crate::inventory::smbios::{Smbios, Structure};
use crate::sys::root::Root;

/// `Memory Device` (DMTF DSP0134, 7.18).
const MEMORY_DEVICE: u8 = 17;

/// A module, or a place for one.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct MemoryModule {
    /// Where it is plugged in, as printed on the board.
    pub slot: Option<String>,
    /// Bytes; `None` where nothing is plugged in.
    pub size: Option<u64>,
    /// `DDR5`.
    pub kind: Option<&'static str>,
    /// Million transfers per second that it is set to, else that it is made for.
    pub speed: Option<u32>,
    /// Who made it.
    pub maker: Option<String>,
    /// The maker's part number.
    pub part_number: Option<String>,
    /// Serial number.
    pub serial_number: Option<String>,
}

/// All places for modules, in the firmware's order; none where it lists none.
pub fn memory_modules(root: &Root) -> Vec<MemoryModule> {
    let Some(smbios) = Smbios::read(root) else {
        return Vec::new();
    };
    smbios
        .structures()
        .filter(|structure| structure.kind == MEMORY_DEVICE)
        .map(|structure| module(&structure))
        .collect()
}

fn module(structure: &Structure<'_>) -> MemoryModule {
    let size = structure.memory_size();
    // Of an empty place firmware says "Not Specified", "NO DIMM" or nothing.
    let text = |offset| structure.string(offset).filter(|_| size.is_some());
    MemoryModule {
        slot: structure.string(0x10).or_else(|| structure.string(0x11)),
        size,
        kind: structure.byte(0x12).and_then(kind),
        speed: speed(structure, 0x20, 0x58).or_else(|| speed(structure, 0x15, 0x54)),
        maker: text(0x17),
        part_number: text(0x1a),
        serial_number: text(0x18),
    }
}

/// 0 is unknown; what does not fit stands in the extended field.
fn speed(structure: &Structure<'_>, offset: usize, extended: usize) -> Option<u32> {
    match structure.word(offset)? {
        0 => None,
        0xffff => structure.double_word(extended),
        speed => Some(u32::from(speed)),
    }
}

/// Table 78 of the specification, as far as servers have it.
fn kind(code: u8) -> Option<&'static str> {
    Some(match code {
        0x12 => "DDR",
        0x13 => "DDR2",
        0x14 => "DDR2 FB-DIMM",
        0x18 => "DDR3",
        0x1a => "DDR4",
        0x1b => "LPDDR",
        0x1c => "LPDDR2",
        0x1d => "LPDDR3",
        0x1e => "LPDDR4",
        0x1f => "NVDIMM",
        0x20 => "HBM",
        0x21 => "HBM2",
        0x22 => "DDR5",
        0x23 => "LPDDR5",
        0x24 => "HBM3",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::smbios::tests::structure;

    #[test]
    fn a_module_and_an_empty_place() {
        let table = [
            structure(
                MEMORY_DEVICE,
                1,
                0x5c,
                &[
                    (0x0c, &[0xff, 0x7f]),
                    (0x10, &[1]),
                    (0x12, &[0x22]),
                    (0x15, &[0xff, 0xff]),
                    (0x17, &[2, 3, 0, 4]),
                    (0x1c, &[0, 0, 1, 0]),
                    (0x54, &[0, 0x80, 1, 0]),
                ],
                &[b"DIMM_A1", b"ACME", b"S1", b"P-64G "],
            ),
            structure(
                MEMORY_DEVICE,
                2,
                0x22,
                &[(0x11, &[1]), (0x17, &[2])],
                &[b"BANK 1", b"NO DIMM"],
            ),
        ];
        let smbios = Smbios::new(b"", table.concat());
        let modules: Vec<_> = smbios
            .structures()
            .map(|module_| module(&module_))
            .collect();
        assert_eq!(
            modules,
            [
                MemoryModule {
                    slot: Some("DIMM_A1".to_owned()),
                    size: Some(64 << 30),
                    kind: Some("DDR5"),
                    speed: Some(98_304),
                    maker: Some("ACME".to_owned()),
                    part_number: Some("P-64G".to_owned()),
                    serial_number: Some("S1".to_owned()),
                },
                MemoryModule {
                    slot: Some("BANK 1".to_owned()),
                    ..MemoryModule::default()
                },
            ]
        );
    }
}
