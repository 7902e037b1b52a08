//! Secrets of a management controller's host interface: by which a system reaches its controller,
//! with the controller's name, addresses and service (DSP0134 7.43, DSP0270 clause 8).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use super::pass::Pass;
use super::secrets::mixed;

/// Type of interface, and how many bytes of its own follow.
const TYPE: usize = 0x04;
const OWN_LENGTH: usize = 0x05;
const OWN: usize = 0x06;

/// Type and length of a protocol's record, and its data.
const RECORD_HEADER: usize = 2;
const REDFISH_OVER_IP: u8 = 4;

/// Data of Redfish over IP (DSP0270, table 4).
const SERVICE: Range<usize> = 0..16;
const HOST: Place = Place {
    kind: 16,
    format: 17,
    address: 18,
    mask: 34,
};
const CONTROLLER: Place = Place {
    kind: 50,
    format: 51,
    address: 52,
    mask: 68,
};
const PORT: Range<usize> = 84..86;
const NAME_LENGTH: usize = 90;

/// Where an address stands.
struct Place {
    /// How it is given.
    kind: usize,
    /// 1 is IPv4, 2 is IPv6.
    format: usize,
    address: usize,
    mask: usize,
}

const ADDRESS: usize = 16;

/// The formatted area, of which the header stands in the mask already. What is of no known form is
/// not copied.
pub(super) fn area(pass: &mut Pass, area: &[u8], masked: &mut [u8]) {
    let keep = |masked: &mut [u8], place: Range<usize>| {
        if let (Some(to), Some(from)) = (masked.get_mut(place.clone()), area.get(place)) {
            to.copy_from_slice(from);
        }
    };
    keep(masked, TYPE..OWN);
    // What kind of device it is; then its numbers, which name one.
    let own = usize::from(area.get(OWN_LENGTH).copied().unwrap_or(0));
    if own > 0 {
        keep(masked, OWN..OWN + 1);
    }
    let mut at = OWN + own;
    let Some(count) = area.get(at) else {
        return;
    };
    keep(masked, at..at + 1);
    at += 1;
    for _ in 0..*count {
        let Some([kind, length]) = area.get(at..at + RECORD_HEADER) else {
            return;
        };
        keep(masked, at..at + RECORD_HEADER);
        let data = at + RECORD_HEADER..at + RECORD_HEADER + usize::from(*length);
        at = data.end;
        if *kind == REDFISH_OVER_IP
            && let (Some(from), Some(to)) = (area.get(data.clone()), masked.get_mut(data))
        {
            redfish(pass, from, to);
        }
    }
}

fn redfish(pass: &mut Pass, data: &[u8], masked: &mut [u8]) {
    if let Some(Ok(uuid)) = data.get(SERVICE).map(<[u8; 16]>::try_from) {
        // As the system's own UUID.
        masked[SERVICE].copy_from_slice(&mixed(pass.uuid(mixed(uuid))));
    }
    for place in [HOST, CONTROLLER] {
        let kept = [
            place.kind..place.format + 1,
            place.mask..place.mask + ADDRESS,
        ];
        for kept in kept {
            if let Some(from) = data.get(kept.clone()) {
                masked[kept].copy_from_slice(from);
            }
        }
        let at = place.address..place.address + ADDRESS;
        let (Some(format), Some(Ok(octets))) = (
            data.get(place.format),
            data.get(at.clone()).map(<[u8; ADDRESS]>::try_from),
        ) else {
            continue;
        };
        match format {
            // In the first four bytes.
            1 => {
                let [a, b, c, d, ..] = octets;
                if let IpAddr::V4(address) = pass.address(Ipv4Addr::new(a, b, c, d).into()) {
                    masked[at.start..at.start + 4].copy_from_slice(&address.octets());
                }
            }
            2 => {
                if let IpAddr::V6(address) = pass.address(Ipv6Addr::from(octets).into()) {
                    masked[at].copy_from_slice(&address.octets());
                }
            }
            _ => {}
        }
    }
    if let Some(port) = data.get(PORT) {
        masked[PORT].copy_from_slice(port);
    }
    if let Some(length) = data.get(NAME_LENGTH) {
        masked[NAME_LENGTH] = *length;
        if let Some(name) = masked.get_mut(NAME_LENGTH + 1..) {
            pass.gone(name);
        }
    }
}
