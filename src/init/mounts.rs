//! The kernel's file systems, which nobody else mounts in a ramdisk without a system in it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::mount::MsFlags;

use crate::sys::mount::{MountError, mount_virtual};

/// One file system of the kernel.
struct Mount {
    filesystem: &'static str,
    target: &'static str,
    flags: MsFlags,
    options: &'static str,
    /// Not mounted where this path is missing, as on a machine without UEFI.
    only_with: Option<&'static str>,
}

const RESTRICTED: MsFlags = MsFlags::MS_NOSUID
    .union(MsFlags::MS_NODEV)
    .union(MsFlags::MS_NOEXEC);

/// In this order: later ones lie inside earlier ones.
///
/// `/run` and `/tmp` are not left on the root, so that what an image or a log writes there can
/// never fill the root itself. Their sizes are shares of the memory: 20 % holds the journal, logs
/// and leases; 50 % is what the kernel gives any tmpfs.
const MOUNTS: &[Mount] = &[
    Mount::new("proc", "/proc", RESTRICTED, ""),
    Mount::new("sysfs", "/sys", RESTRICTED, ""),
    Mount::new("devtmpfs", "/dev", MsFlags::MS_NOSUID, "mode=0755"),
    Mount::new(
        "devpts",
        "/dev/pts",
        MsFlags::MS_NOSUID.union(MsFlags::MS_NOEXEC),
        "gid=5,mode=0620,ptmxmode=0666",
    ),
    Mount::new(
        "tmpfs",
        "/dev/shm",
        MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV),
        "mode=1777",
    ),
    Mount::new(
        "tmpfs",
        "/run",
        MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV),
        "mode=0755,size=20%",
    ),
    Mount::new(
        "tmpfs",
        "/tmp",
        MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV),
        "mode=1777",
    ),
    Mount::new("cgroup2", "/sys/fs/cgroup", RESTRICTED, "nsdelegate"),
    Mount::new("pstore", "/sys/fs/pstore", RESTRICTED, "").only_with("/sys/fs/pstore"),
    // The kernel starts modprobe for this one itself.
    Mount::new("efivarfs", "/sys/firmware/efi/efivars", RESTRICTED, "")
        .only_with("/sys/firmware/efi/efivars"),
];

/// Links in `/dev` that programs expect and devtmpfs does not make.
const LINKS: &[(&str, &str)] = &[
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
];

impl Mount {
    const fn new(
        filesystem: &'static str,
        target: &'static str,
        flags: MsFlags,
        options: &'static str,
    ) -> Self {
        Self {
            filesystem,
            target,
            flags,
            options,
            only_with: None,
        }
    }

    const fn only_with(mut self, path: &'static str) -> Self {
        self.only_with = Some(path);
        self
    }
}

/// Mount all of them. What cannot be mounted is returned, all of it: a boot with one missing is
/// worth more to a person at the console than none.
pub(super) fn mount_all() -> Vec<MountError> {
    let mut failures = Vec::new();
    for mount in MOUNTS {
        if mount
            .only_with
            .is_some_and(|path| !Path::new(path).exists())
        {
            continue;
        }
        let target = Path::new(mount.target);
        // Targets in /dev, /run and below come into being here; where it fails, mounting says so.
        let _ = fs::create_dir_all(target);
        if let Err(error) = mount_virtual(mount.filesystem, target, mount.flags, mount.options) {
            failures.push(error);
        }
    }
    for (to, link) in LINKS {
        // There already if the kernel's devtmpfs made it.
        let _ = symlink(to, link);
    }
    failures
}
