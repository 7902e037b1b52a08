//! Secrets in the firmware's table. Lengths stay, so the entry point, which has the checksums and
//! the table's length, stays as it is.
//!
//! What stays is listed by type of structure, and everything else goes: strings and numbers that a
//! later version of the specification adds, structures of a maker's own, and what no structure
//! holds.

use std::collections::BTreeSet;
use std::ops::Range;

use super::host_interface;
use super::pass::Pass;
use super::secrets::mixed;

/// What of a structure stays; offsets are those of the specification (DSP0134 3.7, clause 7).
struct Layout {
    kind: u8,
    /// Where numbers of strings stand that say what kind of thing it is.
    kept: &'static [usize],
    /// Where numbers of strings stand that are serial numbers and asset tags.
    serials: &'static [usize],
    /// From where to where (exclusive) numbers stay, the numbers of strings among them.
    numbers: &'static [(usize, usize)],
}

const fn layout(
    kind: u8,
    kept: &'static [usize],
    serials: &'static [usize],
    numbers: &'static [(usize, usize)],
) -> Layout {
    Layout {
        kind,
        kept,
        serials,
        numbers,
    }
}

const LAYOUTS: &[Layout] = &[
    // Firmware: maker, version, date.
    layout(0, &[0x04, 0x05, 0x08], &[], &[(0x04, 0x1a)]),
    // System: maker, product, version, SKU, family; the UUID is masked beside this.
    layout(
        1,
        &[0x04, 0x05, 0x06, 0x19, 0x1a],
        &[0x07],
        &[(0x04, 0x08), (0x18, 0x1b)],
    ),
    // Board: maker, product, version.
    layout(
        2,
        &[0x04, 0x05, 0x06],
        &[0x07, 0x08],
        &[(0x04, 0x0a), (0x0b, 0x0f)],
    ),
    // Chassis: maker, version; the SKU is found beside this.
    layout(
        3,
        &[0x04, 0x06],
        &[0x07, 0x08],
        &[(0x04, 0x0d), (0x11, 0x15)],
    ),
    // Processor: socket, maker, version, part number, kind of socket.
    layout(
        4,
        &[0x04, 0x07, 0x10, 0x22, 0x32],
        &[0x20, 0x21],
        &[(0x04, 0x33)],
    ),
    // Memory controller and module, of old.
    layout(5, &[], &[], &[(0x04, 0x0f)]),
    layout(6, &[0x04], &[], &[(0x04, 0x0c)]),
    // Cache, port, slot.
    layout(7, &[0x04], &[], &[(0x04, 0x1b)]),
    layout(8, &[0x04, 0x06], &[], &[(0x04, 0x09)]),
    layout(9, &[0x04], &[], &[(0x04, 0x13)]),
    // Strings and settings of the maker: their count.
    layout(11, &[], &[], &[(0x04, 0x05)]),
    layout(12, &[], &[], &[(0x04, 0x05)]),
    // Languages: their count and flags.
    layout(13, &[0x15], &[], &[(0x04, 0x06), (0x15, 0x16)]),
    // Group: its name goes, its members stay; there are as many as fit.
    layout(14, &[], &[], &[(0x05, 0xff)]),
    // Event log, without its place and its change token.
    layout(15, &[], &[], &[(0x04, 0x0c), (0x14, 0x17)]),
    // Memory array.
    layout(16, &[], &[], &[(0x04, 0x17)]),
    // Memory module: locators, maker, part number, firmware version.
    layout(
        17,
        &[0x10, 0x11, 0x17, 0x1a, 0x2b],
        &[0x18, 0x19],
        &[(0x04, 0x64)],
    ),
    // Memory errors: what kind.
    layout(18, &[], &[], &[(0x04, 0x07)]),
    // Mapped addresses, pointing device.
    layout(19, &[], &[], &[(0x04, 0x1f)]),
    layout(20, &[], &[], &[(0x04, 0x23)]),
    layout(21, &[], &[], &[(0x04, 0x07)]),
    // Battery: maker, model, data version, chemistry; not its place, day of manufacture, serial
    // number as a number and what the maker likes.
    layout(
        22,
        &[0x05, 0x08, 0x0e, 0x14],
        &[0x07],
        &[(0x05, 0x06), (0x07, 0x10), (0x14, 0x16)],
    ),
    // Reset, security.
    layout(23, &[], &[], &[(0x04, 0x0d)]),
    layout(24, &[], &[], &[(0x04, 0x05)]),
    // Probes and fans, without their descriptions and what the maker likes.
    layout(26, &[], &[], &[(0x05, 0x10), (0x14, 0x16)]),
    layout(27, &[], &[], &[(0x04, 0x08), (0x0c, 0x0e)]),
    layout(28, &[], &[], &[(0x05, 0x10), (0x14, 0x16)]),
    layout(29, &[], &[], &[(0x05, 0x10), (0x14, 0x16)]),
    // Remote access: maker.
    layout(30, &[0x04], &[], &[(0x04, 0x06)]),
    // Boot status, without codes of the maker.
    layout(32, &[], &[], &[(0x0a, 0x0b)]),
    layout(33, &[], &[], &[(0x04, 0x07)]),
    // Management devices: type, and how they belong together.
    layout(34, &[], &[], &[(0x05, 0x06), (0x0a, 0x0b)]),
    layout(35, &[], &[], &[(0x05, 0x0b)]),
    layout(36, &[], &[], &[(0x04, 0x10)]),
    // Memory channel.
    layout(37, &[], &[], &[(0x04, 0xff)]),
    // IPMI device.
    layout(38, &[], &[], &[(0x04, 0x12)]),
    // Power supply: model, maker, part number, revision; not its place.
    layout(
        39,
        &[0x06, 0x07, 0x0a, 0x0b],
        &[0x08, 0x09],
        &[(0x06, 0x16)],
    ),
    // Device on board: where.
    layout(41, &[0x04], &[], &[(0x04, 0x0b)]),
    // TPM: maker and firmware.
    layout(43, &[], &[], &[(0x04, 0x12), (0x13, 0x1b)]),
    // Processor's additions: of which, and how long.
    layout(44, &[], &[], &[(0x04, 0x08)]),
    // Firmware of a component: name, version, date, maker, lowest version; not its identifier.
    layout(
        45,
        &[0x04, 0x05, 0x09, 0x0a, 0x0b],
        &[],
        &[(0x04, 0x07), (0x08, 0x18)],
    ),
    // String property: of what.
    layout(46, &[], &[], &[(0x04, 0x06), (0x07, 0x09)]),
];

/// Type, length and handle.
const HEADER: usize = 4;

const SYSTEM: u8 = 1;
const CHASSIS: u8 = 3;
const HOST_INTERFACE: u8 = 42;
const END_OF_TABLE: u8 = 127;

/// The system's UUID.
const UUID: Range<usize> = 0x08..0x18;
/// How many elements a chassis holds, and the length of each; its SKU is behind them.
const CHASSIS_ELEMENTS: Range<usize> = 0x13..0x15;

/// What stands where in a structure.
struct Parts {
    kind: u8,
    area: Range<usize>,
    strings: Vec<Range<usize>>,
}

/// The table in one of the passes.
pub(super) fn table(pass: &mut Pass, mut table: Vec<u8>) -> Vec<u8> {
    let (structures, end) = structures(&table);
    for parts in structures {
        structure(pass, &mut table, &parts);
    }
    // Behind the last structure nothing reads, and firmware leaves what was there before.
    pass.number(&mut table[end..]);
    table
}

fn structure(pass: &mut Pass, table: &mut [u8], parts: &Parts) {
    const UNKNOWN: Layout = layout(0xff, &[], &[], &[]);
    let layout = LAYOUTS
        .iter()
        .find(|layout| layout.kind == parts.kind)
        .unwrap_or(&UNKNOWN);
    let area = table[parts.area.clone()].to_vec();
    let mut kept: BTreeSet<usize> = numbers(&area, layout.kept);
    let mut masked = area.clone();
    pass.number(&mut masked[HEADER..]);
    for (start, end) in layout.numbers {
        let range = *start.min(&area.len())..*end.min(&area.len());
        masked[range.clone()].copy_from_slice(&area[range]);
    }
    match parts.kind {
        SYSTEM => {
            if let Some(uuid) = area.get(UUID).and_then(|uuid| uuid.try_into().ok()) {
                // Since SMBIOS 2.6 in mixed order, which is how it is written everywhere else.
                masked[UUID].copy_from_slice(&mixed(pass.uuid(mixed(uuid))));
            }
        }
        CHASSIS => {
            if let Some([count, length]) = area.get(CHASSIS_ELEMENTS) {
                let at = CHASSIS_ELEMENTS.end + usize::from(*count) * usize::from(*length);
                kept.extend(numbers(&area, &[at]));
                // What is in the chassis, the SKU and, of later versions, height and kind of rack.
                let end = area.len().min(at + 3);
                let elements = CHASSIS_ELEMENTS.end.min(end)..end;
                masked[elements.clone()].copy_from_slice(&area[elements]);
            }
        }
        HOST_INTERFACE => host_interface::area(pass, &area, &mut masked),
        _ => {}
    }
    table[parts.area.clone()].copy_from_slice(&masked);
    let serials = numbers(&area, layout.serials);
    for (number, place) in (1..).zip(parts.strings.iter().cloned()) {
        let string = &mut table[place];
        match std::str::from_utf8(string) {
            // A string that stands for both is a secret.
            Ok(text) if serials.contains(&number) => {
                let masked = pass.serial(text);
                string.copy_from_slice(masked.as_bytes());
            }
            _ if kept.contains(&number) && !serials.contains(&number) => {}
            _ => pass.gone(string),
        }
    }
}

/// The numbers of strings at these offsets.
fn numbers(area: &[u8], offsets: &[usize]) -> BTreeSet<usize> {
    offsets
        .iter()
        .filter_map(|offset| area.get(*offset))
        .map(|number| usize::from(*number))
        .collect()
}

/// All structures, as [`Smbios`](crate::inventory::Smbios) finds them, and where the last one ends.
fn structures(table: &[u8]) -> (Vec<Parts>, usize) {
    let mut found = Vec::new();
    let mut start = 0;
    while let Some(header) = table.get(start..start + HEADER) {
        let end = start + usize::from(header[1]);
        if usize::from(header[1]) < HEADER || end > table.len() {
            break;
        }
        let mut strings = Vec::new();
        let mut at = end;
        loop {
            let length = table[at..].iter().position(|byte| *byte == 0);
            let stop = at + length.unwrap_or(table.len() - at);
            if stop > at {
                strings.push(at..stop);
            }
            // Two zeros end a structure, also one without strings.
            let is_last = length.is_none() || (stop == at && at > end);
            at = (stop + 1).min(table.len());
            if is_last || at == table.len() {
                break;
            }
            if stop == end && table.get(at) == Some(&0) {
                at += 1;
                break;
            }
        }
        found.push(Parts {
            kind: header[0],
            area: start..end,
            strings,
        });
        start = at;
        if header[0] == END_OF_TABLE {
            break;
        }
    }
    (found, start)
}
