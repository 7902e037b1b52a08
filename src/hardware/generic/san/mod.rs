//! Disks on a storage network that firmware has booted from, or was told to: connected anew by the kernel before
//! anything is listed, so that they are there for the inventory, for root device hints, and for an image
//! (contract/control-plane 8.8; docs/san.md).
//!
//! Nothing here stops a start: what cannot be reached is told, and the server is inspected without it. What is
//! connected stays connected, also at the end: the kernel flushes disks when it switches off, which needs the network.

mod attempt;
mod iscsi;
mod nvme;

use std::time::{Duration, Instant};

use farrier_plugin::chain;
use tracing::warn;

use self::attempt::Attempt;
use crate::sys::root::Root;

/// How long connecting everything may take. With the wait for disks behind it, two minutes.
const LIMIT: Duration = Duration::from_secs(105);

/// Connect what firmware names. Does nothing on a server without such a table. Blocks for two minutes at most.
pub(in crate::hardware) fn connect(root: &Root) {
    let mut attempt = Attempt::until(Instant::now() + LIMIT);
    iscsi::connect(root, &mut attempt);
    nvme::connect(root, &mut attempt);
    for failure in attempt.end() {
        warn!("{}", chain(&failure));
    }
}
