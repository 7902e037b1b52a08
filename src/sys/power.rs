//! Switching the machine off and restarting it, by the reboot system call: no program, no sysrq.

use std::io;

use nix::sys::reboot::{RebootMode, reboot, set_cad_enabled};

/// Switch the machine off, at once. The caller has synced what it wants to keep.
///
/// Comes back only with an error, as without CAP_SYS_BOOT in a container.
pub fn power_off() -> io::Error {
    let Err(error) = reboot(RebootMode::RB_POWER_OFF);
    error.into()
}

/// Restart the machine, at once. The caller has synced what it wants to keep.
///
/// Comes back only with an error, as without CAP_SYS_BOOT in a container.
pub fn restart() -> io::Error {
    let Err(error) = reboot(RebootMode::RB_AUTOBOOT);
    error.into()
}

/// Have Ctrl-Alt-Del send SIGINT to PID 1 rather than restart the machine at once.
///
/// # Errors
/// Only without CAP_SYS_BOOT, as in a container.
pub fn catch_ctrl_alt_del() -> io::Result<()> {
    Ok(set_cad_enabled(false)?)
}
