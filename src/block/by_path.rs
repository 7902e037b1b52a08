//! The links under `/dev/disk/by-path`, which name a disk by where it is plugged in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::block::udev::UdevRecord;
use crate::sys::root::Root;

const BY_PATH: &str = "/dev/disk/by-path";

/// All links, by the device node that they lead to. Read once for all devices: a shelf of disks
/// has some hundred links.
pub(crate) struct ByPaths(BTreeMap<PathBuf, Vec<String>>);

impl ByPaths {
    /// The links that there are.
    pub(crate) fn read(root: &Root) -> Self {
        let mut links = BTreeMap::<PathBuf, Vec<String>>::new();
        for name in root.names(BY_PATH) {
            let link = format!("{BY_PATH}/{name}");
            if let Some(device) = root.resolve(&link) {
                links.entry(device).or_default().push(link);
            }
        }
        Self(links)
    }

    /// The links of the device node of this name, the best first.
    ///
    /// One disk has several (`pci-…-ata-1` and `pci-…-ata-1.0`, `pci-…` and `virtio-pci-…`), of
    /// which the reference takes whichever the directory lists last. Here it is the one that udev's
    /// own `ID_PATH` names, which is the one that is not kept for compatibility.
    pub(crate) fn of(&self, name: &str, udev: &UdevRecord) -> Vec<String> {
        let mut links = self.0.get(Path::new(name)).cloned().unwrap_or_default();
        if self.0.is_empty() {
            // Without the directory there is still what udev would put there. Beside the directory
            // that is no source: of two devices that claim one link, only one has it.
            let claimed = udev.links().iter();
            links.extend(claimed.filter(|link| link.starts_with(BY_PATH)).cloned());
        }
        links.sort();
        if let Some(id_path) = udev.property("ID_PATH") {
            let own = format!("{BY_PATH}/{id_path}");
            let part = format!("{own}-part");
            links.sort_by_key(|link| !(*link == own || link.starts_with(&part)));
        }
        links
    }
}
