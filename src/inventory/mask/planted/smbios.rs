//! A firmware's table in which everything is planted.

use std::collections::BTreeSet;

use super::secret::Secrets;

/// A structure: what of it stays, and what goes.
struct Structure {
    kind: u8,
    /// Of the formatted area, with its header.
    length: usize,
    /// Offsets of strings that say what kind of thing it is.
    kept: &'static [usize],
    /// Offsets of strings that go.
    planted: &'static [usize],
    /// Offsets of eight bytes that go.
    numbers: &'static [usize],
}

const fn of(
    kind: u8,
    length: usize,
    kept: &'static [usize],
    planted: &'static [usize],
    numbers: &'static [usize],
) -> Structure {
    Structure {
        kind,
        length,
        kept,
        planted,
        numbers,
    }
}

/// The structures of DSP0134 3.7 that hold more than numbers of a kind of machine.
const STRUCTURES: &[Structure] = &[
    of(0, 0x22, &[0x04, 0x05, 0x08], &[], &[0x1a]),
    of(1, 0x23, &[0x04, 0x05, 0x06, 0x19, 0x1a], &[0x07], &[0x1b]),
    of(2, 0x17, &[0x04, 0x05, 0x06], &[0x07, 0x08, 0x0a], &[0x0f]),
    of(3, 0x20, &[0x04, 0x06, 0x15], &[0x07, 0x08], &[0x18]),
    of(
        4,
        0x3b,
        &[0x04, 0x07, 0x10, 0x22, 0x32],
        &[0x20, 0x21],
        &[0x33],
    ),
    of(6, 0x14, &[0x04], &[], &[0x0c]),
    of(7, 0x23, &[0x04], &[], &[0x1b]),
    of(8, 0x11, &[0x04, 0x06], &[], &[0x09]),
    of(9, 0x1b, &[0x04], &[], &[0x13]),
    of(10, 0x14, &[], &[0x05, 0x07], &[0x0c]),
    of(11, 0x05, &[], &[], &[]),
    of(12, 0x05, &[], &[], &[]),
    of(13, 0x1e, &[0x15], &[], &[0x06, 0x16]),
    of(14, 0x05, &[], &[0x04], &[]),
    of(15, 0x1f, &[], &[], &[0x0c, 0x17]),
    of(
        17,
        0x6c,
        &[0x10, 0x11, 0x17, 0x1a, 0x2b],
        &[0x18, 0x19],
        &[0x64],
    ),
    of(18, 0x17, &[], &[], &[0x07, 0x0f]),
    of(
        22,
        0x22,
        &[0x05, 0x08, 0x0e, 0x14],
        &[0x04, 0x06, 0x07],
        &[0x1a],
    ),
    of(26, 0x1e, &[], &[0x04], &[0x16]),
    of(27, 0x18, &[], &[0x0e], &[0x10]),
    of(28, 0x1e, &[], &[0x04], &[0x16]),
    of(29, 0x1e, &[], &[0x04], &[0x16]),
    of(30, 0x0e, &[0x04], &[], &[0x06]),
    of(31, 0x1c, &[], &[], &[0x04, 0x0c, 0x14]),
    of(32, 0x14, &[], &[], &[0x0b]),
    of(34, 0x13, &[], &[0x04], &[0x0b]),
    of(35, 0x13, &[], &[0x04], &[0x0b]),
    of(38, 0x1a, &[], &[], &[0x12]),
    of(
        39,
        0x1e,
        &[0x06, 0x07, 0x0a, 0x0b],
        &[0x05, 0x08, 0x09],
        &[0x16],
    ),
    of(40, 0x1c, &[], &[0x0a], &[0x0c, 0x14]),
    of(41, 0x13, &[0x04], &[], &[0x0b]),
    of(43, 0x23, &[], &[0x12], &[0x1b]),
    of(44, 0x18, &[], &[], &[0x08, 0x10]),
    of(45, 0x20, &[0x04, 0x05, 0x09, 0x0a, 0x0b], &[0x07], &[0x18]),
    of(46, 0x11, &[], &[0x06], &[0x09]),
];

/// Four bytes that go, by type and offset: a battery's serial number and date, addresses, and what a
/// maker likes.
const WORDS: [(u8, usize); 8] = [
    (3, 0x0d),
    (22, 0x10),
    (22, 0x16),
    (26, 0x10),
    (27, 0x08),
    (28, 0x10),
    (29, 0x10),
    (34, 0x06),
];

const HEADER: usize = 4;
const UUID: std::ops::Range<usize> = 8..24;
const HOST_INTERFACE: u8 = 42;
const END: u8 = 127;

/// The table, and the strings that must still be in it when it is masked.
pub(super) fn table(secrets: &mut Secrets) -> (Vec<u8>, Vec<String>) {
    let mut table = Vec::new();
    let mut kept = Vec::new();
    let known: BTreeSet<u8> = STRUCTURES.iter().map(|structure| structure.kind).collect();
    for structure in STRUCTURES {
        let mut area = area(structure.kind, structure.length);
        let mut strings = Vec::new();
        for offset in structure.kept {
            let text = format!("Kept {:02x}h of type {}", offset, structure.kind);
            strings.push(text.clone());
            kept.push(text);
            area[*offset] = strings.len() as u8;
        }
        for offset in structure.planted {
            strings.push(secrets.text(&format!("text.type{}-{offset:02x}h", structure.kind)));
            area[*offset] = strings.len() as u8;
        }
        for offset in structure.numbers {
            let name = format!("bytes.type{}-{offset:02x}h", structure.kind);
            area[*offset..*offset + 8].copy_from_slice(&secrets.bytes(&name));
        }
        for (kind, offset) in WORDS
            .into_iter()
            .filter(|(kind, _)| *kind == structure.kind)
        {
            let word = secrets.bytes(&format!("word.type{kind}-{offset:02x}h"));
            area[offset..offset + 4].copy_from_slice(&word);
        }
        if structure.kind == 1 {
            let mut uuid = secrets.bytes("uuid.system");
            uuid[..4].reverse();
            uuid[4..6].reverse();
            uuid[6..8].reverse();
            area[UUID].copy_from_slice(&uuid);
        }
        // No field speaks of this one.
        strings.push(secrets.text(&format!("text.type{}-stray", structure.kind)));
        push(&mut table, &area, &strings);
    }
    for interface in [redfish_over_usb(secrets), redfish_over_ip(secrets, 2)] {
        let stray = secrets.text("text.type42-stray");
        push(&mut table, &interface, &[stray]);
    }
    // Types that a later version of the specification may give a meaning, and a maker's own.
    for kind in (47..=255).filter(|kind| *kind != END && !known.contains(kind)) {
        let mut area = area(kind, HEADER + 9);
        area[HEADER] = 1;
        area[HEADER + 1..].copy_from_slice(&secrets.bytes(&format!("bytes.type{kind}")));
        let text = secrets.text(&format!("text.type{kind}"));
        push(&mut table, &area, &[text]);
    }
    push(&mut table, &area(END, HEADER), &[]);
    table.extend(secrets.bytes("bytes.behind-the-end"));
    table.extend(secrets.text("text.behind-the-end").into_bytes());
    (table, kept)
}

fn area(kind: u8, length: usize) -> Vec<u8> {
    let mut area = vec![0; length];
    area[0] = kind;
    area[1] = length as u8;
    area[2] = kind;
    area
}

fn push(table: &mut Vec<u8>, area: &[u8], strings: &[String]) {
    table.extend(area);
    for string in strings {
        table.extend(string.as_bytes());
        table.push(0);
    }
    if strings.is_empty() {
        table.push(0);
    }
    table.push(0);
}

/// A controller on USB, with a serial number and a MAC of its own (DSP0270 1.3, clause 8).
fn redfish_over_usb(secrets: &mut Secrets) -> Vec<u8> {
    let mut own = vec![4, 0x11, 0x6b, 0x04, 0xff, 0xff, 0x01];
    own.extend(secrets.bytes("mac.type42"));
    own.extend(secrets.bytes("bytes.type42-usb"));
    host_interface(&own, &redfish(secrets, 1, "usb"))
}

fn redfish_over_ip(secrets: &mut Secrets, format: u8) -> Vec<u8> {
    let mut own = vec![5];
    own.extend(secrets.bytes("bytes.type42-pci"));
    host_interface(&own, &redfish(secrets, format, "pci"))
}

fn host_interface(own: &[u8], redfish: &[u8]) -> Vec<u8> {
    let mut area = area(HOST_INTERFACE, HEADER);
    area.extend([0x40, own.len() as u8]);
    area.extend(own);
    // Redfish over IP, and a protocol of a maker's own.
    area.extend([1, 4, redfish.len() as u8]);
    area.extend(redfish);
    area[1] = area.len() as u8;
    area
}

/// Redfish over IP (DSP0270, table 4).
fn redfish(secrets: &mut Secrets, format: u8, name: &str) -> Vec<u8> {
    let mut data = secrets.bytes(&format!("uuid.type42-{name}"));
    for whose in ["host", "controller"] {
        data.extend([1, format]);
        let kind = if format == 1 { "ip4" } else { "ip6" };
        let mut address = secrets.bytes(&format!("{kind}.type42-{name}-{whose}"));
        address.resize(16, 0);
        data.extend(address);
        data.extend([0xff; 8].into_iter().chain([0; 8]));
    }
    data.extend([0xbb, 0x01, 0, 0, 0, 0]);
    let host = secrets.text(&format!("text.type42-{name}-host"));
    data.push(host.len() as u8);
    data.extend(host.into_bytes());
    data
}
