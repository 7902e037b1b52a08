//! Erasing by the Security feature set of ATA (ACS-3 4.18): set a password, erase, and the
//! password is gone with the data.
//!
//! A drive whose power fails between the two comes back locked. So the password is always the same
//! and documented, and whoever finds a drive locked with it takes it off and erases again.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use tracing::{info, warn};

use crate::erase::drive::ata::command::{BLOCK, Command, SHORT};
use crate::erase::drive::ata::identify::{Estimate, Identify, Security};
use crate::erase::drive::command::CommandError;
use crate::erase::drive::error::{Aftermath, DriveError, Fault};
use crate::erase::drive::watch::{GoesOn, Watch};
use crate::sys::scsi::{Data, ScsiDevice, ScsiError};

/// The user password that is set before an erase, padded with zeros to 32 bytes. It can be typed:
/// `hdparm --security-disable farrier /dev/sdX`.
const OURS: &[u8] = b"farrier";

/// What a person can do who finds a drive with a password.
pub(super) const REMEDY: &str = "where an erase that was cut short has left it, the next erase of the \
     drive takes it off, and so does `hdparm --security-disable farrier` (after --security-unlock farrier \
     where it is locked)";

/// What a drive that is at it is told to do: an agent that ends meanwhile leaves this in the error of
/// its command, and the next erase of the drive takes the password off.
const UNDER_WAY: &str =
    "the drive erases itself, until then under the security password \"farrier\"";

/// What is tried on a drive that has a password: ours, and those that the reference leaves: the
/// empty one, and the word that hdparm before 9.51 took literally. A drive takes five wrong ones
/// after its power came on, so that there is room for no more.
const KNOWN: [&[u8]; 3] = [OURS, b"", b"NULL"];

/// After a command that got no answer the kernel resets the drive, which then may need this long
/// to answer again.
const RECOVERY: Duration = Duration::from_millis(if cfg!(test) { 20 } else { 60_000 });
const RECOVERY_PAUSE: Duration = Duration::from_millis(if cfg!(test) { 10 } else { 2000 });

/// Erase the drive by SECURITY ERASE UNIT. Afterwards it has no password.
///
/// A drive that has a password of ours is freed of it first. Once the drive erases, nothing stops
/// it, and a cancel is told to have no effect: the drive would go on, and be locked.
pub(super) fn erase(
    drive: &dyn ScsiDevice,
    enhanced: bool,
    watch: &Watch<'_>,
) -> Result<(), DriveError> {
    let device = watch.device;
    let security = ready(drive, device, enhanced)?;
    watch.demand_wanted()?;
    set_password(drive, device)?;
    let estimate = if enhanced {
        security.enhanced_time
    } else {
        security.normal_time
    };
    info!(
        device,
        enhanced,
        estimate = ?estimate.expected(),
        limit = ?estimate.limit(),
        "the drive erases itself; it cannot be stopped"
    );
    let outcome = Command::new("SECURITY ERASE PREPARE", 0xf3)
        .run(drive, Data::None)
        .and_then(|_| erase_unit(drive, enhanced, estimate, watch));
    if let Err(source) = outcome {
        return Err(Fault::Erase(undo(drive, device)).after(device, source));
    }
    if recovered(drive, device)?.security.enabled {
        return Err(Fault::StillEnabled(undo(drive, device)).of(device));
    }
    Ok(())
}

/// Take off a password that an interrupted erase left; whether there was one.
pub(super) fn release(drive: &dyn ScsiDevice, device: &str) -> Result<bool, DriveError> {
    let mut security = Identify::of(drive, device)?.security;
    if !security.enabled {
        return Ok(false);
    }
    warn!(
        device,
        state = security.state(),
        "the drive has a security password"
    );
    if security.frozen {
        return Err(Fault::Frozen.of(device));
    }
    let mut known = KNOWN.to_vec();
    if security.locked {
        let mut tried = KNOWN.iter();
        while security.locked {
            if security.count_expired {
                return Err(Fault::CountExpired.of(device));
            }
            let Some(password) = tried.next() else {
                return Err(Fault::ForeignPassword { locked: true }.of(device));
            };
            with_password(drive, "SECURITY UNLOCK", 0xf2, 0, password, SHORT)
                .or_else(refused)
                .map_err(|source| Fault::Disable.after(device, source))?;
            security = Identify::of(drive, device)?.security;
            known = vec![password];
        }
    }
    for password in known {
        with_password(drive, "SECURITY DISABLE PASSWORD", 0xf6, 0, password, SHORT)
            .or_else(refused)
            .map_err(|source| Fault::Disable.after(device, source))?;
        if !Identify::of(drive, device)?.security.enabled {
            warn!(
                device,
                "an erase of this drive was interrupted: its password is taken off, its data can \
                 still be there"
            );
            return Ok(true);
        }
    }
    Err(Fault::ForeignPassword { locked: false }.of(device))
}

/// The drive, in the state in which an erase begins: SEC1.
pub(super) fn ready(
    drive: &dyn ScsiDevice,
    device: &str,
    enhanced: bool,
) -> Result<Security, DriveError> {
    let unsupported = |feature| Fault::Unsupported(feature).of(device);
    let mut security = Identify::of(drive, device)?.security;
    if !security.supported {
        return Err(unsupported("Security feature set"));
    }
    if enhanced && !security.enhanced {
        return Err(unsupported("enhanced erase"));
    }
    if security.enabled && release(drive, device)? {
        security = Identify::of(drive, device)?.security;
    }
    if security.frozen {
        return Err(Fault::Frozen.of(device));
    }
    Ok(security)
}

/// From SEC1 to SEC5.
fn set_password(drive: &dyn ScsiDevice, device: &str) -> Result<(), DriveError> {
    let set = with_password(drive, "SECURITY SET PASSWORD", 0xf1, 0, OURS, SHORT);
    if let Err(source) = set {
        return Err(Fault::SetPassword(undo(drive, device)).after(device, source));
    }
    let security = match Identify::of(drive, device) {
        Ok(identify) => identify.security,
        Err(error) => {
            undo(drive, device);
            return Err(error);
        }
    };
    match (security.enabled, security.frozen) {
        (true, false) => Ok(()),
        (true, true) => Err(Fault::FrozenMeanwhile.of(device)),
        (false, _) => Err(Fault::PasswordIgnored.of(device)),
    }
}

/// SECURITY ERASE UNIT in a thread of its own, which the kernel holds until the drive is done,
/// with the time that passes as progress.
fn erase_unit(
    drive: &dyn ScsiDevice,
    enhanced: bool,
    estimate: Estimate,
    watch: &Watch<'_>,
) -> Result<(), CommandError> {
    const NAME: &str = "SECURITY ERASE UNIT";
    let control = if enhanced { 0x0002 } else { 0 };
    let limit = estimate.limit();
    let started = Instant::now();
    let broken = |source| CommandError::NoAnswer {
        command: NAME,
        source: ScsiError::Kernel(source),
    };
    thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        let erase = move || {
            let outcome = with_password(drive, NAME, 0xf4, control, OURS, limit);
            // The receiver waits until it has this.
            let _ = sender.send(outcome);
        };
        thread::Builder::new()
            .spawn_scoped(scope, erase)
            .map_err(broken)?;
        let mut goes_on = GoesOn::default();
        loop {
            match receiver.recv_timeout(watch.pause) {
                Ok(outcome) => return outcome,
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(broken(std::io::ErrorKind::BrokenPipe.into()));
                }
                Err(RecvTimeoutError::Timeout) => {
                    let done = share(watch.size, started.elapsed(), estimate);
                    watch.report(UNDER_WAY, done);
                    goes_on.look(watch);
                }
            }
        }
    })
}

/// How much of the device the drive will have erased, if its estimate is right; never all of it.
fn share(size: u64, elapsed: Duration, estimate: Estimate) -> u64 {
    let Some(expected) = estimate.expected().filter(|time| !time.is_zero()) else {
        return 0;
    };
    let part = (elapsed.as_secs_f64() / expected.as_secs_f64()).min(0.99);
    (size as f64 * part) as u64
}

/// Take our password off again, if it is set, and say how the drive is left.
fn undo(drive: &dyn ScsiDevice, device: &str) -> Aftermath {
    let outcome = recovered(drive, device)
        .map(|identify| identify.security.enabled)
        .and_then(|enabled| {
            if enabled {
                release(drive, device)
            } else {
                Ok(false)
            }
        });
    match outcome {
        Ok(_) => Aftermath::Free,
        Err(error) if matches!(error.fault, Fault::Identify | Fault::Garbage) => Aftermath::Unknown,
        Err(error) => {
            warn!(
                device,
                error = farrier_plugin::chain(&error),
                "the password stays"
            );
            Aftermath::Password
        }
    }
}

/// The drive, which may have been reset and need a while.
fn recovered(drive: &dyn ScsiDevice, device: &str) -> Result<Identify, DriveError> {
    let deadline = Instant::now() + RECOVERY;
    loop {
        let outcome = Identify::of(drive, device);
        let is_gone = matches!(&outcome, Err(DriveError {
            source: Some(CommandError::NoAnswer { source: ScsiError::Kernel(error), .. }), ..
        }) if matches!(error.raw_os_error(), Some(libc::ENODEV | libc::ENXIO)));
        if outcome.is_ok() || is_gone || Instant::now() >= deadline {
            return outcome;
        }
        thread::sleep(RECOVERY_PAUSE);
    }
}

/// A security command with its block of data: control word, then the password (ACS-3 7.40 to
/// 7.45). The user password, level high, so that a master password still helps.
fn with_password(
    drive: &dyn ScsiDevice,
    name: &'static str,
    code: u8,
    control: u16,
    password: &[u8],
    timeout: Duration,
) -> Result<(), CommandError> {
    let mut block = [0; BLOCK];
    block[..2].copy_from_slice(&control.to_le_bytes());
    block[2..2 + password.len()].copy_from_slice(password);
    Command::new(name, code)
        .within(timeout)
        .run(drive, Data::Out(&block))
        .map(drop)
}

/// A password that the drive does not take is no failure; what came of it is looked at afterwards.
fn refused(error: CommandError) -> Result<(), CommandError> {
    if error.is_refusal() {
        Ok(())
    } else {
        Err(error)
    }
}

#[cfg(test)]
mod tests;
