//! SCSI disks that erase themselves: SANITIZE (SBC-4 5.30) and FORMAT UNIT (SBC-4 5.4).
//!
//! Both begin at once, and REQUEST SENSE says how far they are. A sanitize operation goes on after
//! a power cut; a format does not, and a disk whose format was cut short takes no reads and writes
//! until one succeeds. That is why both are done only where the node allows them.

#[cfg(test)]
pub(crate) mod model;

use std::time::Duration;

use farrier_plugin::{BlockDevice, chain};
use tracing::warn;

use crate::erase::drive::command::{self, CommandError};
use crate::erase::drive::error::{DriveError, Fault};
use crate::erase::drive::offer::{Allowed, Drive, Offers, worthwhile};
use crate::erase::drive::watch::{Standing, Watch};
use crate::erase::method::{Method, Sanitize};
use crate::sys::scsi::{Data, ScsiDevice, Sense};

const SANITIZE: u8 = 0x48;
const FORMAT_UNIT: u8 = 0x04;

/// Service actions of SANITIZE.
const OVERWRITE: u8 = 0x01;
const BLOCK_ERASE: u8 = 0x02;
const CRYPTOGRAPHIC_ERASE: u8 = 0x03;
const EXIT_FAILURE_MODE: u8 = 0x1f;

/// IMMED of SANITIZE: answer when it begins.
const IMMEDIATELY: u8 = 0x80;
/// AUSE: a disk that fails can be brought back by something else than another sanitize operation.
const UNRESTRICTED: u8 = 0x20;

/// LOGICAL UNIT NOT READY, FORMAT IN PROGRESS; the same, SANITIZE IN PROGRESS.
const FORMATTING: (u8, u8) = (0x04, 0x04);
const SANITIZING: (u8, u8) = (0x04, 0x1b);
/// MEDIUM FORMAT CORRUPTED, FORMAT COMMAND FAILED, SANITIZE COMMAND FAILED.
const BROKEN: u8 = 0x31;

/// A question takes no longer than this, a spin-up included.
const SHORT: Duration = Duration::from_secs(60);
/// What begins an operation may take longer.
const START: Duration = Duration::from_secs(180);

/// What a SCSI disk can do to erase itself.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Abilities {
    /// SANITIZE, BLOCK ERASE.
    block: bool,
    /// SANITIZE, CRYPTOGRAPHIC ERASE.
    crypto: bool,
    /// SANITIZE, OVERWRITE.
    overwrite: bool,
    /// FORMAT UNIT.
    format: bool,
}

impl Abilities {
    /// Whether there is any.
    fn sanitizes(self) -> bool {
        self.block || self.crypto || self.overwrite
    }
}

/// All that such a disk does by itself, in a plan's words.
pub(in crate::erase) const BOTH: &str = "SCSI sanitize and format";

/// A SCSI disk, by the way to it.
pub(super) struct ScsiDisk<L>(pub(super) L);

impl<L: ScsiDevice> Drive for ScsiDisk<L> {
    /// A disk is asked nothing where neither is allowed.
    fn offer(&self, device: &BlockDevice, allowed: &Allowed) -> Result<Offers, String> {
        const SANITIZE: &str = "SCSI sanitize";
        const FORMAT: &str = "SCSI format";
        let mut offers = Offers::default();
        if !allowed.scsi_sanitize && !allowed.scsi_format {
            // Told of disks that may have it, and not of every virtual one.
            if matches!(device.tran.as_deref(), Some("sas" | "fc" | "spi")) {
                offers.lacks(
                    BOTH,
                    "enable_scsi_sanitize and enable_scsi_format_unit are false",
                );
            }
            return Ok(offers);
        }
        let has = look(&self.0)?;
        if allowed.scsi_sanitize {
            // Block erase first, which needs no trust in a cipher.
            let quick = [(has.block, Sanitize::Block), (has.crypto, Sanitize::Crypto)];
            for operation in worthwhile(quick, has.overwrite) {
                offers.can(
                    SANITIZE,
                    Method::ScsiSanitize(operation),
                    "the disk has it, and enable_scsi_sanitize is true",
                );
            }
            if !has.sanitizes() {
                offers.lacks(SANITIZE, "the disk does not have it");
            }
        }
        if allowed.scsi_format && has.format {
            offers.can(
                FORMAT,
                Method::ScsiFormat,
                "the disk has it, and enable_scsi_format_unit is true",
            );
        } else if allowed.scsi_format {
            offers.lacks(FORMAT, "the disk does not have it");
        }
        Ok(offers)
    }

    fn prepare(&self, _: Method, watch: &Watch<'_>) -> Result<(), DriveError> {
        make_ready(&self.0, watch)
    }

    fn run(&self, method: Method, watch: &Watch<'_>) -> Result<(), DriveError> {
        match method {
            Method::ScsiSanitize(operation) => sanitize(&self.0, operation, watch),
            Method::ScsiFormat => format_unit(&self.0, watch),
            _ => Err(Fault::NoSuchMethod.of(watch.device)),
        }
    }
}

/// What the disk can do, or in words why it is none that can be asked.
fn look(drive: &dyn ScsiDevice) -> Result<Abilities, String> {
    let mut inquiry = [0; 36];
    let outcome = command::done(
        drive,
        "INQUIRY",
        &[0x12, 0, 0, 0, 36, 0],
        Data::In(&mut inquiry),
        SHORT,
    );
    match outcome {
        Ok(_) => {}
        Err(CommandError::NoAnswer { source, .. }) => return Err(chain(&source)),
        Err(error) => return Err(error.to_string()),
    }
    // A disk, zoned ones included, that is connected.
    if !matches!(inquiry[0], 0x00 | 0x14) {
        return Err(format!(
            "it is no SCSI disk (peripheral device type {:02x}h)",
            inquiry[0]
        ));
    }
    Ok(Abilities {
        block: supports(drive, SANITIZE, Some(BLOCK_ERASE)),
        crypto: supports(drive, SANITIZE, Some(CRYPTOGRAPHIC_ERASE)),
        overwrite: supports(drive, SANITIZE, Some(OVERWRITE)),
        format: supports(drive, FORMAT_UNIT, None),
    })
}

/// Sanitize the disk. One that an earlier agent began is waited for first.
fn sanitize(
    drive: &dyn ScsiDevice,
    operation: Sanitize,
    watch: &Watch<'_>,
) -> Result<(), DriveError> {
    make_ready(drive, watch)?;
    // One pass of a pattern of four zeros.
    let pattern: &[u8] = match operation {
        Sanitize::Overwrite => &[1, 0, 0, 4, 0, 0, 0, 0],
        Sanitize::Block | Sanitize::Crypto => &[],
    };
    let action = match operation {
        Sanitize::Block => BLOCK_ERASE,
        Sanitize::Crypto => CRYPTOGRAPHIC_ERASE,
        Sanitize::Overwrite => OVERWRITE,
    };
    let [high, low] = (pattern.len() as u16).to_be_bytes();
    let command = [
        SANITIZE,
        IMMEDIATELY | UNRESTRICTED | action,
        0,
        0,
        0,
        0,
        0,
        high,
        low,
        0,
    ];
    let data = if pattern.is_empty() {
        Data::None
    } else {
        Data::Out(pattern)
    };
    command::done(drive, "SANITIZE", &command, data, START)
        .map_err(|source| Fault::SanitizeStart.after(watch.device, source))?;
    watch.begun(operation.words());
    match watch.until_ended(operation.words(), watch.limit(operation), || {
        standing(drive)
    })? {
        None => Ok(()),
        Some(sense) => {
            warn!(device = watch.device, %sense, "the sanitize operation failed");
            let exit = [SANITIZE, EXIT_FAILURE_MODE, 0, 0, 0, 0, 0, 0, 0, 0];
            let left = command::done(drive, "SANITIZE", &exit, Data::None, START);
            if let Err(error) = left {
                warn!(device = watch.device, %error, "the disk stays in its failed state");
            }
            Err(Fault::SanitizeFailed("the disk says that the operation failed").of(watch.device))
        }
    }
}

/// Format the disk as it is: with its block size and its protection information.
fn format_unit(drive: &dyn ScsiDevice, watch: &Watch<'_>) -> Result<(), DriveError> {
    const NAME: &str = "FORMAT UNIT";
    let failed = |source| Fault::Format.after(watch.device, source);
    make_ready(drive, watch)?;
    let (information, usage) = protection(drive);
    // FMTDATA with a short header that has IMMED and no list of defects.
    let command = [FORMAT_UNIT, information << 6 | 0x10, 0, 0, 0, 0];
    let header = [usage, 0x02, 0, 0];
    command::done(drive, NAME, &command, Data::Out(&header), START).map_err(failed)?;
    watch.begun("format");
    match watch.until_ended("format", watch.longest(), || standing(drive))? {
        None => Ok(()),
        Some(sense) => Err(failed(CommandError::Sense {
            command: NAME,
            sense,
        })),
    }
}

/// FMTPINFO and PROTECTION FIELD USAGE that keep the disk's type of protection information
/// (SBC-4 table 39); without it where READ CAPACITY (16) does not tell.
fn protection(drive: &dyn ScsiDevice) -> (u8, u8) {
    let mut answer = [0; 32];
    let mut command = [0; 16];
    command[0] = 0x9e;
    command[1] = 0x10;
    command[13] = 32;
    let data = Data::In(&mut answer);
    let outcome = command::done(drive, "READ CAPACITY (16)", &command, data, SHORT);
    let enabled = outcome.is_ok() && answer[12] & 1 != 0;
    match (enabled, answer[12] >> 1 & 7) {
        (true, 0) => (2, 0),
        (true, 1) => (3, 0),
        (true, 2) => (3, 1),
        _ => (0, 0),
    }
}

/// Whether the disk has a command: REPORT SUPPORTED OPERATION CODES, SPC-4 6.35. A disk that does
/// not know that one knows none of the others: both came with SPC-3 or later.
fn supports(drive: &dyn ScsiDevice, code: u8, action: Option<u8>) -> bool {
    let mut answer = [0; 36];
    let options = if action.is_some() { 2 } else { 1 };
    let action = action.unwrap_or_default();
    let command = [0xa3, 0x0c, options, code, 0, action, 0, 0, 0, 36, 0, 0];
    let outcome = command::done(
        drive,
        "REPORT SUPPORTED OPERATION CODES",
        &command,
        Data::In(&mut answer),
        SHORT,
    );
    // SUPPORT: as in the standard.
    outcome.is_ok() && answer[1] & 7 == 3
}

/// Wait for what somebody else began.
fn make_ready(drive: &dyn ScsiDevice, watch: &Watch<'_>) -> Result<(), DriveError> {
    // A disk that does not say how it is, is told to begin all the same, and answers that.
    if let Ok(now) = standing(drive) {
        // How it ends is of no interest: another one follows.
        watch.wait_for_earlier(now, watch.longest(), || standing(drive))?;
    }
    watch.demand_wanted()
}

/// How the disk is: once it erases itself no longer, with the sense data of what has failed.
fn standing(drive: &dyn ScsiDevice) -> Result<Standing<Option<Sense>>, CommandError> {
    const LENGTH: usize = 252;
    let mut data = [0; LENGTH];
    let request = [0x03, 0, 0, 0, LENGTH as u8, 0];
    let length = command::done(drive, "REQUEST SENSE", &request, Data::In(&mut data), SHORT)?;
    let sense = Sense::parse(&data[..length.min(LENGTH)]);
    if let Some(standing) = sense.and_then(told) {
        return Ok(standing);
    }
    // Some disks have nothing to say there, and say it here.
    let reply = command::send(drive, "TEST UNIT READY", &[0; 6], Data::None, SHORT)?;
    if reply.is_done() {
        return Ok(Standing::Ended(None));
    }
    match reply.sense.clone().and_then(told) {
        Some(standing) => Ok(standing),
        None => Err(command::refusal("TEST UNIT READY", reply)),
    }
}

/// What sense data says about a long operation.
fn told(sense: Sense) -> Option<Standing<Option<Sense>>> {
    // With NO SENSE too: SBC-4 4.11.2 allows it in answer to REQUEST SENSE.
    let is_quiet = matches!(sense.key, Sense::NONE | Sense::NOT_READY);
    match (sense.code, sense.qualifier) {
        FORMATTING | SANITIZING if is_quiet => {
            Some(Standing::Running(sense.progress.unwrap_or_default()))
        }
        (BROKEN, _) => Some(Standing::Ended(Some(sense))),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
