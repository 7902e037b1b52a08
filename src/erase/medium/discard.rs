//! Discarding a whole device, and proving that it reads as zeros (contract/data-plane 7.15).
//!
//! It differs from the reference in what that calls weak: every sample is read whole and with direct
//! reads, there are samples at random places and at the very end, and what lies behind the last
//! whole unit of the device's discards is written.

use farrier_plugin::{AlignedBuffer, Context, Progress};
use tracing::info;

use crate::erase::error::EraseError;
use crate::erase::proof::samples::SAMPLE;
use crate::erase::proof::{Content, Proof, Verification};
use crate::sys::block_device::{Discard, DiskError};

/// Bytes of one request: a cancel is heard between two of them.
const PIECE: u64 = 16 << 30;

/// Bytes that the end is written with at once.
const CHUNK: u64 = 1 << 20;

/// Discard everything, write zeros over the end, and demand zeros at every sample. `granularity`
/// is the unit of the device's discards in bytes.
pub(in crate::erase) fn discard(
    medium: &dyn Discard,
    device: &str,
    secure: bool,
    granularity: u64,
    context: &dyn Context,
) -> Result<Verification, EraseError> {
    let size = medium.size();
    let failed = |source| EraseError::Disk {
        device: device.to_owned(),
        source,
    };
    let proof = Proof::begin(medium, device)?;
    proof.demand_kept(device)?;
    let mut offset = 0;
    while offset < size {
        if context.is_cancelled() {
            return Err(EraseError::Cancelled {
                device: device.to_owned(),
            });
        }
        let length = PIECE.min(size - offset);
        medium.discard(offset, length, secure).map_err(failed)?;
        offset += length;
        context.report_progress(Progress {
            what: format!("erasing {device}: discard"),
            done: offset,
            total: Some(size),
        });
    }
    // A unit that is not whole is left alone by some devices.
    let whole = size - size % granularity.max(1);
    zero_from(medium, whole.min(size.saturating_sub(SAMPLE))).map_err(failed)?;
    medium.flush().map_err(failed)?;
    let verification = proof.holds(medium, device, &Content::Zeros)?;
    info!(
        device,
        secure,
        samples = verification.count(),
        "discarded and read back"
    );
    Ok(verification)
}

/// Plain writes: what the device makes of other requests is the question here.
fn zero_from(medium: &dyn Discard, start: u64) -> Result<(), DiskError> {
    let size = medium.size();
    let zeros = AlignedBuffer::zeroed(CHUNK as usize);
    let mut at = start;
    while at < size {
        let length = CHUNK.min(size - at);
        medium.write_at(at, &zeros[..length as usize])?;
        at += length;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use farrier_plugin::SilentContext;

    use super::*;
    use crate::erase::medium::fake::{FakeMedium, Fault};
    use crate::sys::block_device::Disk;
    use crate::sys::loop_device::LoopDevice;

    const MIB: u64 = 1 << 20;

    fn run(medium: &dyn Discard, granularity: u64) -> Result<Verification, EraseError> {
        discard(medium, "/dev/fake", false, granularity, &SilentContext)
    }

    #[test]
    fn a_device_that_discards_is_proven_zero() {
        let disk = FakeMedium::new(40 * MIB, Vec::new());
        assert!(run(&disk, 512).unwrap().count() > 20);
        assert!(disk.bytes().iter().all(|byte| *byte == 0));
    }

    #[test]
    fn a_tail_that_is_no_whole_unit_is_written() {
        // The device leaves the last 5 MiB alone.
        let disk = FakeMedium::new(37 * MIB, vec![Fault::KeepsOnDiscard(32 * MIB..37 * MIB)]);
        run(&disk, 8 * MIB).unwrap();
        assert!(disk.bytes().iter().all(|byte| *byte == 0));
    }

    #[test]
    fn a_device_that_does_nothing_is_found_even_when_it_held_zeros() {
        let size = 40 * MIB;
        let disk = FakeMedium::new(size, vec![Fault::KeepsOnDiscard(0..size)]);
        disk.put(0, &vec![0; size as usize]);
        assert!(matches!(run(&disk, 512), Err(EraseError::Survived { .. })));
        // Even a single area that is left.
        let disk = FakeMedium::new(size, vec![Fault::KeepsOnDiscard(20 * MIB..21 * MIB)]);
        assert!(matches!(run(&disk, 512), Err(EraseError::Survived { .. })));
    }

    #[test]
    fn samples_that_cannot_be_read_prove_nothing() {
        let disk = FakeMedium::new(40 * MIB, vec![Fault::Read(0..512, libc::EIO)]);
        assert!(matches!(run(&disk, 512), Err(EraseError::Disk { .. })));
    }

    #[test]
    fn a_loop_device_is_discarded_and_a_file_is_not() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), vec![0x5a; 24 << 20]).unwrap();
        let disk = Disk::open_exclusive(file.path()).unwrap();
        let error = run(&disk, 512).unwrap_err();
        assert!(farrier_plugin::chain(&error).contains("os error 95"));
        drop(disk);
        let Some(looped) = LoopDevice::over(file.path(), 4096) else {
            return;
        };
        let disk = Disk::open_exclusive(looped.path()).unwrap();
        // A loop device has no secure discard.
        assert!(discard(&disk, looped.path(), true, 4096, &SilentContext).is_err());
        run(&disk, 4096).unwrap();
        drop(disk);
        let held = std::fs::read(file.path()).unwrap();
        assert!(held.iter().all(|byte| *byte == 0));
    }
}
