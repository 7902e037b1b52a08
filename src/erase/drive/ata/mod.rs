//! ATA drives that erase themselves: by the Security feature set, and by the Sanitize Device one.

mod command;
mod identify;
#[cfg(test)]
pub(crate) mod model;
mod sanitize;
mod security;

use crate::erase::drive::error::DriveError;
use crate::erase::drive::watch::Watch;
use crate::erase::method::Sanitize;
use crate::sys::scsi::ScsiDevice;

pub(crate) use identify::Identify;

/// What an ATA drive says about itself, or in words why the device is none that can be asked.
///
/// An ATA drive whose answer makes no sense is an error: erasing it by other means in silence
/// would hide that it is defective.
pub(in crate::erase) fn look(
    drive: &dyn ScsiDevice,
    device: &str,
) -> Result<Result<Identify, String>, DriveError> {
    if let Err(reason) = identify::is_ata(drive) {
        return Ok(Err(reason));
    }
    match Identify::of(drive, device) {
        Ok(identify) => Ok(Ok(identify)),
        Err(DriveError {
            source: Some(source),
            ..
        }) if source.is_unsupported() => Ok(Err(source.to_string())),
        Err(error) => Err(error),
    }
}

/// Bring the drive into the state in which a secure erase can begin.
pub(in crate::erase) fn ready(
    drive: &dyn ScsiDevice,
    device: &str,
    enhanced: bool,
) -> Result<(), DriveError> {
    security::ready(drive, device, enhanced).map(drop)
}

/// Bring the drive into the state in which a sanitize operation can begin: what an earlier agent
/// began is waited for.
pub(in crate::erase) fn ready_to_sanitize(
    drive: &dyn ScsiDevice,
    watch: &Watch<'_>,
) -> Result<(), DriveError> {
    sanitize::ready(drive, watch)
}

/// Erase the drive by SECURITY ERASE UNIT; see [`security::erase`].
pub(in crate::erase) fn security_erase(
    drive: &dyn ScsiDevice,
    enhanced: bool,
    watch: &Watch<'_>,
) -> Result<(), DriveError> {
    security::erase(drive, enhanced, watch)
}

/// Erase the drive by a sanitize operation; see [`sanitize::erase`].
pub(in crate::erase) fn sanitize(
    drive: &dyn ScsiDevice,
    operation: Sanitize,
    watch: &Watch<'_>,
) -> Result<(), DriveError> {
    sanitize::erase(drive, operation, watch)
}

/// Take off a password that an interrupted erase left on the drive; whether there was one.
pub(in crate::erase) fn release(drive: &dyn ScsiDevice, device: &str) -> Result<bool, DriveError> {
    security::release(drive, device)
}
