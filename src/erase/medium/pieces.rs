//! Pieces of a disk as one medium, so that they are erased and proven as a whole disk is.

use std::ops::Range;

use crate::erase::error::EraseError;
use crate::sys::block_device::{DiskError, Medium};

/// Ranges of a medium, one behind the other. Nothing else of it is read or written.
pub(in crate::erase) struct Pieces<'a> {
    medium: &'a dyn Medium,
    /// Ascending, of whole blocks, none over another.
    pieces: &'a [Range<u64>],
}

impl<'a> Pieces<'a> {
    /// These ranges, in bytes: ascending and apart from one another, of whole blocks.
    pub(in crate::erase) fn of(medium: &'a dyn Medium, pieces: &'a [Range<u64>]) -> Self {
        Self { medium, pieces }
    }

    /// The ranges of the medium under these bytes of the pieces, in order.
    pub(in crate::erase) fn places(&self, offset: u64, length: u64) -> Vec<Range<u64>> {
        let wanted = offset..offset.saturating_add(length);
        let mut before = 0;
        let mut places = Vec::new();
        for piece in self.pieces {
            let here = before..before + (piece.end - piece.start);
            let common = wanted.start.max(here.start)..wanted.end.min(here.end);
            if !common.is_empty() {
                let first = piece.start + (common.start - here.start);
                places.push(first..first + (common.end - common.start));
            }
            before = here.end;
        }
        places
    }

    /// The same error, told of a place on the medium.
    pub(in crate::erase) fn placed(&self, error: EraseError) -> EraseError {
        let on_medium = |offset| {
            let place = self.places(offset, 1).into_iter().next();
            place.map_or(offset, |place| place.start)
        };
        match error {
            EraseError::Survived { device, offset } => EraseError::Survived {
                device,
                offset: on_medium(offset),
            },
            EraseError::Forgetful { device, offset } => EraseError::Forgetful {
                device,
                offset: on_medium(offset),
            },
            other => other,
        }
    }

    /// Do it for each range of the medium, with the part of a buffer that it belongs to.
    fn each(
        &self,
        offset: u64,
        length: u64,
        mut act: impl FnMut(&Range<u64>, Range<usize>) -> Result<(), DiskError>,
    ) -> Result<(), DiskError> {
        let mut done = 0;
        for place in self.places(offset, length) {
            let count = (place.end - place.start) as usize;
            act(&place, done..done + count)?;
            done += count;
        }
        Ok(())
    }
}

impl Medium for Pieces<'_> {
    fn size(&self) -> u64 {
        self.pieces
            .iter()
            .map(|piece| piece.end - piece.start)
            .sum()
    }

    fn logical_block_size(&self) -> u32 {
        self.medium.logical_block_size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), DiskError> {
        self.each(offset, buffer.len() as u64, |place, part| {
            self.medium.read_at(place.start, &mut buffer[part])
        })
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), DiskError> {
        self.each(offset, data.len() as u64, |place, part| {
            self.medium.write_at(place.start, &data[part])
        })
    }

    fn zero_range(&self, offset: u64, length: u64) -> Result<(), DiskError> {
        self.each(offset, length, |place, _| {
            self.medium.zero_range(place.start, place.end - place.start)
        })
    }

    fn flush(&self) -> Result<(), DiskError> {
        self.medium.flush()
    }
}

#[cfg(test)]
mod tests {
    use farrier_plugin::SilentContext;
    use proptest::prelude::*;

    use super::*;
    use crate::erase::medium::fake::{FakeMedium, Fault};
    use crate::erase::medium::overwrite::{Passes, overwrite};

    const SIZE: u64 = 24 << 20;
    const PASSES: Passes = Passes {
        random: 1,
        zeros: true,
    };

    #[test]
    fn a_fault_in_a_piece_is_told_by_its_place_on_the_disk_and_nothing_beside_is_written() {
        let pieces = [4096..8192, 1 << 20..9 << 20, SIZE - 512..SIZE];
        let faults = [
            (
                Fault::Drops {
                    range: 2 << 20..3 << 20,
                    after: 0,
                },
                "byte 2097152",
            ),
            (
                Fault::Write(2 << 20..(2 << 20) + 512, libc::EIO),
                "os error 5",
            ),
            (Fault::Flush { after: 0 }, "os error 5"),
        ];
        for (fault, told) in faults {
            let disk = FakeMedium::new(SIZE, vec![fault]);
            let view = Pieces::of(&disk, &pieces);
            let error = overwrite(&view, "/dev/sda", PASSES, &SilentContext).unwrap_err();
            let error = farrier_plugin::chain(&view.placed(error));
            assert!(error.contains(told), "{error}");
            let bytes = disk.bytes();
            for kept in [0..4096, 8192..1 << 20, 9 << 20..SIZE - 512] {
                assert!(
                    bytes[kept.start as usize..kept.end as usize]
                        .iter()
                        .all(|byte| *byte == 0x5a)
                );
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever the pieces are, all of them is gone, and nothing else.
        #[test]
        fn exactly_the_pieces_are_overwritten(cuts in proptest::collection::btree_set(0_u64..400, 0..20)) {
            let cuts: Vec<u64> = cuts.into_iter().map(|cut| cut * 512).collect();
            let pieces: Vec<Range<u64>> = cuts.chunks_exact(2).map(|pair| pair[0]..pair[1]).collect();
            let disk = FakeMedium::new(400 * 512, Vec::new());
            overwrite(&Pieces::of(&disk, &pieces), "/dev/sda", PASSES, &SilentContext).unwrap();
            for (offset, byte) in disk.bytes().iter().enumerate() {
                let is_in = pieces.iter().any(|piece| piece.contains(&(offset as u64)));
                prop_assert_eq!(*byte, if is_in { 0 } else { 0x5a });
            }
        }
    }
}
