//! Secrets in the firmware's table. Lengths stay, so the entry point, which has the checksums and
//! the table's length, stays as it is.

use std::ops::Range;

use super::secrets::{Masks, Secrets, mixed};

/// Offsets of the string numbers of serial numbers and asset tags by structure type (DSP0134, 7):
/// system, board, chassis, processor, memory module, battery, power supply.
const STRINGS: [(u8, &[usize]); 7] = [
    (1, &[0x07]),
    (2, &[0x07, 0x08]),
    (3, &[0x07, 0x08]),
    (4, &[0x20, 0x21]),
    (17, &[0x18, 0x19]),
    (22, &[0x07]),
    (39, &[0x08, 0x09]),
];
const SYSTEM: u8 = 1;
/// The system's UUID, 16 bytes.
const UUID: Range<usize> = 0x08..0x18;
/// Strings that the maker writes what it likes into; service tags are found here.
const MAKERS_STRINGS: u8 = 11;
/// From here on structures are a maker's own, of unknown content.
const MAKERS_OWN: u8 = 128;

/// What stands where in a structure.
struct Parts {
    kind: u8,
    area: Range<usize>,
    strings: Vec<Range<usize>>,
}

/// The serial numbers and UUIDs of a table.
pub(super) fn secrets(table: &[u8]) -> Secrets {
    let mut secrets = Secrets::default();
    for parts in structures(table) {
        for place in parts.secret_strings(table) {
            let text = String::from_utf8_lossy(&table[place]);
            // "Not Specified" and the like are nobody's.
            if text.bytes().any(|byte| byte.is_ascii_digit()) {
                secrets.serials.insert(text.trim().to_owned());
            }
        }
        let uuid = parts
            .uuid(table)
            .and_then(|place| table[place].try_into().ok());
        // Since SMBIOS 2.6 in mixed order, which is how it is written everywhere else.
        secrets.uuids.extend(
            uuid.map(mixed)
                .filter(|uuid| *uuid != [0; 16] && *uuid != [0xff; 16]),
        );
    }
    secrets
}

/// The table with what only it has masked, too: asset tags without a number, short serial numbers,
/// the makers' own structures.
pub(super) fn masked(mut table: Vec<u8>, masks: &Masks) -> Vec<u8> {
    for parts in structures(&table) {
        for place in parts.secret_strings(&table) {
            let text = &table[place.clone()];
            let Ok(text) = std::str::from_utf8(text) else {
                table[place].fill(b'X');
                continue;
            };
            let masked = text.replace(text.trim(), &masks.serial(text.trim()));
            if !is_placeholder(text) && masked.len() == place.len() {
                table[place].copy_from_slice(masked.as_bytes());
            }
        }
        if parts.kind == MAKERS_STRINGS || parts.kind >= MAKERS_OWN {
            for place in parts.strings {
                table[place].fill(b'X');
            }
        }
        if parts.kind >= MAKERS_OWN {
            table[parts.area.start + 4..parts.area.end].fill(0);
        }
    }
    table
}

/// What firmware writes where it has nothing to say.
fn is_placeholder(text: &str) -> bool {
    let text = text.trim().to_lowercase();
    let is = |words: &[&str]| words.iter().any(|word| text.contains(word));
    text.is_empty()
        || is(&[
            "not specified",
            "to be filled",
            "default string",
            "unknown",
            "no dimm",
            "not available",
        ])
        || ["none", "n/a", "na", "empty"].contains(&text.as_str())
}

impl Parts {
    /// The strings whose numbers stand at the offsets for this type.
    fn secret_strings(&self, table: &[u8]) -> Vec<Range<usize>> {
        let offsets = STRINGS
            .iter()
            .find(|(kind, _)| *kind == self.kind)
            .map_or(&[][..], |(_, offsets)| offsets);
        offsets
            .iter()
            .filter_map(|offset| {
                let number = usize::from(*table[self.area.clone()].get(*offset)?);
                self.strings.get(number.checked_sub(1)?).cloned()
            })
            .collect()
    }

    fn uuid(&self, table: &[u8]) -> Option<Range<usize>> {
        let place = self.area.start + UUID.start..self.area.start + UUID.end;
        (self.kind == SYSTEM && place.end <= self.area.end && place.end <= table.len())
            .then_some(place)
    }
}

/// All structures, as [`Smbios`](crate::inventory::Smbios) finds them.
fn structures(table: &[u8]) -> Vec<Parts> {
    let mut found = Vec::new();
    let mut start = 0;
    while let Some(header) = table.get(start..start + 4) {
        let end = start + usize::from(header[1]);
        if header[1] < 4 || end > table.len() {
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
    }
    found
}
