//! What switches announce names a site: their MACs, names and addresses, and what their ports and
//! VLANs are called. What a switch is (its description) and where the card is plugged in (the port's
//! id) stays.

use std::ops::Range;

use serde_json::{Map, Value};

use super::secrets::shape;
use crate::sys::hex;

/// Behind destination, source and type.
const FIRST: usize = 14;
const SOURCE: Range<usize> = 6..12;

/// TLV types (IEEE 802.1AB-2016, table 8-1).
const CHASSIS_ID: u8 = 1;
const PORT_ID: u8 = 2;
const PORT_DESCRIPTION: u8 = 4;
const SYSTEM_NAME: u8 = 5;
const MANAGEMENT_ADDRESS: u8 = 8;
const OF_AN_ORGANISATION: u8 = 127;

/// Subtypes of chassis (table 8-2) and port ids (table 8-3) that are MACs.
const CHASSIS_MAC: u8 = 4;
const PORT_MAC: u8 = 3;
/// IEEE 802.1, VLAN name, before the VLAN's number and the length of the name (D.2.3).
const VLAN_NAME: [u8; 4] = [0x00, 0x80, 0xc2, 3];
const VLAN_HEADER: usize = 7;

/// The MACs in `{"eno1": ["0180c200000e…"]}`.
pub(super) fn macs(answers: &Map<String, Value>) -> Vec<[u8; 6]> {
    let mut found = Vec::new();
    for frame in answers.values().filter_map(Value::as_array).flatten() {
        let Some(frame) = frame.as_str().and_then(hex::decode) else {
            continue;
        };
        let ids = tlvs(&frame).into_iter().filter_map(|(kind, place)| {
            let is_mac = matches!(
                (kind, frame.get(place.start)),
                (CHASSIS_ID, Some(&CHASSIS_MAC)) | (PORT_ID, Some(&PORT_MAC))
            );
            is_mac.then(|| place.start + 1..place.end)
        });
        found.extend(
            ids.chain([SOURCE])
                .filter_map(|place| <[u8; 6]>::try_from(frame.get(place)?).ok()),
        );
    }
    found
}

/// Mask the rest, in frames whose MACs are masked.
pub(super) fn mask(answers: &mut Map<String, Value>) {
    let frames = answers.values_mut().filter_map(Value::as_array_mut);
    for value in frames.flatten() {
        let Some(mut frame) = value.as_str().and_then(hex::decode) else {
            continue;
        };
        for (kind, place) in tlvs(&frame) {
            let content = &mut frame[place];
            match (kind, content.first().copied()) {
                (CHASSIS_ID, Some(subtype)) if subtype != CHASSIS_MAC => shape(&mut content[1..]),
                (PORT_DESCRIPTION | SYSTEM_NAME, _) => shape(content),
                // Its length, the family, and the address itself.
                (MANAGEMENT_ADDRESS, Some(length)) => {
                    let end = content.len().min(1 + usize::from(length));
                    if let Some(address) = content.get_mut(2..end) {
                        address.fill(0);
                    }
                }
                (OF_AN_ORGANISATION, _) if content.starts_with(&VLAN_NAME) => {
                    if let Some(name) = content.get_mut(VLAN_HEADER..) {
                        shape(name);
                    }
                }
                _ => {}
            }
        }
        *value = Value::String(hex::encode(&frame));
    }
}

/// The type of each piece, and where its content stands.
fn tlvs(frame: &[u8]) -> Vec<(u8, Range<usize>)> {
    let mut found = Vec::new();
    let mut at = FIRST;
    while let Some([high, low]) = frame.get(at..at + 2) {
        let (kind, length) = (high >> 1, usize::from(high & 1) << 8 | usize::from(*low));
        let end = at + 2 + length;
        if kind == 0 || end > frame.len() {
            break;
        }
        found.push((kind, at + 2..end));
        at = end;
    }
    found
}
