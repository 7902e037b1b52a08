//! Passwords that interrupted erases left on drives.

use std::thread;
use std::time::Instant;

use farrier_plugin::{BlockDevice, chain};
use tracing::warn;

use crate::block::list::list_block_devices;
use crate::erase::drive;
use crate::erase::error::EraseError;
use crate::erase::step::side_by_side::Failure;
use crate::sys::block_device::Disk;
use crate::sys::root::Root;

/// Tell of the disks of this machine that have a password, in one sentence for each, as soon as it answers: each is
/// asked on a thread of its own, since one that does not answer must not hide the others.
///
/// An agent looks at its start: an erase that was cut short can have left one, and not each node is erased
/// next. Nothing is taken off here: that is an erase's, which comes to the data too. Blocks as long as the listing.
///
/// No disk is asked any more after `until`: a question between the two commands of a security erase makes the drive
/// abort the second.
pub(crate) fn passwords_left(
    root: &Root,
    until: Instant,
    tell: impl Fn(String) + Clone + Send + 'static,
) {
    match list_block_devices(root, false) {
        Ok(devices) => {
            let root = root.clone();
            let ask = move |device: &_| drive::password_trouble(&root, device, until);
            ask_each(devices, ask, tell);
        }
        Err(error) => warn!(
            error = chain(&error),
            "the disks cannot be listed, and are not asked for passwords"
        ),
    }
}

fn ask_each(
    devices: Vec<BlockDevice>,
    ask: impl Fn(&BlockDevice) -> Option<String> + Clone + Send + 'static,
    tell: impl Fn(String) + Clone + Send + 'static,
) {
    for device in devices.into_iter().filter(drive::can_have_password) {
        let (ask, tell, name) = (ask.clone(), tell.clone(), device.name.clone());
        let spawned = thread::Builder::new()
            .name("password".to_owned())
            .spawn(move || {
                if let Some(trouble) = ask(&device) {
                    tell(trouble);
                }
            });
        if let Err(error) = spawned {
            warn!(device = name, %error, "not asked for a password");
        }
    }
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_drive_that_does_not_answer_hides_no_other_and_none_of_another_kind_is_asked() {
        let names = ["/dev/sda", "/dev/nvme0n1", "/dev/sdb", "/dev/sdc"];
        let mut devices = names.map(|name| BlockDevice {
            name: name.to_owned(),
            ..BlockDevice::default()
        });
        devices[2].tran = Some("usb".to_owned());
        let (gate, silent) = mpsc::sync_channel::<()>(0);
        let (sender, found) = mpsc::channel();
        let silent = std::sync::Arc::new(std::sync::Mutex::new(silent));
        let ask = move |device: &BlockDevice| {
            if device.name == "/dev/sda" {
                let _ = silent.lock().unwrap().recv();
            }
            Some(device.name.clone())
        };
        ask_each(devices.into(), ask, move |name| drop(sender.send(name)));
        let next = || found.recv_timeout(Duration::from_secs(60));
        assert_eq!(next().unwrap(), "/dev/sdc");
        drop(gate);
        assert_eq!(next().unwrap(), "/dev/sda");
        assert!(next().is_err_and(|error| error == mpsc::RecvTimeoutError::Disconnected));
    }
}
