//! The two passes over a recording: the first finds the secrets, the second masks them. Both go
//! through the same fields, so that no field is masked with a secret that was not looked for.

use std::net::IpAddr;

use super::addresses::{is_secret, mac_in};
use super::secrets::{Masks, Secrets};
use crate::sys::hex;

/// What firmware writes where it has nothing to say, in lower case. Only the whole text counts:
/// `unknown-17` is somebody's.
const PLACEHOLDERS: [&str; 14] = [
    "not specified",
    "to be filled by o.e.m.",
    "to be filled by oem",
    "default string",
    "unknown",
    "no dimm",
    "no module installed",
    "not available",
    "not provided",
    "none",
    "n/a",
    "na",
    "empty",
    "null",
];

/// Begins of names that need not be made of others: those of iSCSI, of NVMe, and of EUI-64 where no
/// digits follow.
const QUALIFIED: [&str; 3] = ["iqn.", "nqn.", "eui."];

/// One of the two passes. Each method takes a field by what it is; the first pass gives it back as
/// it stands, the second gives its mask, of the same length.
#[derive(Debug)]
pub(super) enum Pass {
    Find(Secrets),
    Mask(Masks),
}

impl Pass {
    /// A text that stays, but for what can be told in it.
    pub(super) fn text(&mut self, text: &str) -> String {
        match self {
            Self::Find(secrets) => {
                scan(secrets, text);
                text.to_owned()
            }
            Self::Mask(masks) => masks.text(text),
        }
    }

    /// Bytes that stay, but for what can be told in them.
    pub(super) fn bytes(&mut self, bytes: Vec<u8>) -> Vec<u8> {
        match self {
            Self::Find(secrets) => {
                if let Ok(text) = std::str::from_utf8(&bytes) {
                    scan(secrets, text);
                }
                bytes
            }
            Self::Mask(masks) => masks.bytes(&bytes),
        }
    }

    /// A serial number, an asset tag, an identifier of a form of its own.
    pub(super) fn serial(&mut self, text: &str) -> String {
        let serial = text.trim_matches(is_padding);
        if serial.is_empty() || PLACEHOLDERS.contains(&serial.to_lowercase().as_str()) {
            return text.to_owned();
        }
        match self {
            Self::Find(secrets) => {
                secrets.serials.insert(serial.to_owned());
                text.to_owned()
            }
            Self::Mask(masks) => text.replacen(serial, &masks.serial(serial), 1),
        }
    }

    /// A text that stays, but for what was found elsewhere. It is not searched: the types of
    /// partitions are UUIDs, too.
    pub(super) fn kept(&self, text: &str) -> String {
        match self {
            Self::Find(_) => text.to_owned(),
            Self::Mask(masks) => masks.text(text),
        }
    }

    /// The name of the machine.
    pub(super) fn host(&mut self, name: &str) -> String {
        if let Self::Find(secrets) = self {
            secrets.hosts.insert(name.to_owned());
        }
        self.serial(name)
    }

    /// A name that is made of maker, model and serial number.
    pub(super) fn composed(&mut self, text: &str) -> String {
        if text.is_empty() {
            return String::new();
        }
        match self {
            Self::Find(secrets) => {
                secrets.composed.insert(text.to_owned());
                text.to_owned()
            }
            Self::Mask(masks) => {
                let masked = masks.naming(text);
                if masked == text {
                    return masks.serial(text);
                }
                masked
            }
        }
    }

    /// What somebody called something.
    pub(super) fn label(&mut self, text: &str) -> String {
        let label = text.trim_matches(is_padding);
        if label.is_empty() {
            return text.to_owned();
        }
        match self {
            Self::Find(secrets) => {
                secrets.labels.insert(label.to_owned());
                text.to_owned()
            }
            Self::Mask(masks) => text.replacen(label, &masks.label(label), 1),
        }
    }

    /// The same in bytes that need not be text.
    pub(super) fn label_bytes(&mut self, bytes: &mut [u8]) {
        match std::str::from_utf8(bytes) {
            Ok(text) if !text.trim_matches('\0').contains(is_binary) => {
                let masked = self.label(text);
                bytes.copy_from_slice(masked.as_bytes());
            }
            _ => self.number(bytes),
        }
    }

    /// A number of which nothing stays.
    pub(super) fn number(&self, bytes: &mut [u8]) {
        if matches!(self, Self::Mask(_)) {
            bytes.fill(0);
        }
    }

    /// A text of which nothing stays and that stands nowhere else.
    pub(super) fn gone(&self, bytes: &mut [u8]) {
        if matches!(self, Self::Mask(_)) {
            bytes.fill(b'X');
        }
    }

    /// A UUID.
    pub(super) fn uuid(&mut self, uuid: [u8; 16]) -> [u8; 16] {
        match self {
            Self::Find(secrets) => {
                uuid_found(secrets, uuid);
                uuid
            }
            Self::Mask(masks) => masks.uuid_of(uuid),
        }
    }

    /// A UUID as text, with any separators; the identifiers of FAT, NTFS or LVM, which have forms
    /// of their own, are like serial numbers.
    pub(super) fn uuid_text(&mut self, text: &str) -> String {
        let plain: String = text.chars().filter(|c| !matches!(c, ':' | '-')).collect();
        let Some(uuid) = hex::decode(&plain).and_then(|bytes| bytes.try_into().ok()) else {
            return self.serial(text);
        };
        let mut digits = hex::encode(&self.uuid(uuid)).into_bytes().into_iter();
        if matches!(self, Self::Find(_)) {
            return text.to_owned();
        }
        let is_upper = text.bytes().any(|byte| byte.is_ascii_uppercase());
        text.chars()
            .map(|c| match c {
                ':' | '-' => c,
                _ => {
                    let digit = digits.next().map_or('0', char::from);
                    if is_upper {
                        digit.to_ascii_uppercase()
                    } else {
                        digit
                    }
                }
            })
            .collect()
    }

    /// A MAC address.
    pub(super) fn mac(&mut self, mac: [u8; 6]) -> [u8; 6] {
        match self {
            Self::Find(secrets) => {
                mac_found(secrets, mac);
                mac
            }
            Self::Mask(masks) => masks.mac_of(mac),
        }
    }

    /// The address of a network card in hexadecimal groups: a MAC, or what ends in one
    /// (InfiniBand, whose last bytes are the card's).
    pub(super) fn mac_text(&mut self, text: &str) -> String {
        let plain: String = text.chars().filter(|c| !matches!(c, ':' | '-')).collect();
        let mac = hex::decode(&plain).and_then(|bytes| bytes.last_chunk::<6>().copied());
        let Some(mac) = mac else {
            return self.serial(text);
        };
        let mut masked = self.mac(mac).into_iter().rev();
        if matches!(self, Self::Find(_)) {
            return text.to_owned();
        }
        // From the end, as far as the mask goes.
        let separator = text.chars().find(|c| matches!(c, ':' | '-'));
        let parts: Vec<String> = match separator {
            Some(separator) => text.split(separator).map(str::to_owned).collect(),
            None => plain
                .as_bytes()
                .chunks(2)
                .map(|pair| String::from_utf8_lossy(pair).into_owned())
                .collect(),
        };
        let mut parts: Vec<String> = parts
            .into_iter()
            .rev()
            .map(|part| masked.next().map_or(part, |byte| format!("{byte:02x}")))
            .collect();
        parts.reverse();
        parts.join(&separator.map(String::from).unwrap_or_default())
    }

    /// An IP address.
    pub(super) fn address(&mut self, address: IpAddr) -> IpAddr {
        match self {
            Self::Find(secrets) => {
                if is_secret(address) {
                    secrets.addresses.insert(address);
                    if let Some(mac) = mac_in(address) {
                        mac_found(secrets, mac);
                    }
                }
                address
            }
            Self::Mask(masks) => masks.address_of(address),
        }
    }

    /// A world wide name of the form NAA or, where it says so, EUI-64, with what scsi_id, udev and
    /// the kernel write before it; anything else is like a serial number.
    pub(super) fn wide_name(&mut self, text: &str) -> String {
        for prefix in ["0x", "naa.", "eui.", "t10.", "uuid."] {
            if let Some(rest) = text.strip_prefix(prefix) {
                let masked = match prefix {
                    "eui." => self.eui(rest),
                    "uuid." => Some(self.uuid_text(rest)),
                    "t10." => None,
                    _ => self.naa(rest),
                };
                return match masked {
                    Some(masked) => format!("{prefix}{masked}"),
                    None if is_qualified(text) => self.serial(text),
                    None => self.composed(text),
                };
            }
        }
        if is_qualified(text) {
            return self.serial(text);
        }
        self.typed_name(text)
            .or_else(|| self.naa(text))
            .unwrap_or_else(|| self.composed(text))
    }

    /// A serial number, which of some disks is their world wide name.
    pub(super) fn serial_or_name(&mut self, text: &str) -> String {
        let Some((first, second)) = halves(text) else {
            return self.serial(text);
        };
        match self {
            Self::Find(secrets) => {
                secrets.serials_or_names.insert(text.to_owned());
                text.to_owned()
            }
            Self::Mask(masks) if masks.is_serial(text) => masks.serial(text),
            Self::Mask(masks) => masks.half(first) + &masked_extension(masks, second),
        }
    }

    /// As scsi_id writes it: a digit for the type, 2 is EUI-64, 3 is NAA and 8 is iSCSI's, and the
    /// name; `None` where it is not one.
    pub(super) fn typed_name(&mut self, text: &str) -> Option<String> {
        let (kind, name) = text.split_at_checked(1)?;
        let masked = match kind {
            "2" => self.eui(name)?,
            "3" => self.naa(name)?,
            "8" if is_qualified(name) => self.serial(name),
            _ => return None,
        };
        Some(format!("{kind}{masked}"))
    }

    /// 16 digits, or 32 with an extension behind.
    pub(super) fn naa(&mut self, digits: &str) -> Option<String> {
        let (name, extension) = halves(digits)?;
        match self {
            Self::Find(secrets) => {
                secrets.names.insert(name.to_lowercase());
                extension_found(secrets, extension);
                Some(digits.to_owned())
            }
            Self::Mask(masks) => Some(masks.half(name) + &masked_extension(masks, extension)),
        }
    }

    /// 16 digits, or 32 with an extension before.
    pub(super) fn eui(&mut self, digits: &str) -> Option<String> {
        let (first, second) = halves(digits)?;
        let (extension, name) = if second.is_empty() {
            ("", first)
        } else {
            (first, second)
        };
        match self {
            Self::Find(secrets) => {
                secrets.euis.insert(name.to_lowercase());
                extension_found(secrets, extension);
                Some(digits.to_owned())
            }
            Self::Mask(masks) => Some(masked_extension(masks, extension) + &masks.half(name)),
        }
    }

    /// The 16 digits behind a NAA name, alone.
    pub(super) fn extension(&mut self, text: &str) -> String {
        let digits = text.trim_start_matches("0x");
        if halves(digits).is_none_or(|(_, second)| !second.is_empty()) {
            return self.serial(text);
        }
        let prefix = &text[..text.len() - digits.len()];
        match self {
            Self::Find(secrets) => {
                extension_found(secrets, digits);
                text.to_owned()
            }
            Self::Mask(masks) => format!("{prefix}{}", masks.half(digits)),
        }
    }
}

fn is_qualified(name: &str) -> bool {
    let begins = |begin: &str| {
        let start = name.get(..begin.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(begin))
    };
    QUALIFIED.into_iter().any(begins)
}

fn is_padding(c: char) -> bool {
    c.is_whitespace() || c == '\0'
}

fn is_binary(c: char) -> bool {
    c.is_control() || c == '\u{fffd}'
}

fn halves(digits: &str) -> Option<(&str, &str)> {
    let is_name = matches!(digits.len(), 16 | 32) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    is_name.then(|| digits.split_at(16))
}

fn extension_found(secrets: &mut Secrets, digits: &str) {
    if !digits.is_empty() {
        secrets.extensions.insert(digits.to_lowercase());
    }
}

fn masked_extension(masks: &Masks, digits: &str) -> String {
    if digits.is_empty() {
        return String::new();
    }
    masks.half(digits)
}

/// What is no part of a field that is known to be secret, but has the form of a secret.
fn scan(secrets: &mut Secrets, text: &str) {
    for token in text.split(|c: char| !(c.is_ascii_hexdigit() || matches!(c, ':' | '-'))) {
        dashed(secrets, token);
    }
    let mut start = 0usize;
    let is_other = |c: char| !c.is_ascii_hexdigit();
    // With what ends them, which may be of several bytes.
    for piece in text.split_inclusive(is_other) {
        let word = piece.trim_end_matches(is_other);
        // `0x…` was split into `0` and the rest; what stands before says that it is a name.
        let before = start.checked_sub(1).and_then(|at| text.as_bytes().get(at));
        let is_marked = matches!(before, Some(b'x' | b'.'));
        if is_marked || word.bytes().any(|byte| byte.is_ascii_alphabetic()) {
            let is_eui = text[..start].ends_with("eui.");
            found_name(secrets, word, is_eui);
        }
        start += piece.len();
    }
}

fn found_name(secrets: &mut Secrets, word: &str, is_eui: bool) {
    let (is_eui, digits) = match word.split_at_checked(1) {
        Some(("2", rest)) if halves(rest).is_some() => (true, rest),
        Some(("3", rest)) if halves(rest).is_some() => (false, rest),
        _ => (is_eui, word),
    };
    let Some((first, second)) = halves(digits) else {
        return;
    };
    // The same digits can stand for a number where nothing says that they are a name.
    let is_telling = |digits: &str| digits.bytes().filter(|digit| *digit != b'0').count() > 4;
    let (name, extension, names) = if is_eui {
        let (extension, name) = if second.is_empty() {
            ("", first)
        } else {
            (first, second)
        };
        (name, extension, &mut secrets.euis)
    } else {
        (first, second, &mut secrets.names)
    };
    if is_telling(name) {
        names.insert(name.to_lowercase());
    }
    if is_telling(extension) {
        extension_found(secrets, extension);
    }
}

/// UUIDs and MACs: groups of digits with one separator.
fn dashed(secrets: &mut Secrets, token: &str) {
    for separator in ['-', ':'] {
        let groups: Vec<&str> = token.split(separator).collect();
        let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
        let bytes = || hex::decode(&groups.concat());
        if lengths == [8, 4, 4, 4, 12] {
            if let Some(uuid) = bytes().and_then(|bytes| bytes.try_into().ok()) {
                uuid_found(secrets, uuid);
            }
        } else if lengths.len() >= 6 && lengths.iter().all(|length| *length == 2) {
            // Of `01-` and an address, as BOOTIF has it, and of InfiniBand's 20 bytes it is the end.
            if let Some(mac) = bytes().and_then(|bytes| bytes.last_chunk::<6>().copied()) {
                mac_found(secrets, mac);
            }
        }
    }
}

fn uuid_found(secrets: &mut Secrets, uuid: [u8; 16]) {
    if uuid != [0; 16] && uuid != [0xff; 16] {
        secrets.uuids.insert(uuid);
    }
}

/// Groups, and cards without an address, have zeros behind the maker's part.
fn mac_found(secrets: &mut Secrets, mac: [u8; 6]) {
    if mac[3..] != [0; 3] && mac[3..] != [0xff; 3] {
        secrets.macs.insert(mac);
    }
}
