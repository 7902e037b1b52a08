//! Taking apart what the kernel made of devices that are to be erased.

use std::collections::BTreeSet;

use farrier_plugin::Context;

use crate::block::take_apart::take_apart;
use crate::erase::guard::Guard;
use crate::sys::root::Root;

/// Stop the arrays and remove the volumes that lie on these devices, and on no others: what is to be
/// erased must be free, and what lies on a member beside the array has to go too.
///
/// Returns the names of what there was, partitions of an array included; where there was anything, the devices
/// are to be listed anew. What could not be taken apart stays, and the guard refuses the devices under it then.
pub(super) fn release(
    root: &Root,
    guard: &Guard,
    devices: &BTreeSet<&str>,
    context: &dyn Context,
) -> Vec<String> {
    let holders = guard.in_the_way(devices);
    let gone = guard.gone_with(&holders).into_iter();
    let names = gone.map(|device| device.device.name.clone()).collect();
    take_apart(root, holders, "so that its disks can be erased", context);
    names
}
