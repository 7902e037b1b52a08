//! The iSCSI Boot Firmware Table as the kernel's module `iscsi_ibft` has read it: `/sys/firmware/ibft`, with
//! `initiator`, `ethernetN` and `targetN` (Documentation/ABI/testing/sysfs-ibft). Cards with an iSCSI engine of their own
//! have their tables beside it, as `/sys/firmware/iscsi_bootN`.
//!
//! The secrets of CHAP stand there too. Nobody reads them here: `iscsistart` does by itself, so that no log, archive or
//! recording of ours ever holds one.

use std::net::IpAddr;

use super::{Interface, vlan};
use crate::sys::root::Root;

const FIRMWARE: &str = "/sys/firmware";

/// How the names of tables begin.
const TABLES: [&str; 2] = ["ibft", "iscsi_boot"];

/// Bit of `flags`: firmware has filled this block in.
const VALID: u64 = 1;

/// `origin` of an address: by DHCP (`NL_PREFIX_ORIGIN` of Windows, which the table has it from).
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
    /// Number of the card through which it is reached, in [`Ibft::interfaces`]'s own numbers.
    pub card: u64,
}

/// One table, or all of a machine's together.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Ibft {
    /// The name of this machine as an initiator.
    pub initiator: Option<String>,
    /// Cards by their number in the table.
    pub interfaces: Vec<(u64, Interface)>,
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
            let number = number_of(&part, "ethernet");
            if let Some(interface) = interface(root, &format!("{table}/{part}")) {
                self.interfaces.push((number, interface));
            }
        }
        self.targets
            .extend(parts("target").filter_map(|part| target(root, &format!("{table}/{part}"))));
    }

    /// The card through which a target is reached.
    pub(crate) fn interface_of(&self, target: &Target) -> Option<&Interface> {
        let mut interfaces = self.interfaces.iter();
        interfaces
            .find(|(number, _)| *number == target.card)
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
        from_dhcp: number("origin") == Some(DHCP),
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

fn target(root: &Root, directory: &str) -> Option<Target> {
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
        card: number("nic-assoc").unwrap_or(0),
    })
}

/// An address that is one: the kernel shows a field that is not filled in as `0.0.0.0` or leaves it out.
fn address(text: &str) -> Option<IpAddr> {
    let address: IpAddr = text.parse().ok()?;
    (!address.is_unspecified()).then_some(address)
}
