//! The PCI devices, for the collector `pci-devices`.

use serde::Serialize;
use tracing::warn;

use crate::inventory::InventoryError;
use crate::sys::root::Root;

const DEVICES: &str = "/sys/bus/pci/devices";

/// A PCI device as the conductor's `pci-devices` and `accelerators` hooks want it
/// (contract/data-plane 9.4). Numbers are hexadecimal texts without `0x`, as sysfs pads them.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct PciDevice {
    /// Vendor: `8086`.
    pub vendor_id: String,
    /// Device: `1572`.
    pub product_id: String,
    /// Class, subclass and programming interface: `020000`.
    pub class: String,
    /// Revision: `01`; null where the kernel does not tell it.
    pub revision: Option<String>,
    /// Address with domain: `0000:3b:00.0`.
    pub bus: String,
    /// NUMA node as a decimal text, `-1` where the firmware does not say; null on a kernel without
    /// NUMA.
    pub numa_node_id: Option<String>,
}

/// All PCI devices, ordered by address; one without vendor, device or class is left out with a
/// warning.
///
/// # Errors
///
/// There is no PCI bus at all. The reference counts that as a failure, too.
pub(crate) fn pci_devices(root: &Root) -> Result<Vec<PciDevice>, InventoryError> {
    if !root.is_dir(DEVICES) {
        return Err(InventoryError::NoPci {
            path: root.path(DEVICES).display().to_string(),
        });
    }
    let names = root.names(DEVICES);
    Ok(names.iter().filter_map(|bus| describe(root, bus)).collect())
}

fn describe(root: &Root, bus: &str) -> Option<PciDevice> {
    let attribute = |name: &str| root.attribute(format!("{DEVICES}/{bus}/{name}"));
    let hexadecimal = |name: &str| {
        let text = attribute(name)?;
        Some(text.strip_prefix("0x")?.to_owned())
    };
    let [vendor_id, product_id, class] = ["vendor", "device", "class"].map(|name| {
        let number = hexadecimal(name);
        if number.is_none() {
            warn!(
                device = bus,
                attribute = name,
                "left out: a PCI device without a readable one"
            );
        }
        number
    });
    Some(PciDevice {
        vendor_id: vendor_id?,
        product_id: product_id?,
        class: class?,
        revision: hexadecimal("revision"),
        bus: bus.to_owned(),
        numa_node_id: attribute("numa_node"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sys::recording::Recording;

    /// What the reference makes of this tree was seen by running its collector on it.
    #[test]
    fn devices_are_the_references() {
        let recording = Recording::unpack(
            "\
/sys/bus/pci/devices/0000:00:00.0 -> ../../../devices/pci0000:00/0000:00:00.0
/sys/devices/pci0000:00/0000:00:00.0/vendor = 0x8086
/sys/devices/pci0000:00/0000:00:00.0/device = 0x29c0
/sys/devices/pci0000:00/0000:00:00.0/class = 0x060000
/sys/devices/pci0000:00/0000:00:00.0/revision = 0x00
/sys/devices/pci0000:00/0000:00:00.0/numa_node = -1
/sys/bus/pci/devices/10000:e1:00.0 -> ../../../devices/pci10000:e0/10000:e1:00.0
/sys/devices/pci10000:e0/10000:e1:00.0/vendor = 0x144d
/sys/devices/pci10000:e0/10000:e1:00.0/device = 0xa824
/sys/devices/pci10000:e0/10000:e1:00.0/class = 0x010802
/sys/devices/pci10000:e0/10000:e1:00.0/revision = nonsense
/sys/bus/pci/devices/0000:00:01.0 -> ../../../devices/pci0000:00/0000:00:01.0
/sys/devices/pci0000:00/0000:00:01.0/vendor = 0x8086
/sys/devices/pci0000:00/0000:00:01.0/device = 1234
/sys/devices/pci0000:00/0000:00:01.0/class = 0x060000
/sys/bus/pci/devices/0000:00:02.0/vendor = 0x8086
",
        );
        assert_eq!(
            serde_json::to_value(pci_devices(&recording.root()).unwrap()).unwrap(),
            json!([
                {"vendor_id": "8086", "product_id": "29c0", "class": "060000", "revision": "00",
                 "bus": "0000:00:00.0", "numa_node_id": "-1"},
                {"vendor_id": "144d", "product_id": "a824", "class": "010802", "revision": null,
                 "bus": "10000:e1:00.0", "numa_node_id": null},
            ])
        );
    }

    #[test]
    fn no_bus_is_an_error() {
        let recording = Recording::unpack("/sys/bus/");
        let error = pci_devices(&recording.root()).unwrap_err();
        assert!(error.to_string().contains("sys/bus/pci/devices"));
    }
}
