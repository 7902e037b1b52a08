//! The network interfaces of the machine, by the rule of contract/data-plane 8.2.

use std::fs;
use std::path::Path;

use tracing::{info, warn};

use crate::sys::link;

/// The interfaces that stand for hardware: those with a device behind them, bonds, and VLANs by
/// their name. In directory order, sorted.
pub fn names(root: &Path) -> Vec<String> {
    let class = root.join("sys/class/net");
    let Ok(entries) = fs::read_dir(&class) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| {
            let directory = class.join(name);
            directory.join("device").exists()
                || directory.join("bonding").exists()
                || is_vlan_name(name)
        })
        .collect();
    names.sort();
    names
}

/// The current MAC addresses of those interfaces, lower case, without the ones that the contract
/// leaves out (`fa:…`) and without empty ones.
pub fn hardware_addresses(root: &Path) -> Vec<String> {
    names(root)
        .iter()
        .filter_map(|name| {
            let path = root.join("sys/class/net").join(name).join("address");
            let address = fs::read_to_string(path).ok()?.trim().to_lowercase();
            let usable = !address.is_empty()
                && !address.starts_with("fa:")
                && address != "00:00:00:00:00:00";
            usable.then_some(address)
        })
        .collect()
}

/// Bring these interfaces up; one that does not go is told and left.
pub fn set_up<'n>(names: impl IntoIterator<Item = &'n str>) {
    for name in names {
        if let Err(error) = link::set_up(name) {
            warn!(interface = name, %error, "could not be brought up");
        }
    }
}

/// Take all of those interfaces down; one that does not go is told and left (contract 10.3).
pub fn set_all_down(root: &Path) {
    for name in names(root) {
        match link::set_down(&name) {
            Ok(()) => info!(interface = name, "taken down"),
            Err(error) => warn!(interface = name, %error, "could not be taken down"),
        }
    }
}

fn is_vlan_name(name: &str) -> bool {
    name.split_once('.')
        .is_some_and(|(_, id)| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(root: &Path, name: &str, address: &str, child: Option<&str>) {
        let directory = root.join("sys/class/net").join(name);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("address"), format!("{address}\n")).unwrap();
        if let Some(child) = child {
            fs::create_dir(directory.join(child)).unwrap();
        }
    }

    #[test]
    fn hardware_bonds_and_vlans_are_interfaces() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        interface(root, "lo", "00:00:00:00:00:00", None);
        interface(root, "eno1", "52:54:00:AA:BB:01", Some("device"));
        interface(root, "eno2", "fa:16:3e:00:00:01", Some("device"));
        interface(root, "bond0", "52:54:00:aa:bb:02", Some("bonding"));
        interface(root, "eno1.100", "52:54:00:aa:bb:01", None);
        interface(root, "br0", "52:54:00:aa:bb:03", None);
        assert_eq!(names(root), ["bond0", "eno1", "eno1.100", "eno2"]);
        assert_eq!(
            hardware_addresses(root),
            [
                "52:54:00:aa:bb:02",
                "52:54:00:aa:bb:01",
                "52:54:00:aa:bb:01"
            ]
        );
    }
}
