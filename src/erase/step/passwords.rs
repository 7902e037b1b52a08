//! Passwords that interrupted erases left on drives.

use farrier_plugin::{BlockDevice, chain};
use tracing::warn;

use crate::block::list::list_block_devices;
use crate::erase::drive;
use crate::erase::error::EraseError;
use crate::erase::step::side_by_side::Failure;
use crate::sys::block_device::Disk;
use crate::sys::root::Root;

/// What there is to tell of the disks of this machine that have a password, one sentence for each.
///
/// An agent looks at its start: an erase that was cut short can have left one, and not each node is erased
/// next. Nothing is taken off here: that is an erase's, which comes to the data too. Blocks as long as a drive
/// does not answer.
pub(crate) fn passwords_left(root: &Root) -> Vec<String> {
    let devices = list_block_devices(root, false).unwrap_or_default();
    let trouble = devices.iter();
    trouble
        .filter_map(|device| drive::password_trouble(root, device))
        .collect()
}

/// Take the passwords off these disks that interrupted erases left, so that they can be read,
/// looked at and written: before a step looks for what it must not touch.
///
/// The names of the drives that had one, of which the records of their erases are to tell, and the drives
/// that stay locked, and why. Everything else that is the matter with a drive is left to its erase to find.
pub(super) fn take_passwords_off(
    root: &Root,
    devices: &[BlockDevice],
) -> (Vec<String>, Vec<Failure>) {
    let mut freed = Vec::new();
    let mut locked = Vec::new();
    for device in devices {
        match drive::take_password_off(root, device) {
            Ok(false) => {}
            Ok(true) => {
                freed.push(device.name.clone());
                // What lies on it could not be read before.
                let path = root.path(&device.name);
                let outcome = Disk::open_exclusive(path).and_then(|disk| disk.reread_partitions());
                if let Err(error) = outcome {
                    warn!(device = device.name, %error, "its partitions are not read again");
                }
            }
            Err(error) => {
                warn!(
                    device = device.name,
                    error = chain(&error),
                    "the password stays"
                );
                if error.is_locked() {
                    locked.push(Failure {
                        device: device.name.clone(),
                        error: EraseError::from(error).into(),
                    });
                }
            }
        }
    }
    (freed, locked)
}
