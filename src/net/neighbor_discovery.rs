//! Questions and answers of neighbour discovery (RFC 4861) as Ethernet frames: which routers there are, what they
//! advertise, and whether somebody has an address of IPv6.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

use super::internet_checksum::checksum;
use crate::sys::packet::HardwareAddress;

/// Of IPv6.
pub(crate) const ETHERTYPE: u16 = 0x86dd;

/// Bytes of frames that may be answers: ICMPv6 that no router has passed on.
pub(crate) const ANSWERS: [(u32, u8); 2] = [(20, ICMP), (21, HOPS)];

const ICMP: u8 = 58;

/// Whatever a router passes on has less (RFC 4861, 6.1).
const HOPS: u8 = 255;

const ROUTER_SOLICITATION: u8 = 133;
const ROUTER_ADVERTISEMENT: u8 = 134;
const NEIGHBOR_SOLICITATION: u8 = 135;
const NEIGHBOR_ADVERTISEMENT: u8 = 136;

const IP: usize = 14;
const BODY: usize = IP + 40;

/// From an advertisement's begin to its options.
const ROUTER_OPTIONS: usize = 16;

const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// What a frame says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Answer {
    /// A router advertises these prefixes, none that has ended.
    Router {
        from: Ipv6Addr,
        prefixes: Vec<Ipv6Net>,
    },
    /// Somebody has this address.
    Neighbor(Ipv6Addr),
}

/// Ask all routers; `sender` is this interface's link-local address.
pub(crate) fn router_solicitation(hardware: HardwareAddress, sender: Ipv6Addr) -> Vec<u8> {
    let mut body = vec![ROUTER_SOLICITATION, 0, 0, 0, 0, 0, 0, 0];
    body.extend(source(hardware));
    frame(hardware, sender, ALL_ROUTERS, &body)
}

/// Ask whoever has the address `wanted`.
pub(crate) fn neighbor_solicitation(
    hardware: HardwareAddress,
    sender: Ipv6Addr,
    wanted: Ipv6Addr,
) -> Vec<u8> {
    let mut body = vec![NEIGHBOR_SOLICITATION, 0, 0, 0, 0, 0, 0, 0];
    body.extend(wanted.octets());
    body.extend(source(hardware));
    // The group of all whose address ends so (RFC 4291, 2.7.1).
    let mut group = [0; 16];
    group[..2].copy_from_slice(&[0xff, 0x02]);
    group[11..13].copy_from_slice(&[1, 0xff]);
    group[13..].copy_from_slice(&wanted.octets()[13..]);
    frame(hardware, sender, group.into(), &body)
}

/// The option that tells by which hardware address the sender is reached.
fn source(hardware: HardwareAddress) -> [u8; 8] {
    let mut option = [1, 1, 0, 0, 0, 0, 0, 0];
    option[2..].copy_from_slice(&hardware);
    option
}

/// `group` is one of multicast.
fn frame(hardware: HardwareAddress, sender: Ipv6Addr, group: Ipv6Addr, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(BODY + body.len());
    // Its Ethernet address (RFC 2464, 7).
    frame.extend([0x33, 0x33]);
    frame.extend(&group.octets()[12..]);
    frame.extend(hardware);
    frame.extend(ETHERTYPE.to_be_bytes());
    frame.extend([0x60, 0, 0, 0]);
    let length = body.len() as u16;
    frame.extend(length.to_be_bytes());
    frame.extend([ICMP, HOPS]);
    frame.extend(sender.octets());
    frame.extend(group.octets());
    let length = u32::from(length).to_be_bytes();
    let pseudo = [&frame[IP + 8..BODY], &length, &[0, 0, 0, ICMP]].concat();
    let sum = checksum(&[&pseudo, body]);
    frame.extend(body);
    frame[BODY + 2..][..2].copy_from_slice(&sum);
    frame
}

/// What this frame says, if it is an answer.
pub(crate) fn answer(frame: &[u8]) -> Option<Answer> {
    if frame.get(12..14)? != ETHERTYPE.to_be_bytes() {
        return None;
    }
    let is_answer = |(offset, byte): &(u32, u8)| frame.get(*offset as usize) == Some(byte);
    if !ANSWERS.iter().all(is_answer) {
        return None;
    }
    let length = u16::from_be_bytes([frame[IP + 4], *frame.get(IP + 5)?]);
    // Behind it there may be bytes that fill the frame.
    let body = frame.get(BODY..)?.get(..usize::from(length))?;
    match body {
        [ROUTER_ADVERTISEMENT, 0, ..] => Some(Answer::Router {
            from: address(&frame[IP + 8..])?,
            prefixes: prefixes(body.get(ROUTER_OPTIONS..)?),
        }),
        [NEIGHBOR_ADVERTISEMENT, 0, ..] => Some(Answer::Neighbor(address(body.get(8..)?)?)),
        _ => None,
    }
}

/// The prefixes in an advertisement's options (RFC 4861, 4.6.2).
fn prefixes(mut options: &[u8]) -> Vec<Ipv6Net> {
    let mut found = Vec::new();
    while let [kind, length, ..] = options {
        let Some((option, rest)) = options.split_at_checked(usize::from(*length) * 8) else {
            break;
        };
        // Without a length there is no end (RFC 4861, 4.6).
        if option.is_empty() {
            break;
        }
        if *kind == 3
            && let [_, 4, bits, _, lifetime @ ..] = option
            && lifetime[..4] != [0; 4]
            && let Some(prefix) = address(&option[16..])
            && let Ok(prefix) = Ipv6Net::new(prefix, *bits)
        {
            found.push(prefix);
        }
        options = rest;
    }
    found
}

fn address(bytes: &[u8]) -> Option<Ipv6Addr> {
    let octets: [u8; 16] = bytes.get(..16)?.try_into().ok()?;
    Some(octets.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HARDWARE: HardwareAddress = [0x52, 0x54, 0, 1, 2, 3];

    fn link_local(last: u16) -> Ipv6Addr {
        Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0x1234, last)
    }

    /// By what a receiver does: pseudo header and message with its checksum add up to nothing.
    fn is_sound(frame: &[u8]) -> bool {
        let length = (frame.len() - BODY) as u32;
        let pseudo = [&frame[22..BODY], &length.to_be_bytes(), &[0, 0, 0, ICMP]].concat();
        checksum(&[&pseudo, &frame[BODY..]]) == [0, 0]
            && u32::from(u16::from_be_bytes([frame[18], frame[19]])) == length
    }

    #[test]
    fn routers_are_asked_as_a_group_and_a_neighbor_as_its_own() {
        let frame = router_solicitation(HARDWARE, link_local(5));
        assert!(is_sound(&frame));
        assert_eq!(frame[..6], [0x33, 0x33, 0, 0, 0, 2]);
        let frame = neighbor_solicitation(HARDWARE, link_local(5), link_local(0x5678));
        assert!(is_sound(&frame));
        assert_eq!(frame[..6], [0x33, 0x33, 0xff, 0x34, 0x56, 0x78]);
        let group: Ipv6Addr = "ff02::1:ff34:5678".parse().unwrap();
        assert_eq!(frame[38..54], group.octets());
        assert_eq!(answer(&frame), None, "a question");
    }

    fn advertisement(options: &[u8]) -> Vec<u8> {
        let mut body = vec![
            ROUTER_ADVERTISEMENT,
            0,
            0,
            0,
            64,
            0,
            7,
            8,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
        ];
        body.extend(options);
        frame(HARDWARE, link_local(1), ALL_ROUTERS, &body)
    }

    fn prefix(bits: u8, lifetime: u8) -> Vec<u8> {
        let mut option = vec![3, 4, bits, 0xc0, 0, 0, 0, lifetime, 0, 0, 0, 9, 0, 0, 0, 0];
        option.extend("fd00:fa:1::".parse::<Ipv6Addr>().unwrap().octets());
        option
    }

    #[test]
    fn an_advertisement_has_the_prefixes_that_last() {
        let options = [
            vec![5, 1, 0, 0, 0, 0, 5, 0xdc],
            prefix(64, 9),
            prefix(56, 0),
            prefix(129, 9),
            prefix(48, 9),
        ];
        let expected = ["fd00:fa:1::/64", "fd00:fa:1::/48"].map(|text| text.parse().unwrap());
        let frame = advertisement(&options.concat());
        let router = |prefixes: &[Ipv6Net]| {
            let prefixes = prefixes.to_vec();
            let from = link_local(1);
            Some(Answer::Router { from, prefixes })
        };
        assert_eq!(answer(&frame), router(&expected));
        // Bytes behind the packet are none of it.
        let filled = [frame.clone(), prefix(60, 9)].concat();
        assert_eq!(answer(&filled), router(&expected));
        for options in [&[][..], &[3, 0, 0, 0], &[3, 200], &prefix(64, 9)[..31]] {
            assert_eq!(answer(&advertisement(options)), router(&[]), "{options:?}");
        }
        // Passed on by a router; another protocol, type and code.
        for place in [21, 20, 54, 55] {
            let mut other = frame.clone();
            other[place] ^= 1;
            assert_eq!(answer(&other), None, "{place}");
        }
    }

    #[test]
    fn a_neighbor_says_its_address() {
        let mut body = vec![NEIGHBOR_ADVERTISEMENT, 0, 0, 0, 0x60, 0, 0, 0];
        body.extend(link_local(7).octets());
        let whole = frame(HARDWARE, link_local(1), ALL_ROUTERS, &body);
        assert_eq!(answer(&whole), Some(Answer::Neighbor(link_local(7))));
        let short = frame(HARDWARE, link_local(1), ALL_ROUTERS, &body[..20]);
        assert_eq!(answer(&short), None);
    }

    proptest! {
        #[test]
        fn no_frame_makes_the_parser_panic(
            options in prop::collection::vec(any::<u8>(), 0..120),
            length in 0_usize..200,
        ) {
            let mut frame = advertisement(&options);
            frame.truncate(length);
            let _ = answer(&frame);
        }
    }
}
