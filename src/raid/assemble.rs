//! Having mdadm assemble what it finds, as far as members are there.

use tracing::debug;

use crate::sys::process::Program;
use crate::sys::root::Root;

/// Assemble all arrays that there are members of.
///
/// Nothing on a disk changes. The ramdisk's `md_mod` has `start_ro=1`: an array that is assembled neither resyncs nor
/// updates its superblocks until someone writes to it. Most machines have no array, which is no error.
pub(crate) fn assemble(root: &Root) {
    for program in programs(root) {
        if let Err(error) = program.run() {
            debug!(%error, "no arrays were assembled");
        }
    }
}

/// mdadm 4.4 makes an array through a file of `md_mod`, which it would load by a shell, and there is
/// none here; without the file it complains and leaves the loading to the kernel.
fn programs(root: &Root) -> [Program; 2] {
    [
        Program::new(root.path("/sbin/modprobe")).arg("md_mod"),
        Program::new(root.path("/sbin/mdadm"))
            .arg("--assemble")
            .arg("--scan"),
    ]
}
