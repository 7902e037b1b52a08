//! IP addresses: of the machine's interfaces and of its management controller.
//!
//! They become addresses that are set aside for documentation (RFC 5737, RFC 3849), of the same
//! family and reach. An address that is made of a MAC is made of that MAC's mask.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::{Map, Value};

use super::secrets::Masks;
use crate::sys::hex;

const LINK_LOCAL: [u8; 8] = [0xfe, 0x80, 0, 0, 0, 0, 0, 0];
const DOCUMENTATION: [u8; 8] = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0];

/// `{"eno1": ["192.0.2.1", "fe80::1"]}`.
pub(super) fn mask(answers: &mut Map<String, Value>, masks: &Masks) {
    let mut number = 0;
    let values = answers
        .values_mut()
        .filter_map(Value::as_array_mut)
        .flatten();
    for value in values {
        let Some(address) = value.as_str().and_then(|text| text.parse::<IpAddr>().ok()) else {
            continue;
        };
        if address.is_loopback() {
            continue;
        }
        number += 1;
        let masked = match address {
            IpAddr::V4(_) => IpAddr::V4(documentation_v4(number)),
            IpAddr::V6(v6) => IpAddr::V6(v6_mask(v6, number, masks)),
        };
        *value = Value::String(masked.to_string());
    }
}

/// LAN parameters (IPMI 2.0, table 23-4) in answers to Get LAN Configuration Parameters: IPv4
/// address and gateways behind completion code and revision, IPv6 addresses behind two bytes more.
pub(super) fn mask_controller(answers: &mut Map<String, Value>) {
    const GET_LAN_PARAMETERS: &str = "0c02 ";
    for (asked, answer) in answers {
        let parameter = asked
            .strip_prefix(GET_LAN_PARAMETERS)
            .and_then(hex::decode)
            .and_then(|request| request.get(1).copied());
        let Some(mut bytes) = answer.as_str().and_then(hex::decode) else {
            continue;
        };
        match parameter {
            Some(3 | 12 | 14) => {
                if let Some(address) = bytes.get_mut(2..6)
                    && address != [0; 4]
                {
                    address.copy_from_slice(&documentation_v4(100).octets());
                }
            }
            Some(56 | 59) => {
                if let Some(address) = bytes.get_mut(4..20)
                    && address != [0; 16]
                {
                    let prefix = if address.starts_with(&LINK_LOCAL[..2]) {
                        LINK_LOCAL
                    } else {
                        DOCUMENTATION
                    };
                    address.fill(0);
                    address[..8].copy_from_slice(&prefix);
                    address[15] = 100;
                }
            }
            _ => continue,
        }
        *answer = Value::String(hex::encode(&bytes));
    }
}

fn documentation_v4(number: u16) -> Ipv4Addr {
    let [high, low] = number.to_be_bytes();
    // More than one network is not set aside; a machine with more than 255 addresses wraps.
    Ipv4Addr::new(192, 0, 2, low ^ high)
}

fn v6_mask(address: Ipv6Addr, number: u16, masks: &Masks) -> Ipv6Addr {
    let mut octets = address.octets();
    let prefix = if address.is_unicast_link_local() {
        LINK_LOCAL
    } else {
        DOCUMENTATION
    };
    octets[..8].copy_from_slice(&prefix);
    // RFC 4291, appendix A: the MAC with ff:fe in its middle and one bit turned over.
    let [.., first, second, third, 0xff, 0xfe, fourth, fifth, sixth] = octets else {
        octets[8..].fill(0);
        octets[14..].copy_from_slice(&number.to_be_bytes());
        return octets.into();
    };
    match masks.mac_of([first ^ 2, second, third, fourth, fifth, sixth]) {
        Some(mac) => octets[13..].copy_from_slice(&mac[3..]),
        None => {
            octets[13] = 0;
            octets[14..].copy_from_slice(&number.to_be_bytes());
        }
    }
    octets.into()
}
