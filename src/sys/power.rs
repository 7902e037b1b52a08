//! Ending the machine: reboot and power off, and what goes before.

use std::fmt;
use std::fs;
use std::io;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::reboot::{RebootMode, reboot, set_cad_enabled};
use nix::sys::statfs::{FsType, TMPFS_MAGIC, statfs};
use tracing::warn;

use super::root::Root;
use super::{md_array, page_cache};

/// `RAMFS_MAGIC` of linux/magic.h: the file system of an initramfs when tmpfs is not compiled in
/// or `rootfstype=ramfs` is given.
const RAMFS_MAGIC: FsType = FsType(0x8584_58f6);

/// What the arrays get to come to rest, which takes a fraction of a second with disks that answer.
const ARRAYS: Duration = Duration::from_secs(5);

/// How a machine ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Transition {
    /// Restart it.
    Reboot,
    /// Switch it off.
    PowerOff,
}

/// Why a machine does not end.
#[derive(Debug, thiserror::Error)]
pub enum PowerError {
    /// The root file system is not in memory, so this is not a ramdisk.
    #[error(
        "A {transition} is refused: / is not a tmpfs or ramfs, so this is an installed system and \
         not a ramdisk"
    )]
    NotInMemory {
        /// What was asked for.
        transition: Transition,
    },
    /// The kernel refuses both ways.
    #[error(
        "reboot(2) refused the {transition} ({refused}), and so did /proc/sysrq-trigger; power the \
         machine off through its BMC"
    )]
    Refused {
        /// What was asked for.
        transition: Transition,
        /// What reboot(2) said.
        refused: Errno,
        /// What the SysRq trigger said.
        #[source]
        source: io::Error,
    },
}

impl fmt::Display for Transition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reboot => "reboot",
            Self::PowerOff => "power off",
        })
    }
}

/// End the machine now. The caller has flushed what matters; this flushes once more, stops arrays, whose resync would
/// outlive their disks, then calls reboot(2), which runs the kernel's notifiers (disks flush their caches) but stops no
/// process. Where that is refused, SysRq is the fallback (contract/control-plane 10.6).
///
/// PID 1 is not asked to do it: our ramdisk has nothing mounted that needs more than a flush, and
/// a machine whose PID 1 hangs must still end.
///
/// Does not return where the kernel obeys.
pub(crate) fn request(transition: Transition) -> Result<(), PowerError> {
    if !root_is_in_memory() {
        return Err(PowerError::NotInMemory { transition });
    }
    page_cache::sync();
    for failure in md_array::end_all(&Root::system(), ARRAYS) {
        warn!("{failure}; the {transition} goes on");
    }
    let (mode, key) = match transition {
        Transition::Reboot => (RebootMode::RB_AUTOBOOT, "b"),
        Transition::PowerOff => (RebootMode::RB_POWER_OFF, "o"),
    };
    let Err(refused) = reboot(mode);
    warn!(%refused, "reboot(2) refused the {transition}; trying SysRq");
    fs::write("/proc/sysrq-trigger", key).map_err(|source| PowerError::Refused {
        transition,
        refused,
        source,
    })
}

/// Have Ctrl-Alt-Del send SIGINT to PID 1 rather than restart the machine at once.
///
/// # Errors
/// Only without CAP_SYS_BOOT, as in a container.
pub(crate) fn catch_ctrl_alt_del() -> io::Result<()> {
    Ok(set_cad_enabled(false)?)
}

/// Whether `/` is a tmpfs or ramfs: a ramdisk, and not an installed system, where this program is a
/// guest and erasing a disk would be an accident. Where the kernel does not say, it is not.
pub(crate) fn root_is_in_memory() -> bool {
    statfs("/").is_ok_and(|root| [TMPFS_MAGIC, RAMFS_MAGIC].contains(&root.filesystem_type()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_judged_by_its_root() {
        let in_memory = fs::read_to_string("/proc/mounts")
            .unwrap()
            .lines()
            .rev()
            .find_map(|line| {
                let mut fields = line.split(' ').skip(1);
                (fields.next() == Some("/")).then(|| fields.next().map(str::to_owned))
            });
        let in_memory = in_memory
            .flatten()
            .is_some_and(|kind| ["tmpfs", "ramfs", "rootfs"].contains(&kind.as_str()));
        assert_eq!(root_is_in_memory(), in_memory);
    }

    #[test]
    fn an_installed_system_is_never_ended() {
        // Asked first and asserted, so that a test run in a ramdisk fails here and ends nothing.
        assert!(!root_is_in_memory(), "these tests do not run in a ramdisk");
        for transition in [Transition::Reboot, Transition::PowerOff] {
            let error = request(transition).unwrap_err();
            assert!(matches!(error, PowerError::NotInMemory { .. }));
            assert!(error.to_string().contains(&transition.to_string()));
        }
    }
}
