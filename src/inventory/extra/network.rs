//! Facts of network interfaces.

use super::fact::{Fact, Facts};
use crate::inventory::{InventoryError, interfaces};
use crate::sys::root::Root;

/// The interfaces of the inventory, with what their links do now.
pub(super) fn add(root: &Root, list: &mut Vec<Fact>) -> Result<(), InventoryError> {
    for interface in interfaces(root)? {
        let attribute =
            |name: &str| root.attribute(format!("/sys/class/net/{}/{name}", interface.name));
        // Both are there while the link is up, and `-1` and `unknown` where the driver has none.
        let megabits = attribute("speed")
            .and_then(|speed| speed.parse::<u64>().ok())
            .filter(|speed| *speed > 0);
        let duplex = attribute("duplex").filter(|duplex| duplex != "unknown");
        let mut facts = Facts::of(list, "network", &interface.name);
        facts.add("businfo", interface.pci_address.as_deref().and_then(bus));
        facts.add(
            "size",
            megabits.map(|speed| speed.saturating_mul(1_000_000).to_string()),
        );
        facts.add("ipv4", interface.ipv4_address);
        facts.add(
            "link",
            Some(if interface.has_carrier { "yes" } else { "no" }),
        );
        facts.add("driver", interface.driver);
        facts.add("duplex", duplex);
        facts.add("speed", megabits.map(speed));
        facts.add("serial", interface.mac_address);
    }
    Ok(())
}

/// The device as lshw names it: `pci@0000:3b:00.0`, `virtio@2`.
fn bus(device: &str) -> Option<String> {
    if let Some(number) = device.strip_prefix("virtio") {
        return Some(format!("virtio@{number}"));
    }
    // Domain, bus and device with function; a USB device's interface has one colon, `1-2:1.0`.
    (device.split(':').count() == 3).then(|| format!("pci@{device}"))
}

fn speed(megabits: u64) -> String {
    if megabits.is_multiple_of(1000) {
        format!("{}Gbit/s", megabits / 1000)
    } else {
        format!("{megabits}Mbit/s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_and_speeds_are_named_as_lshw_does() {
        assert_eq!(bus("0000:3b:00.0").as_deref(), Some("pci@0000:3b:00.0"));
        assert_eq!(bus("virtio2").as_deref(), Some("virtio@2"));
        assert_eq!(bus("1-2:1.0"), None);
        assert_eq!(speed(100), "100Mbit/s");
        assert_eq!(speed(2500), "2500Mbit/s");
        assert_eq!(speed(25_000), "25Gbit/s");
    }
}
