//! The pages of all recorded machines, compared with those that are kept beside them as `page.txt`.
//!
//! `FARRIER_SNAPSHOTS=write cargo test -p farrier --lib page` writes what the page is now.

use std::fs;

use super::*;
use crate::cli::inventory::{Arguments, managers};
use crate::sys::recording::{Recording, machines, place};

#[test]
fn every_recorded_machine_has_its_page() {
    let write = std::env::var_os("FARRIER_SNAPSHOTS").is_some_and(|value| value == "write");
    let mut differing = Vec::new();
    for machine in machines() {
        let root = Recording::of(&machine);
        let root = root.root();
        let arguments = Arguments {
            lldp: true,
            ..Arguments::default()
        };
        let inventory = managers(&root, &arguments).unwrap().inventory().unwrap();
        let page = for_person(&root, &inventory, true);
        let kept = place(&machine).join("page.txt");
        if write {
            fs::write(kept, page).unwrap();
        } else if fs::read_to_string(kept).ok().as_deref() != Some(page.as_str()) {
            println!("{machine}:\n{page}");
            differing.push(machine);
        }
    }
    assert!(
        differing.is_empty(),
        "the pages of these machines changed: {differing:?}; if they should, run the test with \
         FARRIER_SNAPSHOTS=write"
    );
}

#[test]
fn a_machine_that_says_nothing_has_a_page() {
    let root = Recording::unpack("/sys/class/net/\n/sys/block/");
    let page = for_person(&root.root(), &Inventory::default(), false);
    assert_eq!(
        page,
        "PROCESSORS\n  count       0 logical processors\n\nDISKS\n  none\n\nINTERFACES\n  none\n\n"
    );
}

#[test]
fn what_keeps_switch_ports_from_being_seen_is_said_at_the_end() {
    let recording = Recording::unpack(
        "/recorded/ethtool.json = {\"eno1\": {\"private_flags\": {\"fw-lldp-agent\": true}}}\n\
         /sys/class/net/eno1/carrier = 1",
    );
    let interface = |name: &str, driver: &str, lldp| NetworkInterface {
        name: name.to_owned(),
        has_carrier: true,
        driver: Some(driver.to_owned()),
        pci_address: Some("0000:3b:00.0".to_owned()),
        lldp,
        ..NetworkInterface::default()
    };
    let inventory = Inventory {
        interfaces: vec![
            interface("eno1", "ice", Some(Vec::new())),
            interface("eno2", "tg3", Some(Vec::new())),
            interface("eno3", "tg3", None),
        ],
        ..Inventory::default()
    };
    let page = for_person(&recording.root(), &inventory, true);
    let (_, hints) = page.split_once("HINTS\n").unwrap();
    let hints: Vec<&str> = hints.trim_end().lines().collect();
    assert_eq!(hints.len(), 2, "{hints:?}");
    assert!(hints[0].starts_with("  eno1 has a link but heard no LLDP"));
    assert!(hints[1].starts_with("  no LLDP heard on eno2: "));
    assert_eq!(
        not_listened_at(&inventory.interfaces),
        "  LLDP could not be listened for on eno3: that needs root (CAP_NET_RAW)\n"
    );
}

#[test]
fn sizes_are_those_on_the_label() {
    assert_eq!(decimal_size(960_197_124_096), "960.2 GB");
    assert_eq!(decimal_size(7_681_501_126_656), "7.7 TB");
    assert_eq!(decimal_size(0), "0.0 kB");
    assert_eq!(link_speed(2500), "2.5 Gbit/s");
    assert_eq!(link_speed(100_000), "100 Gbit/s");
    assert_eq!(link_speed(100), "100 Mbit/s");
}

#[test]
fn vlans_of_a_port() {
    let vlans = |port_vlan, vlans: &[u16]| {
        port_vlans(&Neighbour {
            port_vlan,
            vlans: vlans.iter().map(|id| (*id, String::new())).collect(),
            ..Neighbour::default()
        })
    };
    assert_eq!(vlans(Some(100), &[]), "100");
    assert_eq!(vlans(Some(100), &[100, 200, 201]), "100 +200,201");
    assert_eq!(vlans(None, &[7, 8, 7]), "+7,8");
    assert_eq!(vlans(None, &[]), "");
}

#[test]
fn a_switch_of_few_words_has_its_row() {
    let piece = |kind, hexadecimal: &str| (kind, hexadecimal.to_owned());
    let interface = NetworkInterface {
        name: "eno1".to_owned(),
        lldp: Some(vec![
            piece(1, "040123456789ab"),
            piece(2, "020001"),
            piece(3, "0078"),
            piece(5, "6c6561661b5b324a"),
            // Managed at a MAC, then at an IP address.
            piece(8, "07060123456789ab020000000100"),
            piece(8, "0501c0000201020000000100"),
            // Untagged frames have no VLAN, and that has a name.
            piece(127, "0080c2010000"),
            piece(127, "0080c2030000046e6f6e65"),
        ]),
        ..NetworkInterface::default()
    };
    assert_eq!(
        switch_ports(&[interface]),
        "  NAME  SWITCH    PORT    CHASSIS            MANAGED AT\n  \
         eno1  leaf [2J  0x0001  01:23:45:67:89:ab  192.0.2.1\n"
    );
}
