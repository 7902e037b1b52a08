//! Secrets and their masks.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::addresses;
use crate::sys::hex;

/// What was found, by kind. Hexadecimal text is in lower case.
#[derive(Debug, Default)]
pub(super) struct Secrets {
    /// Serial numbers, asset tags, the host name, identifiers that are no UUID.
    pub(super) serials: BTreeSet<String>,
    /// Those of the serial numbers that are the host's name.
    pub(super) hosts: BTreeSet<String>,
    /// Names that are made of others: maker, model and serial number. One in which no serial number
    /// is known is one of its own.
    pub(super) composed: BTreeSet<String>,
    /// 16 or 32 digits that are a serial number unless they are known as a world wide name.
    pub(super) serials_or_names: BTreeSet<String>,
    /// What people call things: arrays, volumes, file systems, ports, switches.
    pub(super) labels: BTreeSet<String>,
    /// Names of the form NAA, 16 digits: the first half or the only one.
    pub(super) names: BTreeSet<String>,
    /// Names of the form EUI-64, 16 digits.
    pub(super) euis: BTreeSet<String>,
    /// The other halves: behind a NAA name, before an EUI-64.
    pub(super) extensions: BTreeSet<String>,
    /// UUIDs in the order in which they are written.
    pub(super) uuids: BTreeSet<[u8; 16]>,
    /// MAC addresses.
    pub(super) macs: BTreeSet<[u8; 6]>,
    /// IP addresses.
    pub(super) addresses: BTreeSet<IpAddr>,
}

/// What to replace by what, of the same length.
#[derive(Debug, Default)]
pub(super) struct Masks {
    /// By the first byte of the secret, so that a text is gone through once.
    anywhere: BTreeMap<u8, Vec<Replacement>>,
    /// The same for names that are made of others, where short secrets count, too.
    in_names: BTreeMap<u8, Vec<Replacement>>,
    serials: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
    halves: BTreeMap<String, String>,
    uuids: BTreeMap<[u8; 16], [u8; 16]>,
    macs: BTreeMap<[u8; 6], [u8; 6]>,
    addresses: BTreeMap<IpAddr, IpAddr>,
}

#[derive(Clone, Debug)]
struct Replacement {
    secret: Vec<u8>,
    mask: Vec<u8>,
    /// Only between other characters than letters and digits: the secret is short enough to stand
    /// in something else by chance.
    is_word: bool,
}

/// Digits that say who made the disk: 24 bits, in NAA behind the format.
const MAKER_OF_NAA: usize = 7;
const MAKER_OF_EUI: usize = 6;

impl Masks {
    pub(super) fn of(secrets: Secrets) -> Self {
        let mut masks = Self::default();
        let mut serials = secrets.serials;
        // The same digits can be found as more than one; what leaves the fewest counts.
        masks.halves(&secrets.extensions, 0);
        masks.halves(&secrets.euis, MAKER_OF_EUI);
        masks.halves(&secrets.names, MAKER_OF_NAA);
        for (number, uuid) in (1u32..).zip(secrets.uuids) {
            masks.uuid(uuid, number);
        }
        for (number, mac) in (1u32..).zip(secrets.macs) {
            masks.mac(mac, number);
        }
        masks.addresses = addresses::masks(&secrets.addresses, &masks.macs);
        for address in secrets.addresses {
            let text = address.to_string().into_bytes();
            let mut mask = text.clone();
            shape(&mut mask);
            masks.add(&text, &mask, true, true);
        }
        for text in secrets.serials_or_names {
            let first = text.get(..16).unwrap_or_default().to_lowercase();
            if !masks.halves.contains_key(&first) {
                serials.insert(text);
            }
        }
        let mut composed: Vec<String> = secrets.composed.into_iter().collect();
        // The shortest come first: longer ones can be made of them.
        composed.sort_by_key(String::len);
        for name in composed {
            // A host's name or a short word in it can stand beside a serial number that is not known.
            let is_made_of = masks.text(&name) != name
                || serials
                    .iter()
                    .filter(|known| is_telling(known) && !secrets.hosts.contains(*known))
                    .any(|known| spellings(known).any(|known| is_part_of(&known, &name)));
            if !is_made_of {
                serials.insert(name);
            }
        }
        masks.serials = numbered(&serials);
        for (serial, mask) in masks.serials.clone() {
            let is_telling = is_telling(&serial);
            for (serial, mask) in spellings(&serial).zip(spellings(&mask)) {
                let [secret_hex, mask_hex] =
                    [&serial, &mask].map(|text| hex::encode(text.as_bytes()));
                // NVMe's names have serial numbers in hexadecimal.
                masks.add(
                    secret_hex.as_bytes(),
                    mask_hex.as_bytes(),
                    !is_telling,
                    is_telling,
                );
                masks.add(serial.as_bytes(), mask.as_bytes(), true, is_telling);
            }
        }
        masks.labels = numbered(&secrets.labels);
        for replacements in [&mut masks.anywhere, &mut masks.in_names]
            .into_iter()
            .flat_map(BTreeMap::values_mut)
        {
            // The longest that fits counts.
            replacements.sort_by_key(|replacement| Reverse(replacement.secret.len()));
        }
        masks
    }

    /// Text with all secrets masked that can be told from other text.
    pub(super) fn text(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.bytes(text.as_bytes())).into_owned()
    }

    /// A name that is made of others, with all secrets masked.
    pub(super) fn naming(&self, name: &str) -> String {
        let masked = replaced(&self.in_names, name.as_bytes());
        String::from_utf8_lossy(&masked).into_owned()
    }

    /// Bytes with all secrets masked that can be told from others.
    pub(super) fn bytes(&self, bytes: &[u8]) -> Vec<u8> {
        replaced(&self.anywhere, bytes)
    }

    /// The mask of a serial number that was found; of any other text, its shape.
    pub(super) fn serial(&self, serial: &str) -> String {
        let mask = self.serials.get(serial).cloned();
        mask.unwrap_or_else(|| serial_mask(serial, 0))
    }

    /// Whether this was found as a serial number.
    pub(super) fn is_serial(&self, text: &str) -> bool {
        self.serials.contains_key(text)
    }

    /// The mask of a label that was found; of any other text, its shape.
    pub(super) fn label(&self, label: &str) -> String {
        // An array is called by its host.
        let mask = self.serials.get(label).or_else(|| self.labels.get(label));
        mask.cloned().unwrap_or_else(|| serial_mask(label, 0))
    }

    /// The mask of 16 digits of a world wide name, in the case that they have; zeros where they
    /// were not found.
    pub(super) fn half(&self, digits: &str) -> String {
        let mask = self.halves.get(&digits.to_lowercase()).cloned();
        let mask = mask.unwrap_or_else(|| "0".repeat(digits.len()));
        if digits.bytes().any(|digit| digit.is_ascii_uppercase()) {
            return mask.to_uppercase();
        }
        mask
    }

    /// The mask of a UUID; itself where it is nobody's.
    pub(super) fn uuid_of(&self, uuid: [u8; 16]) -> [u8; 16] {
        self.uuids.get(&uuid).copied().unwrap_or(uuid)
    }

    /// The mask of a MAC; itself where it is nobody's.
    pub(super) fn mac_of(&self, mac: [u8; 6]) -> [u8; 6] {
        self.macs.get(&mac).copied().unwrap_or(mac)
    }

    /// The mask of an IP address; itself where it is nobody's.
    pub(super) fn address_of(&self, address: IpAddr) -> IpAddr {
        self.addresses.get(&address).copied().unwrap_or(address)
    }

    /// Halves of world wide names, of which so many digits stay.
    fn halves(&mut self, names: &BTreeSet<String>, kept: usize) {
        for (number, name) in (1u64..).zip(names) {
            if self.halves.contains_key(name) {
                continue;
            }
            let mask = format!(
                "{}{number:0width$x}",
                &name[..kept],
                width = name.len() - kept
            );
            // Digits that are mostly zeros number the units of one array, and stand in other
            // places, too.
            let is_telling = name.bytes().filter(|digit| *digit != b'0').count() > 4;
            self.hexadecimal(name, &mask, is_telling);
            self.halves.insert(name.clone(), mask);
        }
    }

    /// Hexadecimal text in both cases, and its bytes.
    fn hexadecimal(&mut self, secret: &str, mask: &str, is_telling: bool) {
        let mut add = |secret: &[u8], mask: &[u8]| self.add(secret, mask, false, is_telling);
        add(secret.as_bytes(), mask.as_bytes());
        add(
            secret.to_uppercase().as_bytes(),
            mask.to_uppercase().as_bytes(),
        );
        if let (Some(secret), Some(mask)) = (hex::decode(secret), hex::decode(mask)) {
            add(&secret, &mask);
        }
    }

    fn uuid(&mut self, uuid: [u8; 16], number: u32) {
        // Version 4, as random ones are.
        let mut mask = [0; 16];
        (mask[6], mask[8]) = (0x40, 0x80);
        mask[12..].copy_from_slice(&number.to_be_bytes());
        for (separator, groups) in [("-", &[4, 6, 8, 10][..]), (":", &[4, 8, 12]), ("", &[])] {
            let [secret, mask] = [uuid, mask].map(|uuid| grouped(&uuid, separator, groups));
            self.hexadecimal(&secret, &mask, true);
        }
        self.add(&mixed(uuid), &mixed(mask), false, true);
        self.uuids.insert(uuid, mask);
    }

    fn mac(&mut self, mac: [u8; 6], number: u32) {
        let mut mask = mac;
        mask[3..].copy_from_slice(&number.to_be_bytes()[1..]);
        for separator in [":", "-", ""] {
            let [secret, mask] = [mac, mask].map(|mac| grouped(&mac, separator, &[1, 2, 3, 4, 5]));
            self.hexadecimal(&secret, &mask, true);
        }
        self.macs.insert(mac, mask);
    }

    /// Replace this in names that are made of others, and anywhere where it is telling.
    fn add(&mut self, secret: &[u8], mask: &[u8], is_word: bool, is_telling: bool) {
        let Some(first) = secret.first() else {
            return;
        };
        let replacement = Replacement {
            secret: secret.to_owned(),
            mask: mask.to_owned(),
            is_word,
        };
        if is_telling {
            let anywhere = self.anywhere.entry(*first).or_default();
            anywhere.push(replacement.clone());
        }
        self.in_names.entry(*first).or_default().push(replacement);
    }
}

fn replaced(replacements: &BTreeMap<u8, Vec<Replacement>>, bytes: &[u8]) -> Vec<u8> {
    let mut masked = bytes.to_vec();
    let mut at = 0;
    while let Some(first) = bytes.get(at) {
        let candidates = replacements.get(first).into_iter().flatten();
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

/// As it stands, and as udev writes it into a name.
fn spellings(text: &str) -> impl Iterator<Item = String> {
    [text.to_owned(), text.replace(' ', "_")].into_iter()
}

/// Masks of texts, each another one where there is room for it, and none of them a secret itself.
fn numbered(secrets: &BTreeSet<String>) -> BTreeMap<String, String> {
    let mut given = BTreeSet::new();
    let mut number = 0;
    let mut masks = BTreeMap::new();
    for secret in secrets {
        let mut mask;
        // One of a single character has some dozen masks and no more.
        let last = number + 64;
        loop {
            number += 1;
            mask = serial_mask(secret, number);
            if number >= last || !(given.contains(&mask) || secrets.contains(&mask)) {
                break;
            }
        }
        given.insert(mask.clone());
        masks.insert(secret.clone(), mask);
    }
    masks
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

/// Whether a serial number can be told from other text. Short ones, short numbers and mere zeros are
/// masked only where they are known to be one.
fn is_telling(serial: &str) -> bool {
    let count = |test: fn(&u8) -> bool| serial.bytes().filter(test).count();
    let digits = count(u8::is_ascii_digit);
    if count(u8::is_ascii_alphabetic) > 0 {
        return digits > 0 && serial.len() >= 4;
    }
    serial.len() >= 7 && digits > 0 && count(|byte| matches!(byte, b'1'..=b'9')) > 2
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

/// The same shape with the number at its end: `S4EV-12B` becomes `X0XX-01X` for 1. Where there is no
/// room for its digits, letters help.
fn serial_mask(serial: &str, number: u32) -> String {
    let mut mask = serial.as_bytes().to_vec();
    shape(&mut mask);
    let places = |test: fn(&u8) -> bool| -> Vec<usize> {
        (0..mask.len()).filter(|at| test(&mask[*at])).collect()
    };
    let mut digits = number.to_string().into_bytes();
    let mut room = places(u8::is_ascii_digit);
    if room.len() < digits.len() {
        room = places(u8::is_ascii_alphanumeric);
    }
    if room.len() < digits.len() {
        digits = base_36(number);
    }
    for (at, digit) in room.into_iter().rev().zip(digits.into_iter().rev()) {
        mask[at] = digit;
    }
    // Only ASCII was written.
    String::from_utf8_lossy(&mask).into_owned()
}

fn base_36(mut number: u32) -> Vec<u8> {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut digits = Vec::new();
    while number > 0 {
        digits.push(DIGITS[(number % 36) as usize]);
        number /= 36;
    }
    digits.reverse();
    digits
}

/// Whether this serial number stands in that text as a word of its own.
pub(super) fn is_part_of(serial: &str, text: &str) -> bool {
    !serial.is_empty()
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
