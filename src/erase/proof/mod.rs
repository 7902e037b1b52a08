//! Proving an erase: markers before it, reads after it.

pub(super) mod samples;

use std::ops::Range;

use farrier_plugin::{AlignedBuffer, Keystream, SplitMix};
use serde_json::{Value, json};
use tracing::warn;

use crate::erase::error::EraseError;
use crate::erase::proof::samples::Sample;
use crate::sys::block_device::{DiskError, Medium};

/// No block of any device is smaller.
const SMALLEST_BLOCK: usize = 512;

/// What an area holds.
pub(in crate::erase) enum Content {
    /// The stream's bytes of that offset.
    Random(Keystream),
    /// Nothing but zeros.
    Zeros,
}

/// Markers that lie on a device.
pub(in crate::erase) struct Proof {
    seed: u64,
    marker: Keystream,
    samples: Vec<Sample>,
    /// For each sample, whether its marker was written.
    marked: Vec<bool>,
    /// First byte of a marker that was not kept.
    pub(in crate::erase) forgotten: Option<u64>,
}

/// What was found on a device after an erase.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Verification {
    seed: u64,
    /// First byte, bytes, and whether there was a marker before.
    samples: Vec<(u64, usize, bool)>,
    /// What each sample held: `zeros`, `random data`, or `no marker`.
    found: &'static str,
    /// What was not erased, since arrays that stay need it.
    kept: Vec<Kept>,
}

/// A part of a device that stays.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Kept {
    /// Its bytes.
    pub(super) place: Range<u64>,
    /// What it is: `partition table`, `data of /dev/md0`, `notes of /dev/md0`.
    pub(super) what: String,
}

impl Content {
    /// What belongs at this offset.
    pub(in crate::erase) fn fill(&self, offset: u64, buffer: &mut [u8]) {
        match self {
            Self::Random(stream) => stream.fill(offset, buffer),
            Self::Zeros => buffer.fill(0),
        }
    }

    /// The words for it.
    pub(in crate::erase) fn words(&self) -> &'static str {
        match self {
            Self::Random(_) => "random data",
            Self::Zeros => "zeros",
        }
    }
}

impl Proof {
    /// Put a marker into every sample, flush it, and read it back with direct reads: a device that
    /// drops writes, or is smaller than it says, is found here ([`Self::forgotten`]).
    ///
    /// Markers that cannot be written or read are left to the method to find: a bad sector must not
    /// keep the rest of the device from being erased.
    pub(in crate::erase) fn begin(medium: &dyn Medium, device: &str) -> Result<Self, EraseError> {
        let seed = SplitMix::random().number(0);
        let mut proof = Self {
            seed,
            // Another stream than the places follow from.
            marker: Keystream::with_seed(!seed),
            samples: samples::with_random(medium.size(), medium.logical_block_size(), seed),
            marked: Vec::new(),
            forgotten: None,
        };
        for sample in &proof.samples {
            let mut data = AlignedBuffer::zeroed(sample.length);
            proof.marker.fill(sample.offset, &mut data);
            let outcome = medium.write_at(sample.offset, &data);
            proof.marked.push(outcome.is_ok());
            if let Err(error) = outcome {
                warn!(device, %error, "no marker could be written");
            }
        }
        medium
            .flush()
            .map_err(|source| disk_error(device, source))?;
        let marker = Content::Random(Keystream::with_seed(!seed));
        for (sample, marked) in proof.samples.iter().zip(&proof.marked) {
            if !*marked {
                continue;
            }
            match difference(medium, *sample, &marker) {
                Ok(None) => {}
                Ok(forgotten) => {
                    proof.forgotten = forgotten;
                    break;
                }
                Err(error) => {
                    warn!(device, %error, "a marker could not be read");
                    break;
                }
            }
        }
        Ok(proof)
    }

    /// Demand that every sample holds exactly this, to its last byte.
    pub(in crate::erase) fn holds(
        &self,
        medium: &dyn Medium,
        device: &str,
        content: &Content,
    ) -> Result<Verification, EraseError> {
        for sample in &self.samples {
            let different = difference(medium, *sample, content)
                .map_err(|source| disk_error(device, source))?;
            if let Some(offset) = different {
                return Err(EraseError::Survived {
                    device: device.to_owned(),
                    offset,
                });
            }
        }
        Ok(self.verification(content.words()))
    }

    /// Demand that no marker is left: not even one block of one of them. What is there instead was
    /// not promised, but said where it is zeros everywhere.
    pub(in crate::erase) fn is_gone(
        &self,
        medium: &dyn Medium,
        device: &str,
    ) -> Result<Verification, EraseError> {
        let mut zeros = true;
        let mut proven = false;
        for (sample, marked) in self.samples.iter().zip(&self.marked) {
            if !*marked {
                continue;
            }
            proven = true;
            let mut marker = AlignedBuffer::zeroed(sample.length);
            self.marker.fill(sample.offset, &mut marker);
            // The marker itself, so that a read which fills nothing cannot pass for a good one.
            let mut found = AlignedBuffer::zeroed(sample.length);
            found.copy_from_slice(&marker);
            medium
                .read_at(sample.offset, &mut found)
                .map_err(|source| disk_error(device, source))?;
            let left = found
                .chunks(SMALLEST_BLOCK)
                .zip(marker.chunks(SMALLEST_BLOCK))
                .position(|(found, marker)| found == marker);
            if let Some(block) = left {
                return Err(EraseError::Survived {
                    device: device.to_owned(),
                    offset: sample.offset + (block * SMALLEST_BLOCK) as u64,
                });
            }
            zeros &= found.iter().all(|byte| *byte == 0);
        }
        if !proven {
            return Err(EraseError::Unproven {
                device: device.to_owned(),
            });
        }
        Ok(self.verification(if zeros { "zeros" } else { "no marker" }))
    }

    /// That every marker was kept, before a method is run whose effect cannot be told otherwise.
    pub(in crate::erase) fn demand_kept(&self, device: &str) -> Result<(), EraseError> {
        match self.forgotten {
            None => Ok(()),
            Some(offset) => Err(EraseError::Forgetful {
                device: device.to_owned(),
                offset,
            }),
        }
    }

    fn verification(&self, found: &'static str) -> Verification {
        Verification {
            seed: self.seed,
            samples: self
                .samples
                .iter()
                .zip(&self.marked)
                .map(|(sample, marked)| (sample.offset, sample.length, *marked))
                .collect(),
            found,
            kept: Vec::new(),
        }
    }
}

impl Verification {
    /// How many places were looked at.
    pub(super) fn count(&self) -> usize {
        self.samples.len()
    }

    /// The same, told of the places on the device that it was about pieces of, and of what was left beside them.
    pub(super) fn of_pieces(
        self,
        kept: Vec<Kept>,
        places: impl Fn(u64, u64) -> Vec<Range<u64>>,
    ) -> Self {
        let samples = self
            .samples
            .into_iter()
            .flat_map(|(offset, length, marked)| {
                let places = places(offset, length as u64).into_iter();
                places.map(move |place| (place.start, (place.end - place.start) as usize, marked))
            });
        Self {
            samples: samples.collect(),
            kept,
            ..self
        }
    }

    /// As it stands in a record.
    pub(super) fn to_json(&self) -> Value {
        let samples: Vec<Value> = self
            .samples
            .iter()
            .map(|(offset, length, marked)| {
                json!({"offset": offset, "length": length, "marked": marked})
            })
            .collect();
        let kept: Vec<Value> = self
            .kept
            .iter()
            .map(|Kept { place, what }| {
                json!({"offset": place.start, "length": place.end - place.start, "what": what})
            })
            .collect();
        json!({
            "seed": format!("{:016x}", self.seed),
            "found": self.found,
            "samples": samples,
            "kept": kept,
        })
    }
}

/// The offset of the first byte of a sample that is not as it should be.
fn difference(
    medium: &dyn Medium,
    sample: Sample,
    content: &Content,
) -> Result<Option<u64>, DiskError> {
    let mut expected = AlignedBuffer::zeroed(sample.length);
    content.fill(sample.offset, &mut expected);
    // Something else than what is expected, so that a read which fills nothing cannot pass for an
    // erased area.
    let mut found = AlignedBuffer::zeroed(sample.length);
    found.fill(!expected[0]);
    medium.read_at(sample.offset, &mut found)?;
    if *found == *expected {
        return Ok(None);
    }
    let same = found
        .iter()
        .zip(expected.iter())
        .take_while(|(a, b)| a == b);
    Ok(Some(sample.offset + same.count() as u64))
}

fn disk_error(device: &str, source: DiskError) -> EraseError {
    EraseError::Disk {
        device: device.to_owned(),
        source,
    }
}
