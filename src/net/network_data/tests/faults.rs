//! Documents as they should not be: what is named, and what goes on.

use serde_json::{Value, json};

use super::super::{LIMIT, read};
use super::{card, ipv4, network, told, with};
use crate::net::plan::draft::INTERFACES;

#[test]
fn what_is_wrong_is_named_and_the_rest_goes_on() {
    let good = ipv4("good", "192.0.2.9");
    let cards = [card("good", 9), card("a", 1), card("b", 2)];
    // Links, networks, problems, and what of the plan is as if they were not there.
    type Case = (
        Vec<Value>,
        Vec<Value>,
        &'static [&'static str],
        &'static [&'static str],
    );
    let cases: &[Case] = &[
        // A bond of nothing: its port asks.
        (
            vec![json!({"id": "bond0", "type": "bond", "bond_links": []})],
            vec![ipv4("bond0", "192.0.2.5")],
            &["bond0: no interface is in this bond; it is left out"],
            &[],
        ),
        (
            vec![
                json!({"id": "bond0", "type": "bond", "bond_links": ["a", "gone"], "bond_mode": "round"}),
            ],
            vec![ipv4("bond0", "192.0.2.5")],
            &[
                "links[3].bond_mode: round is not a mode of bonds; this link is left out",
                "networks[0].link: there is no bond0; this network is left out",
            ],
            &[],
        ),
        (
            vec![
                json!({"id": "bond0", "type": "bond", "bond_links": ["a", "gone", "good", "bond0"]}),
                json!({"id": "bond1", "type": "bond", "bond_links": ["a", "b"], "bond_primary": "a",
                        "bond_tlb_dynamic_lb": 0, "bond_lacp_rate": "faster"}),
            ],
            vec![ipv4("bond0", "192.0.2.5")],
            &[
                "links[4].bond_lacp_rate: faster is not slow or fast; it stays as it is",
                "links[4].bond_tlb_dynamic_lb: this option of bonds is not set here; it is left out",
                "link bond0: there is no gone; the bond does without it",
                "bond0: bond0 is a bond; the bond does without it",
                "bond1: a is in another bond; the bond does without it",
                "good: it is in the bond bond0, and gets no addresses of its own",
            ],
            &[
                "bond0: bond of a and good (active-backup, miimon 100), 192.0.2.5/24",
                "bond1: bond of b (active-backup, miimon 100)",
            ],
        ),
        // VLANs in a circle, and one on it; the card below another one that falls asks.
        (
            vec![
                json!({"id": "v", "name": "v", "type": "vlan", "vlan_link": "w", "vlan_id": 5}),
                json!({"id": "w", "name": "w", "type": "vlan", "vlan_link": "v", "vlan_id": 6}),
                json!({"id": "x", "name": "x", "type": "vlan", "vlan_link": "w", "vlan_id": 7}),
                json!({"id": "y", "type": "vlan", "vlan_link": "a", "vlan_id": 4095}),
                json!({"id": "z", "type": "vlan", "vlan_link": "a"}),
            ],
            vec![ipv4("y", "192.0.2.5")],
            &[
                "links[6].vlan_id: 4095 is not a VLAN id (1 to 4094); this link is left out",
                "links[7]: vlan_id is missing; this link is left out",
                "networks[0].link: there is no y; this network is left out",
                "v: it lies on itself; it is left out",
                "w: it lies on itself; it is left out",
                "x: w is left out, and so is what lies on it",
            ],
            &[],
        ),
        (
            vec![
                json!({"id": "v", "type": "vlan", "vlan_link": "a", "vlan_id": "5"}),
                json!({"id": "w", "type": "vlan", "vlan_link": "a", "vlan_id": 5}),
            ],
            vec![ipv4("v", "192.0.2.5"), ipv4("w", "192.0.2.6")],
            &["vlan5: VLAN 5 of a is a.5 already; it is left out"],
            &["a.5: VLAN 5 of a, 192.0.2.5/24"],
        ),
        // Addresses.
        (
            vec![],
            vec![ipv4("a", "192.0.2.9"), ipv4("b", "192.0.2.900")],
            &[
                "networks[1].ip_address: 192.0.2.900 is not an IPv4 address; this network is left out",
                "a: 192.0.2.9 is the address of good already; it is left out",
            ],
            &[
                "good: card 52:54:00:12:34:09, 192.0.2.9/24",
                "a: card 52:54:00:12:34:01, whatever it is told",
                "b: card 52:54:00:12:34:02, whatever it is told",
            ],
        ),
        (
            vec![],
            vec![
                network("a", "ipv4", &json!({"ip_address": "192.0.2.5"})),
                network(
                    "b",
                    "ipv4",
                    &json!({"ip_address": "192.0.2.6", "netmask": "255.0.255.0"}),
                ),
                network("b", "ipv6", &json!({"ip_address": "2001:db8::6/129"})),
                network("b", "ipv5", &json!({})),
                network("gone", "ipv4", &json!({})),
                json!({"type": "ipv4"}),
                json!(7),
            ],
            &[
                "networks[0]: netmask is missing; this network is left out",
                "networks[1].netmask: 255.0.255.0 is not a network mask; this network is left out",
                "networks[2].ip_address: 2001:db8::6/129 is not an address with a prefix; this network is left out",
                "networks[3].type: ipv5 is not a type of networks; this network is left out",
                "networks[4].link: there is no gone; this network is left out",
                "networks[5]: link is missing; this network is left out",
                "networks[6]: 7 is not a JSON object; this network is left out",
            ],
            &[
                "a: card 52:54:00:12:34:01, whatever it is told",
                "b: card 52:54:00:12:34:02, whatever it is told",
            ],
        ),
        (
            vec![],
            vec![with(
                ipv4("a", "192.0.2.5"),
                &json!({"routes": [
                    {"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "198.51.100.1"},
                    {"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "fd00::1"},
                    {"network": "10.0.0.1", "netmask": "255.255.0.255", "gateway": "192.0.2.1"},
                    {"netmask": "255.255.0.255"},
                    {"network": "10.9.0.0", "netmask": "255.255.0.0"},
                ]}),
            )],
            &[
                "networks[0].routes[1].gateway: fd00::1 is not the address of a router of this family; this route is \
                 left out",
                "networks[0].routes[2].network: 10.0.0.1 is not a network, with the mask beside it; this route is left \
                 out",
                "networks[0].routes[3]: network is missing; this route is left out",
                "a: 198.51.100.1 is in none of its networks; it is taken to be on the link",
            ],
            &[
                "a: card 52:54:00:12:34:01, 192.0.2.5/24, 198.51.100.1/32, 10.9.0.0/16, 0.0.0.0/0 via 198.51.100.1",
            ],
        ),
        // Links.
        (
            vec![
                json!({"id": "a", "type": "phy"}),
                json!({"type": "phy"}),
                json!("a"),
                card("c", 1),
                json!({"id": "d", "type": "phy"}),
                json!({"id": "e", "type": 4}),
                json!({"id": {}}),
                json!({"id": "f", "type": "phy", "ethernet_mac_address": "52:54:00:12:34"}),
                with(card("g", 7), &json!({"mtu": 67})),
            ],
            vec![],
            &[
                "links[3]: a is already the name of another; it is left out",
                "links[4]: id is missing; this link is left out",
                "links[5]: a is not a JSON object; this link is left out",
                "links[6]: 52:54:00:12:34:01 is already the address of a; it is left out",
                "links[7]: ethernet_mac_address is missing; this link is left out",
                "links[8].type: 4 is not a type of links; this link is left out",
                "links[9].id: an object is not a text; this link is left out",
                "links[10].ethernet_mac_address: 52:54:00:12:34 is not a hardware address; this link is left out",
                "links[11].mtu: 67 is not a size of packets (68 to 65535); it stays as it is",
            ],
            &["g: card 52:54:00:12:34:07"],
        ),
    ];
    for (links, networks, expected, lines) in cases {
        let mut all: Vec<Value> = cards.to_vec();
        all.extend(links.clone());
        let mut networks = networks.clone();
        networks.push(good.clone());
        let document = json!({"links": all, "networks": networks, "services": []});
        let (plan, problems) = told(&document);
        assert_eq!(problems, *expected);
        let is_good = |line: &String| line.starts_with("good: card 52:54:00:12:34:09");
        assert!(plan.iter().any(is_good), "{plan:?}");
        for line in *lines {
            assert!(plan.iter().any(|other| other == line), "{line}\n{plan:#?}");
        }
    }
}

#[test]
fn ports_whose_bond_falls_ask_for_addresses() {
    // The bond lies on a VLAN that lies on the bond.
    let document = json!({
        "links": [
            card("a", 1), card("b", 2), card("c", 3),
            {"id": "v", "type": "vlan", "vlan_link": "bond0", "vlan_id": 5},
            {"id": "bond0", "type": "bond", "bond_links": ["v", "a"]},
            {"id": "bond1", "type": "bond", "bond_links": ["v", "b"]},
        ],
        "networks": [ipv4("bond1", "192.0.2.5")],
    });
    let (plan, problems) = told(&document);
    assert_eq!(
        problems,
        [
            "bond1: bond0.5 is in another bond; the bond does without it",
            "bond0.5: it lies on itself; it is left out",
            "bond0: it lies on itself; it is left out",
        ]
    );
    assert_eq!(
        plan,
        [
            "a: card 52:54:00:12:34:01, whatever it is told",
            "b: card 52:54:00:12:34:02",
            "c: card 52:54:00:12:34:03",
            "bond1: bond of b (active-backup, miimon 100), 192.0.2.5/24",
        ]
    );
}

#[test]
fn a_document_of_no_addresses_silences_nobody() {
    let document = json!({"links": [card("a", 1), {"id": "bond0", "type": "bond", "bond_links": ["a"]}, card("b", 2)]});
    let (plan, problems) = told(&document);
    assert_eq!(
        problems,
        ["network_data.json: no interface gets an address; all ask for one"]
    );
    assert_eq!(
        plan,
        [
            "a: card 52:54:00:12:34:01",
            "b: card 52:54:00:12:34:02, whatever it is told",
            "bond0: bond of a (active-backup, miimon 100), whatever it is told"
        ]
    );
    assert_eq!(told(&json!({})), (vec![], vec![]));
}

#[test]
fn what_is_no_document_is_refused_whole() {
    let problem = |text: &[u8]| {
        let reading = read(text);
        assert!(reading.plan.interfaces.is_empty());
        assert_eq!(reading.problems.len(), 1, "{:?}", reading.problems);
        reading.problems[0].to_string()
    };
    let spaces = vec![b' '; 10 << 20];
    assert_eq!(
        problem(&spaces),
        "network_data.json: it has 10485760 bytes, more than 1048576; it is not read"
    );
    assert_eq!(
        problem(b"{\"links\": ["),
        "network_data.json: it is no JSON; it is not read"
    );
    assert_eq!(
        problem(&b"[".repeat(LIMIT)),
        "network_data.json: it is no JSON; it is not read"
    );
    assert_eq!(
        problem(b"[]"),
        "network_data.json: a list is not a JSON object; it is not read"
    );
    assert_eq!(
        problem(b"\xff"),
        "network_data.json: it is no JSON; it is not read"
    );
    assert_eq!(
        problem(b"{\"links\": 7}"),
        "links: 7 is not a list; it is left out"
    );
    assert_eq!(
        problem(b"{\"networks\": {}}"),
        "networks: an object is not a list; it is left out"
    );
}

#[test]
fn more_than_a_machine_has_is_cut() {
    let links: Vec<Value> = (0..1000_u32)
        .map(|number| json!({"id": number.to_string(), "type": "phy",
                             "ethernet_mac_address": format!("52:54:00:00:{:02x}:{:02x}", number / 256, number % 256)}))
        .collect();
    let networks: Vec<Value> = (0..3000_u32)
        .map(|number| {
            ipv4(
                &(number % 200).to_string(),
                &format!("10.0.{}.{}", number / 250, number % 250 + 1),
            )
        })
        .collect();
    let (plan, problems) = told(&json!({"links": links, "networks": networks}));
    assert_eq!(
        problems,
        [
            "network_data.json: there are more than 256 links; the rest is left out",
            "network_data.json: there are more than 1024 networks; the rest is left out"
        ]
    );
    assert_eq!(plan.len(), INTERFACES);
}
