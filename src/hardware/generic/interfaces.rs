//! Network interfaces with what their switches say of them, and the VLANs that a site asks for.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use farrier_plugin::protocol::Method;
use farrier_plugin::{ErrorKind, LldpData, ManagerError, NetworkInterface};

use super::filter;
use super::manager::{FRESH, GenericHardwareManager};
use crate::inventory;
use crate::inventory::lldp::{Announcements, Neighbour};
use crate::net::{links, vlans};

/// All interfaces; with LLDP and VLANs where the options ask for them.
pub(super) fn list(
    manager: &GenericHardwareManager,
) -> Result<Vec<NetworkInterface>, ManagerError> {
    let options = manager.options.current();
    let mut interfaces = found(manager)?;
    let heard = if options.collect_lldp {
        let names: Vec<String> = interfaces
            .iter()
            .map(|interface| interface.name.clone())
            .collect();
        manager.peers()?.first(Method::CollectLldpData, |peer| {
            peer.collect_lldp_data(Some(&names))
        })?
    } else {
        LldpData::new()
    };
    // Only where this machine is ours: looking at a running system makes no interfaces there.
    if manager.may_destroy && !options.enable_vlan_interfaces.is_empty() {
        let carriers: Vec<_> = interfaces
            .iter()
            .map(|interface| carrier(interface, &heard))
            .collect();
        vlans::bring_up(&options.enable_vlan_interfaces, &carriers);
        interfaces = found(manager)?;
    }
    for interface in &mut interfaces {
        interface.lldp = heard.get(&interface.name).cloned();
    }
    Ok(interfaces)
}

/// One of them.
pub(super) fn info(
    manager: &GenericHardwareManager,
    name: &str,
) -> Result<NetworkInterface, ManagerError> {
    let mut interfaces = found(manager)?;
    interfaces.retain(|interface| interface.name == name);
    interfaces.pop().ok_or_else(|| {
        ManagerError::new(
            ErrorKind::IncompatibleHardwareMethod,
            format!("There is no network interface {name}"),
        )
    })
}

/// What switches announce on these interfaces, or on all. Inspection and inventory get the same, and
/// wait for it once.
pub(super) fn lldp(
    manager: &GenericHardwareManager,
    names: Option<&[String]>,
) -> Result<LldpData, ManagerError> {
    let interfaces = found(manager)?;
    // Held while it is listened, so that two callers do not listen side by side.
    let mut announcements = manager
        .announcements
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let kept = announcements
        .as_ref()
        .filter(|(until, _)| Instant::now() < *until)
        .map(|(_, announced)| announced.clone());
    let mut heard = kept.unwrap_or_else(|| {
        if manager.may_destroy {
            // dhcpcd has brought up those that it uses, which are not all.
            links::set_up(interfaces.iter().map(|interface| interface.name.as_str()));
        }
        let limit = Duration::try_from_secs_f64(manager.options.current().lldp_timeout);
        // Only a time that no clock can hold is none.
        let limit = limit.unwrap_or(Duration::MAX);
        let announced = Announcements::listen(&manager.root, &interfaces, limit).to_wire();
        *announcements = Some((Instant::now() + FRESH, announced.clone()));
        announced
    });
    drop(announcements);
    if let Some(names) = names {
        heard.retain(|name, _| names.contains(name));
    }
    Ok(heard)
}

fn found(manager: &GenericHardwareManager) -> Result<Vec<NetworkInterface>, ManagerError> {
    let listed = inventory::interfaces(&manager.root).map_err(|source| {
        ManagerError::new(
            ErrorKind::CommandExecution,
            "Network interfaces could not be listed",
        )
        .with_source(source)
    })?;
    filter::interfaces(&*manager.peers()?, listed)
}

fn carrier(interface: &NetworkInterface, heard: &LldpData) -> vlans::Carrier {
    let tlvs = heard.get(&interface.name).map(Vec::as_slice);
    let neighbour = Neighbour::of_wire(tlvs.unwrap_or_default());
    vlans::Carrier {
        name: interface.name.clone(),
        mac_address: interface.mac_address.clone(),
        vlans: neighbour.vlans.iter().map(|(id, _)| *id).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::{Live, Options};
    use crate::hardware::dispatch::Dispatcher;
    use crate::sys::recording::Recording;

    #[test]
    fn an_interface_carries_what_is_a_vlan() {
        let interface = NetworkInterface {
            name: "eno1".to_owned(),
            ..NetworkInterface::default()
        };
        let ids = ["0000", "0fff", "0064", "0ffe"];
        let announced = ids.map(|id| (127, format!("0080c203{id}0178")));
        let heard = LldpData::from([("eno1".to_owned(), announced.to_vec())]);
        assert_eq!(carrier(&interface, &heard).vlans, [100, 4094]);
    }

    #[test]
    fn what_was_heard_long_ago_is_asked_for_again() {
        let recording = Recording::unpack(
            "/sys/class/net/eno1/address = 52:54:00:aa:bb:01\n/sys/class/net/eno1/device/\n",
        );
        let dispatcher = Arc::<Dispatcher>::default();
        let generic = GenericHardwareManager::new(
            Live::new(Options::default()),
            recording.root(),
            Arc::downgrade(&dispatcher),
            false,
        );
        let heard = LldpData::from([("eno7".to_owned(), Vec::new())]);
        let bmc = inventory::Bmc {
            address: Some("192.0.2.9".to_owned()),
            ..inventory::Bmc::default()
        };
        for (good_for, is_kept) in [(FRESH, true), (Duration::ZERO, false)] {
            let until = Instant::now() + good_for;
            *generic.announcements.lock().unwrap() = Some((until, heard.clone()));
            *generic.bmc.lock().unwrap() = Some((until, bmc.clone()));
            assert_eq!(lldp(&generic, None).unwrap().contains_key("eno7"), is_kept);
            assert_eq!(generic.bmc() == bmc, is_kept);
        }
    }
}
