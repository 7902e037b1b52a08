//! ARP (RFC 826) as Ethernet frames: who has an address of IPv4.

use std::net::Ipv4Addr;

use crate::sys::packet::HardwareAddress;

pub(crate) const ETHERTYPE: u16 = 0x0806;

/// Bytes of frames that are answers. Questions, which a large network is full of, are none.
pub(crate) const ANSWERS: [(u32, u8); 2] = [(20, 0), (21, ANSWER)];

const QUESTION: u8 = 1;
const ANSWER: u8 = 2;

/// Ethernet, IPv4, lengths of both addresses.
const KIND: [u8; 6] = [0, 1, 8, 0, 6, 4];

/// Ask everybody, as the holder of `sender`, who has `wanted`.
pub(crate) fn request(hardware: HardwareAddress, sender: Ipv4Addr, wanted: Ipv4Addr) -> Vec<u8> {
    let mut frame = Vec::with_capacity(42);
    frame.extend([0xff; 6]);
    frame.extend(hardware);
    frame.extend(ETHERTYPE.to_be_bytes());
    frame.extend(KIND);
    frame.extend([0, QUESTION]);
    frame.extend(hardware);
    frame.extend(sender.octets());
    frame.extend([0; 6]);
    frame.extend(wanted.octets());
    frame
}

/// Who has which address, where this frame is an answer.
pub(crate) fn answer(frame: &[u8]) -> Option<(Ipv4Addr, HardwareAddress)> {
    if frame.get(12..14)? != ETHERTYPE.to_be_bytes() {
        return None;
    }
    let packet = frame.get(14..42)?;
    if packet[..6] != KIND || packet[6..8] != [0, ANSWER] {
        return None;
    }
    let hardware: HardwareAddress = packet[8..14].try_into().ok()?;
    let address: [u8; 4] = packet[14..18].try_into().ok()?;
    Some((address.into(), hardware))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HARDWARE: HardwareAddress = [0x52, 0x54, 0, 1, 2, 3];

    #[test]
    fn an_answer_says_who_has_the_address() {
        let (asker, asked) = (Ipv4Addr::new(192, 0, 2, 10), Ipv4Addr::new(192, 0, 2, 1));
        let mut frame = request(HARDWARE, asker, asked);
        assert_eq!(frame.len(), 42);
        assert_eq!(frame[38..], asked.octets());
        assert_eq!(answer(&frame), None, "a question");
        frame[21] = 2;
        // Short frames are filled.
        frame.resize(60, 0);
        assert_eq!(answer(&frame), Some((asker, HARDWARE)));
        for place in [12, 15, 17, 18, 19] {
            let mut other = frame.clone();
            other[place] ^= 1;
            assert_eq!(answer(&other), None, "{place}");
        }
    }

    proptest! {
        #[test]
        fn no_frame_makes_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let mut frame = bytes;
            if let Some(kind) = frame.get_mut(12..14) {
                kind.copy_from_slice(&ETHERTYPE.to_be_bytes());
            }
            let _ = answer(&frame);
        }
    }
}
