//! Who is at the other end of a cable, in words.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::frame::{CHASSIS_ID, PORT_ID, Tlv};
use crate::sys::hex;
use crate::sys::printable::{blanked, is_visible};

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
pub(crate) struct Neighbour {
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
    /// Where the switch is managed: of several addresses an IP address that can be reached from
    /// elsewhere, else any IP address, else the first.
    pub management_address: Option<String>,
    /// The VLAN of untagged frames, 1 to 4094; `None` also where the port has none, which is said
    /// by a 0.
    pub port_vlan: Option<u16>,
    /// Ids, 1 to 4094, and names of the VLANs that the port carries. 0 and 4095 are no VLANs
    /// (IEEE 802.1Q, table 9-2), but are announced.
    pub vlans: Vec<(u16, String)>,
    /// The port is part of an active aggregation (LACP), which frames may need to get through.
    pub is_aggregated: bool,
    /// Largest frame in bytes.
    pub frame_size: Option<u16>,
}

impl Neighbour {
    /// From the pieces as the conductor gets them. Those that are malformed are left out; of
    /// several of a kind the first counts.
    pub(crate) fn of_wire(tlvs: &[(u8, String)]) -> Self {
        let mut neighbour = Self::default();
        let mut managed_at: Vec<NetworkAddress> = Vec::new();
        for (kind, value) in tlvs {
            let Some(value) = hex::decode(value) else {
                continue;
            };
            if *kind == MANAGEMENT_ADDRESS {
                managed_at.extend(management_address(&value));
            } else {
                neighbour.take((*kind, &value));
            }
        }
        // Of equals the first.
        managed_at.sort_by_key(NetworkAddress::distance);
        neighbour.management_address = managed_at.first().map(NetworkAddress::text);
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
            ORGANIZATION => self.take_organization(value),
            _ => {}
        }
    }

    fn take_organization(&mut self, value: &[u8]) {
        let Some((name, value)) = value.split_at_checked(4) else {
            return;
        };
        match name {
            PORT_VLAN => fill(&mut self.port_vlan, vlan_id(value)),
            VLAN_NAME => {
                let name = value
                    .get(2)
                    .and_then(|length| value.get(3..3 + usize::from(*length)));
                if let Some(id) = vlan_id(value) {
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

fn vlan_id(value: &[u8]) -> Option<u16> {
    number(value).filter(|id| (1..=4094).contains(id))
}

/// Subtype 4 is a MAC address, 5 a network address, 6 the name of an interface; the others are text
/// of a switch's own or bytes (table 8-2).
fn chassis_id(value: &[u8]) -> Option<String> {
    let (subtype, id) = value.split_first()?;
    match subtype {
        4 => bytes_with_colons(id),
        5 => network_address(id).map(|address| address.text()),
        6 => printable(id).or_else(|| hexadecimal(id)),
        _ => text_or_bytes(id),
    }
}

/// Subtype 3 is a MAC address, 4 a network address, 1 and 5 what an interface is called; the others
/// (component, circuit, local) are text of a switch's own or bytes (table 8-3).
fn port_id(value: &[u8]) -> Option<String> {
    let (subtype, id) = value.split_first()?;
    match subtype {
        3 => bytes_with_colons(id),
        4 => network_address(id).map(|address| address.text()),
        1 | 5 => printable(id).or_else(|| hexadecimal(id)),
        _ => text_or_bytes(id),
    }
}

/// The address with its family, behind its length (8.5.9).
fn management_address(value: &[u8]) -> Option<NetworkAddress> {
    let (length, rest) = value.split_first()?;
    network_address(rest.get(..usize::from(*length))?)
}

/// An address of any family.
#[derive(Clone, Debug, Eq, PartialEq)]
enum NetworkAddress {
    Ip(IpAddr),
    /// Mostly a MAC address.
    Other(Vec<u8>),
}

impl NetworkAddress {
    /// How little it helps to find a switch by it.
    fn distance(&self) -> u8 {
        let Self::Ip(ip) = self else {
            return 2;
        };
        let is_near = match ip {
            IpAddr::V4(ip) => ip.is_link_local(),
            IpAddr::V6(ip) => ip.is_unicast_link_local(),
        };
        if ip.is_unspecified() || ip.is_loopback() {
            3
        } else {
            u8::from(is_near)
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Ip(ip) => ip.to_string(),
            Self::Other(bytes) => hex::with_colons(bytes),
        }
    }
}

/// IANA's number of the address family, and the address.
fn network_address(value: &[u8]) -> Option<NetworkAddress> {
    let (family, address) = value.split_first()?;
    Some(match (family, address.len()) {
        (_, 0) => return None,
        (1, 4) => NetworkAddress::Ip(Ipv4Addr::from(*address.first_chunk()?).into()),
        (2, 16) => NetworkAddress::Ip(Ipv6Addr::from(*address.first_chunk()?).into()),
        _ => NetworkAddress::Other(address.to_vec()),
    })
}

fn bytes_with_colons(bytes: &[u8]) -> Option<String> {
    (!bytes.is_empty()).then(|| hex::with_colons(bytes))
}

fn hexadecimal(bytes: &[u8]) -> Option<String> {
    (!bytes.is_empty()).then(|| format!("0x{}", hex::encode(bytes)))
}

/// Whole text, or all bytes: of `00 01` nothing could be printed, of `00 41` the wrong half.
fn text_or_bytes(value: &[u8]) -> Option<String> {
    let end = value.iter().rposition(|byte| *byte != 0);
    let text = std::str::from_utf8(&value[..end.map_or(0, |end| end + 1)]).ok();
    text.filter(|text| !text.trim().is_empty() && text.chars().all(is_visible))
        .map(|text| text.trim().to_owned())
        .or_else(|| hexadecimal(value))
}

fn printable(value: &[u8]) -> Option<String> {
    let text = blanked(&String::from_utf8_lossy(value));
    (!text.is_empty()).then_some(text)
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

    #[test]
    fn ids_that_are_bytes_are_hexadecimal() {
        for (id, shown) in [
            // A component's number, text of an administrator's, a circuit's bytes and text, numbers.
            (&[2, 0, 1][..], Some("0x0001")),
            (b"\x02slot 3\0", Some("slot 3")),
            (&[2, 0, b'A'], Some("0x0041")),
            (&[6, 0, 4, 0, 100, 1, 7], Some("0x000400640107")),
            (b"\x06xe-0/0/3.0", Some("xe-0/0/3.0")),
            (b"\x07517", Some("517")),
            (&[7, 0xff, 0xfe], Some("0xfffe")),
            (&[0, 9], Some("0x09")),
            // Names are text, whatever a switch writes into them.
            (b"\x05Eth\x1b[2J1/1", Some("Eth [2J1/1")),
            (b"\x01to \xe2\x80\xaedb", Some("to  db")),
            (&[5, 0, 0], Some("0x0000")),
            (&[3, 0x52, 0x54, 0, 0, 0, 7], Some("52:54:00:00:00:07")),
            (&[4, 1, 10, 0, 0, 1], Some("10.0.0.1")),
            (&[4, 1], None),
            (&[3], None),
            (&[5], None),
            (&[], None),
        ] {
            assert_eq!(port_id(id).as_deref(), shown, "{id:?}");
        }
        assert_eq!(chassis_id(&[1, 0, 1]).as_deref(), Some("0x0001"));
        assert_eq!(chassis_id(b"\x07leaf 4").as_deref(), Some("leaf 4"));
        assert_eq!(chassis_id(&[6, 0]).as_deref(), Some("0x00"));
    }

    #[test]
    fn a_switch_is_managed_at_an_address_that_can_be_reached() {
        let mac: Tlv<'_> = (8, &[7, 6, 0x52, 0x54, 0, 0, 0, 7, 2, 0, 0, 0, 1, 0]);
        let any: Tlv<'_> = (8, &[5, 1, 0, 0, 0, 0, 2, 0, 0, 0, 1, 0]);
        let near: Tlv<'_> = (
            8,
            b"\x11\x02\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x02\0\0\0\x01\0",
        );
        let first: Tlv<'_> = (8, &[5, 1, 192, 0, 2, 1, 2, 0, 0, 0, 1, 0]);
        let second: Tlv<'_> = (8, &[5, 1, 192, 0, 2, 2, 2, 0, 0, 0, 1, 0]);
        for (addresses, shown) in [
            (&[mac, first, second][..], "192.0.2.1"),
            (&[any, near, second, first], "192.0.2.2"),
            (&[mac, near], "fe80::1"),
            (&[any, mac], "52:54:00:00:00:07"),
            (&[any], "0.0.0.0"),
        ] {
            let neighbour = neighbour_of(&[&MANDATORY[..], addresses].concat());
            assert_eq!(neighbour.management_address.as_deref(), Some(shown));
        }
    }

    #[test]
    fn what_is_no_vlan_is_left_out() {
        let neighbour = neighbour_of(
            &[
                &MANDATORY[..],
                &[
                    (127, &[0x00, 0x80, 0xc2, 1, 0, 0]),
                    (127, b"\x00\x80\xc2\x03\x00\x00\x04none"),
                    (127, b"\x00\x80\xc2\x03\x0f\xff\x03all"),
                    (127, b"\x00\x80\xc2\x03\x0f\xfe\x04last"),
                    (127, b"\x00\x80\xc2\x03\x00\x01\x05first"),
                ],
            ]
            .concat(),
        );
        assert_eq!(neighbour.port_vlan, None);
        let ids: Vec<u16> = neighbour.vlans.iter().map(|(id, _)| *id).collect();
        assert_eq!(ids, [4094, 1]);
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
                prop_assert!(text.chars().all(is_visible));
            }
        }
    }
}
