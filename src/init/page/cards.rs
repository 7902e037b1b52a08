//! The network cards, their links and their addresses, in one line.

use std::net::IpAddr;

use crate::net::links;
use crate::sys::addresses::Addresses;
use crate::sys::printable;
use crate::sys::root::Root;

/// Where the kernel lists interfaces (Documentation/ABI/testing/sysfs-class-net).
const INTERFACES: &str = "/sys/class/net";

/// An interface in words: `eno1 link 192.0.2.5`, `eno2 no link`, `eno3 off`. Those with addresses come first, then those with a
/// link, since the line may be cut. Interfaces that are no card (bonds, VLANs) count where they have addresses.
pub(super) fn read(root: &Root) -> String {
    let addresses = Addresses::of(root);
    let mut found: Vec<(u8, String)> = root
        .names(INTERFACES)
        .iter()
        .filter_map(|name| describe(root, name, &addresses))
        .collect();
    found.sort();
    let words: Vec<String> = found.into_iter().map(|(_, words)| words).collect();
    words.join(", ")
}

/// Its rank in the line, and the words.
fn describe(root: &Root, name: &str, addresses: &Addresses) -> Option<(u8, String)> {
    let own: Vec<String> = addresses
        .each(name)
        .filter(|address| is_told(address))
        .map(IpAddr::to_string)
        .collect();
    let is_card = root.exists(format!("{INTERFACES}/{name}/device"));
    if name == "lo" || (own.is_empty() && !is_card) {
        return None;
    }
    let attribute = |file: &str| root.attribute(format!("{INTERFACES}/{name}/{file}"));
    // Not `carrier`, whose readers wait for whoever changes a card just then. A driver that says nothing of its link is `unknown`.
    let has_link = matches!(attribute("operstate")?.trim(), "up" | "unknown");
    let is_up = links::is_up(root, name).unwrap_or(true);
    let (rank, state) = match (is_up, has_link) {
        (true, true) => (1, "link"),
        (true, false) => (2, "no link"),
        (false, _) => (3, "off"),
    };
    let rank = if own.is_empty() { rank } else { 0 };
    let words = [printable::line(name).as_ref(), state]
        .into_iter()
        .chain(own.iter().map(String::as_str))
        .collect::<Vec<_>>()
        .join(" ");
    Some((rank, words))
}

/// A link-local address, which each interface gives itself, says nothing.
fn is_told(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => true,
        IpAddr::V6(v6) => !v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn cards_with_addresses_come_first_and_those_without_link_are_told() {
        let directory = tempfile::tempdir().unwrap();
        let class = directory.path().join("sys/class/net");
        for (name, state, flags, is_card) in [
            ("lo", "unknown", "0x9", false),
            ("eno1", "down", "0x1003", true),
            ("eno2", "up", "0x1003", true),
            ("eno3", "down", "0x1002", true),
            ("eno4", "up", "0x1003", true),
            ("bond0", "up", "0x1003", false),
            ("dummy0", "unknown", "0x83", false),
        ] {
            let interface = class.join(name);
            fs::create_dir_all(&interface).unwrap();
            fs::write(interface.join("operstate"), format!("{state}\n")).unwrap();
            fs::write(interface.join("flags"), format!("{flags}\n")).unwrap();
            if is_card {
                fs::create_dir(interface.join("device")).unwrap();
            }
        }
        let recorded = directory.path().join("recorded");
        fs::create_dir_all(&recorded).unwrap();
        let addresses = r#"{"lo": ["127.0.0.1"], "eno4": ["fe80::1", "192.0.2.5", "2001:db8::5"], "eno2": ["fe80::2"],
            "bond0": ["198.51.100.7"]}"#;
        fs::write(recorded.join("addresses.json"), addresses).unwrap();
        assert_eq!(
            read(&Root::at(directory.path())),
            "bond0 link 198.51.100.7, eno4 link 192.0.2.5 2001:db8::5, eno2 link, eno1 no link, eno3 off"
        );
    }
}
