//! LLDP frames, and the pieces that they consist of (IEEE 802.1AB-2016, clause 8).

use farrier_plugin::LldpTlvs;

use crate::sys::hex;

/// Destination, source and type.
const ETHERNET_HEADER: usize = 14;

/// TLV types (table 8-1).
pub(super) const END: u8 = 0;
pub(super) const CHASSIS_ID: u8 = 1;
pub(super) const PORT_ID: u8 = 2;
const TIME_TO_LIVE: u8 = 3;

/// One piece: its type (7 bits) and at most 511 bytes of value.
pub(super) type Tlv<'f> = (u8, &'f [u8]);

/// What a switch says of itself, in one Ethernet frame.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Frame(Vec<u8>);

impl Frame {
    /// `None` where the bytes are no frame to learn from: it has to begin with chassis, port and
    /// time to live, and one that lives 0 s is a farewell (9.2.7.7.1, 9.1.2).
    pub(super) fn new(bytes: &[u8]) -> Option<Self> {
        let mut tlvs = tlvs(bytes);
        let mut next = |wanted: u8| tlvs.next().filter(|(kind, _)| *kind == wanted);
        next(CHASSIS_ID).filter(|(_, id)| id.len() > 1)?;
        next(PORT_ID).filter(|(_, id)| id.len() > 1)?;
        let (_, life) = next(TIME_TO_LIVE)?;
        let lives = matches!(life, [high, low, ..] if (*high, *low) != (0, 0));
        lives.then(|| Self(bytes.to_vec()))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Its pieces in their order.
    pub(super) fn tlvs(&self) -> impl Iterator<Item = Tlv<'_>> {
        tlvs(&self.0)
    }

    /// Whether both come from the same port of the same switch.
    pub(super) fn same_neighbour(&self, other: &Self) -> bool {
        self.tlvs().take(2).eq(other.tlvs().take(2))
    }

    /// As the conductor gets it (contract/data-plane 8.7), up to and with the end.
    ///
    /// The reference reads on behind the end, so that each pair of zeros which Ethernet fills a
    /// short frame up with becomes one more `[0, ""]`. Nothing reads those; and a switch that fills
    /// up with something else would have it taken for a chassis or a port, where the conductor's
    /// hooks let the last one win.
    pub(super) fn to_wire(&self) -> LldpTlvs {
        self.tlvs()
            .map(|(kind, value)| (kind, hex::encode(value)))
            .collect()
    }
}

/// The pieces of these bytes up to the end, or to the first that is cut.
fn tlvs(frame: &[u8]) -> impl Iterator<Item = Tlv<'_>> {
    let mut rest = frame.get(ETHERNET_HEADER..);
    std::iter::from_fn(move || {
        let (head, after) = rest?.split_first_chunk::<2>()?;
        let kind = head[0] >> 1;
        let length = usize::from(u16::from_be_bytes(*head) & 0x1ff);
        let (value, after) = after.split_at_checked(length)?;
        rest = (kind != END).then_some(after);
        Some((kind, value))
    })
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A frame to the nearest bridge with these pieces and the end.
    pub(in crate::inventory::lldp) fn frame_of(tlvs: &[Tlv<'_>]) -> Vec<u8> {
        let mut frame = vec![
            1, 0x80, 0xc2, 0, 0, 0x0e, 0x52, 0x54, 0, 0, 0, 1, 0x88, 0xcc,
        ];
        for (kind, value) in tlvs.iter().chain(&[(END, [].as_slice())]) {
            frame.extend(((u16::from(*kind) << 9) | value.len() as u16).to_be_bytes());
            frame.extend_from_slice(value);
        }
        frame
    }

    pub(in crate::inventory::lldp) const MANDATORY: [Tlv<'static>; 3] = [
        (CHASSIS_ID, &[4, 0, 0x1b, 0x21, 0xaa, 0xbb, 0xcc]),
        (PORT_ID, b"\x05Ethernet1/7"),
        (TIME_TO_LIVE, &[0, 120]),
    ];

    #[test]
    fn the_wire_form_ends_with_the_end() {
        let mut bytes = frame_of(&MANDATORY);
        bytes.resize(60, 0);
        let wire = Frame::new(&bytes).unwrap().to_wire();
        let wire: Vec<(u8, &str)> = wire
            .iter()
            .map(|(kind, hex)| (*kind, hex.as_str()))
            .collect();
        assert_eq!(
            wire,
            [
                (1, "04001b21aabbcc"),
                (2, "0545746865726e6574312f37"),
                (3, "0078"),
                (0, ""),
            ]
        );
    }

    #[test]
    fn what_is_no_announcement_is_left_out() {
        let [chassis, port, life] = MANDATORY;
        for tlvs in [
            &[][..],
            &[chassis],
            &[chassis, port],
            &[port, chassis, life],
            &[chassis, port, (TIME_TO_LIVE, &[0, 0])],
            &[chassis, port, (TIME_TO_LIVE, &[1])],
            &[(CHASSIS_ID, &[4]), port, life],
        ] {
            assert_eq!(Frame::new(&frame_of(tlvs)), None, "{tlvs:?}");
        }
        assert_eq!(Frame::new(&[0; 13]), None);
    }

    #[test]
    fn a_cut_piece_is_left_out() {
        let bytes = frame_of(&[MANDATORY[0], MANDATORY[1], MANDATORY[2], (5, b"switch")]);
        let frame = Frame::new(&bytes[..bytes.len() - 3]).unwrap();
        assert_eq!(frame.tlvs().count(), 3);
    }

    proptest! {
        #[test]
        fn pieces_come_back_as_they_were_sent(
            more in prop::collection::vec(
                (4u8..128, prop::collection::vec(any::<u8>(), 0..512)), 0..20),
            padding in prop::collection::vec(any::<u8>(), 0..50),
        ) {
            let mut sent = MANDATORY.to_vec();
            sent.extend(more.iter().map(|(kind, value)| (*kind, value.as_slice())));
            let mut bytes = frame_of(&sent);
            bytes.extend(padding);
            let frame = Frame::new(&bytes).unwrap();
            sent.push((END, &[]));
            prop_assert_eq!(frame.tlvs().collect::<Vec<_>>(), sent);
            prop_assert!(frame.same_neighbour(&frame));
        }

        #[test]
        fn any_bytes_are_a_frame_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(tlvs(&bytes).count() <= bytes.len());
            Frame::new(&bytes);
        }
    }
}
