//! Erasing by the Sanitize Device feature set of ATA (ACS-3 4.17 and 7.36).
//!
//! The drive begins at once, refuses nearly everything else until it is done, says how far it is,
//! and goes on after a power cut. Unlike the Security feature set it needs no password and is not
//! frozen by firmware, and NIST SP 800-88 prefers it.

use tracing::warn;

use crate::erase::drive::ata::command::Command;
use crate::erase::drive::command::CommandError;
use crate::erase::drive::error::{DriveError, Fault};
use crate::erase::drive::watch::{Standing, Watch};
use crate::erase::method::Sanitize;
use crate::sys::scsi::{Data, ScsiDevice};

/// SANITIZE DEVICE, and its subcommands in FEATURE.
const SANITIZE_DEVICE: u8 = 0xb4;
const STATUS: u16 = 0x0000;
const CRYPTO_SCRAMBLE: u16 = 0x0011;
const BLOCK_ERASE: u16 = 0x0012;
const OVERWRITE: u16 = 0x0014;
const ANTIFREEZE_LOCK: u16 = 0x0040;

/// FAILURE MODE: a drive that fails can be brought back by something else than another sanitize
/// operation.
const FAILURE_MODE: u16 = 0x0010;
/// One pass of an overwrite; zero would be sixteen.
const ONE_PASS: u16 = 0x0001;
/// CLEAR SANITIZE OPERATION FAILED, with the status.
const CLEAR_FAILED: u16 = 0x0001;

/// COUNT of the status.
const COMPLETED: u16 = 0x8000;
const IN_PROGRESS: u16 = 0x4000;
const FROZEN: u16 = 0x2000;

/// What a drive says of its sanitize operation.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Status {
    completed: bool,
    in_progress: bool,
    frozen: bool,
    /// In 65536ths.
    progress: u16,
}

/// Sanitize the drive. One that an earlier agent began is waited for first: nothing stops it, and
/// nothing else can begin. Nothing stops this one either.
pub(super) fn erase(
    drive: &dyn ScsiDevice,
    operation: Sanitize,
    watch: &Watch<'_>,
) -> Result<(), DriveError> {
    let device = watch.device;
    ready(drive, watch)?;
    watch.demand_wanted()?;
    start(drive, operation).map_err(|source| {
        // SANITIZE DEVICE ERROR REASON, ACS-3 table 124.
        if matches!(source, CommandError::Ata { lba, .. } if lba & 0xff == 3) {
            return Fault::SanitizeFrozen.of(device);
        }
        Fault::SanitizeStart.after(device, source)
    })?;
    watch.begun(operation.words());
    let ended = watch.until_ended(operation.words(), watch.limit(operation), || {
        standing(drive)
    })?;
    match ended {
        Some(status) if status.completed => Ok(()),
        Some(_) => Err(Fault::SanitizeFailed("it stopped without having completed").of(device)),
        None => {
            if let Err(error) = clear_failure(drive) {
                warn!(device, %error, "the drive stays in its failed state");
            }
            Err(Fault::SanitizeFailed("the drive says that the operation failed").of(device))
        }
    }
}

/// Wait for what somebody else began, and see whether the drive takes another operation.
pub(super) fn ready(drive: &dyn ScsiDevice, watch: &Watch<'_>) -> Result<(), DriveError> {
    if make_ready(drive, watch)?.frozen {
        return Err(Fault::SanitizeFrozen.of(watch.device));
    }
    Ok(())
}

/// Wait for what somebody else began, and leave the state in which that failed.
fn make_ready(drive: &dyn ScsiDevice, watch: &Watch<'_>) -> Result<Status, DriveError> {
    let status_error = |source| Fault::SanitizeStatus.after(watch.device, source);
    let standing = || standing(drive);
    let now = standing().map_err(status_error)?;
    if let Some(status) = watch.wait_for_earlier(now, watch.longest(), standing)? {
        return Ok(status);
    }
    warn!(
        device = watch.device,
        "an earlier sanitize operation of this drive failed"
    );
    match clear_failure(drive) {
        Ok(()) => status(drive).map_err(status_error),
        // Only another sanitize operation leaves it then, which is what follows.
        Err(error) if is_failure(&error) => Ok(Status::default()),
        Err(error) => Err(status_error(error)),
    }
}

fn start(drive: &dyn ScsiDevice, operation: Sanitize) -> Result<(), CommandError> {
    // So that nothing freezes the drive before the next command. Not every drive has it, and
    // without it the next command tells.
    let _ = command(
        "SANITIZE ANTIFREEZE LOCK EXT",
        ANTIFREEZE_LOCK,
        0,
        0x416e_7469,
    )
    .run(drive, Data::None);
    // LBA holds a key against accidents: "Cryp", "BkEr", and "OW" before the pattern, zeros.
    let command = match operation {
        Sanitize::Crypto => command(
            "CRYPTO SCRAMBLE EXT",
            CRYPTO_SCRAMBLE,
            FAILURE_MODE,
            0x4372_7970,
        ),
        Sanitize::Block => command("BLOCK ERASE EXT", BLOCK_ERASE, FAILURE_MODE, 0x426b_4572),
        Sanitize::Overwrite => command(
            "OVERWRITE EXT",
            OVERWRITE,
            FAILURE_MODE | ONE_PASS,
            0x4f57_0000_0000,
        ),
    };
    command.run(drive, Data::None).map(drop)
}

fn status(drive: &dyn ScsiDevice) -> Result<Status, CommandError> {
    read_status(drive, 0)
}

fn clear_failure(drive: &dyn ScsiDevice) -> Result<(), CommandError> {
    read_status(drive, CLEAR_FAILED).map(drop)
}

fn read_status(drive: &dyn ScsiDevice, count: u16) -> Result<Status, CommandError> {
    let command = Command {
        registers: true,
        ..command("SANITIZE STATUS EXT", STATUS, count, 0)
    };
    // Half of COUNT is as good as none: the bits are in the other half.
    let registers = command
        .run(drive, Data::None)?
        .filter(|registers| registers.whole)
        .ok_or(CommandError::NoRegisters {
            command: command.name,
        })?;
    Ok(Status {
        completed: registers.count & COMPLETED != 0,
        in_progress: registers.count & IN_PROGRESS != 0,
        frozen: registers.count & FROZEN != 0,
        progress: (registers.lba & 0xffff) as u16,
    })
}

fn command(name: &'static str, feature: u16, count: u16, lba: u64) -> Command {
    Command {
        features: feature,
        count,
        lba,
        extended: true,
        ..Command::new(name, SANITIZE_DEVICE)
    }
}

/// How the drive is: its status, and none in the failed state.
fn standing(drive: &dyn ScsiDevice) -> Result<Standing<Option<Status>>, CommandError> {
    match status(drive) {
        Ok(status) if status.in_progress => Ok(Standing::Running(status.progress)),
        Ok(status) => Ok(Standing::Ended(Some(status))),
        Err(error) if is_failure(&error) => Ok(Standing::Ended(None)),
        Err(error) => Err(error),
    }
}

/// The status command fails with the reason 1, "sanitize command unsuccessful", in the failed state.
fn is_failure(error: &CommandError) -> bool {
    matches!(error, CommandError::Ata { lba, .. } if lba & 0xff == 1)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use farrier_plugin::{Context, Progress, SilentContext};

    use super::*;
    use crate::erase::drive::ata::model::{Defect, Drive, SANITIZE};

    const ALL: [Sanitize; 3] = [Sanitize::Block, Sanitize::Crypto, Sanitize::Overwrite];

    fn watch(context: &dyn Context) -> Watch<'_> {
        Watch {
            context,
            device: "/dev/sda",
            size: 3 << 20,
            pause: Duration::from_millis(1),
        }
    }

    fn run(drive: &Drive, operation: Sanitize) -> Result<(), DriveError> {
        erase(drive, operation, &watch(&SilentContext))
    }

    #[test]
    fn a_drive_sanitizes_itself_in_each_way() {
        for operation in ALL {
            let drive = Drive::new();
            run(&drive, operation).unwrap();
            assert!(!drive.holds_old_data(), "{operation:?}");
        }
    }

    #[test]
    fn progress_is_the_drives_own() {
        #[derive(Default)]
        struct Told(Mutex<Vec<u64>>);
        impl Context for Told {
            fn report_progress(&self, progress: Progress) {
                assert_eq!(progress.total, Some(3 << 20));
                self.0.lock().unwrap().push(progress.done);
            }

            fn is_cancelled(&self) -> bool {
                false
            }
        }
        let told = Told::default();
        erase(&Drive::new(), Sanitize::Block, &watch(&told)).unwrap();
        let told = told.0.into_inner().unwrap();
        assert_eq!(told.len(), 3);
        assert!(told.is_sorted() && told[2] < 3 << 20, "{told:?}");
    }

    #[test]
    fn what_the_drive_has_not_is_not_begun() {
        // Block erase alone.
        let drive = Drive::with(&[(59, 0x9000), (128, 1)]);
        run(&drive, Sanitize::Block).unwrap();
        let error = run(&drive, Sanitize::Crypto).unwrap_err();
        assert!(matches!(error.fault, Fault::SanitizeStart), "{error}");
    }

    #[test]
    fn a_frozen_drive_is_told_and_left_alone() {
        let drive = Drive::new();
        drive.freeze_sanitize();
        let error = run(&drive, Sanitize::Block).unwrap_err();
        assert!(matches!(error.fault, Fault::SanitizeFrozen), "{error}");
        assert!(drive.holds_old_data());
        // Frozen by the Security feature set is another thing.
        let drive = Drive::new();
        drive.freeze();
        run(&drive, Sanitize::Block).unwrap();
    }

    #[test]
    fn a_failed_operation_is_a_failure_and_leaves_a_drive_that_works() {
        let drive = Drive::new();
        drive.fail_sanitize();
        for _ in 0..2 {
            let error = run(&drive, Sanitize::Overwrite).unwrap_err();
            assert!(matches!(error.fault, Fault::SanitizeFailed(_)), "{error}");
        }
        assert!(drive.holds_old_data());
    }

    #[test]
    fn what_an_earlier_agent_began_is_waited_for_and_not_trusted() {
        for (fails, begun) in [(false, 0x12), (true, 0x14)] {
            let drive = Drive::new();
            if fails {
                drive.fail_sanitize();
            }
            drive.begin_sanitize(begun);
            assert_eq!(run(&drive, Sanitize::Overwrite).is_ok(), !fails);
            // The second one is ours.
            let starts = drive.commands().len();
            assert!(starts > 8, "{starts}");
        }
    }

    #[test]
    fn an_adapter_that_hides_registers_is_named() {
        let drive = Drive::new().failing(&[Defect::NoRegisters]);
        let error = run(&drive, Sanitize::Block).unwrap_err();
        let told = farrier_plugin::chain(&error);
        assert!(
            told.contains("keeps the drive's registers to itself"),
            "{told}"
        );
        // Found before anything began.
        assert_eq!(drive.commands(), [SANITIZE]);
        assert!(drive.holds_old_data());
    }

    #[test]
    fn silence_ends_the_wait() {
        let drive = Drive::new().failing(&[Defect::TimesOut(SANITIZE)]);
        let error = run(&drive, Sanitize::Block).unwrap_err();
        assert!(matches!(error.fault, Fault::SanitizeStatus), "{error}");
        let drive = Drive::new().failing(&[Defect::PowerCutAfter(SANITIZE)]);
        assert!(run(&drive, Sanitize::Block).is_err());
    }
}
