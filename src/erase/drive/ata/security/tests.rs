use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use farrier_plugin::{CancelledContext, Context, Progress, SilentContext};
use proptest::prelude::{Just, any, prop_assert, prop_oneof, proptest};

use super::*;
use crate::erase::drive::ata::model::{
    DISABLE, Defect, Drive, ERASE_PREPARE, ERASE_UNIT, IDENTIFY, SET_PASSWORD, UNLOCK,
};

const DEVICE: &str = "/dev/sda";

const TICK: Duration = Duration::from_millis(200);

fn run(drive: &Drive) -> Result<(), DriveError> {
    erase(drive, false, &watch(&SilentContext))
}

fn watch(context: &dyn Context) -> Watch<'_> {
    Watch {
        context,
        device: DEVICE,
        size: 120_000,
        pause: TICK,
    }
}

fn text(error: &DriveError) -> String {
    farrier_plugin::chain(error)
}

#[test]
fn a_drive_is_erased_and_has_no_password_afterwards() {
    for enhanced in [false, true] {
        let drive = Drive::new();
        erase(&drive, enhanced, &watch(&SilentContext)).unwrap();
        assert!(!drive.holds_old_data() && !drive.has_password());
        assert_eq!(
            drive.commands(),
            [SET_PASSWORD, ERASE_PREPARE, ERASE_UNIT],
            "{enhanced}"
        );
        // Two minutes by its own estimate, half as much again and the margin.
        assert_eq!(drive.limit(ERASE_UNIT), Duration::from_secs(780));
    }
}

#[test]
fn a_drive_without_the_feature_is_not_touched() {
    let drive = Drive::with(&[(128, 0)]);
    assert!(matches!(
        run(&drive).unwrap_err().fault,
        Fault::Unsupported(_)
    ));
    let normal_alone = Drive::with(&[(128, 1)]);
    assert!(matches!(
        erase(&normal_alone, true, &watch(&SilentContext))
            .unwrap_err()
            .fault,
        Fault::Unsupported(_)
    ));
    run(&normal_alone).unwrap();
    assert!(drive.commands().is_empty());
    assert!(drive.holds_old_data());
}

#[test]
fn a_frozen_drive_is_named_with_what_to_do() {
    let drive = Drive::new();
    drive.freeze();
    let error = run(&drive).unwrap_err();
    let told = text(&error);
    // The reference's words come first (contract/data-plane 7.5).
    assert!(
        told.starts_with("Block device /dev/sda is frozen and cannot be erased"),
        "{told}"
    );
    assert!(told.contains("power off and on") && told.contains("ipa-enable-discard-erase"));
    assert!(drive.commands().is_empty());
}

#[test]
fn a_cancel_before_the_password_leaves_the_drive_alone() {
    let drive = Drive::new();
    let error = erase(&drive, false, &watch(&CancelledContext)).unwrap_err();
    assert!(matches!(error.fault, Fault::Cancelled));
    assert!(drive.commands().is_empty());
}

#[test]
fn a_drive_left_locked_by_us_or_the_reference_is_freed_and_erased() {
    for password in [&b"farrier"[..], b"", b"NULL"] {
        let drive = Drive::new().locked_with(password);
        run(&drive).unwrap();
        assert!(!drive.holds_old_data() && !drive.has_password());

        let drive = Drive::new().locked_with(password);
        assert!(release(&drive, DEVICE).unwrap());
        assert!(drive.holds_old_data() && !drive.has_password() && !drive.is_locked());

        // Not locked: the agent was killed, the power stayed on.
        let drive = Drive::new();
        drive.set_password(password);
        assert!(release(&drive, DEVICE).unwrap());
        assert!(!drive.has_password());
        assert!(!release(&drive, DEVICE).unwrap());
    }
}

#[test]
fn a_foreign_password_is_an_error_and_never_replaced() {
    let drive = Drive::new().locked_with(b"somebody's");
    let error = run(&drive).unwrap_err();
    assert!(
        text(&error).contains("already has a security password set")
            && text(&error).contains("the drive is locked"),
        "{error}"
    );
    assert_eq!(drive.commands(), [UNLOCK; 3]);
    // A second try exhausts the drive's patience, which is told.
    let error = run(&drive).unwrap_err();
    assert!(matches!(error.fault, Fault::CountExpired), "{error}");
    assert!(drive.has_password() && drive.holds_old_data());

    let unlocked = Drive::new();
    unlocked.set_password(b"somebody's");
    assert!(matches!(
        run(&unlocked).unwrap_err().fault,
        Fault::ForeignPassword { locked: false }
    ));
    assert_eq!(unlocked.commands(), [DISABLE; 3]);
    assert!(unlocked.has_password() && unlocked.holds_old_data());
}

#[test]
fn a_failure_at_each_command_takes_the_password_off_again() {
    for fault in [
        Defect::Aborts(SET_PASSWORD),
        Defect::AnswerLost(SET_PASSWORD),
        Defect::Aborts(ERASE_PREPARE),
        // The drive then aborts the erase.
        Defect::Ignores(ERASE_PREPARE),
        Defect::Aborts(ERASE_UNIT),
        Defect::HalfDone(ERASE_UNIT),
        Defect::TimesOut(ERASE_UNIT),
        Defect::Ignores(ERASE_UNIT),
    ] {
        let drive = Drive::new().failing(&[fault]);
        let error = run(&drive).unwrap_err();
        assert!(!drive.has_password(), "{fault:?}");
        assert!(drive.holds_old_data());
        let told = text(&error);
        assert!(told.contains("no password is left on it"), "{told}");
        let own = match fault {
            Defect::AnswerLost(_) | Defect::TimesOut(_) => "did not answer within",
            Defect::Ignores(ERASE_UNIT) => "its password is still set",
            _ => "status 51h, error 04h (command aborted)",
        };
        assert!(told.contains(own), "{fault:?}: {told}");
    }
}

#[test]
fn a_password_that_is_taken_and_not_there_is_no_erase() {
    let drive = Drive::new().failing(&[Defect::Ignores(SET_PASSWORD)]);
    assert!(matches!(
        run(&drive).unwrap_err().fault,
        Fault::PasswordIgnored
    ));
    assert_eq!(drive.commands(), [SET_PASSWORD]);
}

#[test]
fn an_erase_whose_answer_was_lost_is_no_success() {
    let drive = Drive::new().failing(&[Defect::AnswerLost(ERASE_UNIT)]);
    let error = run(&drive).unwrap_err();
    assert!(text(&error).contains("no password is left"), "{error}");
    assert!(!drive.has_password());
}

#[test]
fn a_password_that_does_not_come_off_is_told_and_comes_off_the_next_time() {
    let drive = Drive::new().failing(&[Defect::Aborts(ERASE_UNIT), Defect::Aborts(DISABLE)]);
    let error = run(&drive).unwrap_err();
    assert!(text(&error).contains("still set"), "{}", text(&error));
    assert!(drive.has_password());
    drive.power_cycle();
    assert!(drive.is_locked());
    run(&drive).unwrap();
    assert!(!drive.has_password() && !drive.holds_old_data());
}

#[test]
fn a_power_cut_at_any_command_never_locks_a_drive_for_good() {
    for code in [SET_PASSWORD, ERASE_PREPARE, ERASE_UNIT] {
        let drive = Drive::new().failing(&[Defect::PowerCutAfter(code)]);
        run(&drive).unwrap_err();
        drive.power_cycle();
        assert_eq!(drive.is_locked(), code != ERASE_UNIT);
        assert_eq!(release(&drive, DEVICE).unwrap(), code != ERASE_UNIT);
        run(&drive).unwrap();
        assert!(!drive.has_password() && !drive.holds_old_data());
    }
}

#[test]
fn a_drive_that_freezes_in_the_middle_is_told_so() {
    let drive = Drive::new().failing(&[Defect::FreezesAfter(SET_PASSWORD)]);
    let error = run(&drive).unwrap_err();
    assert!(matches!(error.fault, Fault::FrozenMeanwhile), "{error}");
    // Frozen with our password: told, and free after a power cycle.
    assert!(matches!(run(&drive).unwrap_err().fault, Fault::Frozen));
    drive.power_cycle();
    run(&drive).unwrap();
    assert!(!drive.has_password());
}

#[test]
fn garbage_and_short_identities_are_errors() {
    let drive = Drive::new().failing(&[Defect::GarbageAfter(IDENTIFY)]);
    let first = run(&drive);
    // The first one is still good; the next is not.
    assert!(first.is_err());
    assert!(matches!(run(&drive).unwrap_err().fault, Fault::Garbage));
    let drive = Drive::new().failing(&[Defect::Short(IDENTIFY)]);
    let error = run(&drive).unwrap_err();
    assert!(
        text(&error).contains("412 bytes instead of 512"),
        "{}",
        text(&error)
    );
    assert!(drive.commands().is_empty());
    let drive = Drive::new().failing(&[Defect::GarbageAfter(SET_PASSWORD)]);
    run(&drive).unwrap_err();
    assert!(!drive.commands().contains(&ERASE_UNIT));
    drive.power_cycle();
    run(&drive).unwrap();
}

#[test]
fn news_of_the_drive_are_no_failure() {
    for code in [IDENTIFY, SET_PASSWORD, ERASE_PREPARE, ERASE_UNIT] {
        let drive = Drive::new().failing(&[Defect::News(code)]);
        run(&drive).unwrap();
        assert!(!drive.holds_old_data());
    }
}

#[test]
fn progress_goes_by_the_drives_estimate_and_never_says_done() {
    let estimate = Estimate::About(Duration::from_secs(100));
    assert_eq!(share(1000, Duration::from_secs(50), estimate), 500);
    assert_eq!(share(1000, Duration::from_secs(500), estimate), 990);
    assert_eq!(share(1000, Duration::from_secs(50), Estimate::Unknown), 0);
}

#[test]
fn progress_is_told_while_the_drive_erases() {
    /// Erases until progress was told.
    struct Slow<'a>(Drive, &'a Watched);
    impl ScsiDevice for Slow<'_> {
        fn send(
            &self,
            command: &[u8],
            data: Data<'_>,
            timeout: Duration,
        ) -> Result<crate::sys::scsi::Reply, ScsiError> {
            if command.get(14) == Some(&ERASE_UNIT) {
                let until = Instant::now() + Duration::from_secs(60);
                while self.1.told.lock().unwrap().is_empty() && Instant::now() < until {
                    thread::sleep(TICK / 20);
                }
            }
            self.0.send(command, data, timeout)
        }
    }
    #[derive(Default)]
    struct Watched {
        told: Mutex<Vec<Progress>>,
        asked: AtomicBool,
    }
    impl Context for Watched {
        fn report_progress(&self, progress: Progress) {
            self.told.lock().unwrap().push(progress);
        }

        // Cancelled as soon as it was asked once: the drive goes on all the same.
        fn is_cancelled(&self) -> bool {
            self.asked.swap(true, Ordering::SeqCst)
        }
    }
    let context = Watched::default();
    let drive = Slow(Drive::new(), &context);
    erase(&drive, true, &watch(&context)).unwrap();
    let told = context.told.into_inner().unwrap();
    assert!(!told.is_empty());
    assert!(told[0].what.contains("cannot be stopped"));
    // Where the agent ends meanwhile, its command's error keeps this.
    assert!(told[0].what.contains("password \"farrier\""), "{told:?}");
    assert_eq!(told[0].total, Some(120_000));
    assert!((200..60_000).contains(&told[0].done), "{}", told[0].done);
}

proptest! {
    /// Whatever fails, success means erased and without password; and after a power cycle an
    /// erase without faults always succeeds.
    #[test]
    fn success_is_never_a_lie_and_no_failure_is_for_good(
        faults in proptest::collection::vec(
            (
                prop_oneof![
                    Just(Defect::Aborts as fn(u8) -> Defect), Just(Defect::Ignores as fn(u8) -> Defect),
                    Just(Defect::AnswerLost as fn(u8) -> Defect),
                    Just(Defect::TimesOut as fn(u8) -> Defect),
                    Just(Defect::HalfDone as fn(u8) -> Defect),
                    Just(Defect::FreezesAfter as fn(u8) -> Defect),
                    Just(Defect::PowerCutAfter as fn(u8) -> Defect),
                    Just(Defect::News as fn(u8) -> Defect),
                ],
                prop_oneof![
                    Just(SET_PASSWORD), Just(UNLOCK), Just(ERASE_PREPARE), Just(ERASE_UNIT),
                    Just(DISABLE),
                ],
            ),
            0..4,
        ),
        locked: bool,
        enhanced in any::<bool>(),
    ) {
        let mut drive = Drive::new();
        if locked {
            drive = drive.locked_with(b"farrier");
        }
        let faults: Vec<Defect> = faults.into_iter().map(|(fault, code)| fault(code)).collect();
        let drive = drive.failing(&faults);
        if erase(&drive, enhanced, &watch(&SilentContext)).is_ok() {
            prop_assert!(!drive.holds_old_data() && !drive.has_password());
        }
        drive.power_cycle();
        prop_assert!(erase(&drive, enhanced, &watch(&SilentContext)).is_ok());
        prop_assert!(!drive.holds_old_data() && !drive.has_password());
    }
}
