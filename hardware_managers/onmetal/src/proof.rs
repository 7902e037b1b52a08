//! Proof that a format erased: a marker that nobody could guess is written before it, and nothing
//! of it may be found afterwards.

use std::io;
use std::path::Path;

use farrier_plugin::aligned::ALIGNMENT;
use farrier_plugin::{AlignedBuffer, Keystream};
use serde_json::{Value, json};

use crate::medium::Medium;

/// What is looked at from the first and the last byte on (contract/onmetal 12.2).
const END: u64 = 1 << 20;

/// What is looked at in between, and at how many places.
const PIECE: u64 = 64 << 10;
const PIECES: u64 = 14;

/// No sector of any disk is smaller.
const SECTOR: usize = 512;

/// A part of a disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Sample {
    offset: u64,
    length: u64,
}

/// A disk that was marked.
#[derive(Debug)]
pub(crate) struct Marked {
    /// Different for every erase and at every place, and like no erased medium.
    marker: Keystream,
    samples: Vec<Sample>,
}

/// What was found on a disk whose format is proven.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Evidence {
    samples: usize,
    bytes: u64,
    erased_byte: u8,
}

/// Why an erase is not proven.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProofError {
    /// The disk is in use.
    #[error("it is in use: mounted, or part of an array")]
    InUse,
    /// It cannot be opened, read or written.
    #[error("it could not be {what} at byte {offset}")]
    Medium {
        what: &'static str,
        offset: u64,
        #[source]
        source: io::Error,
    },
    /// The marker did not get there, so that its absence would prove nothing.
    #[error("what was written at byte {0} before the format is not what it then held")]
    NotMarked(u64),
    /// The disk has too few bytes to be one.
    #[error("it has only {0} bytes")]
    TooSmall(u64),
    /// The marker is still there.
    #[error(
        "what was written at byte {0} before the format is still there: the card erased nothing"
    )]
    StillThere(u64),
    /// Neither the marker nor an erased medium.
    #[error("what is at byte {0} is no erased medium: not one byte that repeats itself")]
    NotErased(u64),
    /// An erased medium looks the same everywhere.
    #[error("it holds bytes {first:#04x} at byte 0 and {other:#04x} at byte {offset}")]
    Uneven { first: u8, other: u8, offset: u64 },
}

/// Mark a disk that nobody uses: the ends and some places in between.
pub(crate) fn mark(node: &Path) -> Result<Marked, ProofError> {
    let medium = Medium::claim(node).map_err(|source| match source.kind() {
        io::ErrorKind::ResourceBusy => ProofError::InUse,
        _ => failed("opened for writing", 0)(source),
    })?;
    let samples = samples(medium.size());
    if samples.is_empty() {
        return Err(ProofError::TooSmall(medium.size()));
    }
    // First, so that nothing old is written over the marker afterwards.
    medium.flush().map_err(failed("flushed", 0))?;
    let marked = Marked {
        marker: Keystream::random(),
        samples,
    };
    for sample in &marked.samples {
        let content = marked.content(*sample);
        medium
            .write(sample.offset, &content)
            .map_err(failed("written", sample.offset))?;
    }
    medium.flush().map_err(failed("flushed", 0))?;
    for sample in &marked.samples {
        if *read(&medium, *sample)? != *marked.content(*sample) {
            return Err(ProofError::NotMarked(sample.offset));
        }
    }
    Ok(marked)
}

impl Marked {
    /// Whether the disk, which may have another size now, is erased wherever it was marked and at
    /// its ends.
    pub(crate) fn prove(&self, node: &Path) -> Result<Evidence, ProofError> {
        let medium = Medium::open(node).map_err(failed("opened", 0))?;
        medium.flush().map_err(failed("flushed", 0))?;
        let now = samples(medium.size());
        if now.is_empty() {
            return Err(ProofError::TooSmall(medium.size()));
        }
        let fits = |sample: &&Sample| sample.offset + sample.length <= medium.size();
        let mut places: Vec<Sample> = self.samples.iter().filter(fits).copied().collect();
        places.extend(
            now.into_iter()
                .filter(|sample| !self.samples.contains(sample)),
        );
        let mut first = None;
        let mut bytes = 0;
        for sample in &places {
            let found = read(&medium, *sample)?;
            let erased = self.erased_byte(&found, *sample)?;
            let first = *first.get_or_insert(erased);
            if erased != first {
                return Err(ProofError::Uneven {
                    first,
                    other: erased,
                    offset: sample.offset,
                });
            }
            bytes += sample.length;
        }
        Ok(Evidence {
            samples: places.len(),
            bytes,
            // There is a sample, so there is a first.
            erased_byte: first.unwrap_or_default(),
        })
    }

    /// The byte that these are all of.
    fn erased_byte(&self, found: &[u8], sample: Sample) -> Result<u8, ProofError> {
        let first = found.first().copied().unwrap_or_default();
        let Some(strange) = found.iter().position(|byte| *byte != first) else {
            return Ok(first);
        };
        // The piece of it that a sector began with is enough to know the marker.
        let marker = self.content(sample);
        let is_marker = found
            .chunks_exact(SECTOR)
            .zip(marker.chunks_exact(SECTOR))
            .any(|(found, marker)| found[..32] == marker[..32]);
        let at = sample.offset + (strange / SECTOR * SECTOR) as u64;
        Err(if is_marker {
            ProofError::StillThere(at)
        } else {
            ProofError::NotErased(at)
        })
    }

    fn content(&self, sample: Sample) -> AlignedBuffer {
        // At most [`END`].
        let mut buffer = AlignedBuffer::zeroed(sample.length as usize);
        self.marker.fill(sample.offset, &mut buffer);
        buffer
    }
}

impl Evidence {
    /// For the record of the erase.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "samples": self.samples, "sampled_bytes": self.bytes,
            "erased_byte": format!("{:#04x}", self.erased_byte),
        })
    }
}

/// Both ends, and places in between at even distances; the whole of a small disk.
fn samples(size: u64) -> Vec<Sample> {
    if size < 2 * END + PIECES * PIECE {
        let pieces = size / PIECE;
        let mut all: Vec<Sample> = (0..pieces)
            .map(|piece| Sample {
                offset: piece * PIECE,
                length: PIECE,
            })
            .collect();
        let rest = size % PIECE / 512 * 512;
        if rest > 0 {
            all.push(Sample {
                offset: pieces * PIECE,
                length: rest,
            });
        }
        return all;
    }
    let mut places = vec![Sample {
        offset: 0,
        length: END,
    }];
    let distance = (size - 2 * END) / PIECES;
    places.extend((0..PIECES).map(|piece| Sample {
        offset: (END + piece * distance) / ALIGNMENT as u64 * ALIGNMENT as u64,
        length: PIECE,
    }));
    // A disk's size is a multiple of its sector, and so is a MiB.
    places.push(Sample {
        offset: size - END,
        length: END,
    });
    places
}

fn read(medium: &Medium, sample: Sample) -> Result<AlignedBuffer, ProofError> {
    let mut buffer = AlignedBuffer::zeroed(sample.length as usize);
    medium
        .read(sample.offset, &mut buffer)
        .map_err(failed("read", sample.offset))?;
    Ok(buffer)
}

fn failed(what: &'static str, offset: u64) -> impl FnOnce(io::Error) -> ProofError {
    move |source| ProofError::Medium {
        what,
        offset,
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::FileExt;

    use proptest::prelude::proptest;

    use super::*;

    const SIZE: u64 = 8 << 20;

    struct Disk(tempfile::TempDir);

    impl Disk {
        fn new(size: u64) -> Self {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("disk"), vec![0x5a; size as usize]).unwrap();
            Self(folder)
        }

        fn path(&self) -> std::path::PathBuf {
            self.0.path().join("disk")
        }

        fn fill(&self, byte: u8, size: u64) {
            fs::write(self.path(), vec![byte; size as usize]).unwrap();
        }

        fn write(&self, offset: u64, bytes: &[u8]) {
            let file = fs::OpenOptions::new()
                .write(true)
                .open(self.path())
                .unwrap();
            file.write_all_at(bytes, offset).unwrap();
        }
    }

    #[test]
    fn an_erased_disk_is_proven_whatever_its_erased_byte_and_size() {
        for (byte, size) in [(0, SIZE), (0xff, SIZE), (0, SIZE / 2), (0, SIZE * 2)] {
            let disk = Disk::new(SIZE);
            let marked = mark(&disk.path()).unwrap();
            disk.fill(byte, size);
            let evidence = marked.prove(&disk.path()).unwrap();
            assert_eq!(evidence.erased_byte, byte);
            assert!(evidence.bytes >= 2 * END, "{evidence:?}");
        }
    }

    #[test]
    fn a_disk_that_nothing_was_done_to_is_found_out() {
        let disk = Disk::new(SIZE);
        let marked = mark(&disk.path()).unwrap();
        let error = marked.prove(&disk.path()).unwrap_err();
        assert!(matches!(error, ProofError::StillThere(0)), "{error}");
    }

    #[test]
    fn what_is_left_anywhere_in_a_sample_is_found_out() {
        let places = samples(SIZE);
        for (number, place) in places.iter().enumerate() {
            let disk = Disk::new(SIZE);
            let marked = mark(&disk.path()).unwrap();
            disk.fill(0, SIZE);
            let at = place.offset + place.length - 512;
            let kept = marked.content(*place)[place.length as usize - 512..].to_vec();
            disk.write(at, &kept);
            let error = marked.prove(&disk.path()).unwrap_err();
            assert!(
                matches!(error, ProofError::StillThere(found) if found == at),
                "sample {number}: {error}"
            );
            disk.write(at, &[1]);
            disk.write(at + 1, &[0; 511]);
            let error = marked.prove(&disk.path()).unwrap_err();
            assert!(matches!(error, ProofError::NotErased(_)), "{error}");
        }
    }

    #[test]
    fn one_half_erased_otherwise_is_found_out() {
        let disk = Disk::new(SIZE);
        let marked = mark(&disk.path()).unwrap();
        disk.fill(0, SIZE);
        disk.write(SIZE - END, &vec![0xff; END as usize]);
        let error = marked.prove(&disk.path()).unwrap_err();
        assert!(
            matches!(error, ProofError::Uneven { other: 0xff, .. }),
            "{error}"
        );
    }

    #[test]
    fn a_disk_that_is_gone_or_empty_is_not_proven() {
        let disk = Disk::new(SIZE);
        let marked = mark(&disk.path()).unwrap();
        disk.fill(0, 0);
        let error = marked.prove(&disk.path()).unwrap_err();
        assert!(matches!(error, ProofError::TooSmall(0)), "{error}");
        fs::remove_file(disk.path()).unwrap();
        assert!(matches!(
            marked.prove(&disk.path()),
            Err(ProofError::Medium { .. })
        ));
        assert!(matches!(mark(&disk.path()), Err(ProofError::Medium { .. })));
    }

    proptest! {
        #[test]
        fn samples_lie_on_the_disk_and_cover_its_ends(sectors in 1_u64..(1 << 34)) {
            let size = sectors * 512;
            let places = samples(size);
            let mut end = 0;
            for place in &places {
                assert!(place.offset >= end && place.length > 0, "{size}: {places:?}");
                assert!(place.offset % 512 == 0 && place.length % 512 == 0);
                end = place.offset + place.length;
            }
            assert_eq!(places[0].offset, 0);
            assert_eq!(end, size);
        }
    }
}
