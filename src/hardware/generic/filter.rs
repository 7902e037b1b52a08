//! Devices that another manager hides or knows better (`filter_device`, contract/control-plane 8.9).
//!
//! This manager keeps everything; the first other one with an opinion counts. What it answers holds
//! for every listing, and so for inventory, root device and cleaning alike.

use std::collections::BTreeSet;

use farrier_plugin::protocol::Method;
use farrier_plugin::{
    BlockDevice, Device, HardwareManager, ManagerError, NetworkInterface, UsbDevice,
};
use tracing::{debug, info};

use super::CLASS_NAME;
use crate::block::{list, skip};
use crate::hardware::dispatch::Dispatcher;
use crate::sys::root::Root;

/// These block devices without the hidden ones and what lies on them: a partition of a hidden disk
/// or an array with a hidden member cannot be written to without writing to that.
pub(super) fn block_devices(
    peers: &Dispatcher,
    root: &Root,
    devices: Vec<BlockDevice>,
) -> Result<Vec<BlockDevice>, ManagerError> {
    let mut hidden = BTreeSet::new();
    let mut kept = Vec::with_capacity(devices.len());
    for device in devices {
        let name = device.name.clone();
        match ask(peers, Device::Block(device))? {
            Some(Device::Block(device)) => kept.push(device),
            _ => {
                hidden.insert(name);
            }
        }
    }
    if !hidden.is_empty() {
        let all = list::all_devices(root).unwrap_or_default();
        hidden = skip::with_what_lies_on(&all, &hidden);
        kept.retain(|device| !hidden.contains(&device.name));
    }
    if hidden != peers.hidden() {
        let names: Vec<&str> = hidden.iter().map(String::as_str).collect();
        info!(
            hidden = names.join(", "),
            "block devices that are hidden have changed"
        );
        peers.set_hidden(hidden);
    }
    Ok(kept)
}

/// These network interfaces as another manager describes them, without the hidden ones.
pub(super) fn interfaces(
    peers: &Dispatcher,
    interfaces: Vec<NetworkInterface>,
) -> Result<Vec<NetworkInterface>, ManagerError> {
    let mut kept = Vec::with_capacity(interfaces.len());
    for interface in interfaces {
        let described = peers.others(CLASS_NAME, Method::GetInterfaceInfo, |peer| {
            peer.interface_info(&interface.name)
        })?;
        let interface = described.unwrap_or(interface);
        if let Some(Device::Network(interface)) = ask(peers, Device::Network(interface))? {
            kept.push(interface);
        }
    }
    Ok(kept)
}

/// These USB devices without the hidden ones.
pub(super) fn usb_devices(
    peers: &Dispatcher,
    devices: Vec<UsbDevice>,
) -> Result<Vec<UsbDevice>, ManagerError> {
    let mut kept = Vec::with_capacity(devices.len());
    for device in devices {
        if let Some(Device::Usb(device)) = ask(peers, Device::Usb(device))? {
            kept.push(device);
        }
    }
    Ok(kept)
}

/// The device to show. A failure is no opinion and fails the listing: the device may be one that
/// must not be erased.
fn ask(peers: &Dispatcher, device: Device) -> Result<Option<Device>, ManagerError> {
    let opinion = peers.others(
        CLASS_NAME,
        Method::FilterDevice,
        |peer: &dyn HardwareManager| peer.filter_device(&device),
    )?;
    Ok(match opinion {
        None => Some(device),
        Some(None) => {
            debug!(device = device.name(), "hidden by a hardware manager");
            None
        }
        Some(kept) => kept,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use farrier_plugin::{ErrorKind, Node};
    use serde_json::json;

    use super::*;
    use crate::config::{Live, Options};
    use crate::hardware::fake::{Answer, FakeManager};
    use crate::hardware::generic::GenericHardwareManager;
    use crate::sys::recording::Recording;

    /// The generic manager of a recorded machine below a vendor's.
    struct Machine {
        _recording: Recording,
        dispatcher: Arc<Dispatcher>,
        generic: Arc<GenericHardwareManager>,
    }

    impl Machine {
        fn new(recording: Recording, vendor: FakeManager) -> Self {
            let dispatcher = Arc::<Dispatcher>::default();
            let generic = Arc::new(GenericHardwareManager::new(
                Live::new(Options::default()),
                recording.root(),
                Arc::downgrade(&dispatcher),
                false,
            ));
            let vendor = Arc::new(vendor);
            dispatcher
                .rank(vec![vendor, Arc::clone(&generic) as _])
                .unwrap();
            Self {
                _recording: recording,
                dispatcher,
                generic,
            }
        }

        fn names(&self, include_partitions: bool) -> Vec<String> {
            let listed = self.generic.list_block_devices(include_partitions);
            listed
                .unwrap()
                .into_iter()
                .map(|device| device.name)
                .collect()
        }
    }

    fn vendor() -> FakeManager {
        FakeManager::new("Vendor", 2)
    }

    #[test]
    fn a_hidden_disk_is_gone_with_what_lies_on_it() {
        let open = Machine::new(Recording::of("software-raid"), vendor());
        let all = open.names(true);
        assert!(
            all.iter().any(|name| name.starts_with("/dev/sda")),
            "{all:?}"
        );
        assert!(
            all.iter().any(|name| name.starts_with("/dev/md")),
            "{all:?}"
        );
        assert!(open.dispatcher.hidden().is_empty());

        let machine = Machine::new(
            Recording::of("software-raid"),
            vendor().hiding(&["/dev/sda"]),
        );
        let left = machine.names(true);
        assert!(!left.is_empty());
        let parents: Vec<String> = list::all_devices(&machine.generic.root)
            .unwrap()
            .into_iter()
            .filter(|device| left.contains(&device.device.name))
            .flat_map(|device| device.parents)
            .collect();
        assert!(
            left.iter().all(|name| !name.starts_with("/dev/sda")),
            "{left:?}"
        );
        assert!(
            parents.iter().all(|parent| !parent.starts_with("sda")),
            "{parents:?}"
        );
        // What is hidden from dispatch is hidden from the callbacks of plugins.
        let hidden = machine.dispatcher.hidden();
        assert!(
            hidden.contains("/dev/sda") && hidden.len() > 1,
            "{hidden:?}"
        );
        let mut both: Vec<String> = left.into_iter().chain(hidden).collect();
        both.sort();
        both.dedup();
        assert!(all.iter().all(|name| both.contains(name)), "{both:?}");
    }

    #[test]
    fn an_image_does_not_go_to_a_hidden_disk_and_what_is_kept_is_the_vendors() {
        let open = Machine::new(Recording::of("qemu-lab"), vendor());
        let node = Node::default();
        let first = open.generic.os_install_device(Some(&node), true).unwrap();
        let name: &'static str = String::leak(first.name);
        let machine = Machine::new(Recording::of("qemu-lab"), vendor().hiding(&[name]));
        let second = machine
            .generic
            .os_install_device(Some(&node), true)
            .unwrap();
        assert_ne!(second.name, name);
        assert_eq!(second.vendor.as_deref(), Some("VENDOR"));
        let inventory = machine
            .generic
            .list_block_devices_check_skip_list(&node, false);
        assert!(inventory.unwrap().iter().all(|disk| disk.name != name));
    }

    #[test]
    fn interfaces_are_hidden_and_described_by_another_manager() {
        let machine = "/sys/block/\n\
            /sys/class/net/eno1/address = 52:54:00:aa:bb:01\n/sys/class/net/eno1/device/\n\
            /sys/class/net/eno2/address = 52:54:00:aa:bb:02\n/sys/class/net/eno2/device/";
        let machine = Machine::new(Recording::unpack(machine), vendor().hiding(&["eno2"]));
        let interfaces = machine.generic.list_network_interfaces().unwrap();
        assert_eq!(interfaces.len(), 1);
        assert_eq!(interfaces[0].name, "eno1");
        assert_eq!(interfaces[0].client_id.as_deref(), Some("ff:00"));
        assert_eq!(interfaces[0].biosdevname.as_deref(), Some("em1"));
        let hidden = machine.generic.interface_info("eno2").unwrap_err();
        assert!(hidden.declines());
    }

    #[test]
    fn what_another_manager_knows_of_the_machine_is_in_the_inventory() {
        let address = |vendor: FakeManager| {
            let machine = Machine::new(Recording::of("qemu-lab"), vendor);
            machine
                .generic
                .list_hardware_info()
                .map(|inventory| inventory.bmc_address)
        };
        let own = address(vendor()).unwrap();
        assert_ne!(own.as_deref(), Some("192.0.2.77"));
        let better = vendor().answering(Answer::Text("192.0.2.77"));
        assert_eq!(address(better).unwrap().as_deref(), Some("192.0.2.77"));
        let broken = vendor().answering(Answer::Fail(ErrorKind::Rest, "the controller is gone"));
        assert_eq!(
            address(broken).unwrap_err().to_string(),
            "the controller is gone"
        );
    }

    #[test]
    fn usb_devices_are_hidden_too() {
        let machine = "/sys/bus/usb/devices/1-1/bDeviceClass = ff\n\
            /sys/bus/usb/devices/1-1/busnum = 1\n/sys/bus/usb/devices/1-1/devnum = 4\n\
            /sys/bus/usb/devices/1-2/bDeviceClass = ff\n\
            /sys/bus/usb/devices/1-2/busnum = 1\n/sys/bus/usb/devices/1-2/devnum = 5\n";
        let machine = Machine::new(Recording::unpack(machine), vendor().hiding(&["USB:1:4"]));
        let devices = machine.generic.usb_devices().unwrap();
        assert_eq!(
            json!(devices),
            json!([
                {"product": "", "vendor": "VENDOR", "handle": "USB:1:5"}
            ])
        );
    }

    #[test]
    fn without_an_answer_nothing_is_listed() {
        let machine = Machine::new(Recording::of("qemu-lab"), vendor().hiding(&["everything"]));
        let error = machine.generic.list_block_devices(false).unwrap_err();
        assert_eq!(error.to_string(), "no answer");
        assert!(machine.generic.list_network_interfaces().is_err());
    }

    #[test]
    fn another_manager_adds_to_the_skip_list_and_takes_nothing_away() {
        let open = Machine::new(Recording::of("software-raid"), vendor());
        let disks = open.names(false);
        let (own, added): (&str, &'static str) = (&disks[0], String::leak(disks[1].clone()));
        let node: Node =
            serde_json::from_value(json!({"properties": {"skip_block_devices": [{"name": own}]}}))
                .unwrap();
        let machine = Machine::new(
            Recording::of("software-raid"),
            vendor().protecting(&[added]),
        );
        let left = |machine: &Machine, node: &Node| -> Vec<String> {
            let left = machine
                .generic
                .list_block_devices_check_skip_list(node, false);
            left.unwrap()
                .into_iter()
                .map(|device| device.name)
                .collect()
        };
        let both = left(&machine, &node);
        assert!(
            !both.iter().any(|name| name == own || name == added),
            "{both:?}"
        );
        let vendors = left(&machine, &Node::default());
        assert!(vendors.iter().any(|name| name == own), "{vendors:?}");
        assert!(!vendors.iter().any(|name| name == added), "{vendors:?}");

        let skipped = open
            .generic
            .skip_list_for_disks(&node, None)
            .unwrap()
            .unwrap();
        assert!(skipped.contains(own), "{skipped:?}");
        let none = open.generic.skip_list_for_disks(&Node::default(), None);
        assert_eq!(none.unwrap(), None);
        let volumes: Node = serde_json::from_value(
            json!({"properties": {"skip_block_devices": [{"volume_name": "data"}]}}),
        )
        .unwrap();
        let names = open.generic.skip_list_for_raids(&volumes).unwrap().unwrap();
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["data"]);
    }
}
