//! Documents as they are in the field, and as they should not be.

mod faults;

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// The plan in words, and the problems.
fn told(document: &Value) -> (Vec<String>, Vec<String>) {
    let reading = read(document.to_string().as_bytes());
    let plan = reading.plan.to_string();
    let lines = plan.lines().map(str::to_owned).collect();
    (
        lines,
        reading.problems.iter().map(ToString::to_string).collect(),
    )
}

fn plan(document: &Value) -> Vec<String> {
    let (plan, problems) = told(document);
    assert!(problems.is_empty(), "{problems:?}");
    plan
}

fn card(id: &str, last: u8) -> Value {
    json!({"id": id, "type": "phy", "ethernet_mac_address": format!("52:54:00:12:34:{last:02x}")})
}

fn with(mut value: Value, fields: &Value) -> Value {
    let object = value.as_object_mut().unwrap();
    object.extend(fields.as_object().unwrap().clone());
    value
}

fn network(link: &str, kind: &str, fields: &Value) -> Value {
    with(
        json!({"id": "n", "network_id": "u", "link": link, "type": kind}),
        fields,
    )
}

fn ipv4(link: &str, address: &str) -> Value {
    network(
        link,
        "ipv4",
        &json!({"ip_address": address, "netmask": "255.255.255.0"}),
    )
}

/// As Ironic's own sample has it: two ports in a bond, a VLAN on it, DNS in two places.
#[test]
fn a_bond_with_a_vlan_is_what_ironic_writes() {
    let document = json!({
        "links": [
            {"id": "interface2", "type": "vif", "ethernet_mac_address": "a0:36:9f:2c:e8:70",
             "vif_id": "e1c90e9f-eafc-4e2d-8ec9-58b91cebb53d", "mtu": 1500},
            {"id": "interface0", "type": "phy", "ethernet_mac_address": "A0-36-9F-2C-E8-80", "mtu": 9000},
            {"id": "interface1", "type": "phy", "ethernet_mac_address": "a0:36:9f:2c:e8:81", "mtu": 9000.0},
            {"id": "bond0", "type": "bond", "bond_links": ["interface0", "interface1"],
             "ethernet_mac_address": "a0:36:9f:2c:e8:82", "bond_mode": "802.3ad",
             "bond_xmit_hash_policy": "layer3+4", "bond_miimon": 100, "bond_lacp_rate": "fast"},
            {"id": "vlan0", "type": "vlan", "vlan_link": "bond0", "vlan_id": 101,
             "vlan_mac_address": "a0:36:9f:2c:e8:80", "mtu": null},
        ],
        "networks": [
            network("vlan0", "ipv4", &json!({
                "ip_address": "192.0.2.244", "netmask": "255.255.255.0",
                "dns_nameservers": ["192.0.2.53", "8.8.8.8"],
                "routes": [
                    {"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "192.0.2.1"},
                    {"network": "10.0.0.0", "netmask": "255.0.0.0", "gateway": "192.0.2.2",
                     "services": [{"type": "dns", "address": "10.0.0.53"}]},
                ],
            })),
            network("vlan0", "ipv6", &json!({
                "ip_address": "2001:db8::3257:9652/24",
                "routes": [
                    {"network": "::", "netmask": "::", "gateway": "fe80::1%vlan0"},
                    {"network": "2001:db9::", "netmask": "ffff:ffff:ffff::", "gateway": "2001:db8::1"},
                ],
            })),
            network("interface2", "ipv4_dhcp", &json!({})),
        ],
        "services": [{"type": "dns", "address": "8.8.8.8"}],
    });
    assert_eq!(
        plan(&document),
        [
            "interface2: card a0:36:9f:2c:e8:70, packets of 1500 bytes, DHCP",
            "interface0: card a0:36:9f:2c:e8:80, packets of 9000 bytes",
            "interface1: card a0:36:9f:2c:e8:81, packets of 9000 bytes",
            "bond0: bond of interface0 and interface1 (802.3ad, miimon 100, lacp_rate 1, xmit_hash_policy layer3+4), \
             hardware address a0:36:9f:2c:e8:82",
            "bond0.101: VLAN 101 of bond0, hardware address a0:36:9f:2c:e8:80, 192.0.2.244/24, \
             2001:db8::3257:9652/24, 0.0.0.0/0 via 192.0.2.1, 10.0.0.0/8 via 192.0.2.2, ::/0 via fe80::1, \
             2001:db9::/48 via 2001:db8::1",
            "name servers: 8.8.8.8 192.0.2.53 10.0.0.53",
        ]
    );
}

#[test]
fn networks_are_of_every_type_that_is_written() {
    for (kind, expected) in [
        ("ipv4_dhcp", "DHCP"),
        ("dhcp4", "DHCP"),
        ("ipv6_dhcp", "DHCPv6"),
        ("ipv6_dhcpv6-stateful", "DHCPv6"),
        ("ipv6_dhcpv6_stateful", "DHCPv6"),
        ("ipv6_slaac", "router advertisements"),
        ("ipv6_dhcpv6-stateless", "router advertisements"),
    ] {
        // Nova writes address and default route of these, too.
        let more = if kind.starts_with("ipv6") {
            json!({"ip_address": "2001:db8::5", "netmask": "ffff:ffff:ffff:ffff::",
                   "routes": [{"network": "::", "netmask": "::", "gateway": "2001:db8::1"}]})
        } else {
            json!({})
        };
        let document = json!({"links": [card("a", 1)], "networks": [network("a", kind, &more)]});
        assert_eq!(
            plan(&document),
            [format!("a: card 52:54:00:12:34:01, {expected}")],
            "{kind}"
        );
    }
}

#[test]
fn addresses_have_their_prefix_in_every_form() {
    for (kind, fields, expected) in [
        (
            "ipv4",
            json!({"ip_address": "192.0.2.5", "netmask": "255.255.255.128"}),
            "192.0.2.5/25",
        ),
        (
            "ipv4",
            json!({"ip_address": "192.0.2.5/26"}),
            "192.0.2.5/26",
        ),
        (
            "ipv4",
            json!({"ip_address": "192.0.2.5/26", "netmask": "255.255.255.0"}),
            "192.0.2.5/26",
        ),
        (
            "ipv4",
            json!({"ip_address": "192.0.2.5", "netmask": "24"}),
            "192.0.2.5/24",
        ),
        (
            "ipv4",
            json!({"ip_address": "192.0.2.5", "netmask": 24}),
            "192.0.2.5/24",
        ),
        (
            "static",
            json!({"ip_address": "192.0.2.5", "netmask": "/24"}),
            "192.0.2.5/24",
        ),
        (
            "ipv6",
            json!({"ip_address": "2001:db8::5", "netmask": "ffff:ffff:ffff::"}),
            "2001:db8::5/48",
        ),
        (
            "ipv6",
            json!({"ip_address": "2001:db8::5", "netmask": "56"}),
            "2001:db8::5/56",
        ),
        (
            "ipv6",
            json!({"ip_address": "2001:db8::5"}),
            "2001:db8::5/64",
        ),
        (
            "static6",
            json!({"ip_address": "2001:db8::5/127"}),
            "2001:db8::5/127",
        ),
    ] {
        let document = json!({"links": [card("a", 1)], "networks": [network("a", kind, &fields)]});
        assert_eq!(
            plan(&document),
            [format!("a: card 52:54:00:12:34:01, {expected}")],
            "{fields}"
        );
    }
}

#[test]
fn types_of_links_that_nobody_knows_are_cards() {
    let kinds = [
        "phy",
        "ethernet",
        "bridge",
        "ovs",
        "tap",
        "vif",
        "hw_veb",
        "cascading",
        "new",
    ];
    for kind in kinds
        .map(|kind| json!(kind))
        .into_iter()
        .chain([Value::Null])
    {
        let document = json!({
            "links": [with(card("a", 1), &json!({"type": kind}))],
            "networks": [ipv4("a", "192.0.2.5")],
        });
        assert_eq!(
            plan(&document),
            ["a: card 52:54:00:12:34:01, 192.0.2.5/24"],
            "{kind}"
        );
    }
}

#[test]
fn names_are_safe_and_no_cards() {
    let bond = |id: &str, more: &Value, members: [&str; 1]| {
        with(
            json!({"id": id, "type": "bond", "bond_links": members}),
            more,
        )
    };
    let vlan = |id: &str, below: &str, number: u16| json!({"id": id, "type": "vlan", "vlan_link": below, "vlan_id": number});
    let document = json!({
        "links": [
            card("99e88329-f20d-4741-9593-25bf07847b16", 1), card("eth0", 2), card("$(reboot)\n", 3), card("all", 4),
            card("a", 5), card("b", 6),
            bond("eth1", &json!({}), ["99e88329-f20d-4741-9593-25bf07847b16"]),
            bond("bond1", &json!({}), ["eth0"]),
            bond("x", &json!({"name": "uplink"}), ["$(reboot)\n"]),
            bond("y", &json!({"name": "eno1"}), ["all"]),
            bond("z", &json!({"name": "a"}), ["a"]),
            bond("bond9/../x", &json!({}), ["b"]),
            vlan("v", "eth1", 5), vlan("w", "v", 7), vlan("long", "tap77a0dc5b-72", 4094),
            card("tap77a0dc5b-72", 7),
        ],
        "networks": [ipv4("v", "192.0.2.5")],
    });
    let (plan, problems) = told(&document);
    assert!(problems.is_empty(), "{problems:?}");
    let names: Vec<&str> = plan
        .iter()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(
        names,
        [
            "card0",
            "eth0",
            "card1",
            "card2",
            "a",
            "b",
            "tap77a0dc5b-72",
            "bond0",
            "bond1",
            "uplink",
            "bond2",
            "bond3",
            "bond4",
            "vlan4094",
            "bond0.5",
            "bond0.5.7"
        ]
    );
}

/// Ironic's own path from Neutron's ports writes none.
#[test]
fn a_bond_without_a_mode_needs_nothing_of_the_switch() {
    let document = json!({
        "links": [card("a", 1), card("b", 2), {"id": "u", "type": "bond", "bond_links": ["a", "b"]}],
        "networks": [ipv4("u", "192.0.2.5")],
    });
    assert_eq!(
        plan(&document)[2],
        "bond0: bond of a and b (active-backup, miimon 100), 192.0.2.5/24"
    );
}

fn some_value() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "a",
        "b",
        "bond0",
        "v",
        "phy",
        "bond",
        "vlan",
        "ipv4",
        "ipv6",
        "ipv4_dhcp",
        "ipv6_slaac",
        "192.0.2.5",
        "192.0.2.1",
        "255.255.255.0",
        "2001:db8::5/64",
        "fe80::1",
        "0.0.0.0",
        "::",
        "52:54:00:12:34:56",
        "802.3ad",
        "dns",
        "\u{1b}[2J/",
    ]);
    let leaf = prop_oneof![
        4 => word.prop_map(|word| json!(word)),
        1 => any::<u16>().prop_map(|number| json!(number)),
        1 => Just(Value::Null),
        1 => any::<String>().prop_map(|text| json!(text)),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        let key = prop::sample::select(vec![
            "id",
            "name",
            "type",
            "ethernet_mac_address",
            "bond_links",
            "bond_mode",
            "bond_primary",
            "vlan_id",
            "vlan_link",
            "mtu",
            "link",
            "ip_address",
            "netmask",
            "routes",
            "network",
            "gateway",
            "services",
            "address",
            "dns_nameservers",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            prop::collection::btree_map(key, inner, 0..8).prop_map(|map| map
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect()),
        ]
    })
}

proptest! {
    /// Whatever stands in the fields, the plan is one that can be made, and every problem is a line.
    #[test]
    fn any_document_makes_a_plan_that_can_be_made(
        links in prop::collection::vec(some_value(), 0..8),
        networks in prop::collection::vec(some_value(), 0..8),
        services in some_value(),
    ) {
        let document = json!({"links": links, "networks": networks, "services": services});
        let reading = read(document.to_string().as_bytes());
        crate::net::fuzzing::can_be_made(&reading);
    }
}
