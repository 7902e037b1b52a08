//! VLAN interfaces that a site asks for (`enable_vlan_interfaces`, contract/control-plane 1.7).

use std::io;

use nix::net::if_::if_nametoindex;
use tracing::{info, warn};

use crate::sys::{link, netlink};

/// An interface that can carry VLANs.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Carrier {
    /// Its name.
    pub name: String,
    /// Its MAC address, lower case.
    pub mac_address: Option<String>,
    /// The VLANs that the switch announces for it.
    pub vlans: Vec<u16>,
}

/// Make and bring up the VLAN interfaces that this list names, separated by commas: `eno1.100`,
/// `52:54:00:12:34:56.100`, or `eno1` and `all` for the VLANs that switches announce. They get no
/// address.
///
/// What cannot be made is told in the log. One that is there already is brought up.
pub(crate) fn bring_up(wanted: &str, carriers: &[Carrier]) {
    let (vlans, failures) = plan(wanted, carriers);
    for failure in failures {
        warn!("{failure}");
    }
    for (carrier, id) in vlans {
        let name = format!("{carrier}.{id}");
        match make(carrier, &name, id) {
            Ok(()) => info!(interface = name, "VLAN interface is up"),
            Err(error) => {
                warn!(interface = name, %error, "the VLAN interface could not be made");
            }
        }
    }
}

/// A VLAN interface of this name above this one, up. One that is there already is brought up.
pub(super) fn make(carrier: &str, name: &str, id: u16) -> io::Result<()> {
    match netlink::link::add_vlan(if_nametoindex(carrier)?, name, id) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => link::set_up(name),
    }
}

/// Which VLANs on which interfaces, each once, and which parts of the list make no sense.
fn plan<'c>(wanted: &str, carriers: &'c [Carrier]) -> (Vec<(&'c str, u16)>, Vec<String>) {
    let mut vlans = Vec::new();
    let mut failures = Vec::new();
    let mut add = |vlan| {
        if !vlans.contains(&vlan) {
            vlans.push(vlan);
        }
    };
    for item in wanted.split(',').map(str::trim) {
        if item.is_empty() {
            continue;
        }
        let announced = match find(item, carriers) {
            Some(carrier) => std::slice::from_ref(carrier),
            None if item == "all" => carriers,
            None => {
                match explicit(item, carriers) {
                    Ok((carrier, id)) => add((carrier.name.as_str(), id)),
                    Err(failure) => failures.push(failure),
                }
                continue;
            }
        };
        if announced.iter().all(|carrier| carrier.vlans.is_empty()) {
            failures.push(format!(
                "enable_vlan_interfaces: no switch announces a VLAN for {item:?}, or collect_lldp \
                 is off"
            ));
        }
        for carrier in announced {
            for id in &carrier.vlans {
                add((carrier.name.as_str(), *id));
            }
        }
    }
    (vlans, failures)
}

/// `IFACE.VID` or `MAC.VID`.
fn explicit<'c>(item: &str, carriers: &'c [Carrier]) -> Result<(&'c Carrier, u16), String> {
    let failure = |why: &str| format!("enable_vlan_interfaces: {item:?} {why}");
    let (interface, id) = item
        .rsplit_once('.')
        .ok_or_else(|| failure("is no network interface of this machine"))?;
    let carrier = find(interface, carriers)
        .ok_or_else(|| failure("names no network interface of this machine"))?;
    let id = id
        .parse()
        .ok()
        .filter(|id| (1..=4094).contains(id))
        .ok_or_else(|| failure("ends in no VLAN id (1 to 4094)"))?;
    Ok((carrier, id))
}

fn find<'c>(interface: &str, carriers: &'c [Carrier]) -> Option<&'c Carrier> {
    carriers.iter().find(|carrier| {
        let mac_address = carrier.mac_address.as_deref();
        carrier.name == interface
            || mac_address.is_some_and(|mac| mac.eq_ignore_ascii_case(interface))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sys::network_namespace::{inside, ip};

    fn carriers() -> Vec<Carrier> {
        let carrier = |name: &str, mac: &str, vlans: &[u16]| Carrier {
            name: name.to_owned(),
            mac_address: Some(mac.to_owned()),
            vlans: vlans.to_vec(),
        };
        vec![
            carrier("eno1", "52:54:00:aa:bb:01", &[100, 200]),
            carrier("eno2", "52:54:00:aa:bb:02", &[100]),
            carrier("eno3", "52:54:00:aa:bb:03", &[]),
        ]
    }

    #[test]
    fn the_list_says_which() {
        let carriers = carriers();
        let vlans = |wanted: &str| plan(wanted, &carriers).0;
        assert_eq!(vlans("eno1.5, eno2.7"), [("eno1", 5), ("eno2", 7)]);
        assert_eq!(vlans("52:54:00:AA:BB:02.9"), [("eno2", 9)]);
        assert_eq!(vlans("eno1"), [("eno1", 100), ("eno1", 200)]);
        assert_eq!(vlans("all"), [("eno1", 100), ("eno1", 200), ("eno2", 100)]);
        assert_eq!(vlans("eno2.100,all,eno2").len(), 3);
        assert_eq!(vlans(""), []);
        assert_eq!(vlans(","), []);
    }

    #[test]
    fn what_makes_no_sense_is_said_and_the_rest_is_done() {
        let carriers = carriers();
        let (vlans, failures) = plan("eno9.5,eno9,eno1.0,eno1.x,eno1.4095,eno3,eno2.4", &carriers);
        assert_eq!(vlans, [("eno2", 4)]);
        assert_eq!(failures.len(), 6, "{failures:?}");
        assert!(failures[0].contains("eno9.5"));
        assert!(failures[5].contains("no switch announces a VLAN for \"eno3\""));
    }

    #[test]
    fn a_vlan_interface_is_made_once_and_up() {
        inside(|| {
            ip("link add eno1 type veth peer name port1");
            ip("link set eno1 up");
            ip("link set port1 up");
            let error = make("eno1", "eno1.100", 100).err();
            if error.as_ref().and_then(io::Error::raw_os_error) == Some(libc::EOPNOTSUPP) {
                eprintln!("not run: this kernel has no VLANs");
                return;
            }
            assert!(error.is_none(), "{error:?}");
            bring_up("eno1.100", &carriers());
            let state = std::fs::read_to_string("/sys/class/net/eno1.100/operstate").unwrap();
            assert_eq!(state.trim(), "up");
        });
    }

    #[test]
    fn an_interface_that_does_not_exist_is_an_error() {
        assert!(make("no-such-link", "no-such-link.1", 1).is_err());
    }

    proptest! {
        #[test]
        fn any_list_has_a_plan(wanted in "[a-z0-9.:, ]{0,40}") {
            let carriers = carriers();
            for (name, id) in plan(&wanted, &carriers).0 {
                prop_assert!(name.starts_with("eno") && (1..=4094).contains(&id));
            }
        }
    }
}
