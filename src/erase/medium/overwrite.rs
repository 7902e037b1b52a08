//! Writing over every byte of a device, and proving it by reading.

use std::time::Instant;

use farrier_plugin::{AlignedBuffer, Context, Keystream, Progress};
use tracing::{info, warn};

use crate::erase::error::EraseError;
use crate::erase::proof::{Content, Proof, Verification};
use crate::sys::block_device::{DiskError, Medium};

/// Bytes written at once: enough for the kernel to keep every queue of the device busy.
const CHUNK: usize = 4 << 20;

/// Bytes of zeros that the device is asked to make by itself at once.
const ZEROS: u64 = 64 << 20;

/// Where a chunk cannot be written, the unit in which the rest of it is.
const PIECE: usize = 64 << 10;

/// After so many pieces that cannot be written the device is given up: every one of them can cost
/// a dying disk half a minute.
const MOST_FAULTS: usize = 100;

/// How often, and with what.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Passes {
    /// Passes of random data first.
    pub random: u32,
    /// A pass of zeros last.
    pub zeros: bool,
}

impl Passes {
    fn count(self) -> u32 {
        self.random + u32::from(self.zeros)
    }
}

/// Write over the whole device and prove it.
///
/// Before the first pass, every sampled area gets a marker, which is read back: a device that
/// drops writes, or is smaller than it says, is found here. After the last pass the same areas must
/// hold exactly what that pass wrote. Both reads go to the device, not to the page cache.
///
/// An area that cannot be written does not stop the pass, so that as little as possible survives
/// on a bad disk; the pass is then the last one, and the device is a failure.
pub(crate) fn overwrite(
    medium: &dyn Medium,
    device: &str,
    passes: Passes,
    context: &dyn Context,
) -> Result<Verification, EraseError> {
    let started = Instant::now();
    let mut run = Run {
        medium,
        device,
        context,
        passes: passes.count(),
        buffer: AlignedBuffer::zeroed(CHUNK),
        may_zero: false,
        faults: Vec::new(),
    };
    if run.passes == 0 {
        return Err(EraseError::NothingPlanned {
            device: device.to_owned(),
        });
    }
    let proof = Proof::begin(medium, device)?;
    let mut last = Content::Zeros;
    for pass in 0..run.passes {
        last = if passes.zeros && pass == passes.random {
            Content::Zeros
        } else {
            Content::Random(Keystream::random())
        };
        // The random data is on the medium by then: a device that only notes its zeros has nothing
        // of the old data to show. Without random data before, zeros are written.
        run.may_zero = pass > 0;
        run.pass(pass, &last)?;
        if !run.faults.is_empty() {
            break;
        }
    }
    if let Some(offset) = proof.forgotten {
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
    let verification = proof.holds(medium, device, &last)?;
    info!(
        device,
        size = medium.size(),
        passes = run.passes,
        samples = verification.count(),
        seconds = started.elapsed().as_secs_f64(),
        "overwritten and read back"
    );
    Ok(verification)
}

struct Run<'a> {
    medium: &'a dyn Medium,
    device: &'a str,
    context: &'a dyn Context,
    passes: u32,
    buffer: AlignedBuffer,
    /// The device may make its zeros by itself.
    may_zero: bool,
    /// One for each piece that could not be written.
    faults: Vec<DiskError>,
}

impl Run<'_> {
    fn pass(&mut self, pass: u32, content: &Content) -> Result<(), EraseError> {
        let size = self.medium.size();
        let what = format!(
            "erasing {}: pass {} of {}, {}",
            self.device,
            pass + 1,
            self.passes,
            content.words()
        );
        info!(device = self.device, "{what}");
        let mut offset = 0;
        while offset < size {
            if self.context.is_cancelled() {
                return Err(EraseError::Cancelled {
                    device: self.device.to_owned(),
                });
            }
            offset += self.step(content, offset, size - offset)?;
            self.context.report_progress(Progress {
                what: what.clone(),
                done: u64::from(pass) * size + offset,
                total: Some(u64::from(self.passes) * size),
            });
        }
        self.flush()
    }

    /// The next bytes of the pass; how many.
    fn step(&mut self, content: &Content, offset: u64, rest: u64) -> Result<u64, EraseError> {
        if self.may_zero && matches!(content, Content::Zeros) {
            let length = rest.min(ZEROS);
            if self.medium.zero_range(offset, length).is_ok() {
                return Ok(length);
            }
        }
        let length = rest.min(CHUNK as u64);
        self.chunk(content, offset, length as usize)?;
        Ok(length)
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
mod tests;
