//! What switches announce names a site: their MACs, names and addresses, and what their ports and
//! VLANs are called. What a switch is (its description), VLAN numbers, and the name of the interface
//! that the card is plugged into stay; pieces that are not known go.

use std::net::IpAddr;
use std::ops::Range;

use serde_json::Value;

use super::pass::Pass;
use crate::sys::hex;

/// Behind destination, source and type.
const FIRST: usize = 14;
const SOURCE: Range<usize> = 6..12;
const TYPE: Range<usize> = 12..14;

/// TLV types (IEEE 802.1AB-2016, table 8-1).
const END: u8 = 0;
const CHASSIS_ID: u8 = 1;
const PORT_ID: u8 = 2;
const TIME_TO_LIVE: u8 = 3;
const PORT_DESCRIPTION: u8 = 4;
const SYSTEM_NAME: u8 = 5;
const SYSTEM_DESCRIPTION: u8 = 6;
const CAPABILITIES: u8 = 7;
const MANAGEMENT_ADDRESS: u8 = 8;
const OF_AN_ORGANIZATION: u8 = 127;

/// Subtypes of chassis (table 8-2) and port ids (table 8-3): MACs, network addresses, and what the
/// switch itself calls its interface.
const CHASSIS_MAC: u8 = 4;
const CHASSIS_ADDRESS: u8 = 5;
const PORT_MAC: u8 = 3;
const PORT_ADDRESS: u8 = 4;
const PORT_INTERFACE: u8 = 5;
const PORT_LOCAL: u8 = 7;

/// Address families (IANA).
const IPV4: u8 = 1;
const IPV6: u8 = 2;
const IEEE_802: u8 = 6;

/// An organization and its subtype.
const ORGANIZATION: usize = 4;
/// IEEE 802.1Q, annex D: VLANs of the port and protocols, VLAN name, aggregation.
const VLAN_NAME: [u8; ORGANIZATION] = [0x00, 0x80, 0xc2, 3];
/// Before a VLAN's name are its number and the length of the name (D.2.3).
const VLAN_HEADER: usize = 7;
/// The same without names, data centre bridging, and IEEE 802.3 clause 79: speed, power,
/// aggregation, frame size.
const KEPT: [[u8; ORGANIZATION]; 12] = [
    [0x00, 0x80, 0xc2, 1],
    [0x00, 0x80, 0xc2, 2],
    [0x00, 0x80, 0xc2, 6],
    [0x00, 0x80, 0xc2, 7],
    [0x00, 0x80, 0xc2, 9],
    [0x00, 0x80, 0xc2, 10],
    [0x00, 0x80, 0xc2, 11],
    [0x00, 0x80, 0xc2, 12],
    [0x00, 0x12, 0x0f, 1],
    [0x00, 0x12, 0x0f, 2],
    [0x00, 0x12, 0x0f, 3],
    [0x00, 0x12, 0x0f, 4],
];

/// `["0180c200000e…"]`: what one interface heard.
pub(super) fn frames(pass: &mut Pass, frames: Value) -> Value {
    let Value::Array(frames) = frames else {
        return Value::Array(Vec::new());
    };
    let masked = frames.into_iter().filter_map(|value| {
        let frame = value.as_str().and_then(hex::decode)?;
        Some(Value::String(hex::encode(&self::frame(pass, frame))))
    });
    Value::Array(masked.collect())
}

fn frame(pass: &mut Pass, mut frame: Vec<u8>) -> Vec<u8> {
    if frame.len() < FIRST {
        pass.number(&mut frame);
        return frame;
    }
    mac(pass, &mut frame[SOURCE]);
    let mut at = FIRST;
    while let Some(&[high, low]) = frame.get(at..at + 2) {
        let (kind, length) = (high >> 1, usize::from(high & 1) << 8 | usize::from(low));
        let end = at + 2 + length;
        let Some(content) = frame.get_mut(at + 2..end) else {
            break;
        };
        piece(pass, kind, content);
        at = end;
        if kind == END {
            break;
        }
    }
    // Padding can be what the sender's memory held; a cut piece is of no use.
    let rest = at.max(TYPE.end);
    pass.number(&mut frame[rest..]);
    frame
}

fn piece(pass: &mut Pass, kind: u8, content: &mut [u8]) {
    let subtype = content.first().copied();
    match (kind, subtype) {
        (TIME_TO_LIVE | CAPABILITIES, _) => {}
        (CHASSIS_ID, Some(CHASSIS_MAC)) | (PORT_ID, Some(PORT_MAC)) => mac(pass, &mut content[1..]),
        (CHASSIS_ID, Some(CHASSIS_ADDRESS)) | (PORT_ID, Some(PORT_ADDRESS)) => {
            address(pass, &mut content[1..]);
        }
        (PORT_ID, Some(PORT_INTERFACE | PORT_LOCAL)) => text(pass, &mut content[1..]),
        (CHASSIS_ID | PORT_ID, Some(_)) => pass.label_bytes(&mut content[1..]),
        (PORT_DESCRIPTION | SYSTEM_NAME, _) => pass.label_bytes(content),
        (SYSTEM_DESCRIPTION, _) => text(pass, content),
        // The length of the address, and behind it the number of an interface (five bytes) and an
        // object of the switch.
        (MANAGEMENT_ADDRESS, Some(length)) => {
            let end = content.len().min(1 + usize::from(length));
            address(pass, &mut content[1..end]);
            if let Some(object) = content.get_mut(end + 6..) {
                pass.number(object);
            }
        }
        (OF_AN_ORGANIZATION, _) if content.starts_with(&VLAN_NAME) => {
            if let Some(name) = content.get_mut(VLAN_HEADER..) {
                pass.label_bytes(name);
            }
        }
        (OF_AN_ORGANIZATION, _) if KEPT.iter().any(|kept| content.starts_with(kept)) => {}
        (OF_AN_ORGANIZATION, _) => {
            if let Some(rest) = content.get_mut(ORGANIZATION..) {
                pass.number(rest);
            }
        }
        _ => pass.number(content),
    }
}

fn mac(pass: &mut Pass, bytes: &mut [u8]) {
    match <[u8; 6]>::try_from(&*bytes) {
        Ok(mac) => bytes.copy_from_slice(&pass.mac(mac)),
        Err(_) => pass.number(bytes),
    }
}

/// A family, and an address of it.
fn address(pass: &mut Pass, bytes: &mut [u8]) {
    let Some((family, address)) = bytes.split_first_mut() else {
        return;
    };
    let ip = match *family {
        IPV4 => <[u8; 4]>::try_from(&*address).ok().map(IpAddr::from),
        IPV6 => <[u8; 16]>::try_from(&*address).ok().map(IpAddr::from),
        IEEE_802 => return mac(pass, address),
        _ => None,
    };
    match ip.map(|ip| pass.address(ip)) {
        Some(IpAddr::V4(ip)) => address.copy_from_slice(&ip.octets()),
        Some(IpAddr::V6(ip)) => address.copy_from_slice(&ip.octets()),
        None => pass.number(address),
    }
}

/// A text that stays, but for what can be told in it.
fn text(pass: &mut Pass, bytes: &mut [u8]) {
    let masked = pass.bytes(bytes.to_vec());
    bytes.copy_from_slice(&masked);
}
