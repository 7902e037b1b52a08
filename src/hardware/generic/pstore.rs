//! Removing what a crashed kernel left in the firmware's memory (contract/data-plane 7.13): a dump
//! can hold a former tenant's secrets.

use std::fs;
use std::path::Path;

use farrier_plugin::{ErrorKind, ManagerError};
use serde_json::Value;
use tracing::info;

use crate::sys::root::Root;

/// Delete everything in the mounted pstore. Not mounted is nothing to do.
pub(super) fn erase(root: &Root) -> Result<Value, ManagerError> {
    let mounts = root.text("/proc/mounts").unwrap_or_default();
    let place = mounts.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(' ').collect();
        match fields.as_slice() {
            ["pstore", place, "pstore", ..] => Some((*place).to_owned()),
            _ => None,
        }
    });
    let Some(place) = place else {
        info!("pstore is not mounted; nothing to erase");
        return Ok(Value::Null);
    };
    let mut failures = Vec::new();
    for name in root.names(&place) {
        let path = root.path(&place).join(&name);
        match remove(&path) {
            Ok(()) => info!(name, "removed from pstore"),
            Err(error) => failures.push(format!("{name}: {error}")),
        }
    }
    if failures.is_empty() {
        return Ok(Value::Null);
    }
    Err(ManagerError::new(
        ErrorKind::Cleaning,
        format!(
            "Records in {place} could not be removed: {}",
            failures.join("; ")
        ),
    ))
}

fn remove(path: &Path) -> std::io::Result<()> {
    if path.symlink_metadata()?.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_and_directories_are_removed_and_the_mount_point_stays() {
        let dir = tempfile::tempdir().unwrap();
        let pstore = dir.path().join("sys/fs/pstore");
        fs::create_dir_all(pstore.join("old")).unwrap();
        fs::write(pstore.join("dmesg-efi-1"), "secret").unwrap();
        fs::write(pstore.join("old/dmesg-efi-2"), "secret").unwrap();
        let root = Root::at(dir.path());
        // Not mounted: nothing is touched.
        fs::create_dir_all(dir.path().join("proc")).unwrap();
        fs::write(dir.path().join("proc/mounts"), "sysfs /sys sysfs rw 0 0\n").unwrap();
        assert_eq!(erase(&root).unwrap(), Value::Null);
        assert!(pstore.join("dmesg-efi-1").exists());

        fs::write(
            dir.path().join("proc/mounts"),
            "sysfs /sys sysfs rw 0 0\npstore /sys/fs/pstore pstore rw 0 0\n",
        )
        .unwrap();
        assert_eq!(erase(&root).unwrap(), Value::Null);
        assert_eq!(fs::read_dir(&pstore).unwrap().count(), 0);
    }
}
