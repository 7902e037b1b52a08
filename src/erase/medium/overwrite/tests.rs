use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use farrier_plugin::SilentContext;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_assert, prop_oneof, proptest};

use super::*;
use crate::erase::medium::fake::{FakeMedium, Fault};
use crate::erase::proof::samples;
use crate::sys::block_device::Disk;
use crate::sys::loop_device::LoopDevice;

const MIB: u64 = 1 << 20;

fn passes(random: u32, zeros: bool) -> Passes {
    Passes { random, zeros }
}

fn run(medium: &dyn Medium, passes: Passes) -> Result<Verification, EraseError> {
    overwrite(medium, "/dev/fake", passes, &SilentContext)
}

#[test]
fn a_healthy_disk_ends_in_zeros() {
    for block_size in [512, 4096] {
        let disk = FakeMedium::new(9 * MIB + 4096, Vec::new()).with_block_size(block_size);
        let done = run(&disk, passes(1, true)).unwrap();
        assert_eq!(done.count(), 11);
        assert!(disk.bytes().iter().all(|byte| *byte == 0));
    }
}

#[test]
fn without_the_last_pass_it_ends_in_random_data() {
    let disk = FakeMedium::new(5 * MIB, Vec::new());
    run(&disk, passes(1, false)).unwrap();
    let bytes = disk.bytes();
    assert!(
        !bytes
            .chunks(512)
            .any(|block| block == [0x5a; 512] || block == [0; 512])
    );
}

#[test]
fn a_bad_sector_fails_the_disk_but_the_rest_is_overwritten() {
    let bad = 6 * MIB + 512..6 * MIB + 1024;
    let disk = FakeMedium::new(12 * MIB, vec![Fault::Write(bad.clone(), libc::EIO)]);
    let error = run(&disk, passes(1, true)).unwrap_err();
    assert!(
        matches!(&error, EraseError::Unwritable { areas: 1, .. }),
        "{error}"
    );
    let chain = farrier_plugin::ManagerError::from(error).chain();
    assert!(chain.contains("/dev/fake"), "{chain}");
    assert!(chain.contains("os error 5"), "{chain}");
    let bytes = disk.bytes();
    let old: Vec<usize> = (0..bytes.len() / 512)
        .filter(|block| bytes[block * 512..][..512] == [0x5a; 512])
        .collect();
    // At most the piece around the bad sector.
    assert!(old.len() <= PIECE / 512, "{} blocks survive", old.len());
    assert!(old.contains(&(bad.start as usize / 512)));
}

#[test]
fn a_disk_full_of_bad_sectors_is_given_up() {
    let disk = FakeMedium::new(32 * MIB, vec![Fault::Write(MIB..32 * MIB, libc::EIO)]);
    let error = run(&disk, passes(1, true)).unwrap_err();
    assert!(
        matches!(&error, EraseError::Unwritable { areas, .. } if *areas == MOST_FAULTS),
        "{error}"
    );
}

#[test]
fn a_disk_that_is_gone_is_given_up_at_once() {
    let disk = FakeMedium::new(
        32 * MIB,
        vec![Fault::Write(8 * MIB..32 * MIB, libc::ENODEV)],
    );
    let error = run(&disk, passes(1, true)).unwrap_err();
    assert!(matches!(error, EraseError::Disk { .. }), "{error}");
}

#[test]
fn a_failing_flush_is_a_failure_in_every_pass() {
    for after in 0..3 {
        let disk = FakeMedium::new(2 * MIB, vec![Fault::Flush { after }]);
        let error = run(&disk, passes(1, true)).unwrap_err();
        assert!(
            matches!(
                error,
                EraseError::Disk {
                    source: DiskError::Flush { .. },
                    ..
                }
            ),
            "{error}"
        );
    }
}

#[test]
fn an_area_that_cannot_be_read_back_is_a_failure() {
    let disk = FakeMedium::new(8 * MIB, vec![Fault::Read(0..512, libc::EIO)]);
    assert!(run(&disk, passes(0, true)).is_err());
}

#[test]
fn a_disk_that_drops_every_write_is_found_even_when_it_holds_zeros() {
    let disk = FakeMedium::new(
        8 * MIB,
        vec![Fault::Drops {
            range: 0..8 * MIB,
            after: 0,
        }],
    );
    disk.put(0, &vec![0; 8 << 20]);
    let error = run(&disk, passes(0, true)).unwrap_err();
    assert!(matches!(error, EraseError::Forgetful { .. }), "{error}");
}

#[test]
fn a_disk_that_stops_writing_before_the_last_pass_is_found() {
    // All markers and the first pass land, the last pass does not.
    let size = 32 * MIB;
    let markers: u64 = samples::with_random(size, 512, 0)
        .iter()
        .map(|sample| sample.length as u64)
        .sum();
    let disk = FakeMedium::new(
        size,
        vec![Fault::Drops {
            range: 0..size,
            after: markers + size,
        }],
    );
    let error = run(&disk, passes(1, true)).unwrap_err();
    assert!(matches!(error, EraseError::Survived { .. }), "{error}");
}

#[test]
fn a_disk_smaller_than_it_says_is_found() {
    let disk = FakeMedium::new(64 * MIB, vec![Fault::Counterfeit { real: 16 * MIB }]);
    let error = run(&disk, passes(0, true)).unwrap_err();
    assert!(matches!(error, EraseError::Forgetful { .. }), "{error}");
}

#[test]
fn nothing_to_do_is_not_done() {
    let disk = FakeMedium::new(MIB, Vec::new());
    assert!(matches!(
        run(&disk, passes(0, false)),
        Err(EraseError::NothingPlanned { .. })
    ));
    assert!(disk.bytes().iter().all(|byte| *byte == 0x5a));
}

#[test]
fn progress_grows_to_the_total_and_a_cancel_is_a_failure() {
    struct Watcher {
        seen: Mutex<Vec<Progress>>,
        stop_at: u64,
        done: AtomicU64,
    }
    impl Context for Watcher {
        fn report_progress(&self, progress: Progress) {
            self.done.store(progress.done, Ordering::SeqCst);
            self.seen.lock().unwrap().push(progress);
        }

        fn is_cancelled(&self) -> bool {
            self.done.load(Ordering::SeqCst) >= self.stop_at
        }
    }
    let watcher = |stop_at| Watcher {
        seen: Mutex::default(),
        stop_at,
        done: AtomicU64::new(0),
    };

    let disk = FakeMedium::new(10 * MIB, Vec::new());
    let patient = watcher(u64::MAX);
    overwrite(&disk, "/dev/fake", passes(1, true), &patient).unwrap();
    let seen = patient.seen.into_inner().unwrap();
    assert!(seen.windows(2).all(|pair| pair[0].done < pair[1].done));
    let last = seen.last().unwrap();
    assert_eq!((last.done, last.total), (20 * MIB, Some(20 * MIB)));
    assert!(last.what.contains("pass 2 of 2, zeros"), "{}", last.what);

    let impatient = watcher(4 * MIB);
    let error = overwrite(&disk, "/dev/fake", passes(1, true), &impatient).unwrap_err();
    assert!(matches!(error, EraseError::Cancelled { .. }));
}

#[test]
fn a_plain_file_of_an_odd_size_is_overwritten_to_its_last_byte() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), vec![0x5a; (3 << 20) + 77]).unwrap();
    let disk = Disk::open_exclusive(file.path()).unwrap();
    run(&disk, passes(1, true)).unwrap();
    let bytes = std::fs::read(file.path()).unwrap();
    assert_eq!(bytes.len(), (3 << 20) + 77);
    assert!(bytes.iter().all(|byte| *byte == 0));
}

#[test]
fn a_loop_device_of_either_block_size_is_overwritten() {
    for block_size in [512, 4096] {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), vec![0x5a; 12 << 20]).unwrap();
        let Some(device) = LoopDevice::over(file.path(), block_size) else {
            return;
        };
        let disk = Disk::open_exclusive(device.path()).unwrap();
        run(&disk, passes(1, true)).unwrap();
        drop(disk);
        assert!(
            std::fs::read(file.path())
                .unwrap()
                .iter()
                .all(|byte| *byte == 0)
        );
    }
}

fn range(size: u64) -> impl Strategy<Value = Range<u64>> {
    (0..size, 1..size).prop_map(move |(start, length)| start..(start + length).min(size))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever is wrong with the disk: a success means that every sampled byte is what the
    /// last pass wrote.
    #[test]
    fn a_success_is_never_claimed_for_old_data(
        (size, fault) in (1_u64..20).prop_flat_map(|blocks| {
            let size = blocks * 128 * 1024;
            let errno = prop_oneof![Just(libc::EIO), Just(libc::ENOSPC), Just(libc::ENODEV)];
            let fault = prop_oneof![
                (range(size), errno).prop_map(|(range, errno)| Fault::Write(range, errno)),
                range(size).prop_map(|range| Fault::Read(range, libc::EIO)),
                (0_usize..5).prop_map(|after| Fault::Flush { after }),
                (range(size), 0..3 * size)
                    .prop_map(|(range, after)| Fault::Drops { range, after }),
                (1..=blocks).prop_map(|real| Fault::Counterfeit { real: real * 128 * 1024 }),
            ];
            (Just(size), fault)
        }),
        random_passes in 0_u32..2,
        zero_pass in any::<bool>(),
    ) {
        let disk = FakeMedium::new(size, vec![fault.clone()]);
        let outcome = run(&disk, passes(random_passes, zero_pass));
        let bytes = disk.bytes();
        let real = match fault {
            Fault::Counterfeit { real } => real,
            _ => size,
        };
        if outcome.is_ok() {
            for sample in samples::positions(size, 512) {
                let start = sample.offset as usize;
                let area = &bytes[start..start + sample.length];
                if zero_pass {
                    prop_assert!(area.iter().all(|byte| *byte == 0), "{fault:?}");
                } else {
                    prop_assert!(!area.chunks(64).any(|part| part == [0x5a; 64]), "{fault:?}");
                }
            }
            prop_assert!(real == size, "a counterfeit passed: {fault:?}");
            if let Fault::Write(range, _) = &fault {
                prop_assert!(range.start >= size, "a bad sector passed: {fault:?}");
            }
        }
    }
}
