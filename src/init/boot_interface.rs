//! The interface that the server booted from, which the parameter `BOOTIF` names by its
//! hardware address (contract/control-plane 1.2).

use std::fs;
use std::path::Path;

use crate::net::hardware_address::HardwareAddress;
use crate::net::links::Link;
use crate::sys::root::Root;

/// The name of the interface with this address, once udev has named it for good.
///
/// Only interfaces with a device of their own count: a VLAN or a bond has the address of the card
/// below it.
pub(super) fn named_interface(root: &Path, address: HardwareAddress) -> Option<String> {
    let tree = Root::at(root);
    let interfaces = fs::read_dir(root.join("sys/class/net")).ok()?;
    interfaces.flatten().find_map(|entry| {
        let directory = entry.path();
        let read = |attribute: &str| fs::read_to_string(directory.join(attribute)).ok();
        let link = Link::of(&tree, entry.file_name().to_str()?);
        if !directory.join("device").exists() || !link.has_address(&address.to_string()) {
            return None;
        }
        let index = read("ifindex")?;
        let record = root.join(format!("run/udev/data/n{}", index.trim()));
        let named = is_named(&fs::read_to_string(record).ok()?);
        // It may have got its name after the old one was read above.
        (named && read("ifindex")? == index).then(|| entry.file_name().into_string().ok())?
    })
}

/// The cards that udev has named for good, ordered by name.
pub(super) fn named_cards(root: &Path) -> Vec<Link> {
    let tree = Root::at(root);
    let Ok(interfaces) = fs::read_dir(root.join("sys/class/net")) else {
        return Vec::new();
    };
    let mut cards: Vec<Link> = interfaces
        .flatten()
        .filter(|entry| entry.path().join("device").exists())
        .filter_map(|entry| {
            let index = || fs::read_to_string(entry.path().join("ifindex")).ok();
            let before = index()?;
            let record = root.join(format!("run/udev/data/n{}", before.trim()));
            let named = is_named(&fs::read_to_string(record).ok()?);
            let card = Link::of(&tree, entry.file_name().to_str()?);
            // It may have got its name after the old one was read above.
            (named && index()? == before).then_some(card)
        })
        .collect();
    cards.sort_by(|a, b| a.name.cmp(&b.name));
    cards
}

/// Whether udev's record of an interface says that it has its name. Before that a rename may still
/// come, which would leave dhcpcd with an interface that is not there. udev 252 writes the record
/// twice when it renames: just before, with `ID_RENAMING` and, if the interface is new, without
/// the time `I:` of its first handling; and when the kernel has reported the new name.
fn is_named(record: &str) -> bool {
    record.lines().any(|line| line.starts_with("I:"))
        && !record.lines().any(|line| line == "E:ID_RENAMING=1")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: HardwareAddress = HardwareAddress([0x52, 0x54, 0, 0x12, 0x34, 0x56]);

    #[test]
    fn an_infiniband_port_is_found_by_the_address_that_it_booted_with() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("sys/class/net/ibs2");
        fs::create_dir_all(directory.join("device")).unwrap();
        for (file, content) in [
            (
                "address",
                "80:00:02:48:fe:80:00:00:00:00:00:00:7c:fe:90:03:00:29:26:52",
            ),
            ("ifindex", "2"),
            ("device/vendor", "0x15b3"),
        ] {
            fs::write(directory.join(file), content).unwrap();
        }
        let data = root.path().join("run/udev/data");
        fs::create_dir_all(&data).unwrap();
        fs::write(data.join("n2"), "I:1\n").unwrap();
        let address = HardwareAddress::parse("20-7c-fe-90-29-26-52").unwrap();
        assert_eq!(
            named_interface(root.path(), address).as_deref(),
            Some("ibs2")
        );
    }

    #[test]
    fn an_interface_counts_once_udev_has_named_it() {
        let root = tempfile::tempdir().unwrap();
        let interface = |name: &str, index: u32, card: bool| {
            let directory = root.path().join("sys/class/net").join(name);
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join("address"), "52:54:00:12:34:56\n").unwrap();
            fs::write(directory.join("ifindex"), format!("{index}\n")).unwrap();
            if card {
                fs::create_dir(directory.join("device")).unwrap();
            }
        };
        interface("ens3.100", 3, false);
        interface("ens3", 2, true);
        assert_eq!(named_interface(root.path(), ADDRESS), None);

        let data = root.path().join("run/udev/data");
        fs::create_dir_all(&data).unwrap();
        let record = |text: &str| {
            for index in [2, 3] {
                fs::write(data.join(format!("n{index}")), text).unwrap();
            }
            named_interface(root.path(), ADDRESS)
        };
        assert_eq!(record("E:ID_RENAMING=1\n"), None);
        assert_eq!(
            record("I:7529000\nE:ID_RENAMING=1\nE:ID_NET_NAME=ens3\n"),
            None
        );
        let named = "I:7529000\nE:ID_NET_NAME=ens3\nG:systemd\n";
        assert_eq!(record(named).as_deref(), Some("ens3"));
        assert_eq!(named_interface(root.path(), HardwareAddress([0; 6])), None);
    }
}
