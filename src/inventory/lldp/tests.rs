//! Tests with recorded frames, and with real ones on interfaces of a network namespace.

use std::thread;
use std::time::{Duration, Instant};

use super::frame::tests::{MANDATORY, frame_of};
use super::*;
use crate::sys::network_namespace::{inside, ip};
use crate::sys::recording::Recording;

fn interface(name: &str, driver: &str) -> NetworkInterface {
    NetworkInterface {
        name: name.to_owned(),
        driver: Some(driver.to_owned()),
        ..NetworkInterface::default()
    }
}

fn listen(listing: &str, interfaces: &[NetworkInterface]) -> Announcements {
    let recording = Recording::unpack(listing);
    Announcements::listen(&recording.root(), interfaces, Duration::ZERO)
}

#[test]
fn the_first_neighbour_counts() {
    let first = hex::encode(&frame_of(&MANDATORY));
    let mut other = MANDATORY;
    other[1] = (2, b"\x05vswitch0");
    let other = hex::encode(&frame_of(&other));
    let heard = listen(
        &format!(
            "/recorded/lldp.json = {{\"eno1\": [\"{first}\", \"{other}\", \"{first}\", \"xx\"], \
             \"eno2\": [], \"gone\": [\"{first}\"]}}"
        ),
        &[
            interface("eno1", "tg3"),
            interface("eno2", "tg3"),
            interface("eno3", "tg3"),
        ],
    );
    assert_eq!(heard.frames["eno1"].len(), 2);
    let wire = heard.to_wire();
    assert_eq!(wire.keys().collect::<Vec<_>>(), ["eno1", "eno2"]);
    assert!(wire["eno2"].is_empty());
    let neighbour = Neighbour::of_wire(&wire["eno1"]);
    assert_eq!(neighbour.port_id.as_deref(), Some("Ethernet1/7"));
}

#[test]
fn a_flood_of_neighbours_is_cut() {
    let frames: Vec<String> = (0..100u8)
        .map(|number| {
            let id = [7, number];
            let mut tlvs = MANDATORY;
            tlvs[1] = (2, &id);
            format!("\"{}\"", hex::encode(&frame_of(&tlvs)))
        })
        .collect();
    let heard = listen(
        &format!(
            "/recorded/lldp.json = {{\"eno1\": [{}]}}",
            frames.join(", ")
        ),
        &[interface("eno1", "tg3")],
    );
    assert_eq!(heard.frames["eno1"].len(), MOST_NEIGHBOURS);
}

#[test]
fn firmware_that_swallows_announcements_is_named() {
    let cards = [
        interface("on", "i40e"),
        interface("off", "i40e"),
        interface("old", "i40e"),
        interface("ice", "ice"),
        interface("down", "ice"),
        interface("cisco", "enic"),
        interface("plain", "tg3"),
    ];
    let mut listing = String::from(
        "/recorded/ethtool.json = {\"on\": {\"private_flags\": {\"disable-fw-lldp\": false}}, \
         \"off\": {\"private_flags\": {\"disable-fw-lldp\": true}}, \
         \"ice\": {\"private_flags\": {\"fw-lldp-agent\": true, \"x\": false}}}\n",
    );
    for card in &cards {
        let carrier = u8::from(card.name != "down");
        listing.push_str(&format!(
            "/sys/class/net/{}/carrier = {carrier}\n",
            card.name
        ));
    }
    let hints = hints(&Recording::unpack(&listing).root(), &cards);
    assert_eq!(hints.len(), 4, "{hints:?}");
    assert!(hints[0].ends_with("; ethtool --set-priv-flags on disable-fw-lldp on"));
    assert!(hints[1].contains("old") && hints[1].contains("update its firmware"));
    assert!(hints[2].ends_with("ethtool --set-priv-flags ice fw-lldp-agent off"));
    assert!(hints[3].contains("may take"));
}

#[test]
fn an_interface_that_is_gone_is_left_out() {
    let heard = at_once(|| {
        Announcements::listen(
            &Root::system(),
            &[interface("no-such-link", "tg3")],
            Duration::from_secs(600),
        )
    });
    // Without a type it is taken for something that has no LLDP.
    assert!(heard.to_wire()["no-such-link"].is_empty());
}

/// What is heard without waiting for a link, at one of some tries: the machine may be busy.
fn at_once(listen: impl Fn() -> Announcements) -> Announcements {
    let tries = (0..3).map(|_| {
        let started = Instant::now();
        (listen(), started.elapsed())
    });
    let heard = tries.into_iter().find(|(_, took)| *took < LINK_TIME);
    heard.expect("nothing is waited for").0
}

/// Send this out of that interface from now on, every 50 ms, as long as the namespace is there.
fn announce(interface: &'static str, frames: Vec<Vec<u8>>) {
    let socket = PacketSocket::open(interface, ETHERTYPE).unwrap();
    thread::spawn(move || {
        for frame in frames.iter().cycle().take(2000) {
            if socket.send(frame).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
    });
}

fn with_id(number: u8) -> Vec<u8> {
    let id = [7, b'0' + number];
    let mut tlvs = MANDATORY;
    tlvs[1] = (2, &id);
    frame_of(&tlvs)
}

#[test]
fn every_card_with_a_link_is_waited_for() {
    inside(|| {
        for number in 1..=3 {
            ip(&format!(
                "link add eno{number} type veth peer name port{number}"
            ));
            ip(&format!("link set eno{number} up"));
        }
        // The third has no link.
        ip("link set port1 up");
        ip("link set port2 up");
        // As little as a bond or a VLAN does a bridge hear what its members do.
        ip("link add bond0 type bridge");
        ip("link set eno1 master bond0");
        ip("link set bond0 up");
        announce("port1", vec![with_id(1)]);
        announce("port2", vec![with_id(2), with_id(1)]);
        let cards: Vec<_> = ["bond0", "eno1", "eno2", "eno3"]
            .map(|name| interface(name, "veth"))
            .into();
        let started = Instant::now();
        let limit = Duration::from_secs(60);
        let heard = Announcements::listen(&Root::system(), &cards, limit);
        assert!(
            started.elapsed() >= LINK_TIME,
            "the third may still get a link"
        );
        assert!(started.elapsed() < limit, "and then is not waited for");
        let wire = heard.to_wire();
        assert_eq!(
            wire.keys().collect::<Vec<_>>(),
            ["bond0", "eno1", "eno2", "eno3"]
        );
        assert_eq!(wire["eno1"][1], (2, "0731".to_owned()));
        assert_eq!(wire["eno2"].len(), 4);
        assert_eq!(heard.frames["eno2"].len(), 2);
        assert!(wire["eno3"].is_empty() && wire["bond0"].is_empty());
    });
}

#[test]
fn nothing_is_waited_for_when_all_are_heard() {
    inside(|| {
        ip("link add eno1 type veth peer name port1");
        ip("link set eno1 up");
        ip("link set port1 up");
        announce("port1", vec![with_id(1)]);
        let limit = Duration::from_secs(60);
        let cards = [interface("eno1", "veth")];
        let heard = at_once(|| Announcements::listen(&Root::system(), &cards, limit));
        assert_eq!(heard.to_wire()["eno1"][1], (2, "0731".to_owned()));
    });
}

#[test]
fn the_limit_is_for_all_together() {
    inside(|| {
        for number in 1..=2 {
            ip(&format!(
                "link add eno{number} type veth peer name port{number}"
            ));
            ip(&format!("link set eno{number} up"));
            ip(&format!("link set port{number} up"));
        }
        announce("port1", vec![with_id(1)]);
        let cards = [interface("eno1", "veth"), interface("eno2", "veth")];
        let started = Instant::now();
        let heard = Announcements::listen(&Root::system(), &cards, Duration::from_secs(1));
        assert!(started.elapsed() >= Duration::from_secs(1));
        assert!(started.elapsed() < Duration::from_secs(60));
        assert!(heard.to_wire()["eno2"].is_empty());
    });
}
