//! ATA drives that erase themselves: by the Security feature set, and by the Sanitize Device one.

mod command;
mod identify;
#[cfg(test)]
pub(crate) mod model;
mod sanitize;
mod security;

use std::time::Instant;

use farrier_plugin::{BlockDevice, chain};
use tracing::{debug, warn};

use crate::erase::drive::ata::identify::{Abilities, Security};
use crate::erase::drive::error::{DriveError, Fault};
use crate::erase::drive::offer::{Allowed, Drive, Offers, worthwhile};
use crate::erase::drive::watch::Watch;
use crate::erase::method::{Method, Sanitize};
use crate::sys::scsi::ScsiDevice;

pub(crate) use identify::Identify;

/// All that such a drive does by itself, in a plan's words.
pub(super) const BOTH: &str = "ATA sanitize and secure erase";

/// An ATA drive, by the way to it.
pub(super) struct AtaDrive<L>(pub(super) L);

/// What an ATA drive says about itself, or in words why the device is none that can be asked.
///
/// An ATA drive whose answer makes no sense is an error: erasing it by other means in silence
/// would hide that it is defective.
fn look(drive: &dyn ScsiDevice, device: &str) -> Result<Result<Identify, String>, DriveError> {
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

/// Take off a password that an interrupted erase left; whether there was one. What is no ATA drive
/// has none.
pub(super) fn take_password_off(drive: &dyn ScsiDevice, device: &str) -> Result<bool, DriveError> {
    match look(drive, device) {
        Ok(Ok(identify)) if identify.security.enabled => security::release(drive, device),
        Ok(Ok(_)) => Ok(false),
        Ok(Err(reason)) => {
            debug!(device, reason, "not asked for a password");
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// What there is to tell of a drive that has a security password; the drive is only asked, and not after `until`.
pub(super) fn password_trouble(
    drive: &dyn ScsiDevice,
    device: &str,
    until: Instant,
) -> Option<String> {
    if Instant::now() >= until {
        warn!(device, "too late to be asked for a password");
        return None;
    }
    match look(drive, device) {
        Ok(Ok(Identify { security, .. })) if security.enabled => Some(format!(
            "{device} has a security password and is in state {}: {}",
            security.state(),
            security::REMEDY
        )),
        Ok(Ok(_)) => None,
        Ok(Err(reason)) => {
            debug!(device, reason, "not asked for a password");
            None
        }
        Err(error) => {
            let error = chain(&error);
            warn!(device, error, "does not say whether it has a password");
            None
        }
    }
}

impl<L: ScsiDevice> Drive for AtaDrive<L> {
    fn offer(&self, device: &BlockDevice, allowed: &Allowed) -> Result<Offers, String> {
        let mut offers = Offers::default();
        match look(&self.0, &device.name) {
            Ok(outcome) => {
                let identify = outcome?;
                if allowed.ata {
                    offers = of_sanitize(identify.sanitize);
                    of_security(identify.security, &mut offers);
                } else {
                    offers.lacks(BOTH, "agent_enable_ata_secure_erase is false");
                }
            }
            Err(error) if allowed.ata => offers.blocked(BOTH, chain(&error)),
            Err(_) => {}
        }
        Ok(offers)
    }

    fn prepare(&self, method: Method, watch: &Watch<'_>) -> Result<(), DriveError> {
        match method {
            Method::AtaSecurityErase { enhanced } => {
                security::ready(&self.0, watch.device, enhanced).map(drop)
            }
            _ => {
                security::release(&self.0, watch.device)?;
                sanitize::ready(&self.0, watch)
            }
        }
    }

    fn run(&self, method: Method, watch: &Watch<'_>) -> Result<(), DriveError> {
        match method {
            Method::AtaSecurityErase { enhanced } => security::erase(&self.0, enhanced, watch),
            Method::AtaSanitize(operation) => sanitize::erase(&self.0, operation, watch),
            _ => Err(Fault::NoSuchMethod.of(watch.device)),
        }
    }
}

/// Block erase first, which needs no trust in a cipher.
fn of_sanitize(has: Abilities) -> Offers {
    const NAME: &str = "ATA sanitize";
    let mut offers = Offers::default();
    let quick = [
        (has.block_erase, Sanitize::Block),
        (has.crypto_scramble, Sanitize::Crypto),
    ];
    for operation in worthwhile(quick, has.overwrite) {
        offers.can(
            NAME,
            Method::AtaSanitize(operation),
            "the drive has it, and NIST SP 800-88 prefers it to secure erase",
        );
    }
    if !has.supported {
        offers.lacks(NAME, "the drive does not have it");
    }
    offers
}

fn of_security(security: Security, offers: &mut Offers) {
    const NAME: &str = "ATA secure erase";
    if !security.supported {
        return offers.lacks(NAME, "the drive does not have it");
    }
    let which = if security.enhanced {
        "the drive has the enhanced one"
    } else {
        "the drive has the normal one alone"
    };
    let mut reason = format!("{which}; it is in state {}", security.state());
    if security.frozen {
        reason.push_str(", so that it will fail unless its power is switched off before");
    }
    let enhanced = security.enhanced;
    offers.can(NAME, Method::AtaSecurityErase { enhanced }, reason);
}
