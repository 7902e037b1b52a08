//! The iSCSI Boot Firmware Table as the kernel's module `iscsi_ibft` has read it: `/sys/firmware/ibft`, with
//! `initiator`, `ethernetN` and `targetN` (Documentation/ABI/testing/sysfs-ibft). Cards with an iSCSI engine of their own
//! have their tables beside it, as `/sys/firmware/iscsi_bootN`.
//!
//! The secrets of CHAP stand there too. Nobody reads them here: `iscsistart` does by itself, so that no log, archive or
//! recording of ours ever holds one.

use std::net::IpAddr;

use super::{Interface, Origin, vlan};
use crate::sys::root::Root;

const FIRMWARE: &str = "/sys/firmware";

/// How the names of tables begin.
const TABLES: [&str; 2] = ["ibft", "iscsi_boot"];

/// Bit of `flags`: firmware has filled this block in.
const VALID: u64 = 1;

/// `origin` of an address (`NL_PREFIX_ORIGIN` of Windows, which the table has it from): by hand, by DHCP.
const MANUAL: u64 = 1;
const DHCP: u64 = 3;

/// Where iSCSI targets listen.
const PORT: u16 = 3260;

/// A target that firmware names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Target {
    /// `iqn.2001-04.com.example:storage`.
    pub name: String,
    /// Where it listens.
    pub address: IpAddr,
    /// The port there.
    pub port: u16,
    /// The card through which it is reached.
    pub card: Card,
}

impl Target {
    /// Whether a card with an iSCSI engine of its own has its table.
    pub(crate) fn is_of_an_engine(&self) -> bool {
        self.card.table.starts_with("/sys/firmware/iscsi_boot")
    }
}

/// A card of a table: each table numbers its own from 0.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Card {
    /// The table's directory in sysfs.
    pub table: String,
    /// The card's number there.
    pub number: u64,
}

/// One table, or all of a machine's together.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Ibft {
    /// The name of this machine as an initiator.
    pub initiator: Option<String>,
    /// What firmware has filled in of its cards.
    pub interfaces: Vec<(Card, Interface)>,
    /// Targets, in the table's order.
    pub targets: Vec<Target>,
}

impl Ibft {
    /// What firmware has left; `None` where there is no table, or none with a target.
    pub(crate) fn read(root: &Root) -> Option<Self> {
        let mut table = Self::default();
        for prefix in TABLES {
            for name in root.names_beginning(FIRMWARE, prefix) {
                table.add(root, &format!("{FIRMWARE}/{name}"));
            }
        }
        (!table.targets.is_empty()).then_some(table)
    }

    fn add(&mut self, root: &Root, table: &str) {
        let parts = |prefix| root.names_beginning(table, prefix).into_iter();
        if self.initiator.is_none() {
            self.initiator = root.attribute(format!("{table}/initiator/initiator-name"));
        }
        for part in parts("ethernet") {
            if let Some(interface) = interface(root, &format!("{table}/{part}")) {
                let card = Card {
                    table: table.to_owned(),
                    number: number_of(&part, "ethernet"),
                };
                self.interfaces.push((card, interface));
            }
        }
        self.targets
            .extend(parts("target").filter_map(|part| target(root, table, &part)));
    }

    /// The card through which a target is reached.
    pub(crate) fn interface_of(&self, target: &Target) -> Option<&Interface> {
        let mut interfaces = self.interfaces.iter();
        interfaces
            .find(|(card, _)| *card == target.card)
            .map(|(_, interface)| interface)
    }
}

fn number_of(name: &str, prefix: &str) -> u64 {
    name.trim_start_matches(prefix).parse().unwrap_or(0)
}

/// A card; `None` where firmware has not filled it in, or where it has no address of its own, which engines in cards do
/// without.
fn interface(root: &Root, directory: &str) -> Option<Interface> {
    let attribute = |name: &str| root.attribute(format!("{directory}/{name}"));
    let number = |name: &str| root.number(format!("{directory}/{name}"));
    if number("flags").is_some_and(|flags| flags & VALID == 0) {
        return None;
    }
    let address = attribute("ip-addr").and_then(|text| address(&text));
    let prefix = prefix(root, directory, address);
    Some(Interface {
        mac_address: attribute("mac")?.to_lowercase(),
        vlan: number("vlan").and_then(|id| vlan(u16::try_from(id).ok()?)),
        address: address.zip(prefix),
        gateway: attribute("gateway").and_then(|text| self::address(&text)),
        origin: match number("origin") {
            Some(MANUAL) => Origin::Manual,
            Some(DHCP) => Origin::Dhcp,
            _ => Origin::Unsaid,
        },
    })
}

/// The length of the prefix: a number of its own, or the mask of IPv4 where the kernel is older.
fn prefix(root: &Root, directory: &str, address: Option<IpAddr>) -> Option<u8> {
    let longest = if address?.is_ipv4() { 32 } else { 128 };
    let length = root
        .number(format!("{directory}/prefix-len"))
        .and_then(|length| u8::try_from(length).ok());
    let from_mask = || {
        let mask = root.attribute(format!("{directory}/subnet-mask"))?;
        let mask: std::net::Ipv4Addr = mask.parse().ok()?;
        u8::try_from(mask.to_bits().leading_ones()).ok()
    };
    length
        .or_else(from_mask)
        .filter(|length| (1..=longest).contains(length))
}

fn target(root: &Root, table: &str, part: &str) -> Option<Target> {
    let directory = format!("{table}/{part}");
    let attribute = |name: &str| root.attribute(format!("{directory}/{name}"));
    let number = |name: &str| root.number(format!("{directory}/{name}"));
    if number("flags").is_some_and(|flags| flags & VALID == 0) {
        return None;
    }
    Some(Target {
        name: attribute("target-name")?,
        address: attribute("ip-addr").and_then(|text| address(&text))?,
        port: number("port")
            .and_then(|port| u16::try_from(port).ok())
            .filter(|port| *port != 0)
            .unwrap_or(PORT),
        card: Card {
            table: table.to_owned(),
            number: number("nic-assoc").unwrap_or(0),
        },
    })
}

/// An address that is one: the kernel shows a field that is not filled in as `0.0.0.0` or leaves it out.
fn address(text: &str) -> Option<IpAddr> {
    let address: IpAddr = text.parse().ok()?;
    (!address.is_unspecified()).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::recording::Recording;

    #[test]
    fn each_table_numbers_its_own_cards() {
        let recording = Recording::unpack(
            "/sys/firmware/ibft/ethernet0/mac = 52:54:00:12:34:56\n\
             /sys/firmware/ibft/ethernet0/ip-addr = 192.0.2.7\n\
             /sys/firmware/ibft/ethernet0/prefix-len = 24\n\
             /sys/firmware/ibft/ethernet0/origin = 0\n\
             /sys/firmware/ibft/target0/target-name = iqn.2024-01.test:a\n\
             /sys/firmware/ibft/target0/ip-addr = 192.0.2.1\n\
             /sys/firmware/ibft/target0/nic-assoc = 0\n\
             /sys/firmware/iscsi_boot3/ethernet0/mac = 52:54:00:AA:BB:CC\n\
             /sys/firmware/iscsi_boot3/ethernet0/origin = 1\n\
             /sys/firmware/iscsi_boot3/ethernet0/vlan = 100\n\
             /sys/firmware/iscsi_boot3/target0/target-name = iqn.2024-01.test:b\n\
             /sys/firmware/iscsi_boot3/target0/ip-addr = 2001:db8::1\n\
             /sys/firmware/iscsi_boot3/target0/port = 3261\n\
             /sys/firmware/iscsi_boot3/target0/nic-assoc = 0\n\
             /sys/firmware/iscsi_boot3/target1/flags = 0\n\
             /sys/firmware/iscsi_boot3/target1/target-name = iqn.2024-01.test:c\n\
             /sys/firmware/iscsi_boot3/target1/ip-addr = 2001:db8::1",
        );
        let table = Ibft::read(&recording.root()).unwrap();
        let [a, b] = &table.targets[..] else {
            panic!("{table:?}");
        };
        assert_eq!((&*a.name, a.port), ("iqn.2024-01.test:a", 3260));
        assert_eq!((&*b.name, b.port), ("iqn.2024-01.test:b", 3261));
        let expected = Interface {
            mac_address: "52:54:00:12:34:56".to_owned(),
            vlan: None,
            address: Some(("192.0.2.7".parse().unwrap(), 24)),
            gateway: None,
            origin: Origin::Unsaid,
        };
        assert_eq!(table.interface_of(a), Some(&expected));
        let expected = Interface {
            mac_address: "52:54:00:aa:bb:cc".to_owned(),
            vlan: Some(100),
            address: None,
            gateway: None,
            origin: Origin::Manual,
        };
        assert_eq!(table.interface_of(b), Some(&expected));
        assert_eq!(
            Ibft::read(&Recording::unpack("/sys/firmware/").root()),
            None
        );
    }
}
