//! Passwords that interrupted erases left on drives.

use farrier_plugin::{BlockDevice, chain};
use tracing::warn;

use crate::erase::drive;
use crate::erase::drive::error::DriveError;
use crate::erase::step::scopes::Scopes;
use crate::sys::block_device::Disk;
use crate::sys::root::Root;

/// Take the passwords off these disks that interrupted erases left, so that they can be read,
/// looked at and written: before a step looks for what it must not touch. The records of their
/// next erases tell of it.
///
/// Whether there was one, and the drives that stay locked, and why. Everything else that is the matter with a
/// drive is left to its erase to find.
pub fn take_passwords_off(
    root: &Root,
    devices: &[BlockDevice],
    scopes: &Scopes,
) -> (bool, Vec<(String, DriveError)>) {
    let mut freed = false;
    let mut locked = Vec::new();
    for device in devices {
        match drive::take_password_off(root, device) {
            Ok(false) => {}
            Ok(true) => {
                freed = true;
                scopes.freed(&device.name);
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
                    locked.push((device.name.clone(), error));
                }
            }
        }
    }
    (freed, locked)
}
