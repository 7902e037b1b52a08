//! Secrets and their masks.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::sys::hex;

/// What was found, by kind. Hexadecimal text is in lower case.
#[derive(Debug, Default)]
pub(super) struct Secrets {
    /// Serial numbers, asset tags, volume ids of FAT.
    pub(super) serials: BTreeSet<String>,
    /// Halves of world wide names: 16 hexadecimal digits, the first half or the only one.
    pub(super) names: BTreeSet<String>,
    /// Second halves.
    pub(super) extensions: BTreeSet<String>,
    /// UUIDs in the order in which they are written.
    pub(super) uuids: BTreeSet<[u8; 16]>,
    /// MAC addresses.
    pub(super) macs: BTreeSet<[u8; 6]>,
}

/// What to replace by what, of the same length.
#[derive(Debug, Default)]
pub(super) struct Masks {
    /// By the first byte of the secret, so that a text is gone through once.
    replacements: BTreeMap<u8, Vec<Replacement>>,
    serials: BTreeMap<String, String>,
    macs: BTreeMap<[u8; 6], [u8; 6]>,
}

#[derive(Debug)]
struct Replacement {
    secret: Vec<u8>,
    mask: Vec<u8>,
    /// Only between other characters than letters and digits: the secret is short enough to stand
    /// in something else by chance.
    is_word: bool,
}

/// Digits of a world wide name that say who made the disk: the format and 24 bits of the maker.
const MAKER: usize = 7;

impl Masks {
    pub(super) fn of(secrets: Secrets) -> Self {
        let mut masks = Self::default();
        for (number, name) in (1..).zip(secrets.names) {
            let mask = format!("{}{number:09x}", &name[..MAKER]);
            masks.hexadecimal(&name, &mask);
        }
        for (number, name) in (1..).zip(secrets.extensions) {
            masks.hexadecimal(&name, &format!("{number:016x}"));
        }
        for (number, uuid) in (1u32..).zip(secrets.uuids) {
            masks.uuid(uuid, number);
        }
        for (number, mac) in (1u32..).zip(secrets.macs) {
            masks.mac(mac, number);
        }
        for (number, serial) in (1..).zip(secrets.serials) {
            let mask = serial_mask(&serial, number);
            if is_telling(&serial) {
                // NVMe's names have serial numbers in hexadecimal.
                masks.anywhere(hex::encode(serial.as_bytes()), hex::encode(mask.as_bytes()));
                masks.add(serial.as_bytes(), mask.as_bytes(), true);
            }
            masks.serials.insert(serial, mask);
        }
        for replacements in masks.replacements.values_mut() {
            // The longest that fits counts.
            replacements.sort_by_key(|replacement| Reverse(replacement.secret.len()));
        }
        masks
    }

    /// Text with all secrets masked.
    pub(super) fn text(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.bytes(text.as_bytes())).into_owned()
    }

    /// Bytes with all secrets masked.
    pub(super) fn bytes(&self, bytes: &[u8]) -> Vec<u8> {
        let mut masked = bytes.to_vec();
        let mut at = 0;
        while let Some(first) = bytes.get(at) {
            let candidates = self.replacements.get(first).into_iter().flatten();
            let found = candidates
                .filter(|candidate| stands_at(bytes, at, &candidate.secret, candidate.is_word))
                .map(|candidate| &candidate.mask)
                .next();
            match found {
                Some(mask) => {
                    masked[at..at + mask.len()].copy_from_slice(mask);
                    at += mask.len();
                }
                None => at += 1,
            }
        }
        masked
    }

    /// The mask of a serial number that was found; of any other text, its shape.
    pub(super) fn serial(&self, serial: &str) -> String {
        self.serials
            .get(serial)
            .cloned()
            .unwrap_or_else(|| serial_mask(serial, 0))
    }

    /// A serial number that was found and is only masked where it is known to be one, and its mask.
    pub(super) fn short_serial(&self, serial: &str) -> Option<(String, String)> {
        let (serial, mask) = self.serials.get_key_value(serial)?;
        (!is_telling(serial)).then(|| (serial.clone(), mask.clone()))
    }

    /// The mask of a MAC that was found.
    pub(super) fn mac_of(&self, mac: [u8; 6]) -> Option<[u8; 6]> {
        self.macs.get(&mac).copied()
    }

    /// Hexadecimal text in both cases, and its bytes.
    fn hexadecimal(&mut self, secret: &str, mask: &str) {
        self.anywhere(secret.to_owned(), mask.to_owned());
        self.anywhere(secret.to_uppercase(), mask.to_uppercase());
        if let (Some(secret), Some(mask)) = (hex::decode(secret), hex::decode(mask)) {
            self.add(&secret, &mask, false);
        }
    }

    fn uuid(&mut self, uuid: [u8; 16], number: u32) {
        // Version 4, as random ones are.
        let mut mask = [0; 16];
        (mask[6], mask[8]) = (0x40, 0x80);
        mask[12..].copy_from_slice(&number.to_be_bytes());
        for (separator, groups) in [("-", &[4, 6, 8, 10][..]), (":", &[4, 8, 12]), ("", &[])] {
            let [secret, mask] = [uuid, mask].map(|uuid| grouped(&uuid, separator, groups));
            self.hexadecimal(&secret, &mask);
        }
        self.add(&mixed(uuid), &mixed(mask), false);
    }

    fn mac(&mut self, mac: [u8; 6], number: u32) {
        let mut mask = mac;
        mask[3..].copy_from_slice(&number.to_be_bytes()[1..]);
        for separator in [":", "-", ""] {
            let [secret, mask] = [mac, mask].map(|mac| grouped(&mac, separator, &[1, 2, 3, 4, 5]));
            self.hexadecimal(&secret, &mask);
        }
        self.macs.insert(mac, mask);
    }

    fn anywhere(&mut self, secret: String, mask: String) {
        self.add(secret.as_bytes(), mask.as_bytes(), false);
    }

    fn add(&mut self, secret: &[u8], mask: &[u8], is_word: bool) {
        if let Some(first) = secret.first() {
            self.replacements
                .entry(*first)
                .or_default()
                .push(Replacement {
                    secret: secret.to_owned(),
                    mask: mask.to_owned(),
                    is_word,
                });
        }
    }
}

/// Hexadecimal text with a separator before the bytes at these places.
fn grouped(bytes: &[u8], separator: &str, before: &[usize]) -> String {
    let mut text = String::new();
    for (index, byte) in bytes.iter().enumerate() {
        if before.contains(&index) {
            text.push_str(separator);
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// As SMBIOS 2.6 and GPT keep UUIDs: the first three fields with their low byte first.
pub(super) fn mixed(mut uuid: [u8; 16]) -> [u8; 16] {
    uuid[..4].reverse();
    uuid[4..6].reverse();
    uuid[6..8].reverse();
    uuid
}

/// Whether a serial number can be told from other text. Short ones and short numbers are masked
/// only where they are known to be one.
fn is_telling(serial: &str) -> bool {
    let has = |test: fn(&u8) -> bool| serial.as_bytes().iter().any(test);
    has(u8::is_ascii_digit) && serial.len() >= if has(u8::is_ascii_alphabetic) { 4 } else { 7 }
}

/// Every letter an X, every digit a 0.
pub(super) fn shape(text: &mut [u8]) {
    for byte in text {
        *byte = match *byte {
            b'a'..=b'z' => b'x',
            b'A'..=b'Z' => b'X',
            b'0'..=b'9' => b'0',
            // Bytes above ASCII would no longer be UTF-8 if one was kept without the others.
            other if other.is_ascii() => other,
            _ => b'x',
        };
    }
}

/// The same shape with the number at its end: `S4EV-12B` becomes `X0XX-01X` for 1.
fn serial_mask(serial: &str, number: u32) -> String {
    let mut mask = serial.as_bytes().to_vec();
    shape(&mut mask);
    let digits: Vec<u8> = number.to_string().into_bytes();
    let places = |test: fn(&u8) -> bool| -> Vec<usize> {
        (0..mask.len()).filter(|at| test(&mask[*at])).collect()
    };
    let mut room = places(u8::is_ascii_digit);
    if room.len() < digits.len() {
        room = places(u8::is_ascii_alphanumeric);
    }
    for (at, digit) in room.into_iter().rev().zip(digits.into_iter().rev()) {
        mask[at] = digit;
    }
    // Only ASCII was written.
    String::from_utf8_lossy(&mask).into_owned()
}

/// Whether masking this serial number also masks a part of that text.
pub(super) fn is_part_of(serial: &str, text: &str) -> bool {
    is_telling(serial)
        && text
            .match_indices(serial)
            .any(|(at, _)| stands_at(text.as_bytes(), at, serial.as_bytes(), true))
}

fn stands_at(bytes: &[u8], at: usize, secret: &[u8], is_word: bool) -> bool {
    let is_part = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let before = at.checked_sub(1).and_then(|before| bytes.get(before));
    bytes[at..].starts_with(secret)
        && !(is_word && (is_part(before) || is_part(bytes.get(at + secret.len()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_has_the_shape_of_its_serial_number() {
        assert_eq!(serial_mask("S4EV-12B", 1), "X0XX-01X");
        assert_eq!(serial_mask("n1-0", 12), "x1-2");
        assert_eq!(serial_mask("AB3", 12), "X12");
        assert_eq!(serial_mask("", 1), "");
        assert_eq!(serial_mask("é1", 1).len(), "é1".len());
    }

    #[test]
    fn short_words_and_numbers_stay_in_other_text() {
        for serial in ["S1", "None", "123456", "0000"] {
            assert!(!is_telling(serial), "{serial}");
        }
        for serial in ["n1-0", "1234567", "S4EVNX0M123456"] {
            assert!(is_telling(serial), "{serial}");
        }
    }

    #[test]
    fn every_form_of_a_secret_is_masked_the_same() {
        let uuid: [u8; 16] = std::array::from_fn(|index| index as u8 + 0x10);
        let mut secrets = Secrets::default();
        secrets.uuids.insert(uuid);
        secrets.macs.insert([0x3c, 0xec, 0xef, 0xa, 0xb, 0xc]);
        secrets.names.insert("5000c500aabbccdd".to_owned());
        secrets.serials.insert("n1-2".to_owned());
        let masks = Masks::of(secrets);
        assert_eq!(masks.text("3c:ec:ef:0a:0b:0c"), "3c:ec:ef:00:00:01");
        assert_eq!(masks.text("01-3C-EC-EF-0A-0B-0C"), "01-3C-EC-EF-00-00-01");
        assert_eq!(masks.text("enx3cecef0a0b0c"), "enx3cecef000001");
        assert_eq!(
            masks.bytes(&[9, 0x3c, 0xec, 0xef, 0xa, 0xb, 0xc]),
            [9, 0x3c, 0xec, 0xef, 0, 0, 1]
        );
        assert_eq!(masks.text("35000C500AABBCCDD"), "35000C50000000001");
        assert_eq!(
            masks.text("10111213-1415-1617-1819-1A1B1C1D1E1F"),
            "00000000-0000-4000-8000-000000000001"
        );
        assert_eq!(masks.bytes(&mixed(uuid))[7..9], [0x40, 0x80]);
        assert_eq!(
            masks.text("0QEMU_n1-2 an1-2 n1-23"),
            "0QEMU_x0-1 an1-2 n1-23"
        );
        assert_eq!(masks.text("nvme.1b36-6e312d32"), "nvme.1b36-78302d31");
    }
}
