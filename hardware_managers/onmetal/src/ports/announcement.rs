//! What a switch says of itself by LLDP (IEEE 802.1AB, 8.5), as far as it is compared.

use std::fmt;

use farrier_plugin::{LldpTlvs, NetworkInterface};

use crate::configuration::SwitchIdentity;

const CHASSIS_ID: u8 = 1;
const PORT_ID: u8 = 2;
const SYSTEM_NAME: u8 = 5;

/// Subtypes whose value is a MAC address: of a chassis ID 4, of a port ID 3 (802.1AB, tables 8-2
/// and 8-3).
const CHASSIS_MAC: u8 = 4;
const PORT_MAC: u8 = 3;

/// A switch port, as it should be or as it announces itself. Texts are in small letters.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Place {
    pub(super) switch: String,
    pub(super) port: String,
}

impl Place {
    /// Where this interface is by what it heard; `None` where it heard nothing.
    pub(super) fn announced(
        interface: &NetworkInterface,
        identity: SwitchIdentity,
    ) -> Result<Option<Self>, String> {
        let Some(tlvs) = interface.lldp.as_ref().filter(|tlvs| !tlvs.is_empty()) else {
            return Ok(None);
        };
        let switch = match identity {
            SwitchIdentity::ChassisId => with_subtype(&one(tlvs, CHASSIS_ID)?, CHASSIS_MAC),
            SwitchIdentity::SystemName => Some(text(&one(tlvs, SYSTEM_NAME)?)),
        };
        let port = with_subtype(&one(tlvs, PORT_ID)?, PORT_MAC);
        match (switch, port) {
            (Some(switch), Some(port)) if !switch.is_empty() && !port.is_empty() => {
                Ok(Some(Self { switch, port }))
            }
            _ => Err("malformed LLDP: its switch or its port is empty".to_owned()),
        }
    }

    /// Whether what announces itself is the place that should be. A port is also meant by the form that the 2015 servers have in
    /// `extra`, `eth1/17` for `Ethernet1/17`.
    pub(super) fn is_at(&self, place: &Self) -> bool {
        self.switch == place.switch
            && (self.port == place.port || short(&self.port).as_ref() == Some(&place.port))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "port {} of {}", self.port, self.switch)
    }
}

/// The value of a TLV that has to be there exactly once.
fn one(tlvs: &LldpTlvs, kind: u8) -> Result<Vec<u8>, String> {
    let mut values = tlvs.iter().filter(|(own, _)| *own == kind);
    let name = match kind {
        CHASSIS_ID => "chassis ID",
        PORT_ID => "port ID",
        _ => "system name",
    };
    match (values.next(), values.next()) {
        (Some((_, value)), None) => {
            bytes(value).ok_or_else(|| format!("malformed LLDP: its {name} is \"{value}\""))
        }
        (None, _) => Err(format!("malformed LLDP: it has no {name}")),
        (Some(_), Some(_)) => Err(format!("malformed LLDP: it has more than one {name}")),
    }
}

/// A value that begins with its subtype: a MAC address with colons, or text.
fn with_subtype(value: &[u8], mac: u8) -> Option<String> {
    let (subtype, value) = value.split_first()?;
    if *subtype == mac && value.len() == 6 {
        let parts: Vec<String> = value.iter().map(|byte| format!("{byte:02x}")).collect();
        return Some(parts.join(":"));
    }
    Some(text(value))
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value)
        .trim_matches(['\0', ' '])
        .to_ascii_lowercase()
}

fn bytes(hexadecimal: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> = hexadecimal
        .chars()
        .map(|digit| digit.to_digit(16))
        .collect::<Option<_>>()?;
    // Two digits are at most 0xff.
    digits
        .chunks(2)
        .map(|pair| (pair.len() == 2).then(|| (pair[0] << 4 | pair[1]) as u8))
        .collect()
}

/// `eth1/17`, from the first `1/17` with one or two digits on each side (contract/onmetal 9).
fn short(port: &str) -> Option<String> {
    let digits = |text: &str, from_end: bool| -> String {
        let is_digit = |c: &char| c.is_ascii_digit();
        if from_end {
            let mut found: Vec<char> = text.chars().rev().take_while(is_digit).take(2).collect();
            found.reverse();
            found.into_iter().collect()
        } else {
            text.chars().take_while(is_digit).take(2).collect()
        }
    };
    port.match_indices('/').find_map(|(at, _)| {
        let (before, after) = (digits(&port[..at], true), digits(&port[at + 1..], false));
        (!before.is_empty() && !after.is_empty()).then(|| format!("eth{before}/{after}"))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;

    #[test]
    fn ports_have_a_short_form() {
        for (port, form) in [
            ("ethernet1/17", Some("eth1/17")),
            ("gi1/0/24", Some("eth1/0")),
            ("port 128/3", Some("eth28/3")),
            ("a/b 2/3", Some("eth2/3")),
            ("swp7", None),
            ("1/", None),
        ] {
            assert_eq!(short(port).as_deref(), form, "{port}");
        }
    }

    #[test]
    fn hexadecimal_digits_come_in_pairs() {
        assert_eq!(bytes("04ff"), Some(vec![4, 255]));
        for text in ["0", "0g", "é0"] {
            assert_eq!(bytes(text), None);
        }
    }

    proptest! {
        #[test]
        fn any_announcement_is_read_without_a_panic(
            tlvs in proptest::collection::vec((any::<u8>(), ".{0,12}"), 0..6), text in ".*",
        ) {
            let interface = NetworkInterface { lldp: Some(tlvs), ..NetworkInterface::default() };
            for identity in [SwitchIdentity::ChassisId, SwitchIdentity::SystemName] {
                let _ = Place::announced(&interface, identity);
            }
            let _ = short(&text);
        }
    }
}
