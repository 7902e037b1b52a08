//! Secrets in the vital product data of SCSI devices (SPC-4 7.8.5, 7.8.16).

use super::pass::Pass;
use crate::sys::hex;

/// Code, page and length.
const HEADER: usize = 4;

/// Designator types, SPC-4 table 596.
const VENDOR: u8 = 0;
const T10: u8 = 1;
const EUI64: u8 = 2;
const NAA: u8 = 3;
const RELATIVE_PORT: u8 = 4;
const PORT_GROUP: u8 = 5;
const UNIT_GROUP: u8 = 6;
const NAME: u8 = 8;
const UUID: u8 = 10;

/// The maker at the begin of a T10 designator.
const T10_MAKER: usize = 8;

/// Page 0x80.
pub(super) fn unit_serial(pass: &mut Pass, mut page: Vec<u8>) -> Vec<u8> {
    let serial = page.get_mut(HEADER..).unwrap_or_default();
    text(pass, serial, Pass::serial_or_name);
    page
}

/// Page 0x83: names of a disk, its ports and its target.
pub(super) fn designators(pass: &mut Pass, mut page: Vec<u8>) -> Vec<u8> {
    let mut at = HEADER;
    while let Some(&[first, second, _, length]) = page.get(at..at + HEADER) {
        let start = at + HEADER;
        let end = start + usize::from(length);
        let Some(value) = page.get_mut(start..end) else {
            break;
        };
        let is_binary = first & 0xf == 1;
        match second & 0xf {
            RELATIVE_PORT | PORT_GROUP | UNIT_GROUP => {}
            NAA if is_binary => name(pass, value, Pass::naa),
            EUI64 if is_binary => name(pass, value, Pass::eui),
            UUID => match value.get_mut(2..18).map(<&mut [u8; 16]>::try_from) {
                Some(Ok(uuid)) => *uuid = pass.uuid(*uuid),
                _ => pass.number(value),
            },
            T10 if !is_binary => {
                if let Some(rest) = value.get_mut(T10_MAKER..) {
                    text(pass, rest, t10);
                }
            }
            VENDOR if !is_binary => text(pass, value, Pass::serial_or_name),
            NAME => text(pass, value, scsi_name),
            _ => pass.number(value),
        }
        at = end;
    }
    if let Some(rest) = page.get_mut(at..) {
        pass.number(rest);
    }
    page
}

/// Binary, 8 or 16 bytes.
fn name(pass: &mut Pass, value: &mut [u8], mask: fn(&mut Pass, &str) -> Option<String>) {
    match mask(pass, &hex::encode(value)).and_then(|masked| hex::decode(&masked)) {
        Some(masked) if masked.len() == value.len() => value.copy_from_slice(&masked),
        _ => pass.number(value),
    }
}

/// Model and serial number behind the maker, each at the end of a field of its own; where there is
/// one word it is the serial number.
fn t10(pass: &mut Pass, text: &str) -> String {
    let at = text.rfind(' ').map_or(0, |at| at + 1);
    let (model, serial) = text.split_at(at);
    format!("{}{}", pass.text(model), pass.serial_or_name(serial))
}

/// `naa.500…,t,0x0001`, `eui.…`, `iqn.…`.
fn scsi_name(pass: &mut Pass, text: &str) -> String {
    let (name, rest) = text.split_at(text.find(',').unwrap_or(text.len()));
    format!("{}{rest}", pass.wide_name(name))
}

/// Text with padding around it; where it is none, nothing of it stays.
fn text(pass: &mut Pass, bytes: &mut [u8], mask: impl Fn(&mut Pass, &str) -> String) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        pass.gone(bytes);
        return;
    };
    let inner = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    let masked = text.replacen(inner, &mask(pass, inner), 1);
    if masked.len() == bytes.len() {
        bytes.copy_from_slice(masked.as_bytes());
    } else {
        pass.gone(bytes);
    }
}
