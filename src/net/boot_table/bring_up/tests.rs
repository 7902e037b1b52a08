use super::*;
use crate::sys::network_namespace::{inside, ip};

const MAC: &str = "52:54:00:12:34:56";

fn interface(from_dhcp: bool, address: Option<&str>) -> Interface {
    Interface {
        mac_address: MAC.to_owned(),
        vlan: None,
        address: address.map(|text| (text.parse().unwrap(), 24)),
        gateway: Some("198.51.100.1".parse().unwrap()),
        from_dhcp,
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
        let interface = interface(false, Some("198.51.100.7"));
        for _ in 0..2 {
            // An agent that was started again finds everything there.
            let name = prepare(&interface, &["203.0.113.9", "198.51.100.9"], 5000).unwrap();
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
        let leased = interface(true, Some("198.51.100.7"));
        // dhcpcd is not there: the address that firmware had is better than none.
        prepare(&leased, &["198.51.100.9"], 300).unwrap();
        assert!(shown("address show dev eno1").contains("198.51.100.7/24"));
    });
    inside(|| {
        card_with_a_link();
        ip("address add 192.0.2.77/24 dev eno1");
        let leased = interface(true, Some("198.51.100.7"));
        prepare(&leased, &["198.51.100.9"], 5000).unwrap();
        assert!(!shown("address show dev eno1").contains("198.51.100.7"));
    });
}

#[test]
fn what_is_missing_is_named() {
    inside(|| {
        let interface = interface(false, Some("198.51.100.7"));
        ip("link add eno1 type veth peer name port1");
        // The other end is down.
        let error = prepare(&interface, &["198.51.100.9"], 200).unwrap_err();
        assert!(
            matches!(&error, BringUpError::NoLink { interface } if interface == "eno1"),
            "{error}"
        );
        ip("link set port1 up");
        let error = prepare(&self::interface(true, None), &["198.51.100.9"], 200).unwrap_err();
        assert!(matches!(error, BringUpError::NoAddress { .. }), "{error}");
        // Through a gateway that is not on the link.
        let mut elsewhere = interface;
        elsewhere.gateway = Some("192.0.2.1".parse().unwrap());
        let error = prepare(&elsewhere, &["203.0.113.9"], 2000).unwrap_err();
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
    let error = find(&Root::at(root.path()), &interface(false, None), until).unwrap_err();
    assert!(error.to_string().contains(MAC), "{error}");
    let recording = crate::sys::recording::Recording::unpack(
        "/sys/class/net/eno1/address = 52:54:00:12:34:56\n/sys/class/net/eno1/device/\n\
         /sys/class/net/eno1.7/address = 52:54:00:12:34:56",
    );
    let found = find(&recording.root(), &interface(false, None), until);
    assert_eq!(found.unwrap(), "eno1");
}
