//! Mounting and unmounting.

use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, umount2};

use super::mount_table;
use super::root::Root;

/// Why a file system could not be mounted.
#[derive(Debug, thiserror::Error)]
#[error("Could not mount {filesystem} on {target}", target = target.display())]
pub(crate) struct MountError {
    filesystem: String,
    target: PathBuf,
    #[source]
    source: nix::Error,
}

/// Mount a file system that has no device, such as proc or tmpfs. `options` are the file system's
/// own, comma separated.
///
/// # Errors
/// The kernel does not know the file system, it is mounted there already, or the target is
/// missing.
pub(crate) fn mount_virtual(
    filesystem: &str,
    target: &Path,
    flags: MsFlags,
    options: &str,
) -> Result<(), MountError> {
    nix::mount::mount(
        Some(filesystem),
        target,
        Some(filesystem),
        flags,
        Some(options),
    )
    .map_err(|source| MountError {
        filesystem: filesystem.to_owned(),
        target: target.to_owned(),
        source,
    })
}

/// Unmount everything that is mounted from a block device, last mounted first, so that nothing is
/// half written when the power goes. What is busy stays; the caller syncs before.
pub(crate) fn unmount_devices() {
    for place in device_mounts(&Root::system()).into_iter().rev() {
        let _ = umount2(place.as_str(), MntFlags::empty());
    }
}

/// Unmount what is mounted here, at last.
///
/// EBUSY while a program has a file open there, or something is mounted below.
pub(crate) fn unmount(place: &str) -> std::io::Result<()> {
    Ok(umount2(place, MntFlags::UMOUNT_NOFOLLOW)?)
}

/// Where devices are mounted, in the order of mounting.
fn device_mounts(root: &Root) -> Vec<String> {
    mount_table::mounts(root)
        .into_iter()
        .filter(|mount| mount.source.starts_with("/dev/"))
        .map(|mount| mount.place)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mounts_of_devices_are_found() {
        let tree = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(tree.path().join("proc/self")).unwrap();
        std::fs::write(
            tree.path().join("proc/self/mountinfo"),
            "21 1 0:5 / /proc rw - proc proc rw\n\
             22 1 254:1 / /tmp/a\\040b rw,relatime shared:1 master:2 - ext4 /dev/vda1 rw\n\
             23 1 0:21 / /run rw - tmpfs tmpfs rw\n\
             24 1 11:0 / /mnt/media ro - iso9660 /dev/sr0 ro\n",
        )
        .unwrap();
        assert_eq!(
            device_mounts(&Root::at(tree.path())),
            ["/tmp/a b", "/mnt/media"]
        );
    }
}
