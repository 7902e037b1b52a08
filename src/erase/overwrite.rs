//! Writing over every byte of a device, and proving it by reading.

use std::time::{Duration, Instant};

use farrier_plugin::{Context, Progress};
use tracing::{info, warn};

use crate::erase::error::EraseError;
use crate::erase::keystream::Keystream;
use crate::erase::plan::Method;
use crate::erase::samples::{self, Sample};
use crate::sys::aligned::AlignedBuffer;
use crate::sys::block_device::{DiskError, Medium};

/// Bytes written at once: enough for the kernel to keep every queue of the device busy.
const CHUNK: usize = 4 << 20;

/// Where a chunk cannot be written, the unit in which the rest of it is.
const PIECE: usize = 64 << 10;

/// After so many pieces that cannot be written the device is given up: every one of them can cost
/// a dying disk half a minute.
const MOST_FAULTS: usize = 100;

/// What an overwrite did.
#[derive(Clone, Debug, PartialEq)]
pub struct Overwritten {
    /// Bytes of the device.
    pub size: u64,
    /// How often every one of them was written.
    pub passes: u32,
    /// How many areas were marked before and read back after.
    pub samples: usize,
    /// How long it took.
    pub duration: Duration,
}

/// Write over the whole device and prove it.
///
/// Before the first pass, every sampled area gets a marker, which is read back: a device that
/// drops writes, or is smaller than it says, is found here. After the last pass the same areas must
/// hold exactly what that pass wrote. Both reads go to the device, not to the page cache.
///
/// An area that cannot be written does not stop the pass, so that as little as possible survives
/// on a bad disk; the pass is then the last one, and the device is a failure.
pub fn overwrite(
    medium: &dyn Medium,
    device: &str,
    method: Method,
    context: &dyn Context,
) -> Result<Overwritten, EraseError> {
    let Method::Overwrite {
        random_passes,
        zero_pass,
    } = method;
    let started = Instant::now();
    let mut run = Run {
        medium,
        device,
        context,
        passes: method.passes(),
        buffer: AlignedBuffer::zeroed(CHUNK),
        faults: Vec::new(),
    };
    if run.passes == 0 {
        return Err(EraseError::NothingPlanned {
            device: device.to_owned(),
        });
    }
    let samples = samples::positions(medium.size(), medium.logical_block_size());
    let forgotten = run.mark(&samples)?;
    let mut last = Content::Zeros;
    for pass in 0..run.passes {
        last = if zero_pass && pass == random_passes {
            Content::Zeros
        } else {
            Content::Random(Keystream::random())
        };
        run.pass(pass, &last)?;
        if !run.faults.is_empty() {
            break;
        }
    }
    if let Some(offset) = forgotten {
        return Err(EraseError::Forgetful {
            device: device.to_owned(),
            offset,
        });
    }
    let areas = run.faults.len();
    if let Some(source) = run.faults.drain(..).next() {
        return Err(EraseError::Unwritable {
            device: device.to_owned(),
            areas,
            source,
        });
    }
    if let Some(offset) = run.first_difference(&samples, &last)? {
        return Err(EraseError::Survived {
            device: device.to_owned(),
            offset,
        });
    }
    let overwritten = Overwritten {
        size: medium.size(),
        passes: run.passes,
        samples: samples.len(),
        duration: started.elapsed(),
    };
    info!(
        device,
        size = overwritten.size,
        passes = overwritten.passes,
        samples = overwritten.samples,
        seconds = overwritten.duration.as_secs_f64(),
        "overwritten and read back"
    );
    Ok(overwritten)
}

/// What a pass writes.
enum Content {
    Random(Keystream),
    Zeros,
}

impl Content {
    /// What belongs at this offset.
    fn fill(&self, offset: u64, buffer: &mut [u8]) {
        match self {
            Self::Random(stream) => stream.fill(offset, buffer),
            Self::Zeros => buffer.fill(0),
        }
    }
}

struct Run<'a> {
    medium: &'a dyn Medium,
    device: &'a str,
    context: &'a dyn Context,
    passes: u32,
    buffer: AlignedBuffer,
    /// One for each piece that could not be written.
    faults: Vec<DiskError>,
}

impl Run<'_> {
    /// Put a marker into every sample and read it back. The offset of the first that was not kept.
    ///
    /// Markers that cannot be written or read are left to the passes to find: a bad sector must
    /// not keep the rest of the device from being overwritten.
    fn mark(&self, samples: &[Sample]) -> Result<Option<u64>, EraseError> {
        let marker = Content::Random(Keystream::random());
        let mut marked = Vec::with_capacity(samples.len());
        for sample in samples {
            let mut data = AlignedBuffer::zeroed(sample.length);
            marker.fill(sample.offset, &mut data);
            match self.medium.write_at(sample.offset, &data) {
                Ok(()) => marked.push(*sample),
                Err(error) => warn!(device = self.device, %error, "no marker could be written"),
            }
        }
        self.flush()?;
        match self.first_difference(&marked, &marker) {
            Err(EraseError::Disk { source, .. }) => {
                warn!(device = self.device, error = %source, "a marker could not be read");
                Ok(None)
            }
            outcome => outcome,
        }
    }

    fn pass(&mut self, pass: u32, content: &Content) -> Result<(), EraseError> {
        let size = self.medium.size();
        let what = format!(
            "erasing {}: pass {} of {}, {}",
            self.device,
            pass + 1,
            self.passes,
            match content {
                Content::Random(_) => "random data",
                Content::Zeros => "zeros",
            }
        );
        info!(device = self.device, "{what}");
        let mut offset = 0;
        while offset < size {
            if self.context.is_cancelled() {
                return Err(EraseError::Cancelled {
                    device: self.device.to_owned(),
                });
            }
            let length = (size - offset).min(CHUNK as u64) as usize;
            self.chunk(content, offset, length)?;
            offset += length as u64;
            self.context.report_progress(Progress {
                what: what.clone(),
                done: u64::from(pass) * size + offset,
                total: Some(u64::from(self.passes) * size),
            });
        }
        self.flush()
    }

    fn chunk(&mut self, content: &Content, offset: u64, length: usize) -> Result<(), EraseError> {
        // Taken out so that it can be filled while `self` is borrowed; an empty one costs nothing.
        let mut buffer = std::mem::replace(&mut self.buffer, AlignedBuffer::zeroed(0));
        let outcome = self.write_around(content, offset, &mut buffer[..length]);
        self.buffer = buffer;
        outcome
    }

    /// Write one chunk; where that fails, write its pieces and keep count of those that fail.
    fn write_around(
        &mut self,
        content: &Content,
        offset: u64,
        buffer: &mut [u8],
    ) -> Result<(), EraseError> {
        content.fill(offset, buffer);
        let Err(error) = self.medium.write_at(offset, buffer) else {
            return Ok(());
        };
        if is_final(&error) {
            return Err(self.disk_error(error));
        }
        warn!(device = self.device, %error, "going around what cannot be written");
        let mut at = offset;
        for piece in buffer.chunks(PIECE) {
            if let Err(error) = self.medium.write_at(at, piece) {
                if is_final(&error) {
                    return Err(self.disk_error(error));
                }
                self.faults.push(error);
            }
            if self.faults.len() >= MOST_FAULTS {
                return Err(EraseError::Unwritable {
                    device: self.device.to_owned(),
                    areas: self.faults.len(),
                    source: self.faults.swap_remove(0),
                });
            }
            at += piece.len() as u64;
        }
        Ok(())
    }

    /// The offset of the first sample that does not read as this content.
    fn first_difference(
        &self,
        samples: &[Sample],
        content: &Content,
    ) -> Result<Option<u64>, EraseError> {
        for sample in samples {
            let mut expected = AlignedBuffer::zeroed(sample.length);
            content.fill(sample.offset, &mut expected);
            // Something else than what is expected, so that a read which fills nothing cannot pass
            // for an erased area.
            let mut found = AlignedBuffer::zeroed(sample.length);
            found.fill(!expected[0]);
            self.medium
                .read_at(sample.offset, &mut found)
                .map_err(|error| self.disk_error(error))?;
            if *found != *expected {
                let same = found
                    .iter()
                    .zip(expected.iter())
                    .take_while(|(a, b)| a == b);
                return Ok(Some(sample.offset + same.count() as u64));
            }
        }
        Ok(None)
    }

    fn flush(&self) -> Result<(), EraseError> {
        self.medium.flush().map_err(|error| self.disk_error(error))
    }

    fn disk_error(&self, source: DiskError) -> EraseError {
        EraseError::Disk {
            device: self.device.to_owned(),
            source,
        }
    }
}

/// Whether trying other areas of the device is of no use: it is gone, or takes no writes at all.
fn is_final(error: &DiskError) -> bool {
    let Some(errno) = error.kernel_error().and_then(std::io::Error::raw_os_error) else {
        // Not the kernel's error, so one of ours, and no other area will be better.
        return !matches!(error, DiskError::Read { .. } | DiskError::Write { .. });
    };
    matches!(
        errno,
        libc::EBADF | libc::ENODEV | libc::ENOMEDIUM | libc::ENXIO | libc::EPERM | libc::EROFS
    )
}

#[cfg(test)]
mod tests {
    use std::ops::Range;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU64, Ordering};

    use farrier_plugin::SilentContext;
    use proptest::prelude::{
        Just, ProptestConfig, Strategy, any, prop_assert, prop_oneof, proptest,
    };

    use super::*;
    use crate::erase::fake_medium::{FakeMedium, Fault};
    use crate::sys::block_device::Disk;
    use crate::sys::loop_device::LoopDevice;

    const MIB: u64 = 1 << 20;

    fn method(random_passes: u32, zero_pass: bool) -> Method {
        Method::Overwrite {
            random_passes,
            zero_pass,
        }
    }

    fn run(medium: &dyn Medium, method: Method) -> Result<Overwritten, EraseError> {
        overwrite(medium, "/dev/fake", method, &SilentContext)
    }

    #[test]
    fn a_healthy_disk_ends_in_zeros() {
        for block_size in [512, 4096] {
            let disk = FakeMedium::new(9 * MIB + 4096, Vec::new()).with_block_size(block_size);
            let done = run(&disk, method(1, true)).unwrap();
            assert_eq!((done.size, done.passes), (9 * MIB + 4096, 2));
            assert!(disk.bytes().iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn without_the_last_pass_it_ends_in_random_data() {
        let disk = FakeMedium::new(5 * MIB, Vec::new());
        run(&disk, method(1, false)).unwrap();
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
        let error = run(&disk, method(1, true)).unwrap_err();
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
        let error = run(&disk, method(1, true)).unwrap_err();
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
        let error = run(&disk, method(1, true)).unwrap_err();
        assert!(matches!(error, EraseError::Disk { .. }), "{error}");
    }

    #[test]
    fn a_failing_flush_is_a_failure_in_every_pass() {
        for after in 0..3 {
            let disk = FakeMedium::new(2 * MIB, vec![Fault::Flush { after }]);
            let error = run(&disk, method(1, true)).unwrap_err();
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
        assert!(run(&disk, method(0, true)).is_err());
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
        let error = run(&disk, method(0, true)).unwrap_err();
        assert!(matches!(error, EraseError::Forgetful { .. }), "{error}");
    }

    #[test]
    fn a_disk_that_stops_writing_before_the_last_pass_is_found() {
        // All markers and the first pass land, the last pass does not.
        let size = 32 * MIB;
        let markers: u64 = samples::positions(size, 512)
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
        let error = run(&disk, method(1, true)).unwrap_err();
        assert!(matches!(error, EraseError::Survived { .. }), "{error}");
    }

    #[test]
    fn a_disk_smaller_than_it_says_is_found() {
        let disk = FakeMedium::new(64 * MIB, vec![Fault::Counterfeit { real: 16 * MIB }]);
        let error = run(&disk, method(0, true)).unwrap_err();
        assert!(matches!(error, EraseError::Forgetful { .. }), "{error}");
    }

    #[test]
    fn nothing_to_do_is_not_done() {
        let disk = FakeMedium::new(MIB, Vec::new());
        assert!(matches!(
            run(&disk, method(0, false)),
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
        overwrite(&disk, "/dev/fake", method(1, true), &patient).unwrap();
        let seen = patient.seen.into_inner().unwrap();
        assert!(seen.windows(2).all(|pair| pair[0].done < pair[1].done));
        let last = seen.last().unwrap();
        assert_eq!((last.done, last.total), (20 * MIB, Some(20 * MIB)));
        assert!(last.what.contains("pass 2 of 2, zeros"), "{}", last.what);

        let impatient = watcher(4 * MIB);
        let error = overwrite(&disk, "/dev/fake", method(1, true), &impatient).unwrap_err();
        assert!(matches!(error, EraseError::Cancelled { .. }));
    }

    #[test]
    fn a_plain_file_of_an_odd_size_is_overwritten_to_its_last_byte() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), vec![0x5a; (3 << 20) + 77]).unwrap();
        let disk = Disk::open_exclusive(file.path()).unwrap();
        run(&disk, method(1, true)).unwrap();
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
            run(&disk, method(1, true)).unwrap();
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
            let outcome = run(&disk, method(random_passes, zero_pass));
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
}
