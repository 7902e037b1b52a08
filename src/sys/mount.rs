//! Mounting and unmounting.

use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, umount2};

/// Why a file system could not be mounted.
#[derive(Debug, thiserror::Error)]
#[error("Could not mount {filesystem} on {target}", target = target.display())]
pub struct MountError {
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
pub fn mount_virtual(
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
pub fn unmount_devices() {
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    for target in device_mounts(&mounts).into_iter().rev() {
        let _ = umount2(&target, MntFlags::empty());
    }
}

/// Mount points of a `/proc/mounts` whose source is a device, in its order.
fn device_mounts(mounts: &str) -> Vec<PathBuf> {
    mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ');
            let (source, target) = (fields.next()?, fields.next()?);
            source
                .starts_with("/dev/")
                .then(|| PathBuf::from(unescape(target)))
        })
        .collect()
}

/// `/proc/mounts` writes space, tab, newline and backslash as three octal digits.
fn unescape(field: &str) -> String {
    field
        .replace("\\040", " ")
        .replace("\\011", "\t")
        .replace("\\012", "\n")
        .replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mounts_of_devices_are_found() {
        let mounts = "proc /proc proc rw 0 0\n\
            /dev/vda1 /tmp/a\\040b ext4 rw 0 0\n\
            tmpfs /run tmpfs rw 0 0\n\
            /dev/sr0 /mnt/media iso9660 ro 0 0\n";
        assert_eq!(
            device_mounts(mounts),
            [PathBuf::from("/tmp/a b"), PathBuf::from("/mnt/media")]
        );
    }
}
