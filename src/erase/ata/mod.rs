//! ATA drives that erase themselves: by the Security feature set, and by the Sanitize Device one.

mod command;
mod error;
mod identify;
#[cfg(test)]
pub(crate) mod model;
mod security;

pub use error::{Aftermath, AtaError};
pub use identify::{Abilities, Estimate, Identify, Security};

use crate::sys::scsi::ScsiDevice;

/// What an ATA drive says about itself, or in words why the device is none that can be asked.
///
/// An ATA drive whose answer makes no sense is an error: erasing it by other means in silence
/// would hide that it is defective.
pub(super) fn look(
    drive: &dyn ScsiDevice,
    device: &str,
) -> Result<Result<Identify, String>, AtaError> {
    if let Err(reason) = identify::is_ata(drive) {
        return Ok(Err(reason));
    }
    match Identify::of(drive, device) {
        Ok(identify) => Ok(Ok(identify)),
        Err(AtaError::Identify { source, .. }) if source.is_unsupported() => {
            Ok(Err(source.to_string()))
        }
        Err(error) => Err(error),
    }
}
