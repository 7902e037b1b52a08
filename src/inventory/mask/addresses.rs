//! Masks of IP addresses: of the machine's interfaces, of its management controller, of switches and
//! storage.
//!
//! They become addresses that are set aside for documentation (RFC 5737, RFC 3849), of the same
//! family and reach. An address that is made of a MAC is made of that MAC's mask.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const LINK_LOCAL: [u8; 8] = [0xfe, 0x80, 0, 0, 0, 0, 0, 0];
const DOCUMENTATION: [u8; 8] = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0];
/// RFC 5737.
const DOCUMENTATION_V4: [[u8; 3]; 3] = [[192, 0, 2], [198, 51, 100], [203, 0, 113]];
/// Hosts in one of these networks.
const HOSTS: usize = 254;

/// Loopback addresses and what stands for no address are nobody's.
pub(super) fn is_secret(address: IpAddr) -> bool {
    !address.is_loopback() && !address.is_unspecified() && address != Ipv4Addr::BROADCAST
}

/// The MAC that an address is made of (RFC 4291, appendix A: `ff:fe` in its middle and one bit
/// turned over).
pub(super) fn mac_in(address: IpAddr) -> Option<[u8; 6]> {
    let IpAddr::V6(address) = address else {
        return None;
    };
    let octets = address.octets();
    let [.., first, second, third, 0xff, 0xfe, fourth, fifth, sixth] = octets else {
        return None;
    };
    Some([first ^ 2, second, third, fourth, fifth, sixth])
}

/// Each address with its mask, numbered by family. The masks of MACs are known already.
pub(super) fn masks(
    addresses: &BTreeSet<IpAddr>,
    macs: &BTreeMap<[u8; 6], [u8; 6]>,
) -> BTreeMap<IpAddr, IpAddr> {
    let mut numbers = [0usize; 2];
    let mut masks = BTreeMap::new();
    for address in addresses {
        let number = &mut numbers[usize::from(address.is_ipv6())];
        *number += 1;
        let mask = match address {
            IpAddr::V4(_) => IpAddr::V4(documentation_v4(*number - 1)),
            IpAddr::V6(v6) => {
                let mac = mac_in(*address).and_then(|mac| macs.get(&mac));
                IpAddr::V6(v6_mask(*v6, *number as u64, mac))
            }
        };
        masks.insert(*address, mask);
    }
    masks
}

/// Three networks are set aside; a machine with more addresses than they have sees them again.
fn documentation_v4(number: usize) -> Ipv4Addr {
    let [first, second, third] = DOCUMENTATION_V4[number / HOSTS % DOCUMENTATION_V4.len()];
    Ipv4Addr::new(first, second, third, (number % HOSTS + 1) as u8)
}

fn v6_mask(address: Ipv6Addr, number: u64, mac: Option<&[u8; 6]>) -> Ipv6Addr {
    let mut octets = [0; 16];
    octets[..8].copy_from_slice(if address.is_unicast_link_local() {
        &LINK_LOCAL
    } else {
        &DOCUMENTATION
    });
    match mac {
        Some([first, second, third, rest @ ..]) => {
            octets[8..13].copy_from_slice(&[first ^ 2, *second, *third, 0xff, 0xfe]);
            octets[13..].copy_from_slice(rest);
        }
        None => octets[8..].copy_from_slice(&number.to_be_bytes()),
    }
    octets.into()
}
