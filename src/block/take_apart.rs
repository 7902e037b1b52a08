//! Taking apart what the kernel made of devices that are to be written: arrays and volumes.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use farrier_plugin::Context;
use tracing::{info, warn};

use super::exclusive;
use super::list::ListedDevice;
use crate::sys::root::Root;
use crate::sys::{device_mapper, md_array};

/// A volume that is still open after this time is held by a program, and loses its disk.
const VOLUME_LIMIT: Duration = Duration::from_secs(3);

/// Stop these arrays and remove these volumes, of which what lies on top comes first. `purpose` is told of
/// each: `so that its disks can be erased`.
///
/// Nothing is written to what they lie on. What could not be taken apart stays, and is told. In a recorded
/// tree nothing can be taken apart. After a cancel nothing more is.
pub(crate) fn take_apart(
    root: &Root,
    mut holders: Vec<&ListedDevice>,
    purpose: &str,
    context: &dyn Context,
) {
    // As long as a device may be busy: udev looks at new arrays and volumes, and what lies on top goes first.
    let begun = Instant::now();
    while !holders.is_empty() && !context.is_cancelled() {
        let spent = begun.elapsed();
        let last = spent >= exclusive::LIMIT;
        holders.retain(|holder| {
            let device = &holder.device.name;
            match take_one_apart(root, holder, spent >= VOLUME_LIMIT) {
                Ok(how) => info!(
                    device,
                    kind = holder.kind,
                    members = holder.parents.join(", "),
                    "{how}, {purpose}"
                ),
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) && !last => return true,
                Err(error) => warn!(device, %error, "cannot be taken apart"),
            }
            false
        });
        if !holders.is_empty() {
            thread::sleep(exclusive::PAUSE);
        }
    }
}

fn take_one_apart(root: &Root, holder: &ListedDevice, forced: bool) -> io::Result<&'static str> {
    if !root.is_dir(format!("/sys/block/{}", holder.kname)) {
        // One that was made of it took it along, or it was of the kind that goes by itself.
        return Ok("gone");
    }
    if !root.is_system() {
        // Its numbers are those of other devices here.
        return Err(io::ErrorKind::Unsupported.into());
    }
    if holder.kname.starts_with("md") {
        md_array::stop(&root.path(&holder.device.name))?;
        return Ok("stopped");
    }
    match device_mapper::remove(holder.number) {
        Ok(()) => Ok("removed"),
        Err(error)
            if forced
                && error.raw_os_error() == Some(libc::EBUSY)
                && !carries_something(root, holder) =>
        {
            device_mapper::cut_off(holder.number, holder.device.size / 512)?;
            Ok("cut off from its disk, since a program has it open")
        }
        Err(error) => Err(error),
    }
}

/// Whether something is still made of this volume. An array that lost it would note that on its other members,
/// which may be no disks to write to.
fn carries_something(root: &Root, holder: &ListedDevice) -> bool {
    !root
        .names(format!("/sys/block/{}/holders", holder.kname))
        .is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::recording::Recording;

    #[test]
    fn a_volume_that_an_array_is_made_of_is_not_cut_off() {
        let recording = Recording::unpack(
            "/sys/block/dm-0/holders/md0/\n/sys/block/dm-1/holders/\n/sys/block/dm-2/dev = 253:2",
        );
        let volume = |kname: &str| ListedDevice {
            kname: kname.to_owned(),
            ..ListedDevice::default()
        };
        let carries = |kname| carries_something(&recording.root(), &volume(kname));
        assert!(carries("dm-0"));
        assert!(!carries("dm-1"));
        assert!(!carries("dm-2"));
    }
}
