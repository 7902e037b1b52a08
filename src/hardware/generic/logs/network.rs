//! What a person asks of a network that does not come up: links, their cards and counters,
//! addresses, routes, and what storage fabrics say.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use nix::ifaddrs::getifaddrs;

use crate::sys::ethtool;
use crate::sys::root::Root;

const CLASS: &str = "/sys/class/net";

/// Of an interface, in this order; what a driver does not know is left out.
const LINK_ATTRIBUTES: &[&str] = &[
    "ifindex",
    "address",
    "type",
    "flags",
    "mtu",
    "operstate",
    "carrier",
    "carrier_changes",
    "carrier_up_count",
    "carrier_down_count",
    "speed",
    "duplex",
    "dormant",
    "testing",
    "proto_down",
    "phys_port_name",
    "phys_switch_id",
    "ifalias",
    "bonding/mode",
    "bonding/mii_status",
    "bonding/active_slave",
    "bonding/slaves",
];

/// Fabrics and links of storage: class, attributes.
const STORAGE_CLASSES: &[(&str, &[&str])] = &[
    (
        "fc_host",
        &[
            "port_name",
            "node_name",
            "port_id",
            "port_state",
            "port_type",
            "speed",
            "supported_speeds",
            "fabric_name",
            "symbolic_name",
        ],
    ),
    ("fc_remote_ports", &["port_name", "port_state", "roles"]),
    (
        "iscsi_host",
        &["hwaddress", "ipaddress", "netdev", "initiatorname"],
    ),
    ("iscsi_session", &["targetname", "state"]),
    (
        "iscsi_connection",
        &["persistent_address", "address", "port", "state"],
    ),
    ("scsi_host", &["proc_name", "state"]),
    (
        "sas_phy",
        &[
            "negotiated_linkrate",
            "maximum_linkrate_hw",
            "invalid_dword_count",
            "loss_of_dword_sync_count",
            "phy_reset_problem_count",
        ],
    ),
    ("ata_link", &["sata_spd", "hw_sata_spd_limit"]),
    (
        "nvme",
        &[
            "model",
            "serial",
            "firmware_rev",
            "state",
            "transport",
            "address",
        ],
    ),
];

/// Every interface with what the kernel and its driver say of it, and the counters that are not zero.
pub(super) fn links(root: &Root) -> String {
    let mut text = String::new();
    for name in root.names(CLASS) {
        let directory = format!("{CLASS}/{name}");
        // bonding_masters is a file.
        if !root.is_dir(&directory) {
            continue;
        }
        let _ = writeln!(text, "{name}");
        let mut line = |what: &str, value: &str| {
            let _ = writeln!(text, "    {what}: {value}");
        };
        for attribute in LINK_ATTRIBUTES {
            if let Some(value) = root.attribute(format!("{directory}/{attribute}")) {
                line(attribute, &value);
            }
        }
        for (what, link) in [
            ("device", "device"),
            ("driver", "device/driver"),
            ("master", "master"),
        ] {
            if let Some(target) = root.link_name(format!("{directory}/{link}")) {
                line(what, &target);
            }
        }
        if root.is_system() {
            if let Some(card) = ethtool::card_facts(&name) {
                line("driver version", &card.version);
                line("firmware", &card.firmware);
                line("bus", &card.bus);
            }
            let facts = ethtool::link_facts(root, &name);
            if let Some(address) = facts.permanent_address {
                line("permanent address", &address);
            }
            if let Some(speed) = facts.speed_mbps {
                line("greatest speed, Mbit/s", &speed.to_string());
            }
            for (flag, on) in facts.private_flags {
                line(&format!("flag {flag}"), if on { "on" } else { "off" });
            }
        }
        for counter in root.names(format!("{directory}/statistics")) {
            if let Some(count) = root
                .number(format!("{directory}/statistics/{counter}"))
                .filter(|count| *count > 0)
            {
                line(&counter, &count.to_string());
            }
        }
        if root.is_system() {
            for (counter, count) in ethtool::statistics(&name) {
                if count > 0 {
                    line(&format!("driver: {counter}"), &count.to_string());
                }
            }
        }
    }
    text
}

/// Interfaces with state and addresses, as `ip addr` shows them.
pub(super) fn addresses(root: &Root) -> String {
    let mut by_interface: BTreeMap<String, Vec<String>> = BTreeMap::new();
    if root.is_system() {
        for address in getifaddrs().into_iter().flatten() {
            let addresses = by_interface.entry(address.interface_name).or_default();
            if let Some(storage) = address.address
                && (storage.as_sockaddr_in().is_some() || storage.as_sockaddr_in6().is_some())
            {
                let netmask = address
                    .netmask
                    .map(|netmask| format!(" netmask {netmask}"))
                    .unwrap_or_default();
                addresses.push(format!("{storage}{netmask}"));
            }
        }
    }
    let mut text = String::new();
    for name in root.names("/sys/class/net") {
        let attribute = |attribute: &str| {
            root.attribute(format!("/sys/class/net/{name}/{attribute}"))
                .unwrap_or_else(|| "-".to_owned())
        };
        let _ = writeln!(
            text,
            "{name}: {} mac {} mtu {} carrier {}",
            attribute("operstate"),
            attribute("address"),
            attribute("mtu"),
            attribute("carrier")
        );
        for address in by_interface.remove(&name).unwrap_or_default() {
            let _ = writeln!(text, "    {address}");
        }
    }
    text
}

/// The routes as `ip route` shows them; the kernel's own tables, where nothing is lost, are in
/// `net/route` and `net/ipv6_route`.
pub(super) fn routes(root: &Root) -> String {
    let ipv4 = root.text("/proc/net/route").unwrap_or_default();
    let ipv6 = root.text("/proc/net/ipv6_route").unwrap_or_default();
    let lines = ipv4.lines().skip(1).filter_map(ipv4_route);
    lines
        .chain(ipv6.lines().filter_map(ipv6_route))
        .map(|line| line + "\n")
        .collect()
}

/// `Iface Destination Gateway Flags RefCnt Use Metric Mask …`, addresses in the order of the memory.
fn ipv4_route(line: &str) -> Option<String> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let address = |field: usize| {
        let number = u32::from_str_radix(fields.get(field)?, 16).ok()?;
        Some(Ipv4Addr::from(number.to_ne_bytes()))
    };
    let prefix = u32::from(address(7)?).count_ones();
    Some(route(
        &format!("{}/{prefix}", address(1)?),
        "0.0.0.0/0",
        &address(2)?.to_string(),
        "0.0.0.0",
        fields.first()?,
        fields.get(6)?,
    ))
}

/// `destination prefix source prefix gateway metric references uses flags interface`, all numbers in
/// hexadecimal.
fn ipv6_route(line: &str) -> Option<String> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let address = |field: usize| {
        let number = u128::from_str_radix(fields.get(field)?, 16).ok()?;
        Some(Ipv6Addr::from(number))
    };
    let number = |field: usize| u32::from_str_radix(fields.get(field)?, 16).ok();
    Some(route(
        &format!("{}/{}", address(0)?, number(1)?),
        "::/0",
        &address(4)?.to_string(),
        "::",
        fields.get(9)?,
        &number(5)?.to_string(),
    ))
}

fn route(to: &str, all: &str, gateway: &str, none: &str, interface: &str, metric: &str) -> String {
    let to = if to == all {
        format!("default ({all})")
    } else {
        to.to_owned()
    };
    let via = if gateway == none {
        String::new()
    } else {
        format!(" via {gateway}")
    };
    format!("{to}{via} dev {interface} metric {metric}")
}

/// What hosts, ports, sessions and links of storage say.
pub(super) fn storage_links(root: &Root) -> String {
    let mut text = String::new();
    for (class, attributes) in STORAGE_CLASSES {
        for name in root.names(format!("/sys/class/{class}")) {
            let _ = write!(text, "{class} {name}");
            for attribute in *attributes {
                if let Some(value) =
                    root.attribute(format!("/sys/class/{class}/{name}/{attribute}"))
                {
                    let _ = write!(text, ", {attribute} {value}");
                }
            }
            text.push('\n');
        }
    }
    const INFINIBAND: &str = "/sys/class/infiniband";
    for device in root.names(INFINIBAND) {
        for port in root.names(format!("{INFINIBAND}/{device}/ports")) {
            let _ = write!(text, "infiniband {device} port {port}");
            for attribute in ["state", "phys_state", "rate", "link_layer"] {
                let path = format!("{INFINIBAND}/{device}/ports/{port}/{attribute}");
                if let Some(value) = root.attribute(path) {
                    let _ = write!(text, ", {attribute} {value}");
                }
            }
            text.push('\n');
        }
    }
    text
}

/// What udev found out about each interface: its name and the reason for it.
pub(super) fn udev_records(root: &Root) -> Vec<(String, String)> {
    let records = root.names(CLASS).into_iter().filter_map(|name| {
        let index = root.attribute(format!("{CLASS}/{name}/ifindex"))?;
        Some((name, format!("/run/udev/data/n{index}")))
    });
    records.collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::tree;
    use super::*;

    #[test]
    fn routes_are_readable() {
        let (_dir, root) = tree(&[
            (
                "/proc/net/route",
                b"Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\n\
                  ens3\t00000000\t010200C0\t0003\t0\t0\t1002\t00000000\t0\n\
                  ens3\t000200C0\t00000000\t0001\t0\t0\t1002\t00FFFFFF\t0\n\
                  broken\n",
            ),
            (
                "/proc/net/ipv6_route",
                b"fd0000fa000100000000000000000000 40 00000000000000000000000000000000 00 \
                  00000000000000000000000000000000 000003ea 1 0 00000001 ens3\n\
                  00000000000000000000000000000000 00 00000000000000000000000000000000 00 \
                  fe800000000000000000000000000001 00000400 1 0 00000003 ens3\n",
            ),
        ]);
        assert_eq!(
            routes(&root),
            "default (0.0.0.0/0) via 192.0.2.1 dev ens3 metric 1002\n\
             192.0.2.0/24 dev ens3 metric 1002\n\
             fd00:fa:1::/64 dev ens3 metric 1002\n\
             default (::/0) via fe80::1 dev ens3 metric 1024\n"
        );
    }

    #[test]
    fn a_link_shows_its_state_and_its_counters() {
        let (_dir, root) = tree(&[
            ("/sys/class/net/eno1/carrier", b"0\n"),
            ("/sys/class/net/eno1/carrier_down_count", b"17\n"),
            ("/sys/class/net/eno1/statistics/rx_crc_errors", b"4\n"),
            ("/sys/class/net/eno1/statistics/rx_bytes", b"0\n"),
        ]);
        assert_eq!(
            links(&root),
            "eno1\n    carrier: 0\n    carrier_down_count: 17\n    rx_crc_errors: 4\n"
        );
        assert!(links(&Root::system()).contains("lo\n"));
    }

    #[test]
    fn a_fabric_that_is_down_is_seen() {
        let (_dir, root) = tree(&[
            ("/sys/class/fc_host/host5/port_name", b"0x21000024ff\n"),
            ("/sys/class/fc_host/host5/port_state", b"Linkdown\n"),
            ("/sys/class/infiniband/mlx5_0/ports/1/state", b"1: DOWN\n"),
        ]);
        assert_eq!(
            storage_links(&root),
            "fc_host host5, port_name 0x21000024ff, port_state Linkdown\n\
             infiniband mlx5_0 port 1, state 1: DOWN\n"
        );
    }
}
