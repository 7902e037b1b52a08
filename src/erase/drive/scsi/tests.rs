use std::sync::Mutex;

use farrier_plugin::{Context, Progress, SilentContext};

use super::model::{Disk, Faults};
use super::*;
use crate::erase::drive::ata::model::Drive;

const ACTIONS: [u8; 3] = [OVERWRITE, BLOCK_ERASE, CRYPTOGRAPHIC_ERASE];
const ALL: [Sanitize; 3] = [Sanitize::Overwrite, Sanitize::Block, Sanitize::Crypto];

fn watch(context: &dyn Context) -> Watch<'_> {
    Watch {
        context,
        device: "/dev/sda",
        size: 65_536,
        pause: Duration::from_millis(1),
    }
}

fn run(disk: &Disk, operation: Sanitize) -> Result<(), DriveError> {
    sanitize(disk, operation, &watch(&SilentContext))
}

#[test]
fn a_disk_says_what_it_can() {
    assert_eq!(
        look(&Disk::new(&[BLOCK_ERASE])),
        Ok(Abilities {
            block: true,
            format: true,
            ..Abilities::default()
        })
    );
    assert!(!look(&Disk::new(&[])).unwrap().sanitizes());
    // The model of an ATA drive knows no plain INQUIRY.
    assert!(look(&Drive::new()).is_err());
}

#[test]
fn a_disk_sanitizes_itself_in_each_way() {
    for operation in ALL {
        for faults in [
            Faults::default(),
            Faults {
                silent: true,
                ..Faults::default()
            },
            Faults {
                news: true,
                ..Faults::default()
            },
        ] {
            let disk = Disk::new(&ACTIONS).failing(faults);
            run(&disk, operation).unwrap();
            assert!(!disk.holds_old_data(), "{operation:?} {faults:?}");
        }
    }
}

#[test]
fn an_overwrite_is_one_pass_of_zeros_that_begins_at_once() {
    let disk = Disk::new(&ACTIONS);
    run(&disk, Sanitize::Overwrite).unwrap();
    assert_eq!(disk.sent(SANITIZE), [[0x48, 0xa1, 0, 0, 0, 0, 0, 0, 8, 0]]);
    assert_eq!(disk.data(), [[1, 0, 0, 4, 0, 0, 0, 0]]);
}

#[test]
fn a_failed_sanitize_is_a_failure_and_leaves_a_disk_that_works() {
    let disk = Disk::new(&ACTIONS).failing(Faults {
        fails: true,
        ..Faults::default()
    });
    let error = run(&disk, Sanitize::Block).unwrap_err();
    assert!(matches!(error.fault, Fault::SanitizeFailed(_)), "{error}");
    assert!(disk.holds_old_data() && !disk.is_broken());
}

#[test]
fn a_refusal_has_the_disks_own_words() {
    let disk = Disk::new(&ACTIONS).failing(Faults {
        refuses: true,
        ..Faults::default()
    });
    let error = run(&disk, Sanitize::Crypto).unwrap_err();
    assert!(
        chain(&error).contains("illegal request (5/24/00)"),
        "{}",
        chain(&error)
    );
    assert!(disk.holds_old_data());
}

#[test]
fn a_disk_that_vanishes_is_no_success() {
    let disk = Disk::new(&ACTIONS).failing(Faults {
        vanishes: true,
        ..Faults::default()
    });
    let error = run(&disk, Sanitize::Block).unwrap_err();
    assert!(matches!(error.fault, Fault::SanitizeStatus), "{error}");
}

#[test]
fn what_an_earlier_agent_began_is_waited_for_and_not_trusted() {
    let disk = Disk::new(&ACTIONS);
    disk.begin(SANITIZE);
    run(&disk, Sanitize::Block).unwrap();
    assert_eq!(disk.sent(SANITIZE).len(), 1);
}

#[test]
fn a_format_keeps_the_protection_information() {
    for (byte, command, usage) in [(0, 0x10, 0), (1, 0x90, 0), (3, 0xd0, 0), (5, 0xd0, 1)] {
        let disk = Disk::new(&[]).protected(byte);
        format_unit(&disk, &watch(&SilentContext)).unwrap();
        assert_eq!(disk.sent(FORMAT_UNIT), [[0x04, command, 0, 0, 0, 0]]);
        assert_eq!(disk.data(), [[usage, 2, 0, 0]]);
        assert!(!disk.holds_old_data());
    }
}

#[test]
fn a_failed_format_says_that_the_disk_needs_another() {
    let disk = Disk::new(&[]).failing(Faults {
        fails: true,
        ..Faults::default()
    });
    let error = format_unit(&disk, &watch(&SilentContext)).unwrap_err();
    assert!(error.to_string().ends_with("format succeeds"), "{error}");
    assert!(chain(&error).contains("3/31/01"), "{}", chain(&error));
    assert!(disk.is_broken());
}

#[test]
fn progress_is_the_disks_own_and_a_cancel_counts_before_it_begins_only() {
    #[derive(Default)]
    struct Told(Mutex<Vec<u64>>, bool);
    impl Context for Told {
        fn report_progress(&self, progress: Progress) {
            self.0.lock().unwrap().push(progress.done);
        }

        fn is_cancelled(&self) -> bool {
            self.1 || !self.0.lock().unwrap().is_empty()
        }
    }
    let told = Told::default();
    let disk = Disk::new(&ACTIONS);
    sanitize(&disk, Sanitize::Block, &watch(&told)).unwrap();
    assert!(told.0.into_inner().unwrap().is_sorted());
    let disk = Disk::new(&ACTIONS);
    let cancelled = Told(Mutex::default(), true);
    let error = sanitize(&disk, Sanitize::Block, &watch(&cancelled)).unwrap_err();
    assert!(matches!(error.fault, Fault::Cancelled));
    assert!(disk.holds_old_data() && disk.sent(SANITIZE).is_empty());
}
