//! The programs that run in every ramdisk.

use std::path::Path;

use super::supervisor::{Output, Rule, Supervisor};
use super::{message, network};
use crate::sys::run_files::{LOCKED_DOWN, RESCUED};
use crate::sys::service::Service;

/// Markers after which nothing starts an agent again: in rescue the machine is the rescue user's,
/// and after a lock-down a second agent would reopen what was closed.
const HANDED_OVER: &[&str] = &[LOCKED_DOWN, RESCUED];

/// The programs of the ramdisk, and the reason for each: image/packages.
pub(super) fn add(supervisor: &mut Supervisor) {
    supervisor.add(
        "udevd",
        Service::new("/usr/lib/systemd/systemd-udevd").env("NOTIFY_SOCKET", message::SOCKET),
        Rule::Always,
        Output::Log,
    );
    // No device asks for these: the BMC's device node, crash records in EFI variables, and what
    // dhcpcd would otherwise wait for: it asks every interface whether it is a VLAN.
    let modules: &[&str] = if Path::new("/sys/firmware/efi").exists() {
        &["8021q", "ipmi_devintf", "efi_pstore"]
    } else {
        &["8021q", "ipmi_devintf"]
    };
    supervisor.add(
        "modprobe",
        Service::new("/usr/sbin/modprobe")
            .args(["--all", "--quiet"])
            .args(modules),
        Rule::Once,
        Output::Log,
    );
    supervisor.add(
        "dhcpcd",
        Service::new("/usr/sbin/dhcpcd").args([
            "--nobackground",
            "--config",
            network::CONFIGURATION,
        ]),
        Rule::Unless(&[LOCKED_DOWN]),
        Output::Log,
    );
    supervisor.add(
        "network",
        Service::new("/usr/bin/farrier-network"),
        Rule::UntilDone(&[LOCKED_DOWN]),
        Output::Log,
    );
    supervisor.add(
        "port",
        Service::new("/usr/bin/farrier-port"),
        Rule::UntilDone(&[LOCKED_DOWN]),
        Output::Log,
    );
    supervisor.add(
        "agent",
        Service::new("/usr/bin/farrier").args(["run"]),
        Rule::Unless(HANDED_OVER),
        Output::Consoles,
    );
}
