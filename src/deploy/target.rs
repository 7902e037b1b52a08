//! The disk that a deploy works on.

use std::thread;
use std::time::Duration;

use farrier_plugin::Context;

use super::error::DeployError;
use crate::block::holders;
use crate::sys::block_device::{Disk, DiskError};
use crate::sys::root::Root;

/// How often a disk in use is tried, and the pause between: as the reference waits
/// (contract/data-plane 10.8), for what a scan has open for a moment.
const BUSY_TRIES: u32 = 20;
const BUSY_PAUSE: Duration = Duration::from_secs(1);

/// Open the disk for this process alone, waiting for those who have it open for a moment; where
/// they stay, the error names them.
pub(super) fn open(device: &str, context: &dyn Context) -> Result<Disk, DeployError> {
    let mut left = BUSY_TRIES;
    loop {
        let source = match Disk::open_exclusive(device) {
            Ok(disk) => return Ok(disk),
            Err(error) => error,
        };
        left -= 1;
        let is_busy = matches!(source, DiskError::Busy { .. });
        if is_busy && left > 0 && !context.is_cancelled() {
            thread::sleep(BUSY_PAUSE);
            continue;
        }
        let holders = if is_busy {
            holders::of(&Root::system(), device)
        } else {
            Vec::new()
        };
        return Err(DeployError::Target {
            device: device.to_owned(),
            holders: if holders.is_empty() {
                String::new()
            } else {
                format!(" because {}", holders.join(", "))
            },
            source,
        });
    }
}
