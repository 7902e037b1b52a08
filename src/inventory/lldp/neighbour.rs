//! Who is at the other end of a cable, in words.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::frame::{CHASSIS_ID, PORT_ID, Tlv};
use crate::sys::hex;

/// TLV types (IEEE 802.1AB-2016, table 8-1).
const PORT_DESCRIPTION: u8 = 4;
const SYSTEM_NAME: u8 = 5;
const SYSTEM_DESCRIPTION: u8 = 6;
const MANAGEMENT_ADDRESS: u8 = 8;
const ORGANIZATION: u8 = 127;

/// Organizations and their subtypes: IEEE 802.1Q (annex D), IEEE 802.3 (clause 79.3).
const PORT_VLAN: &[u8] = &[0x00, 0x80, 0xc2, 1];
const VLAN_NAME: &[u8] = &[0x00, 0x80, 0xc2, 3];
const AGGREGATION: &[u8] = &[0x00, 0x80, 0xc2, 7];
const AGGREGATION_OF_802_3: &[u8] = &[0x00, 0x12, 0x0f, 3];
const FRAME_SIZE: &[u8] = &[0x00, 0x12, 0x0f, 4];

/// What a neighbour says of itself. Its texts are whatever somebody configured on a switch: control
/// characters are replaced, so that they cannot move a terminal's cursor.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Neighbour {
    /// The switch: mostly a MAC address.
    pub chassis_id: Option<String>,
    /// Its port: mostly the name of an interface.
    pub port_id: Option<String>,
    /// What an administrator wrote about the port.
    pub port_description: Option<String>,
    /// The switch's host name.
    pub system_name: Option<String>,
    /// Make, model and software of the switch.
    pub system_description: Option<String>,
    /// Where the switch is managed.
    pub management_address: Option<String>,
    /// The VLAN of untagged frames; 0 where the port has none.
    pub port_vlan: Option<u16>,
    /// Ids and names of the VLANs that the port carries.
    pub vlans: Vec<(u16, String)>,
    /// The port is part of an active aggregation (LACP), which frames may need to get through.
    pub is_aggregated: bool,
    /// Largest frame in bytes.
    pub frame_size: Option<u16>,
}

impl Neighbour {
    /// From the pieces as the conductor gets them. Those that are malformed are left out; of
    /// several of a kind the first counts.
    pub fn of_wire(tlvs: &[(u8, String)]) -> Self {
        let mut neighbour = Self::default();
        for (kind, value) in tlvs {
            if let Some(value) = hex::decode(value) {
                neighbour.take((*kind, &value));
            }
        }
        neighbour
    }

    fn take(&mut self, (kind, value): Tlv<'_>) {
        let text = || printable(value);
        match kind {
            CHASSIS_ID => fill(&mut self.chassis_id, chassis_id(value)),
            PORT_ID => fill(&mut self.port_id, port_id(value)),
            PORT_DESCRIPTION => fill(&mut self.port_description, text()),
            SYSTEM_NAME => fill(&mut self.system_name, text()),
            SYSTEM_DESCRIPTION => fill(&mut self.system_description, text()),
            MANAGEMENT_ADDRESS => fill(&mut self.management_address, management_address(value)),
            ORGANIZATION => self.take_organization(value),
            _ => {}
        }
    }

    fn take_organization(&mut self, value: &[u8]) {
        let Some((name, value)) = value.split_at_checked(4) else {
            return;
        };
        match name {
            PORT_VLAN => fill(&mut self.port_vlan, number(value)),
            VLAN_NAME => {
                let name = value
                    .get(2)
                    .and_then(|length| value.get(3..3 + usize::from(*length)));
                if let Some(id) = number(value) {
                    self.vlans
                        .push((id, name.and_then(printable).unwrap_or_default()));
                }
            }
            // Bit 1: it is aggregated now; bit 0 only says that it could be.
            AGGREGATION | AGGREGATION_OF_802_3 => {
                self.is_aggregated |= value.first().is_some_and(|status| status & 2 != 0);
            }
            FRAME_SIZE => fill(&mut self.frame_size, number(value)),
            _ => {}
        }
    }
}

fn fill<T>(field: &mut Option<T>, value: Option<T>) {
    if field.is_none() {
        *field = value;
    }
}

fn number(value: &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes(*value.first_chunk()?))
}

/// Subtype 4 is a MAC address, 5 a network address, the others are text (table 8-2).
fn chassis_id(value: &[u8]) -> Option<String> {
    let (subtype, id) = value.split_first()?;
    match subtype {
        4 => Some(hex::with_colons(id)),
        5 => network_address(id),
        _ => printable(id),
    }
}

/// Subtype 3 is a MAC address, 4 a network address, the others are text (table 8-3).
fn port_id(value: &[u8]) -> Option<String> {
    let (subtype, id) = value.split_first()?;
    match subtype {
        3 => Some(hex::with_colons(id)),
        4 => network_address(id),
        _ => printable(id),
    }
}

/// The address with its family, behind its length (8.5.9).
fn management_address(value: &[u8]) -> Option<String> {
    let (length, rest) = value.split_first()?;
    network_address(rest.get(..usize::from(*length))?)
}

/// IANA's number of the address family, and the address.
fn network_address(value: &[u8]) -> Option<String> {
    let (family, address) = value.split_first()?;
    Some(match (family, address.len()) {
        (1, 4) => Ipv4Addr::from(*address.first_chunk()?).to_string(),
        (2, 16) => Ipv6Addr::from(*address.first_chunk()?).to_string(),
        _ => hex::with_colons(address),
    })
}

fn printable(value: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(value);
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    (!text.is_empty()).then(|| {
        text.chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::frame::Frame;
    use super::super::frame::tests::{MANDATORY, frame_of};
    use super::*;

    fn neighbour_of(tlvs: &[Tlv<'_>]) -> Neighbour {
        Neighbour::of_wire(&Frame::new(&frame_of(tlvs)).unwrap().to_wire())
    }

    #[test]
    fn a_switch_in_words() {
        let more: [Tlv<'_>; 10] = [
            (4, b"to rack 4\x1b[2J"),
            (5, b"leaf-12"),
            (6, b"Arista EOS 4.31\0"),
            (8, &[5, 1, 192, 0, 2, 200, 2, 0, 0, 0, 1, 0]),
            (127, &[0x00, 0x80, 0xc2, 1, 0, 100]),
            (127, b"\x00\x80\xc2\x03\x00\x64\x06tenant"),
            (127, b"\x00\x80\xc2\x03\x00\xc8\x00"),
            (127, &[0x00, 0x80, 0xc2, 7, 3, 0, 0, 0, 9]),
            (127, &[0x00, 0x12, 0x0f, 4, 0x24, 0x14]),
            (127, &[0x00, 0x12]),
        ];
        let neighbour = neighbour_of(&[&MANDATORY[..], &more].concat());
        assert_eq!(
            neighbour,
            Neighbour {
                chassis_id: Some("00:1b:21:aa:bb:cc".to_owned()),
                port_id: Some("Ethernet1/7".to_owned()),
                port_description: Some("to rack 4 [2J".to_owned()),
                system_name: Some("leaf-12".to_owned()),
                system_description: Some("Arista EOS 4.31".to_owned()),
                management_address: Some("192.0.2.200".to_owned()),
                port_vlan: Some(100),
                vlans: vec![(100, "tenant".to_owned()), (200, String::new())],
                is_aggregated: true,
                frame_size: Some(9236),
            }
        );
    }

    #[test]
    fn ids_that_are_addresses() {
        let life = MANDATORY[2];
        let neighbour = neighbour_of(&[
            (
                CHASSIS_ID,
                b"\x05\x02\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01",
            ),
            (PORT_ID, &[3, 0x52, 0x54, 0, 0, 0, 7]),
            life,
            (CHASSIS_ID, &[4, 1, 2, 3, 4, 5, 6]),
        ]);
        assert_eq!(neighbour.chassis_id.as_deref(), Some("2001:db8::1"));
        assert_eq!(neighbour.port_id.as_deref(), Some("52:54:00:00:00:07"));
        assert_eq!(
            chassis_id(&[5, 1, 10, 0, 0, 1]).as_deref(),
            Some("10.0.0.1")
        );
        assert_eq!(chassis_id(&[5, 6, 1, 2]).as_deref(), Some("01:02"));
        assert_eq!(management_address(&[9, 1, 10, 0, 0, 1]), None);
    }

    proptest! {
        #[test]
        fn any_pieces_have_words_or_none(
            tlvs in prop::collection::vec((any::<u8>(), "[0-9a-f]{0,40}"), 0..10),
            organization in prop::sample::select(vec![
                PORT_VLAN, VLAN_NAME, AGGREGATION, AGGREGATION_OF_802_3, FRAME_SIZE]),
            value in prop::collection::vec(any::<u8>(), 0..8),
        ) {
            let mut tlvs = tlvs;
            tlvs.push((ORGANIZATION, hex::encode(&[organization, &value].concat())));
            let neighbour = Neighbour::of_wire(&tlvs);
            for text in [&neighbour.system_name, &neighbour.port_id].into_iter().flatten() {
                prop_assert!(!text.chars().any(char::is_control));
            }
        }
    }
}
