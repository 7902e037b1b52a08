//! Disks on a storage network that firmware has booted from, or was told to: connected anew by the kernel before
//! anything is listed, so that they are there for the inventory, for root device hints, and for an image
//! (contract/control-plane 8.8; docs/san.md).
//!
//! Nothing here stops a start: what cannot be reached is told, and the server is inspected without it. What is
//! connected stays connected, also at the end: the kernel flushes disks when it switches off, which needs the network.

mod iscsi;
mod nvme;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::thread;
use std::time::{Duration, Instant};

use farrier_plugin::chain;
use tracing::warn;

use crate::net::boot_table::Interface;
use crate::net::boot_table::bring_up::{BringUpError, bring_up};
use crate::net::boot_table::nbft::NbftError;
use crate::sys::process::{ProcessError, Program};
use crate::sys::root::Root;

/// How long the kernel may need until it shows the disks of a target that is connected.
const DISKS: Duration = Duration::from_secs(15);

/// How often is looked.
const POLL: Duration = Duration::from_millis(50);

/// Why a target of firmware's boot table has no disks here.
#[derive(Debug, thiserror::Error)]
enum SanError {
    /// The card to it is of no use.
    #[error("Could not reach the storage {target}")]
    Card {
        /// The target, and where it is.
        target: String,
        /// Why.
        #[source]
        source: BringUpError,
    },
    /// The program that logs in did not.
    #[error("Could not log in to the iSCSI target {target}: {said}")]
    Login {
        /// The target, and where it is.
        target: String,
        /// What it said.
        said: String,
    },
    /// The kernel did not connect.
    #[error("Could not connect to the NVMe subsystem {target}{hint}")]
    Connect {
        /// The subsystem, and where it is.
        target: String,
        /// What to do.
        hint: &'static str,
        /// The kernel's answer.
        #[source]
        source: std::io::Error,
    },
    /// What the table wants is not there yet.
    #[error("Did not connect to {target}: {reason}")]
    NotDone {
        /// What.
        target: String,
        /// Why.
        reason: &'static str,
    },
    /// A target without disks.
    #[error(
        "{target} is connected and has no disk for this server within {seconds} s; look at what the storage maps to it"
    )]
    NoDisks {
        /// The target, and where it is.
        target: String,
        /// How long was waited.
        seconds: u64,
    },
    /// A table cannot be read.
    #[error(transparent)]
    Table(NbftError),
    /// A program that is needed cannot be run.
    #[error("Could not use firmware's boot table")]
    Program(#[source] ProcessError),
}

/// Connect what firmware names. Does nothing on a server without such a table.
pub(super) fn connect(root: &Root) {
    let mut cards = Cards::default();
    let mut failures = iscsi::connect(root, &mut cards);
    failures.extend(nvme::connect(root, &mut cards));
    for failure in failures {
        warn!("{}", chain(&failure));
    }
}

/// Cards that were brought up, or could not be: one without a link is waited for once, however many targets it has.
#[derive(Default)]
struct Cards(BTreeMap<(String, Option<u16>), Option<String>>);

impl Cards {
    /// The interface through which a target is reached, ready for that.
    fn ready(
        &mut self,
        root: &Root,
        interface: &Interface,
        target: &str,
        address: IpAddr,
    ) -> Result<String, SanError> {
        let key = (interface.mac_address.clone(), interface.vlan);
        if let Some(None) = self.0.get(&key) {
            return Err(SanError::NotDone {
                target: target.to_owned(),
                reason: "its network card is of no use, as was said of another target",
            });
        }
        let name = bring_up(root, interface, &[address]);
        self.0.insert(key, name.as_ref().ok().cloned());
        name.map_err(|source| SanError::Card {
            target: target.to_owned(),
            source,
        })
    }
}

/// Have the kernel load modules. Those that are there already are fine.
fn load(modules: &[&str]) -> Result<(), SanError> {
    let mut program = Program::new("/sbin/modprobe").arg("-a").arg("-q");
    for module in modules {
        program = program.arg(*module);
    }
    program.run().map(|_| ()).map_err(SanError::Program)
}

/// Wait until there is a disk.
fn wait_for_disks(target: &str, has_disks: impl Fn() -> bool) -> Result<(), SanError> {
    let started = Instant::now();
    while !has_disks() {
        if started.elapsed() >= DISKS {
            return Err(SanError::NoDisks {
                target: target.to_owned(),
                seconds: DISKS.as_secs(),
            });
        }
        thread::sleep(POLL);
    }
    Ok(())
}
