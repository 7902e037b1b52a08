//! The partition table of a disk with members of arrays: as parted makes it for the reference, so that a node that
//! either has made looks the same to the other.

use std::ops::Range;

use uuid::Uuid;

use super::layout::Division;
use super::member_mark;
use crate::block::boot_mode::DiskLabel;
use crate::block::gpt::{self, Gpt};
use crate::block::mbr::{self, Mbr};
use crate::block::partition::{Partition, PartitionKind};
use crate::block::superblocks;
use crate::block::table::Table;
use crate::block::table_error::TableError;
use crate::sys::block_device::{DiskError, Medium};

/// What parted calls each partition.
const NAME: &str = "primary";

/// A new table with these partitions, in memory.
pub(super) fn new_table(medium: &dyn Medium, division: &Division<'_>) -> Result<Table, TableError> {
    match division.label {
        DiskLabel::Gpt => {
            let mut table = Gpt::new(medium, Uuid::new_v4())?;
            for place in &division.places {
                table.add(
                    place.number,
                    place.offset,
                    place.length,
                    gpt::LINUX_FILE_SYSTEM,
                    Uuid::new_v4(),
                    NAME,
                )?;
            }
            Ok(Table::Gpt(table))
        }
        DiskLabel::Msdos => {
            // Zero would be no signature at all.
            let mut table = Mbr::new(medium, Uuid::new_v4().as_fields().0.max(1));
            for place in &division.places {
                table.add(place.number, place.offset, place.length, mbr::LINUX, false)?;
            }
            Ok(Table::Mbr(table))
        }
    }
}

/// Make the places zeros where superblocks may lie, of the disk and of the partitions to come: what was there before
/// must be found in no partition, or udev and mdadm would make an array or a volume of it as soon as the table is
/// there. Each partition to come gets its mark.
pub(super) fn blank(medium: &dyn Medium, division: &Division<'_>) -> Result<(), DiskError> {
    let of_disk = superblocks::places(medium.size());
    let of_places = division.places.iter().flat_map(|place| {
        let ranges = superblocks::places(place.length).into_iter();
        ranges.map(|range| place.offset + range.start..place.offset + range.end)
    });
    for range in of_disk.into_iter().chain(of_places) {
        let end = range.end.min(medium.size());
        if range.start < end {
            medium.zero_range(range.start, end - range.start)?;
        }
    }
    for place in &division.places {
        member_mark::write(medium, place.offset)?;
    }
    medium.flush()
}

/// What is on a disk that is to be divided.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Found {
    /// No partition, by a table of a kind that is read here.
    Nothing,
    /// What a creation left that ended between table and array: a table such as [`new_table`] makes for this
    /// division, with nothing but its mark in each of its partitions.
    Begun,
    /// Partitions that somebody may want.
    Partitions,
}

/// Look for partitions on a disk.
pub(super) fn found(medium: &dyn Medium, division: &Division<'_>) -> Result<Found, TableError> {
    let table = match Table::read(medium) {
        Ok(table) => table,
        // No partition can be found by it.
        Err(TableError::Absent { .. } | TableError::Damaged { .. }) => return Ok(Found::Nothing),
        Err(error) => return Err(error),
    };
    let found = table.partitions();
    Ok(if found.is_empty() {
        Found::Nothing
    } else if is_of(&found, division) && are_unused(medium, &found)? {
        Found::Begun
    } else {
        Found::Partitions
    })
}

fn is_of(found: &[Partition], division: &Division<'_>) -> bool {
    let kind = match division.label {
        DiskLabel::Gpt => PartitionKind::Gpt(gpt::LINUX_FILE_SYSTEM),
        DiskLabel::Msdos => PartitionKind::Mbr(mbr::LINUX),
    };
    let places = division.places.iter();
    found.len() == division.places.len()
        && found.iter().zip(places).all(|(found, place)| {
            (found.number, found.offset, found.length, found.kind)
                == (place.number, place.offset, place.length, kind)
        })
}

/// Whether these partitions hold a mark, and nothing else where a file system, an array or a volume would be known by.
fn are_unused(medium: &dyn Medium, partitions: &[Partition]) -> Result<bool, DiskError> {
    const PIECE: u64 = 64 << 10;
    const MARK: Range<usize> =
        member_mark::PLACE as usize..member_mark::PLACE as usize + member_mark::LENGTH;
    let mut buffer = vec![0; PIECE as usize];
    for partition in partitions {
        for range in superblocks::places(partition.length) {
            let mut at = partition.offset + range.start;
            let end = (partition.offset + range.end).min(medium.size());
            while at < end {
                let piece = &mut buffer[..(end - at).min(PIECE) as usize];
                medium.read_at(at, piece)?;
                if at == partition.offset {
                    let mark = MARK.start..MARK.end.min(piece.len());
                    if !piece.get(mark.clone()).is_some_and(member_mark::is_mark) {
                        return Ok(false);
                    }
                    piece[mark].fill(0);
                }
                if piece.iter().any(|byte| *byte != 0) {
                    return Ok(false);
                }
                at += piece.len() as u64;
            }
        }
    }
    Ok(true)
}
