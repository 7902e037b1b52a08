//! Addresses, masks and networks as they are written in both sources.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// The length of a prefix, written as one (`24`) or as a mask (`255.255.255.0`, `ffff:ffff::`) of this family.
pub(crate) fn length(text: &str, is_ipv4: bool) -> Option<u8> {
    let text = text.trim();
    let longest = if is_ipv4 { 32 } else { 128 };
    if !text.is_empty() && text.len() <= 3 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().filter(|length| *length <= longest);
    }
    let mask: IpAddr = text.parse().ok()?;
    (mask.is_ipv4() == is_ipv4).then(|| ipnet::ip_mask_to_prefix(mask).ok())?
}

/// A network with its prefix or mask behind a `/`, or beside it; without any it is one address. Bits of a host do not
/// count.
pub(crate) fn network(text: &str, mask: Option<&str>, is_ipv4: bool) -> Option<IpNet> {
    let (address, behind) = match text.trim().split_once('/') {
        Some((address, behind)) => (address, Some(behind)),
        None => (text.trim(), None),
    };
    let address: IpAddr = address.parse().ok()?;
    if address.is_ipv4() != is_ipv4 {
        return None;
    }
    let length = match behind.or(mask) {
        Some(mask) => length(mask.trim_start_matches('/'), is_ipv4)?,
        None if is_ipv4 => 32,
        None => 128,
    };
    IpNet::new(address, length)
        .ok()
        .map(|network| network.trunc())
}

/// Where a default route leads.
pub(crate) fn everything(is_ipv4: bool) -> IpNet {
    let address: IpAddr = if is_ipv4 {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    IpNet::new_assert(address, 0)
}

/// Whether one machine on a network can have this address.
pub(crate) fn is_host(address: IpAddr) -> bool {
    let is_broadcast = address == IpAddr::V4(Ipv4Addr::BROADCAST);
    !(address.is_unspecified() || address.is_multicast() || address.is_loopback() || is_broadcast)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_lengths_or_contiguous_bits() {
        for (text, is_ipv4, expected) in [
            ("24", true, Some(24)),
            ("0", true, Some(0)),
            ("255.255.240.0", true, Some(20)),
            ("0.0.0.0", true, Some(0)),
            ("255.0.255.0", true, None),
            ("33", true, None),
            ("ffff:ffff:ffff:ffff::", false, Some(64)),
            ("::", false, Some(0)),
            ("128", false, Some(128)),
            ("129", false, None),
            ("ffff::ffff", false, None),
            ("ffff::", true, None),
            ("255.255.255.0", false, None),
            ("", true, None),
            ("+4", true, None),
            ("1e1", true, None),
        ] {
            assert_eq!(length(text, is_ipv4), expected, "{text:?}");
        }
    }

    #[test]
    fn networks_have_their_length_behind_or_beside_them() {
        let shown =
            |text, mask, is_ipv4| network(text, mask, is_ipv4).map(|network| network.to_string());
        let is = |text: &str| Some(text.to_owned());
        assert_eq!(shown("10.1.2.3", Some("255.0.0.0"), true), is("10.0.0.0/8"));
        assert_eq!(
            shown("10.1.2.3/16", Some("255.0.0.0"), true),
            is("10.1.0.0/16")
        );
        assert_eq!(shown("10.1.2.3/255.255.0.0", None, true), is("10.1.0.0/16"));
        assert_eq!(shown("10.1.2.3", None, true), is("10.1.2.3/32"));
        assert_eq!(shown("::", Some("ffff:ffff:ffff::"), false), is("::/48"));
        assert_eq!(shown("::0", Some("::0"), false), is("::/0"));
        assert_eq!(shown("fd00::1/8", None, false), is("fd00::/8"));
        assert_eq!(shown("fd00::1/8", None, true), None);
        assert_eq!(shown("10.1.2.3", Some("/24"), true), is("10.1.2.0/24"));
    }
}
