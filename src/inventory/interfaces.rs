//! The network interfaces.

use farrier_plugin::NetworkInterface;
use tracing::{debug, warn};

use crate::inventory::InventoryError;
use crate::net::links::{self, LeftOut, Link, Links};
use crate::sys::addresses::Addresses;
use crate::sys::root::Root;

const NET: &str = "/sys/class/net";

/// The network interfaces that count (see [`Links`]), ordered by name (contract/data-plane 8.2).
///
/// `lldp` is left null; whoever collects LLDP fills it in. `biosdevname` is null: it is the answer
/// of a program that is not in this ramdisk.
pub(crate) fn interfaces(root: &Root) -> Result<Vec<NetworkInterface>, InventoryError> {
    if !root.is_dir(NET) {
        return Err(InventoryError::NoSysfs {
            path: root.path(NET).display().to_string(),
        });
    }
    let links = Links::of(root);
    for (link, why) in &links.left_out {
        match why {
            LeftOut::NoAddress => {
                warn!(interface = link.name, "left out: it has no MAC address");
            }
            LeftOut::Internal => {
                debug!(
                    interface = link.name,
                    "left out: it leads to the management controller"
                );
            }
        }
    }
    let addresses = Addresses::of(root);
    Ok(links
        .counted
        .into_iter()
        .map(|link| describe(root, link, &addresses))
        .collect())
}

fn describe(root: &Root, link: Link, addresses: &Addresses) -> NetworkInterface {
    let name = link.name.as_str();
    let attribute = |attribute: &str| root.attribute(format!("{NET}/{name}/{attribute}"));
    let common = NetworkInterface {
        name: name.to_owned(),
        mac_address: link.mac_address,
        ipv4_address: addresses.ipv4(name).map(|address| address.to_string()),
        has_carrier: links::has_carrier(root, name),
        vendor: link.vendor,
        product: attribute("device/device"),
        pci_address: root.link_name(format!("{NET}/{name}/device")),
        ..NetworkInterface::default()
    };
    if link.client_id.is_some() {
        return NetworkInterface {
            client_id: link.client_id,
            ..common
        };
    }
    NetworkInterface {
        ipv6_address: addresses.ipv6(name).map(|address| {
            if address.is_unicast_link_local() {
                format!("{address}%{name}")
            } else {
                address.to_string()
            }
        }),
        speed_mbps: link.facts.speed_mbps,
        driver: root.link_name(format!("{NET}/{name}/device/driver")),
        ..common
    }
}
