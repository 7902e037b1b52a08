use super::*;
use crate::sys::network_namespace::{inside, ip};

const MAC: &str = "52:54:00:12:34:56";

fn interface(origin: Origin, address: Option<&str>) -> Interface {
    Interface {
        mac_address: MAC.to_owned(),
        vlan: None,
        address: address.map(|text| (text.parse().unwrap(), 24)),
        gateway: Some("198.51.100.1".parse().unwrap()),
        origin,
    }
}

/// veth devices have no `device` in sysfs, which is what tells a card from what is on top of one; so the tests look for
/// the interface themselves.
fn prepare(interface: &Interface, targets: &[&str], patience: u64) -> Result<String, BringUpError> {
    let targets: Vec<IpAddr> = targets.iter().map(|text| text.parse().unwrap()).collect();
    let until = Instant::now() + Duration::from_millis(patience);
    configure(
        &Root::system(),
        "eno1".to_owned(),
        interface,
        &targets,
        until,
    )
}

/// A lease that comes after a while, as dhcpcd's do; the thread is in the same namespace.
fn lease_later(address: &'static str) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(200));
        ip(&format!("address add {address} dev eno1"));
    })
}

fn card_with_a_link() {
    ip("link add eno1 type veth peer name port1");
    ip("link set port1 up");
}

fn shown(words: &str) -> String {
    let program = words.split_whitespace().fold(
        crate::sys::process::Program::new("/sbin/ip"),
        crate::sys::process::Program::arg,
    );
    program.run().unwrap().stdout
}

#[test]
fn a_fixed_address_is_set_and_the_target_has_a_route_of_its_own() {
    inside(|| {
        card_with_a_link();
        let interface = interface(Origin::Manual, Some("198.51.100.7"));
        for _ in 0..2 {
            // An agent that was started again finds everything there.
            let name = prepare(&interface, &["203.0.113.9", "198.51.100.9"], 60_000).unwrap();
            assert_eq!(name, "eno1");
        }
        assert!(shown("address show dev eno1").contains("198.51.100.7/24"));
        let routes = shown("route show");
        assert!(
            routes.contains("203.0.113.9 via 198.51.100.1 dev eno1"),
            "{routes}"
        );
        assert!(
            !routes.contains("default") && !routes.contains("198.51.100.9"),
            "{routes}"
        );
    });
}

#[test]
fn a_lease_is_waited_for_and_else_firmwares_address_taken() {
    inside(|| {
        card_with_a_link();
        let leased = interface(Origin::Dhcp, Some("198.51.100.7"));
        // dhcpcd is not there: the address that firmware had is better than none.
        prepare(&leased, &["198.51.100.9"], 1000).unwrap();
        assert!(shown("address show dev eno1").contains("198.51.100.7/24"));
    });
    // iPXE does not say where it had the address from.
    for origin in [Origin::Dhcp, Origin::Unsaid] {
        inside(move || {
            card_with_a_link();
            let lease = lease_later("198.51.100.77/24");
            let leased = interface(origin, Some("198.51.100.7"));
            prepare(&leased, &["198.51.100.9"], 60_000).unwrap();
            lease.join().unwrap();
            let addresses = shown("address show dev eno1");
            assert!(addresses.contains("198.51.100.77/24"), "{addresses}");
            assert!(!addresses.contains("198.51.100.7/24"), "{addresses}");
        });
    }
}

#[test]
fn a_lease_of_another_network_is_good_enough() {
    inside(|| {
        card_with_a_link();
        let lease = lease_later("192.0.2.77/24");
        let leased = interface(Origin::Dhcp, Some("198.51.100.7"));
        // Firmware's gateway is of no use there.
        let name = prepare(&leased, &["203.0.113.9"], 60_000).unwrap();
        lease.join().unwrap();
        assert_eq!(name, "eno1");
        assert!(!shown("route show").contains("203.0.113.9"));
    });
}

#[test]
fn a_vlan_is_made_and_gets_the_address() {
    inside(|| {
        ip("link add enp129s0f1np1 type veth peer name port1");
        ip("link set port1 up");
        let long = vlan_name("enp129s0f1np1", 1234).unwrap();
        for (id, name) in [(7, "enp129s0f1np1.7"), (1234, &*long)] {
            if let Err(error) = vlans::make("enp129s0f1np1", name, id) {
                // A kernel without VLANs: one that an agent before made.
                assert_eq!(error.raw_os_error(), Some(libc::EOPNOTSUPP), "{error}");
                ip(&format!("link add {name} type veth peer name port{id}"));
                ip(&format!("link set port{id} up"));
            } else {
                ip(&format!("link delete {name}"));
            }
            let mut tagged = interface(Origin::Dhcp, Some("198.51.100.7"));
            tagged.vlan = Some(id);
            let started = Instant::now();
            let made = configure(
                &Root::system(),
                "enp129s0f1np1".to_owned(),
                &tagged,
                &["203.0.113.9".parse().unwrap()],
                started + Duration::from_secs(120),
            );
            assert_eq!(made.unwrap(), name);
            // dhcpcd gives a VLAN no lease, so none is waited for.
            assert!(started.elapsed() < Duration::from_secs(60));
            assert!(shown(&format!("address show dev {name}")).contains("198.51.100.7/24"));
            let routes = shown("route show");
            let route = format!("203.0.113.9 via 198.51.100.1 dev {name}");
            assert!(routes.contains(&route), "{routes}");
        }
        assert!(!shown("address show dev enp129s0f1np1").contains("198.51.100.7"));

        let mut bare = interface(Origin::Dhcp, None);
        bare.vlan = Some(7);
        let until = Instant::now() + Duration::from_secs(5);
        let card = "enp129s0f1np1".to_owned();
        let error = configure(&Root::system(), card, &bare, &[], until).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("on a VLAN no DHCP server is asked"),
            "{error}"
        );
    });
}

#[test]
fn a_vlans_name_is_one_for_the_kernel_the_inventory_and_dhcpcd() {
    inside(|| {
        ip("link add enp129s0f1np1 type veth peer name port1");
        let index = if_nametoindex("enp129s0f1np1").unwrap();
        assert_eq!(vlan_name("eno1", 4094).unwrap(), "eno1.4094");
        assert_eq!(vlan_name("enp129s0f1np1", 7).unwrap(), "enp129s0f1np1.7");
        let long = vlan_name("enp129s0f1np1", 100).unwrap();
        assert_eq!(long, format!("san{index}.100"));
        assert!(links::is_vlan_name(&long));
    });
}

#[test]
fn what_is_missing_is_named() {
    inside(|| {
        let interface = interface(Origin::Manual, Some("198.51.100.7"));
        ip("link add eno1 type veth peer name port1");
        // The other end is down.
        let error = prepare(&interface, &["198.51.100.9"], 1000).unwrap_err();
        assert!(
            matches!(&error, BringUpError::NoLink { interface } if interface == "eno1"),
            "{error}"
        );
        ip("link set port1 up");
        let error = prepare(
            &self::interface(Origin::Dhcp, None),
            &["198.51.100.9"],
            1000,
        )
        .unwrap_err();
        assert!(matches!(error, BringUpError::NoAddress { .. }), "{error}");
        // Through a gateway that is not on the link.
        let mut elsewhere = interface;
        elsewhere.gateway = Some("192.0.2.1".parse().unwrap());
        let error = prepare(&elsewhere, &["203.0.113.9"], 60_000).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("add the route to the target on eno1"),
            "{error}"
        );
    });
}

#[test]
fn a_card_that_is_not_there_is_named_by_its_address() {
    let root = tempfile::tempdir().unwrap();
    let until = Instant::now();
    let error = find(
        &Root::at(root.path()),
        &interface(Origin::Manual, None),
        until,
    )
    .unwrap_err();
    assert!(error.to_string().contains(MAC), "{error}");
    let recording = crate::sys::recording::Recording::unpack(
        "/sys/class/net/eno1/address = 52:54:00:12:34:56\n/sys/class/net/eno1/device/\n\
         /sys/class/net/eno1.7/address = 52:54:00:12:34:56",
    );
    let found = find(&recording.root(), &interface(Origin::Manual, None), until);
    assert_eq!(found.unwrap(), "eno1");
}
