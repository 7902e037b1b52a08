//! The inspection collectors that read nothing but files (contract/control-plane 9.2).

use serde_json::{Value, json};
use tracing::warn;

use crate::inventory::{InventoryError, Smbios, dmi, numa_topology, pci_devices, usb_devices};
use crate::sys::root::Root;

/// A collector that an operator can name in `inspection_collectors`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Collector {
    /// `dmi-decode`: firmware, processors and memory modules.
    DmiDecode,
    /// `numa-topology`: memory, cores and network cards by NUMA node.
    NumaTopology,
    /// `pci-devices`: all PCI devices.
    PciDevices,
    /// `usb-devices`: USB devices of no common kind.
    UsbDevices,
}

impl Collector {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::DmiDecode,
        Self::NumaTopology,
        Self::PciDevices,
        Self::UsbDevices,
    ];

    /// The collector that operators call this.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|collector| collector.name() == name)
    }

    /// What operators call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::DmiDecode => "dmi-decode",
            Self::NumaTopology => "numa-topology",
            Self::PciDevices => "pci-devices",
            Self::UsbDevices => "usb-devices",
        }
    }

    /// The member of the inspection data that it fills.
    pub fn key(self) -> &'static str {
        match self {
            Self::DmiDecode => "dmi",
            Self::NumaTopology => "numa_topology",
            Self::PciDevices => "pci_devices",
            Self::UsbDevices => "usb_devices",
        }
    }

    /// Read the machine. `None` where there is nothing to report and that is no failure.
    ///
    /// # Errors
    ///
    /// What the reference counts as a failure of the collector, which makes the conductor fail the
    /// whole inspection.
    pub fn collect(self, root: &Root) -> Result<Option<Value>, InventoryError> {
        match self {
            Self::DmiDecode => {
                // dmidecode prints nothing, and does not fail, on a machine without a table.
                let smbios = Smbios::read(root).unwrap_or_else(|| Smbios::new(&[], Vec::new()));
                Ok(Some(json!(dmi(&smbios))))
            }
            Self::NumaTopology => match numa_topology(root) {
                Ok(topology) => Ok(Some(json!(topology))),
                // No failure to the reference, whose key is missing then, too.
                Err(error) => {
                    warn!(error = %crate::sys::log::chain(&error), "no NUMA topology is reported");
                    Ok(None)
                }
            },
            Self::PciDevices => Ok(Some(json!(pci_devices(root)?))),
            Self::UsbDevices => Ok(Some(json!(usb_devices(root)))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::recording::Recording;

    #[test]
    fn an_empty_machine_fails_only_where_the_reference_does() {
        let recording = Recording::unpack("/sys/");
        let collect = |collector: Collector| collector.collect(&recording.root());
        assert_eq!(
            collect(Collector::DmiDecode).unwrap(),
            Some(json!({"bios": {}, "cpu": [], "memory": {"devices": []}}))
        );
        assert_eq!(collect(Collector::NumaTopology).unwrap(), None);
        assert!(collect(Collector::PciDevices).is_err());
        assert_eq!(collect(Collector::UsbDevices).unwrap(), Some(json!([])));
    }

    #[test]
    fn every_collector_is_found_by_its_name() {
        for collector in Collector::ALL {
            assert_eq!(Collector::named(collector.name()), Some(collector));
        }
        assert_eq!(Collector::named("default"), None);
    }
}
