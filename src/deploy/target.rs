//! The disk that a deploy works on.

use farrier_plugin::Context;

use super::error::DeployError;
use crate::block::exclusive::{self, NotOpened};
use crate::sys::block_device::Disk;
use crate::sys::root::Root;

/// Open the disk for this process alone, waiting for those who have it open for a moment; where
/// they stay, the error names them.
pub(super) fn open(device: &str, context: &dyn Context) -> Result<Disk, DeployError> {
    exclusive::open(&Root::system(), device, context).map_err(|NotOpened { users, source }| {
        DeployError::Target {
            device: device.to_owned(),
            holders: match users.as_slice() {
                [] => String::new(),
                users => format!(" because {}", users.join(", ")),
            },
            source,
        }
    })
}
