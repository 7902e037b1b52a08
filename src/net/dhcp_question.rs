//! Questions of DHCPv4 (RFC 2131) as whole Ethernet frames, for an interface whose leases are dhcpcd's: whether a lease
//! still counts, and whether somebody would give one. Neither changes a lease here; a server that knows it begins it anew.
//!
//! Whoever asks is the client that dhcpcd is: by the hardware address, which its option `clientid` sends too.

use std::net::Ipv4Addr;

use super::internet_checksum::checksum;
use crate::sys::packet::HardwareAddress;

/// Of IPv4.
pub(crate) const ETHERTYPE: u16 = 0x0800;

/// Bytes of frames that may be answers: UDP to a client's port, in a header without options.
pub(crate) const ANSWERS: [(u32, u8); 4] = [(14, 0x45), (23, UDP), (36, 0), (37, CLIENT as u8)];

const UDP: u8 = 17;
const CLIENT: u16 = 68;
const SERVER: u16 = 67;

/// Where headers end: Ethernet, IPv4, UDP.
const IP: usize = 14;
const UDP_HEADER: usize = IP + 20;
const BOOTP: usize = UDP_HEADER + 8;

/// Fields of a message, from its begin on (RFC 2131, 2).
const TRANSACTION: usize = 4;
const YOUR_ADDRESS: usize = 16;
const CLIENT_ADDRESS: usize = 28;
const COOKIE: usize = 236;
const OPTIONS: usize = 240;
const MAGIC: [u8; 4] = [99, 130, 83, 99];

/// What relays expect at least (RFC 1542, 2.1).
const LEAST: usize = 300;

const REQUESTED_ADDRESS: u8 = 50;
const KIND: u8 = 53;
const PARAMETERS: u8 = 55;
const VENDOR_CLASS: u8 = 60;
const CLIENT_ID: u8 = 61;
const END: u8 = 255;

/// What dhcpcd is told to send, too.
const VENDOR: &[u8] = b"farrier";

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client {
    pub(crate) hardware: HardwareAddress,
    /// By which answers are known.
    pub(crate) transaction: u32,
}

/// What a server says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Answer {
    /// The address would be given.
    Offered(Ipv4Addr),
    /// The lease of this address counts.
    Acknowledged(Ipv4Addr),
    /// It does not.
    Refused,
}

impl Client {
    /// Whether the lease of this address counts here: the question of a client that has been started again
    /// (INIT-REBOOT, RFC 2131 4.3.2). Servers of another network refuse it, those that know no such lease keep silent.
    pub(crate) fn confirm(self, address: Ipv4Addr) -> Vec<u8> {
        self.question(3, Some(address))
    }

    /// Whether somebody would give an address (DISCOVER).
    pub(crate) fn discover(self) -> Vec<u8> {
        self.question(1, None)
    }

    fn question(self, kind: u8, address: Option<Ipv4Addr>) -> Vec<u8> {
        let mut message = vec![0; OPTIONS];
        // A request, by Ethernet, whose addresses have 6 bytes.
        message[..3].copy_from_slice(&[1, 1, 6]);
        message[TRANSACTION..][..4].copy_from_slice(&self.transaction.to_be_bytes());
        message[CLIENT_ADDRESS..][..6].copy_from_slice(&self.hardware);
        message[COOKIE..].copy_from_slice(&MAGIC);
        message.extend([KIND, 1, kind]);
        if let Some(address) = address {
            message.extend([REQUESTED_ADDRESS, 4]);
            message.extend(address.octets());
        }
        message.extend([CLIENT_ID, 7, 1]);
        message.extend(self.hardware);
        message.extend([VENDOR_CLASS, VENDOR.len() as u8]);
        message.extend(VENDOR);
        // Netmask, router.
        message.extend([PARAMETERS, 2, 1, 3, END]);
        message.resize(message.len().max(LEAST), 0);
        frame(self.hardware, &message)
    }

    /// What this frame says to this client, if it is an answer.
    pub(crate) fn answer(self, frame: &[u8]) -> Option<Answer> {
        if frame.get(12..14)? != ETHERTYPE.to_be_bytes() {
            return None;
        }
        let is_answer = |(offset, byte): &(u32, u8)| frame.get(*offset as usize) == Some(byte);
        // A fragment: flags and offset, but for "do not".
        let is_part = u16::from_be_bytes([*frame.get(20)?, *frame.get(21)?]) & 0x3fff != 0;
        if !ANSWERS.iter().all(is_answer) || is_part {
            return None;
        }
        let message = frame.get(BOOTP..)?;
        let options = message.get(OPTIONS..)?;
        let is_ours = message[0] == 2
            && message[TRANSACTION..][..4] == self.transaction.to_be_bytes()
            && message[CLIENT_ADDRESS..][..6] == self.hardware
            && message[COOKIE..OPTIONS] == MAGIC;
        if !is_ours {
            return None;
        }
        let octets: [u8; 4] = message[YOUR_ADDRESS..][..4].try_into().ok()?;
        let address = Ipv4Addr::from(octets);
        match kind(options)? {
            // A server that only says what to boot (proxyDHCP, PXE specification 2.1) offers none.
            2 if address.is_unspecified() => None,
            2 => Some(Answer::Offered(address)),
            5 => Some(Answer::Acknowledged(address)),
            6 => Some(Answer::Refused),
            _ => None,
        }
    }
}

/// The kind of a message, of its options.
fn kind(mut options: &[u8]) -> Option<u8> {
    loop {
        match options {
            [0, rest @ ..] => options = rest,
            [KIND, 1, kind, ..] => return Some(*kind),
            [END, ..] => return None,
            [_, length, rest @ ..] => options = rest.get(usize::from(*length)..)?,
            _ => return None,
        }
    }
}

/// To everybody, from no address yet.
fn frame(hardware: HardwareAddress, message: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(BOOTP + message.len());
    frame.extend([0xff; 6]);
    frame.extend(hardware);
    frame.extend(ETHERTYPE.to_be_bytes());
    let length = (BOOTP - IP + message.len()) as u16;
    frame.extend([0x45, 0]);
    frame.extend(length.to_be_bytes());
    frame.extend([0, 0, 0, 0, 64, UDP, 0, 0]);
    frame.extend(Ipv4Addr::UNSPECIFIED.octets());
    frame.extend(Ipv4Addr::BROADCAST.octets());
    let sum = checksum(&[&frame[IP..]]);
    frame[IP + 10..][..2].copy_from_slice(&sum);

    let length = (BOOTP - UDP_HEADER + message.len()) as u16;
    frame.extend(CLIENT.to_be_bytes());
    frame.extend(SERVER.to_be_bytes());
    frame.extend(length.to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(message);
    let length = u32::from(length).to_be_bytes();
    let pseudo = [&frame[IP + 12..UDP_HEADER], &length, &[0, 0, 0, UDP]].concat();
    let sum = match checksum(&[&pseudo, &frame[UDP_HEADER..]]) {
        // Which would mean that there is none.
        [0, 0] => [0xff, 0xff],
        sum => sum,
    };
    frame[UDP_HEADER + 6..][..2].copy_from_slice(&sum);
    frame
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CLIENT: Client = Client {
        hardware: [0x52, 0x54, 0, 1, 2, 3],
        transaction: 0x0102_0304,
    };

    /// By what a receiver does: all words of a header with its checksum add up to nothing.
    fn is_sound(parts: &[&[u8]]) -> bool {
        checksum(parts) == [0, 0]
    }

    #[test]
    fn a_question_is_what_a_client_sends_that_was_started_again() {
        let frame = CLIENT.confirm(Ipv4Addr::new(192, 0, 2, 10));
        assert_eq!(frame.len(), BOOTP + LEAST);
        assert!(is_sound(&[&frame[IP..UDP_HEADER]]));
        let length = (frame.len() - UDP_HEADER) as u16;
        let pseudo = [&frame[26..34], &[0, UDP], &length.to_be_bytes()].concat();
        assert!(is_sound(&[&pseudo, &frame[UDP_HEADER..]]));
        assert_eq!(frame[16..18], (frame.len() as u16 - 14).to_be_bytes());
        assert_eq!(frame[38..40], length.to_be_bytes());
        let message = &frame[BOOTP..];
        // Neither an address that it has nor a server that it chose (RFC 2131, 4.3.6).
        assert_eq!(message[12..28], [0; 16]);
        let options = [
            &[KIND, 1, 3, REQUESTED_ADDRESS, 4, 192, 0, 2, 10][..],
            &[CLIENT_ID, 7, 1, 0x52, 0x54, 0, 1, 2, 3],
            b"\x3c\x07farrier\x37\x02\x01\x03\xff",
        ];
        assert!(message[OPTIONS..].starts_with(&options.concat()));
        assert_eq!(CLIENT.answer(&frame), None, "a question");
    }

    fn answer(options: &[u8]) -> Vec<u8> {
        let mut frame = CLIENT.discover();
        frame[34..38].copy_from_slice(&[0, 67, 0, 68]);
        frame[BOOTP] = 2;
        frame[BOOTP + YOUR_ADDRESS..][..4].copy_from_slice(&[192, 0, 2, 10]);
        frame.truncate(BOOTP + OPTIONS);
        frame.extend(options);
        frame
    }

    #[test]
    fn answers_are_told_by_their_kind() {
        let address = Ipv4Addr::new(192, 0, 2, 10);
        for (options, expected) in [
            (&[53, 1, 2, 255][..], Some(Answer::Offered(address))),
            (
                &[54, 4, 1, 2, 3, 4, 0, 53, 1, 5],
                Some(Answer::Acknowledged(address)),
            ),
            (&[53, 1, 6], Some(Answer::Refused)),
            (&[53, 1, 4], None),
            (&[53, 2, 6, 6], None),
            (&[255, 53, 1, 6], None),
            (&[54, 40, 1], None),
            (&[54], None),
            (&[], None),
        ] {
            assert_eq!(CLIENT.answer(&answer(options)), expected, "{options:?}");
        }
        let mut offer = answer(&[53, 1, 2]);
        offer[BOOTP + YOUR_ADDRESS..][..4].fill(0);
        assert_eq!(CLIENT.answer(&offer), None, "an offer of no address");
    }

    #[test]
    fn what_is_meant_for_others_is_no_answer() {
        let whole = answer(&[53, 1, 6]);
        // Type, protocol, fragment, port, question, transaction, hardware address, cookie.
        for place in [12, 23, 21, 37, BOOTP, BOOTP + 4, BOOTP + 28, BOOTP + 236] {
            let mut frame = whole.clone();
            frame[place] ^= 0x07;
            assert_eq!(CLIENT.answer(&frame), None, "{place}");
        }
    }

    proptest! {
        #[test]
        fn no_frame_makes_the_parser_panic(
            options in prop::collection::vec(any::<u8>(), 0..80),
            length in 0_usize..400,
        ) {
            let mut frame = answer(&options);
            frame.truncate(length);
            let _ = CLIENT.answer(&frame);
        }
    }
}
