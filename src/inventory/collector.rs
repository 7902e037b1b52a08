//! The inspection collectors that read nothing but files (contract/control-plane 9.2).

use serde_json::{Value, json};
use tracing::warn;

use crate::inventory::{
    InventoryError, Smbios, dmi, extra_hardware, numa_topology, pci_devices, usb_devices,
};
use crate::sys::root::Root;

/// A collector that an operator can name in `inspection_collectors`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Collector {
    /// `dmi-decode`: firmware, processors and memory modules.
    DmiDecode,
    /// `extra-hardware`: facts by category, item and name.
    ExtraHardware,
    /// `numa-topology`: memory, cores and network cards by NUMA node.
    NumaTopology,
    /// `pci-devices`: all PCI devices.
    PciDevices,
    /// `usb-devices`: USB devices of no common kind.
    UsbDevices,
}

impl Collector {
    /// All of them.
    pub(crate) const ALL: [Self; 5] = [
        Self::DmiDecode,
        Self::ExtraHardware,
        Self::NumaTopology,
        Self::PciDevices,
        Self::UsbDevices,
    ];

    /// The collector that operators call this.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|collector| collector.name() == name)
    }

    /// What operators call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::DmiDecode => "dmi-decode",
            Self::ExtraHardware => "extra-hardware",
            Self::NumaTopology => "numa-topology",
            Self::PciDevices => "pci-devices",
            Self::UsbDevices => "usb-devices",
        }
    }

    /// The member of the inspection data that it fills.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::DmiDecode => "dmi",
            Self::ExtraHardware => "data",
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
    pub(crate) fn collect(self, root: &Root) -> Result<Option<Value>, InventoryError> {
        match self {
            Self::DmiDecode => {
                // dmidecode prints nothing, and does not fail, on a machine without a table.
                let smbios = Smbios::read(root).unwrap_or_else(|| Smbios::new(&[], Vec::new()));
                Ok(Some(json!(dmi(&smbios))))
            }
            Self::ExtraHardware => Ok(Some(json!(extra_hardware(root)?))),
            Self::NumaTopology => match numa_topology(root) {
                Ok(topology) => Ok(Some(json!(topology))),
                // No failure to the reference, whose key is missing then, too.
                Err(error) => {
                    warn!(error = %farrier_plugin::chain(&error), "no NUMA topology is reported");
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
    use crate::sys::recording::{Recording, machines, place};

    #[test]
    fn an_empty_machine_fails_only_where_the_reference_does() {
        let recording = Recording::unpack("/sys/");
        let collect = |collector: Collector| collector.collect(&recording.root());
        assert_eq!(
            collect(Collector::DmiDecode).unwrap(),
            Some(json!({"bios": {}, "cpu": [], "memory": {"devices": []}}))
        );
        assert!(collect(Collector::ExtraHardware).is_err());
        assert_eq!(collect(Collector::NumaTopology).unwrap(), None);
        assert!(collect(Collector::PciDevices).is_err());
        assert_eq!(collect(Collector::UsbDevices).unwrap(), Some(json!([])));
    }

    #[test]
    fn every_recorded_machine_and_this_one_are_collected() {
        let recordings: Vec<Recording> = machines()
            .iter()
            .map(|machine| Recording::of(machine))
            .collect();
        assert!(recordings.len() >= 5);
        for root in recordings
            .iter()
            .map(Recording::root)
            .chain([Root::system()])
        {
            let data = Collector::ExtraHardware.collect(&root).unwrap().unwrap();
            let is_fact = |fact: &Value| fact.as_array().is_some_and(|fact| fact.len() == 4);
            assert!(data.as_array().unwrap().iter().all(is_fact));
            let dmi = Collector::DmiDecode.collect(&root).unwrap().unwrap();
            assert!(dmi["memory"].is_object());
            for collector in [Collector::NumaTopology, Collector::UsbDevices] {
                collector.collect(&root).unwrap();
            }
        }
    }

    /// `collectors.json` is what the reference reported of the same machine: its functions were run
    /// on the recorded files, its parser on what dmidecode 3.4 and lshw 02.19 print of them, and
    /// the lists were sorted.
    #[test]
    fn a_machine_with_two_nodes_is_collected_as_by_the_reference() {
        let folder = place("qemu-numa");
        let reference = std::fs::read(folder.join("collectors.json")).unwrap();
        let reference: Value = serde_json::from_slice(&reference).unwrap();
        let recording = Recording::of("qemu-numa");
        let collect = |collector: Collector| collector.collect(&recording.root()).unwrap().unwrap();
        for collector in [
            Collector::DmiDecode,
            Collector::NumaTopology,
            Collector::PciDevices,
        ] {
            assert_eq!(collect(collector), reference[collector.key()]);
        }
        // The serial adapter has a neighbour, so that the reference does not see it.
        let usb = |product: &str, handle: &str| json!({"product": product, "vendor": "QEMU", "handle": handle});
        let reader = usb("QEMU USB CCID", "USB:1:5");
        assert_eq!(reference["usb_devices"], json!([reader]));
        assert_eq!(
            collect(Collector::UsbDevices),
            json!([usb("QEMU USB SERIAL", "USB:1:3"), reader])
        );
    }

    #[test]
    fn every_collector_is_found_by_its_name() {
        for collector in Collector::ALL {
            assert_eq!(Collector::named(collector.name()), Some(collector));
        }
        assert_eq!(Collector::named("default"), None);
    }
}
