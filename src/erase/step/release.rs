//! Taking apart what the kernel made of devices that are to be erased.

use std::collections::BTreeSet;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use farrier_plugin::Context;
use tracing::{info, warn};

use crate::block::exclusive;
use crate::block::list::ListedDevice;
use crate::erase::guard::Guard;
use crate::sys::root::Root;
use crate::sys::{device_mapper, md_array};

/// A volume that is still open after this time is held by a program, and loses its disk.
const VOLUME_LIMIT: Duration = Duration::from_secs(3);

/// Stop the arrays and remove the volumes that lie on these devices, and on no others: what is to be
/// erased must be free, and what lies on a member beside the array has to go too.
///
/// Returns the names of what there was, partitions of an array included; where there was anything, the devices
/// are to be listed anew. What could not be taken apart stays, and the guard refuses the devices under it then.
/// In a recorded tree nothing can be taken apart. After a cancel nothing more is.
pub(super) fn release(
    root: &Root,
    guard: &Guard,
    devices: &BTreeSet<&str>,
    context: &dyn Context,
) -> Vec<String> {
    let holders = guard.in_the_way(devices);
    let gone = guard.gone_with(&holders).into_iter();
    let names = gone.map(|device| device.device.name.clone()).collect();
    // As long as a device may be busy: udev looks at new arrays and volumes, and what lies on top goes first.
    let begun = Instant::now();
    let mut left = holders;
    while !left.is_empty() && !context.is_cancelled() {
        let spent = begun.elapsed();
        let last = spent >= exclusive::LIMIT;
        left.retain(|holder| {
            let device = &holder.device.name;
            match take_apart(root, holder, spent >= VOLUME_LIMIT) {
                Ok(how) => info!(
                    device,
                    kind = holder.kind,
                    members = holder.parents.join(", "),
                    "{how}, so that its disks can be erased"
                ),
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) && !last => return true,
                Err(error) => warn!(device, %error, "cannot be taken apart"),
            }
            false
        });
        if !left.is_empty() {
            thread::sleep(exclusive::PAUSE);
        }
    }
    names
}

fn take_apart(root: &Root, holder: &ListedDevice, forced: bool) -> io::Result<&'static str> {
    if !root.is_dir(format!("/sys/block/{}", holder.kname)) {
        // One that was made of it took it along, or it was of the kind that goes by itself.
        return Ok("gone");
    }
    if holder.kname.starts_with("md") {
        md_array::stop(&root.path(&holder.device.name))?;
        return Ok("stopped");
    }
    match device_mapper::remove(holder.number) {
        Ok(()) => Ok("removed"),
        Err(error) if forced && error.raw_os_error() == Some(libc::EBUSY) => {
            device_mapper::cut_off(holder.number, holder.device.size / 512)?;
            Ok("cut off from its disk, since a program has it open")
        }
        Err(error) => Err(error),
    }
}
