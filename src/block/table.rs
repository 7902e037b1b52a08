//! A disk's partition table, whichever of the two kinds it is.

use std::ops::Range;

use tracing::warn;

use super::gpt::Gpt;
use super::mbr::Mbr;
use super::partition::Partition;
use super::table_error::TableError;
use crate::sys::block_device::Medium;

/// The partition table of a disk.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Table {
    /// GUID partition table.
    Gpt(Gpt),
    /// Master boot record.
    Mbr(Mbr),
}

impl Table {
    /// Read the table.
    ///
    /// As for the kernel, it is a GPT where the MBR says so with a protective entry.
    pub(crate) fn read(medium: &dyn Medium) -> Result<Self, TableError> {
        let mbr = Mbr::read(medium)?;
        if !mbr.is_protective() {
            return Ok(Self::Mbr(mbr));
        }
        if !mbr.leads_to_gpt() {
            return Err(TableError::damaged(
                "its protective entry does not begin with block 1, so that neither Linux nor \
                 firmware looks for a GPT",
            ));
        }
        Ok(Self::Gpt(Gpt::read(medium)?))
    }

    /// All partitions, by number.
    pub(crate) fn partitions(&self) -> Vec<Partition> {
        match self {
            Self::Gpt(gpt) => gpt.partitions(),
            Self::Mbr(mbr) => mbr.partitions(),
        }
    }

    /// The bytes of its disk that the table itself takes, all copies of it, in no order. Boot code is in the first
    /// block, too.
    pub(crate) fn places(&self) -> Vec<Range<u64>> {
        match self {
            Self::Gpt(gpt) => gpt.places(),
            Self::Mbr(mbr) => mbr.places(),
        }
    }
}

impl Table {
    /// Move the backup of a GPT to the disk's end, and have its protective entry cover the disk: an
    /// image is nearly always smaller than the disk it goes to. An MBR fits as it is.
    pub(crate) fn fit_to_disk(&mut self, medium: &dyn Medium) -> Result<(), TableError> {
        let Self::Gpt(gpt) = self else {
            return Ok(());
        };
        if let Some(damage) = gpt.damage() {
            warn!(
                damage,
                "the image's first GPT is damaged, its backup is used"
            );
        } else if gpt.fits_disk() {
            return Ok(());
        }
        gpt.move_backup_to_end()?;
        gpt.write(medium)?;
        let mut mbr = Mbr::read(medium)?;
        if mbr.protect_whole_disk() {
            mbr.write(medium)?;
        }
        Ok(())
    }

    /// Write a table that was made anew, the record that leads to a GPT last, and see that its partitions are
    /// there.
    pub(crate) fn write_new(&self, medium: &dyn Medium) -> Result<(), TableError> {
        medium.flush()?;
        match self {
            Self::Gpt(table) => {
                table.write(medium)?;
                medium.flush()?;
                Mbr::protective(medium).write(medium)?;
            }
            Self::Mbr(table) => table.write(medium)?,
        }
        medium.flush()?;
        let found = Self::read(medium)?.partitions();
        // Behind them come slices, which a file system may look like it had.
        if !found.starts_with(&self.partitions()) {
            return Err(TableError::damaged(
                "the disk does not hold what was just written to it",
            ));
        }
        Ok(())
    }

    /// Whether Linux finds the partitions of this table on its disk as it is.
    pub(crate) fn is_taken_by_linux(&self) -> bool {
        match self {
            Self::Gpt(gpt) => gpt.is_taken_by_linux(),
            Self::Mbr(_) => true,
        }
    }
}
