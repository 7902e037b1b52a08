//! The network interfaces of the machine, by the rule of contract/data-plane 8.2: what counts as
//! one, for whoever waits for them, lists them, or looks the node up by their addresses.

use std::path::Path;

use tracing::{info, warn};

use crate::sys::ethtool::{LinkFacts, link_facts};
use crate::sys::link;
use crate::sys::root::Root;

const NET: &str = "/sys/class/net";

/// PCI vendor of the cards that do InfiniBand.
const MELLANOX: &str = "0x15b3";

/// How the MAC of a management controller's end in the host begins, in some servers.
const INTERNAL: &str = "fa:";

/// How the MACs begin that OpenStack gives to its virtual machines.
const OPENSTACK: &str = "fa:16:3e:";

/// A network interface that stands for hardware.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Link {
    /// Its name.
    pub name: String,
    /// The address by which the conductor knows it, lower case: what the card was made with, else
    /// what it has now; of an InfiniBand port what is made of its GUID.
    pub mac_address: Option<String>,
    /// The address that it has now, lower case; a bond's for a card in a bond.
    pub current_address: Option<String>,
    /// DHCP client id of an InfiniBand port.
    pub client_id: Option<String>,
    /// PCI vendor, as sysfs has it: `0x15b3`.
    pub vendor: Option<String>,
    /// What its driver says; nothing of an InfiniBand port.
    pub facts: LinkFacts,
}

/// `IFF_UP`, `linux/if.h`.
const UP: u64 = 1;

/// Why an interface does not count.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum LeftOut {
    /// It has no MAC address.
    NoAddress,
    /// It is the host's end of the management controller.
    Internal,
}

/// Whether an interface has a link. The kernel refuses to say it of one that is down, which has none.
pub(crate) fn has_carrier(root: &Root, name: &str) -> bool {
    root.number(format!("{NET}/{name}/carrier")) == Some(1)
}

/// Whether an interface was brought up; one that is not has no link, whatever is plugged in. `None` of what is no interface.
pub(crate) fn is_up(root: &Root, name: &str) -> Option<bool> {
    let flags = root.attribute(format!("{NET}/{name}/flags"))?;
    let flags = u64::from_str_radix(flags.trim().strip_prefix("0x")?, 16).ok()?;
    Some(flags & UP != 0)
}

/// The interfaces of the machine, each list ordered by name.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Links {
    /// Those that count.
    pub counted: Vec<Link>,
    /// The others, and why.
    pub left_out: Vec<(Link, LeftOut)>,
}

impl Links {
    /// All that are hardware, bonds or VLANs. Those that count have an address.
    ///
    /// Interfaces whose MAC starts with `fa:` are left out: those are the host's end of the management
    /// controller in some servers. Where that would leave none, they stay, because then the machine is
    /// one of OpenStack's own virtual machines, whose addresses all start with `fa:16:3e`; the
    /// reference sees no interface at all in those and fails their inspection.
    pub(crate) fn of(root: &Root) -> Self {
        let mut links = Self::default();
        for name in names(root) {
            let link = Link::of(root, &name);
            if link.mac_address.is_some() {
                links.counted.push(link);
            } else {
                links.left_out.push((link, LeftOut::NoAddress));
            }
        }
        if !links.counted.iter().all(Link::is_internal) {
            let (internal, counted) = links.counted.into_iter().partition(Link::is_internal);
            links.counted = counted;
            let internal: Vec<Link> = internal;
            let internal = internal.into_iter().map(|link| (link, LeftOut::Internal));
            links.left_out.extend(internal);
        }
        links
    }

    /// Whether all that count may be a management controller's, so that the machine's own are
    /// probably still to come.
    pub(crate) fn are_doubtful(&self) -> bool {
        self.counted.iter().all(Link::may_be_a_controllers)
    }

    /// The MAC addresses of those that count.
    pub(crate) fn addresses(self) -> Vec<String> {
        self.counted
            .into_iter()
            .filter_map(|link| link.mac_address)
            .collect()
    }
}

impl Link {
    /// The interface of this name.
    pub(crate) fn of(root: &Root, name: &str) -> Self {
        let attribute = |attribute: &str| root.attribute(format!("{NET}/{name}/{attribute}"));
        let current_address = attribute("address")
            .map(|address| address.to_lowercase())
            .filter(|address| !is_zero(address));
        let vendor = attribute("device/vendor");
        let name = name.to_owned();
        if vendor.as_deref() == Some(MELLANOX)
            && let Some((mac, client_id)) = current_address.as_deref().and_then(infiniband)
        {
            return Self {
                name,
                mac_address: Some(mac),
                current_address,
                client_id: Some(client_id),
                vendor,
                facts: LinkFacts::default(),
            };
        }
        let facts = link_facts(root, &name);
        Self {
            name,
            mac_address: facts
                .permanent_address
                .clone()
                .or_else(|| current_address.clone()),
            current_address,
            client_id: None,
            vendor,
            facts,
        }
    }

    /// Whether this is one of its addresses, in any case of letters.
    pub(crate) fn has_address(&self, address: &str) -> bool {
        [&self.mac_address, &self.current_address]
            .into_iter()
            .flatten()
            .any(|own| own.eq_ignore_ascii_case(address))
    }

    /// Whether none has its name any longer: it went away since it was found, or was renamed.
    pub(crate) fn is_gone(&self, root: &Root) -> bool {
        !root.exists(format!("{NET}/{}", self.name))
    }

    /// Whether it may be the host's end of a management controller. A virtual machine's of OpenStack is not.
    pub(crate) fn may_be_a_controllers(&self) -> bool {
        self.is_internal() && !self.begins(OPENSTACK)
    }

    fn is_internal(&self) -> bool {
        self.begins(INTERNAL)
    }

    fn begins(&self, prefix: &str) -> bool {
        self.mac_address
            .as_ref()
            .is_some_and(|mac| mac.starts_with(prefix))
    }
}

/// The names of all interfaces that stand for hardware, whether they count or not, sorted: those
/// with a device behind them, bonds, and VLANs by their name (`eno1.100`). Loopback, bridges and
/// tunnels are none of these.
pub(crate) fn names(root: &Root) -> Vec<String> {
    let mut names = root.names(NET);
    names.retain(|name| {
        let is = |member: &str| root.is_dir(format!("{NET}/{name}/{member}"));
        is("device") || is("bonding") || is_vlan_name(name)
    });
    names
}

/// Bring these interfaces up; one that does not go is told and left.
pub(crate) fn set_up<'n>(names: impl IntoIterator<Item = &'n str>) {
    for name in names {
        if let Err(error) = link::set_up(name) {
            warn!(interface = name, %error, "could not be brought up");
        }
    }
}

/// Take all of those interfaces down; one that does not go is told and left (contract/control-plane 10.3).
pub(crate) fn set_all_down(root: &Path) {
    for name in names(&Root::at(root)) {
        match link::set_down(&name) {
            Ok(()) => info!(interface = name, "taken down"),
            Err(error) => warn!(interface = name, %error, "could not be taken down"),
        }
    }
}

pub(super) fn is_vlan_name(name: &str) -> bool {
    name.split_once('.')
        .is_some_and(|(_, id)| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_zero(mac: &str) -> bool {
    mac.bytes().all(|byte| byte == b'0' || byte == b':')
}

/// MAC and DHCP client id of an InfiniBand port, made from the 8-byte GUID at the end of its
/// 20-byte address (contract/data-plane 9.5).
fn infiniband(address: &str) -> Option<(String, String)> {
    if address.len() != 59 {
        return None;
    }
    let guid = address.get(36..)?;
    let mac = format!("{}{}", guid.get(..9)?, guid.get(15..)?);
    let client_id = format!("ff:00:00:00:00:00:02:00:00:02:c9:00:{guid}");
    Some((mac, client_id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::recording::Recording;

    fn counted(recording: &str) -> Vec<String> {
        Links::of(&Recording::unpack(recording).root()).addresses()
    }

    #[test]
    fn hardware_bonds_and_vlans_are_interfaces() {
        let recording = Recording::unpack(
            "/sys/class/net/lo/address = 00:00:00:00:00:00\n\
             /sys/class/net/eno1/address = 52:54:00:AA:BB:01\n/sys/class/net/eno1/device/\n\
             /sys/class/net/eno2/address = fa:16:3e:00:00:01\n/sys/class/net/eno2/device/\n\
             /sys/class/net/wwan0/address = \n/sys/class/net/wwan0/device/\n\
             /sys/class/net/bond0/address = 52:54:00:aa:bb:02\n/sys/class/net/bond0/bonding/\n\
             /sys/class/net/eno1.100/address = 52:54:00:aa:bb:01\n\
             /sys/class/net/br0/address = 52:54:00:aa:bb:03",
        );
        let root = recording.root();
        assert_eq!(names(&root), ["bond0", "eno1", "eno1.100", "eno2", "wwan0"]);
        let links = Links::of(&root);
        let left_out: Vec<_> = links
            .left_out
            .iter()
            .map(|(link, why)| (link.name.as_str(), *why))
            .collect();
        assert_eq!(
            left_out,
            [("wwan0", LeftOut::NoAddress), ("eno2", LeftOut::Internal)]
        );
        assert_eq!(
            links.addresses(),
            [
                "52:54:00:aa:bb:02",
                "52:54:00:aa:bb:01",
                "52:54:00:aa:bb:01"
            ]
        );
    }

    #[test]
    fn what_the_card_was_made_with_is_its_address() {
        let enslaved = "/sys/class/net/eno1/address = 52:54:00:aa:bb:02\n\
                        /sys/class/net/eno1/device/\n\
                        /recorded/ethtool.json = {\"eno1\": {\"permanent_address\": \
                        \"52:54:00:aa:bb:01\"}}";
        assert_eq!(counted(enslaved), ["52:54:00:aa:bb:01"]);
        // A card that gets its address later than its name.
        let zero = enslaved.replace("52:54:00:aa:bb:02", "00:00:00:00:00:00");
        assert_eq!(counted(&zero), ["52:54:00:aa:bb:01"]);
        let link = Link::of(&Recording::unpack(enslaved).root(), "eno1");
        assert!(link.has_address("52:54:00:AA:BB:01") && link.has_address("52:54:00:aa:bb:02"));
        assert!(!link.has_address("52:54:00:aa:bb:03"));
    }

    #[test]
    fn only_an_openstack_machine_is_sure_of_fa_addresses() {
        let machine = |mac: &str| {
            let tree = format!("/sys/class/net/eno1/address = {mac}\n/sys/class/net/eno1/device/");
            Links::of(&Recording::unpack(&tree).root())
        };
        for (mac, doubtful) in [
            ("fa:16:3e:00:00:01", false),
            ("fa:00:00:00:00:01", true),
            ("52:54:00:aa:bb:01", false),
        ] {
            let links = machine(mac);
            assert_eq!(links.are_doubtful(), doubtful, "{mac}");
            assert_eq!(links.addresses(), [mac]);
        }
        assert!(Links::default().are_doubtful());
    }

    #[test]
    fn vlans_are_known_by_their_name() {
        assert!(is_vlan_name("eno1.100"));
        assert!(!is_vlan_name("eno1"));
        assert!(!is_vlan_name("eno1."));
        assert!(!is_vlan_name("br.lan"));
        assert!(!is_vlan_name("eno1.1.2"));
    }

    #[test]
    fn an_infiniband_port_has_a_mac_of_its_guid() {
        let address = "80:00:02:48:fe:80:00:00:00:00:00:00:7c:fe:90:03:00:29:26:52";
        let (mac, client_id) = infiniband(address).unwrap();
        assert_eq!(mac, "7c:fe:90:29:26:52");
        assert_eq!(
            client_id,
            "ff:00:00:00:00:00:02:00:00:02:c9:00:7c:fe:90:03:00:29:26:52"
        );
        assert_eq!(infiniband("52:54:00:1a:b0:01"), None);
    }
}
