//! What firmware leaves of its own way to a disk on a storage network: the iSCSI Boot Firmware Table and the NVMe
//! Boot Firmware Table. Each names network cards with their addresses, and what was reached through them.

pub(crate) mod bring_up;
pub(crate) mod ibft;
pub(crate) mod nbft;

use std::net::IpAddr;

/// A network card as firmware has used it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Interface {
    /// The card's address: `52:54:00:12:34:56`, lower case.
    pub mac_address: String,
    /// The VLAN on it, 1 to 4094.
    pub vlan: Option<u16>,
    /// The address that firmware had there, and the length of its prefix.
    pub address: Option<(IpAddr, u8)>,
    /// What leads to targets outside that prefix.
    pub gateway: Option<IpAddr>,
    /// Where firmware had the address from.
    pub origin: Origin,
}

/// Where firmware had an address from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Origin {
    /// Somebody has set it by hand.
    Manual,
    /// By DHCP: it is somebody's to give again.
    Dhcp,
    /// The table does not say, as those of iPXE.
    Unsaid,
}

/// Whether these addresses have the same first bits.
pub(crate) fn is_on_link((own, prefix): (IpAddr, u8), other: IpAddr) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    };
    let ((own, width), (other, other_width)) = (bits(own), bits(other));
    let shift = 128 - u32::from(prefix.min(width));
    width == other_width && (own ^ other).checked_shr(shift).unwrap_or(0) == 0
}

/// A VLAN that a table names; 0 stands for none, and 4095 is reserved.
fn vlan(id: u16) -> Option<u16> {
    (1..=4094).contains(&id).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_tells_who_is_on_the_link() {
        let on_link = |own: &str, prefix, other: &str| {
            is_on_link((own.parse().unwrap(), prefix), other.parse().unwrap())
        };
        assert!(on_link("192.0.2.5", 24, "192.0.2.254"));
        assert!(!on_link("192.0.2.5", 24, "192.0.3.1"));
        assert!(on_link("192.0.2.5", 0, "203.0.113.1"));
        assert!(!on_link("192.0.2.5", 32, "192.0.2.4"));
        assert!(!on_link("192.0.2.5", 200, "192.0.2.4"));
        assert!(on_link("2001:db8::5", 64, "2001:db8::1"));
        assert!(!on_link("2001:db8::5", 64, "192.0.2.1"));
        assert!(!on_link("2001:db8::5", 0, "192.0.2.1"));
    }
}
