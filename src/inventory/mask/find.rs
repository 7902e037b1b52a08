//! Where secrets stand: files that hold nothing else, properties of udev, firmware tables, vital
//! product data, and what has the form of an address or a UUID wherever it is.

use std::path::Path;

use serde_json::Value;

use super::secrets::{Masks, Secrets, is_part_of};
use super::{SMBIOS_TABLE, lldp, smbios};
use crate::sys::hex;
use crate::sys::witness::{Entry, Seen};

/// Files of sysfs whose whole content is a serial number or an asset tag.
const FILES: [&str; 7] = [
    "serial",
    "product_serial",
    "board_serial",
    "chassis_serial",
    "board_asset_tag",
    "chassis_asset_tag",
    "vpd_pg80",
];

const UDEV: &str = "/run/udev/data";

/// The 8 or 16 digits of a name behind its type, as scsi_id writes it: 2 is EUI-64, 3 is NAA.
const SCSI_ID_TYPES: [&str; 2] = ["2", "3"];

pub(super) fn secrets(seen: &Seen) -> Secrets {
    let mut secrets = Secrets::default();
    let mut serials = Vec::new();
    for (path, entry) in &seen.entries {
        scan(&mut secrets, &path.to_string_lossy());
        match entry {
            Entry::File(content) => file(&mut secrets, &mut serials, path, content),
            Entry::Link(target) => scan(&mut secrets, &target.to_string_lossy()),
            Entry::Directory => {}
        }
    }
    if let Some(frames) = seen.answers.get("lldp") {
        secrets.macs.extend(lldp::macs(frames));
    }
    for answers in seen.answers.values() {
        for (asked, answer) in answers {
            scan(&mut secrets, asked);
            value(&mut secrets, answer);
        }
    }
    // A serial number with others or with a world wide name inside is made of these: maker, model
    // and serial number. The shortest come first.
    serials.sort_by_key(String::len);
    for serial in serials {
        let is_made_of = secrets
            .serials
            .iter()
            .any(|known| is_part_of(known, &serial))
            || secrets
                .names
                .iter()
                .any(|name| serial.to_lowercase().contains(name.as_str()));
        if !is_made_of {
            secrets.serials.insert(serial);
        }
    }
    secrets
}

fn file(secrets: &mut Secrets, serials: &mut Vec<String>, path: &Path, content: &[u8]) {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if path == Path::new(SMBIOS_TABLE) {
        let found = smbios::secrets(content);
        serials.extend(found.serials);
        secrets.uuids.extend(found.uuids);
    } else if name == "vpd_pg83" {
        designators(secrets, serials, content);
    } else if FILES.contains(&&*name) {
        // A page of vital product data has a header of four bytes.
        let content = if name == "vpd_pg80" {
            content.get(4..).unwrap_or_default()
        } else {
            content
        };
        serial(secrets, serials, &String::from_utf8_lossy(content));
    } else if let Ok(text) = std::str::from_utf8(content) {
        scan(secrets, text);
        if path.starts_with(UDEV) {
            for (name, value) in text
                .lines()
                .filter_map(|line| line.strip_prefix("E:")?.split_once('='))
            {
                property(secrets, serials, name, value);
            }
        }
    }
}

/// The content with serial numbers masked that are too short to be masked wherever they stand.
pub(super) fn short_serials(path: &Path, content: Vec<u8>, masks: &Masks) -> Vec<u8> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let Ok(text) = std::str::from_utf8(&content) else {
        return content;
    };
    let masked = |serial: &str| masks.short_serial(serial.trim_matches(['\0', '\n', ' ']));
    if FILES.contains(&&*name) {
        let Some((serial, mask)) = masked(text) else {
            return content;
        };
        return text.replacen(&serial, &mask, 1).into_bytes();
    }
    if !path.starts_with(UDEV) {
        return content;
    }
    let lines = text.split_inclusive('\n').map(|line| {
        let found = line
            .split_once('=')
            .filter(|(name, _)| name.starts_with("E:") && name.contains("SERIAL"))
            .and_then(|(name, value)| Some((name, masked(value)?)));
        match found {
            Some((name, (_, mask))) => format!("{name}={mask}\n"),
            None => line.to_owned(),
        }
    });
    lines.collect::<String>().into_bytes()
}

/// A property of udev.
fn property(secrets: &mut Secrets, serials: &mut Vec<String>, name: &str, value: &str) {
    if name.contains("SERIAL") {
        serial(secrets, serials, value);
    } else if name.ends_with("WWN_VENDOR_EXTENSION") {
        extension(secrets, value.trim_start_matches("0x"));
    } else if name.contains("UUID") {
        // The volume id of a FAT, four digits twice; mdadm's four groups of eight.
        let plain: String = value.chars().filter(|c| !matches!(c, ':' | '-')).collect();
        match hex::decode(&plain).and_then(|bytes| bytes.try_into().ok()) {
            Some(uuid) => uuid_found(secrets, uuid),
            None if value.len() == 9 => serials.push(value.to_owned()),
            None => {}
        }
    }
}

fn serial(secrets: &mut Secrets, serials: &mut Vec<String>, text: &str) {
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    if name_in(secrets, text) {
        return;
    }
    let has_several = text.bytes().any(|byte| Some(byte) != text.bytes().next());
    if has_several && text.bytes().any(|byte| byte.is_ascii_digit()) {
        serials.push(text.to_owned());
    }
}

/// Page 0x83: designators of a disk, its ports and its target.
fn designators(secrets: &mut Secrets, serials: &mut Vec<String>, page: &[u8]) {
    let mut rest = page.get(4..).unwrap_or_default();
    while let Some(header) = rest.get(..4) {
        let Some(value) = rest.get(4..4 + usize::from(header[3])) else {
            return;
        };
        rest = &rest[4 + value.len()..];
        if header[0] & 0xf == 1 {
            name_in(secrets, &hex::encode(value));
        } else {
            // The serial number is the last word behind maker and model.
            let text = String::from_utf8_lossy(value);
            if let Some(word) = text.split_whitespace().next_back() {
                serial(secrets, serials, word);
            }
        }
    }
}

fn value(secrets: &mut Secrets, value: &Value) {
    match value {
        Value::String(text) => scan(secrets, text),
        Value::Array(values) => values.iter().for_each(|item| self::value(secrets, item)),
        Value::Object(members) => {
            for (name, member) in members {
                scan(secrets, name);
                self::value(secrets, member);
            }
        }
        _ => {}
    }
}

/// Everything in a text that has the form of a secret.
fn scan(secrets: &mut Secrets, text: &str) {
    for token in text.split(|c: char| !(c.is_ascii_hexdigit() || matches!(c, ':' | '-'))) {
        dashed(secrets, token);
    }
    let mut start = 0usize;
    for word in text.split(|c: char| !c.is_ascii_hexdigit()) {
        // `0x…` was split into `0` and the rest; what stands before says that it is a name.
        let before = start.checked_sub(1).and_then(|at| text.as_bytes().get(at));
        let is_marked = matches!(before, Some(b'x' | b'.'));
        if is_marked || word.bytes().any(|byte| byte.is_ascii_alphabetic()) {
            name_in(secrets, word);
        }
        start += word.len() + 1;
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
            let mac = bytes().and_then(|bytes| bytes.last_chunk::<6>().copied());
            if let Some(mac) = mac.filter(|mac| mac[3..] != [0; 3] && mac[3..] != [0xff; 3]) {
                secrets.macs.insert(mac);
            }
        }
    }
}

fn uuid_found(secrets: &mut Secrets, uuid: [u8; 16]) {
    if uuid != [0; 16] && uuid != [0xff; 16] {
        secrets.uuids.insert(uuid);
    }
}

/// Whether this is a world wide name, which is then a secret.
fn name_in(secrets: &mut Secrets, word: &str) -> bool {
    let typed = SCSI_ID_TYPES
        .iter()
        .find_map(|kind| word.strip_prefix(kind));
    let plain = |word: &str| {
        matches!(word.len(), 16 | 32) && word.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let Some(name) = [Some(word), typed]
        .into_iter()
        .flatten()
        .find(|word| plain(word))
    else {
        return false;
    };
    let name = name.to_lowercase();
    let (first, second) = name.split_at(16);
    if is_telling(first) {
        secrets.names.insert(first.to_owned());
    }
    extension(secrets, second);
    true
}

fn extension(secrets: &mut Secrets, digits: &str) {
    let digits = digits.to_lowercase();
    if digits.len() == 16 && is_telling(&digits) && hex::decode(&digits).is_some() {
        secrets.extensions.insert(digits);
    }
}

/// Digits that are mostly zeros number the units of one array, and stand in other places too.
fn is_telling(digits: &str) -> bool {
    digits.bytes().filter(|digit| *digit != b'0').count() > 4
}
