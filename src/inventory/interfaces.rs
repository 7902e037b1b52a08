//! The network interfaces.

use farrier_plugin::NetworkInterface;
use tracing::{debug, warn};

use crate::inventory::InventoryError;
use crate::sys::addresses::Addresses;
use crate::sys::ethtool::link_facts;
use crate::sys::root::Root;

const NET: &str = "/sys/class/net";

/// PCI vendor of the cards that do InfiniBand.
const MELLANOX: &str = "0x15b3";

/// The network interfaces that are hardware, bonds or VLANs and have an address of their own,
/// ordered by name (contract/data-plane 8.2).
///
/// Interfaces whose MAC starts with `fa:` are left out: those are the host's end of the management
/// controller in some servers. Where that would leave none, they stay, because then the machine is
/// one of OpenStack's own virtual machines, whose addresses all start with `fa:16:3e`; the
/// reference reports no interface at all for those and fails their inspection.
///
/// `lldp` is left null; whoever collects LLDP fills it in. `biosdevname` is null: it is the answer
/// of a program that is not in this ramdisk.
pub fn interfaces(root: &Root) -> Result<Vec<NetworkInterface>, InventoryError> {
    if !root.is_dir(NET) {
        return Err(InventoryError::NoSysfs {
            path: root.path(NET).display().to_string(),
        });
    }
    let addresses = Addresses::of(root);
    let mut found: Vec<NetworkInterface> = root
        .names(NET)
        .iter()
        .filter(|name| is_wanted(root, name))
        .map(|name| describe(root, name, &addresses))
        .filter(|interface| {
            let usable = interface.mac_address.is_some();
            if !usable {
                warn!(interface = %interface.name, "left out: it has no MAC address");
            }
            usable
        })
        .collect();
    if !found.iter().all(is_internal) {
        found.retain(|interface| {
            let internal = is_internal(interface);
            if internal {
                debug!(interface = %interface.name, "left out: it leads to the management controller");
            }
            !internal
        });
    }
    Ok(found)
}

/// Hardware (`device`), a bond, or a VLAN by its name (`eno1.100`). Loopback, bridges and tunnels
/// are none of these.
fn is_wanted(root: &Root, name: &str) -> bool {
    let is = |member: &str| root.is_dir(format!("{NET}/{name}/{member}"));
    is("device") || is("bonding") || is_vlan(name)
}

fn is_vlan(name: &str) -> bool {
    name.split_once('.')
        .is_some_and(|(_, tag)| !tag.is_empty() && tag.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_internal(interface: &NetworkInterface) -> bool {
    interface
        .mac_address
        .as_ref()
        .is_some_and(|mac| mac.starts_with("fa:"))
}

fn describe(root: &Root, name: &str, addresses: &Addresses) -> NetworkInterface {
    let attribute = |attribute: &str| root.attribute(format!("{NET}/{name}/{attribute}"));
    let address = attribute("address").map(|address| address.to_lowercase());
    let common = NetworkInterface {
        name: name.to_owned(),
        ipv4_address: addresses.ipv4(name).map(|address| address.to_string()),
        // Reading it fails while the interface is down.
        has_carrier: root.number(format!("{NET}/{name}/carrier")) == Some(1),
        vendor: attribute("device/vendor"),
        product: attribute("device/device"),
        pci_address: root.link_name(format!("{NET}/{name}/device")),
        ..NetworkInterface::default()
    };
    if common.vendor.as_deref() == Some(MELLANOX)
        && let Some((mac, client_id)) = address.as_deref().and_then(infiniband)
    {
        return NetworkInterface {
            mac_address: Some(mac),
            client_id: Some(client_id),
            ..common
        };
    }
    let facts = link_facts(root, name);
    NetworkInterface {
        mac_address: facts
            .permanent_address
            .or(address.filter(|mac| !is_zero(mac))),
        ipv6_address: addresses.ipv6(name).map(|address| {
            if address.is_unicast_link_local() {
                format!("{address}%{name}")
            } else {
                address.to_string()
            }
        }),
        speed_mbps: facts.speed_mbps,
        driver: root.link_name(format!("{NET}/{name}/device/driver")),
        ..common
    }
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

    #[test]
    fn vlans_are_known_by_their_name() {
        assert!(is_vlan("eno1.100"));
        assert!(!is_vlan("eno1"));
        assert!(!is_vlan("eno1."));
        assert!(!is_vlan("br.lan"));
        assert!(!is_vlan("eno1.1.2"));
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
