//! What dhcpcd is told of InfiniBand ports (IPoIB, RFC 4390 and RFC 4391), and what a person is.
//!
//! - The DHCP client id is the one of the network boot (contract/data-plane 9.5), made of the port's GUID. By itself
//!   dhcpcd would send the whole address, in which a number of the driver's changes from boot to boot.
//! - Stable private addresses of IPv6, in place of those of the hardware address: dhcpcd makes none of 20 bytes, and
//!   without a link-local address it would not even ask for a router.
//! - DHCPv4 comes to nothing, and that is told: dhcpcd writes frames without a header to everything but Ethernet, which IPoIB
//!   drops ("What header structure does IPoIB use?", its if-linux.c asks). A client of our own for these ports
//!   alone was rejected for now: it could be tried on no hardware here.

use std::path::Path;

use crate::net::links::{self, Link};
use crate::sys::root::Root;

/// Blocks of dhcpcd's configuration, one for each port that is there below `root`; they follow everything else.
pub(super) fn configuration(root: &Path) -> String {
    ports(root)
        .map(|(name, client_id)| format!("interface {name}\nclientid {client_id}\nslaac private\n"))
        .collect()
}

/// What a person should know of these ports; nothing where there is none.
pub(super) fn note(root: &Path) -> Option<String> {
    let names: Vec<String> = ports(root).map(|(name, _)| name).collect();
    (!names.is_empty()).then(|| {
        format!(
            "InfiniBand: {} gets no IPv4 address by DHCP, only IPv6 or what network data give it",
            names.join(", ")
        )
    })
}

fn ports(root: &Path) -> impl Iterator<Item = (String, String)> {
    let root = Root::at(root);
    links::names(&root).into_iter().filter_map(move |name| {
        let client_id = Link::of(&root, &name).client_id?;
        Some((name, client_id))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::recording::Recording;

    #[test]
    fn a_port_sends_the_client_id_of_its_network_boot() {
        let recording = Recording::unpack(
            "/sys/class/net/eno1/address = 52:54:00:aa:bb:02\n\
             /sys/class/net/eno1/device/vendor = 0x15b3\n\
             /sys/class/net/ibs2/address = \
             80:00:02:48:fe:80:00:00:00:00:00:00:7c:fe:90:03:00:29:26:52\n\
             /sys/class/net/ibs2/device/vendor = 0x15b3",
        );
        let root = recording.root().path("/");
        assert_eq!(
            configuration(&root),
            "interface ibs2\n\
             clientid ff:00:00:00:00:00:02:00:00:02:c9:00:7c:fe:90:03:00:29:26:52\n\
             slaac private\n"
        );
        let said = note(&root).unwrap();
        assert!(said.starts_with("InfiniBand: ibs2 gets no IPv4"), "{said}");
    }

    #[test]
    fn a_machine_without_ports_is_told_nothing() {
        let recording = Recording::unpack(
            "/sys/class/net/eno1/address = 52:54:00:aa:bb:02\n/sys/class/net/eno1/device/",
        );
        let root = recording.root().path("/");
        assert_eq!(configuration(&root), "");
        assert_eq!(note(&root), None);
    }
}
