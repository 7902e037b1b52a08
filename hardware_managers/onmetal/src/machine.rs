//! The disks of this machine, from sysfs: which PCI function carries which of them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::pci::PciAddress;

/// The file system in which the kernel shows the machine; `/`, or a tree in a test.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    root: PathBuf,
}

/// A disk.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Disk {
    /// The kernel's name, `sdb`.
    pub(crate) name: String,
    /// Model without the padding of a SCSI inquiry; empty for what has none.
    pub(crate) model: String,
    /// The controller that it hangs on; `None` for what is on no PCI bus.
    pub(crate) address: Option<PciAddress>,
    /// Whether the kernel takes no writes for it.
    pub(crate) is_read_only: bool,
}

impl Machine {
    /// The machine that this tree shows.
    pub(crate) fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Every disk, by name. One that goes while it is looked at is left out.
    pub(crate) fn disks(&self) -> Vec<Disk> {
        let entries = fs::read_dir(self.root.join("sys/block"));
        let mut disks: Vec<Disk> = entries
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| self.disk(entry.file_name().to_str()?))
            .collect();
        disks.sort_by(|one, other| one.name.cmp(&other.name));
        disks
    }

    /// The disk of this name.
    pub(crate) fn disk(&self, name: &str) -> Option<Disk> {
        let folder = self.root.join("sys/block").join(name);
        // Arrays and loop devices have no hardware behind them.
        let hardware = fs::canonicalize(folder.join("device")).ok()?;
        Some(Disk {
            name: name.to_owned(),
            model: text(&hardware.join("model")).unwrap_or_default(),
            address: controller(&hardware),
            is_read_only: text(&folder.join("ro")).as_deref() == Some("1"),
        })
    }

    /// The device node of a disk.
    pub(crate) fn node(&self, name: &str) -> PathBuf {
        self.root.join("dev").join(name)
    }

    /// The version of the BIOS, as the firmware says (DMI type 0).
    pub(crate) fn bios_version(&self) -> Option<String> {
        text(&self.root.join("sys/class/dmi/id/bios_version"))
    }
}

/// The nearest directory above a device that is a PCI function: its controller, however many
/// bridges and switches are in between (contract/onmetal 12.4). The 2015 module took the fifth part of the
/// path, which is the controller only behind exactly one bridge.
fn controller(device: &Path) -> Option<PciAddress> {
    device.ancestors().find_map(|directory| {
        let subsystem = fs::read_link(directory.join("subsystem")).ok()?;
        if subsystem.file_name()? != "pci" {
            return None;
        }
        PciAddress::parse(directory.file_name()?.to_str()?)
    })
}

fn text(file: &Path) -> Option<String> {
    Some(fs::read_to_string(file).ok()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stand_in::Tree;

    fn address_of(path: &str) -> Option<String> {
        let tree = Tree::new();
        tree.add_disk("sdb", path, "X");
        let address = tree.machine().disk("sdb").unwrap().address;
        address.map(|address| address.to_string())
    }

    #[test]
    fn the_controller_is_found_behind_any_number_of_bridges() {
        for (path, controller) in [
            ("pci0000:00/0000:00:05.0", "0000:00:05.0"),
            ("pci0000:00/0000:00:02.0/0000:05:00.0", "0000:05:00.0"),
            (
                "pci0000:80/0000:80:02.0/0000:81:00.0/0000:82:08.0/0000:83:00.0",
                "0000:83:00.0",
            ),
            ("pci0000:00/0000:00:02.0/0000:05:00.1", "0000:05:00.1"),
            (
                "pci0000:00/0000:00:0e.0/pci10000:e0/10000:e0:02.0/10000:e1:00.0",
                "10000:e1:00.0",
            ),
        ] {
            assert_eq!(address_of(path).as_deref(), Some(controller), "{path}");
        }
    }

    #[test]
    fn a_disk_on_no_pci_bus_has_no_controller() {
        assert_eq!(address_of("platform/fe000000.mmc"), None);
    }

    #[test]
    fn disks_are_listed_with_trimmed_models() {
        let tree = Tree::new();
        tree.add_card("sdb", "05:00.0");
        tree.add_disk("sda", "pci0000:00/0000:00:1f.2", "32G MLC SATADOM ");
        fs::create_dir_all(tree.path("sys/block/md127/md")).unwrap();
        let disks = tree.machine().disks();
        let told: Vec<_> = disks
            .iter()
            .map(|disk| (&*disk.name, &*disk.model))
            .collect();
        assert_eq!(told, [("sda", "32G MLC SATADOM"), ("sdb", "NWD-BLP4-1600")]);
        assert!(!disks[1].is_read_only);
        assert_eq!(tree.machine().disk("sdc"), None);
    }
}
