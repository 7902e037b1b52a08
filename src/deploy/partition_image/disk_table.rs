//! The partition table of a partition image: what is kept of the old one, what is blanked before the
//! first byte of the image, and the new one, which is written last.

use std::ops::Range;

use uuid::Uuid;

use super::super::error::DeployError;
use super::layout::{Layout, Place, Role};
use crate::block::boot_mode::DiskLabel;
use crate::block::gpt::{self, Gpt};
use crate::block::mbr::{self, Mbr};
use crate::block::partition::Partition;
use crate::block::superblocks;
use crate::block::table::Table;
use crate::block::table_error::TableError;
use crate::sys::block_device::{DiskError, Medium};

/// What parted calls each partition.
const NAME: &str = "primary";

/// Bytes of boot code in a master boot record; the disk's signature and the table are behind them.
const BOOT_CODE: u64 = 440;

/// Where the gap behind a master boot record ends, in which GRUB has its core image.
const GAP_END: u64 = 1 << 20;

/// A disk with an ephemeral partition that stays.
pub(super) struct Kept {
    table: Table,
    ephemeral: Partition,
    /// The signature in the disk's master boot record.
    signature: u32,
}

impl Kept {
    /// The ephemeral partition that stands in the disk's table, where it is the one of this layout:
    /// in the same kind of table under the same number in the same place. What lies behind it may
    /// differ, since a config drive may have come, gone or grown.
    pub(super) fn find(
        medium: &dyn Medium,
        device: &str,
        layout: &Layout,
        ephemeral: &Place,
    ) -> Result<Self, DeployError> {
        let lost = |why: String| DeployError::Preserve {
            device: device.to_owned(),
            why,
        };
        let table = Table::read(medium).map_err(|error| lost(error.to_string()))?;
        let label = match &table {
            Table::Gpt(_) => DiskLabel::Gpt,
            Table::Mbr(_) => DiskLabel::Msdos,
        };
        if label != layout.label {
            return Err(lost(format!(
                "the disk has a partition table of the kind {}, and this deploy one of the kind {}",
                label.name(),
                layout.label.name()
            )));
        }
        let found = table
            .partitions()
            .into_iter()
            .find(|partition| partition.number == ephemeral.number);
        let is_it = |partition: &Partition| {
            (partition.offset, partition.length) == (ephemeral.offset, ephemeral.length)
        };
        let wanted = format!(
            "it would be partition {} of {} MiB from MiB {} on",
            ephemeral.number,
            ephemeral.length >> 20,
            ephemeral.offset >> 20
        );
        match found {
            Some(ephemeral) if is_it(&ephemeral) => Ok(Self {
                signature: Mbr::read(medium)
                    .map_err(|error| lost(error.to_string()))?
                    .disk_signature(),
                table,
                ephemeral,
            }),
            Some(other) => Err(lost(format!(
                "{wanted}, and that has {} bytes from byte {} on",
                other.length, other.offset
            ))),
            None => Err(lost(format!(
                "{wanted}, and the disk has none of that number"
            ))),
        }
    }
}

/// Make sure that nothing boots from the disk any more, and that nothing is found in its new
/// partitions that was there before: the places where boot code and superblocks lie become zeros,
/// of the disk and of every partition. Of a disk whose ephemeral partition stays the table does,
/// too, until the new one replaces it.
pub(super) fn blank(
    medium: &dyn Medium,
    layout: &Layout,
    kept: Option<&Kept>,
) -> Result<(), DiskError> {
    let mut ranges: Vec<Range<u64>> = Vec::new();
    match kept {
        None => ranges.extend(superblocks::places(medium.size())),
        Some(kept) => {
            ranges.push(0..BOOT_CODE);
            if matches!(kept.table, Table::Mbr(_)) {
                let block = u64::from(medium.logical_block_size());
                ranges.push(block..GAP_END);
            }
            for old in kept.table.partitions() {
                ranges.extend(within(old.offset, old.length));
            }
        }
    }
    for place in &layout.places {
        ranges.extend(within(place.offset, place.length));
    }
    for range in ranges {
        let is_kept = kept.is_some_and(|Kept { ephemeral, .. }| {
            range.start < ephemeral.offset + ephemeral.length && ephemeral.offset < range.end
        });
        let end = range.end.min(medium.size());
        if !is_kept && range.start < end {
            medium.zero_range(range.start, end - range.start)?;
        }
    }
    medium.flush()
}

fn within(offset: u64, length: u64) -> impl Iterator<Item = Range<u64>> {
    superblocks::places(length)
        .into_iter()
        .map(move |place| offset + place.start..offset + place.end)
}

/// The new table, in memory.
pub(super) struct NewTable {
    table: Table,
    /// One for each place of the layout, in its order.
    partitions: Vec<Partition>,
}

impl NewTable {
    /// A table with this layout. The disk and the ephemeral partition that is kept keep the GUIDs
    /// and the signature that they are known by.
    pub(super) fn of(
        medium: &dyn Medium,
        layout: &Layout,
        kept: Option<&Kept>,
    ) -> Result<Self, TableError> {
        let mut partitions = Vec::new();
        match layout.label {
            DiskLabel::Gpt => {
                let disk = match kept.map(|kept| &kept.table) {
                    Some(Table::Gpt(old)) => old.disk_guid(),
                    _ => Uuid::new_v4(),
                };
                let mut table = Gpt::new(medium, disk)?;
                for place in &layout.places {
                    let old = kept.filter(|_| place.role == Role::Ephemeral);
                    let guid = old.and_then(|kept| kept.ephemeral.guid);
                    partitions.push(table.add(
                        place.number,
                        place.offset,
                        place.length,
                        type_guid(place.role),
                        guid.unwrap_or_else(Uuid::new_v4),
                        NAME,
                    )?);
                }
                Ok(Self {
                    table: Table::Gpt(table),
                    partitions,
                })
            }
            DiskLabel::Msdos => {
                // Zero would be no signature at all.
                let signature = match kept.map_or(0, |kept| kept.signature) {
                    0 => Uuid::new_v4().as_fields().0.max(1),
                    signature => signature,
                };
                let mut table = Mbr::new(medium, signature);
                for place in &layout.places {
                    partitions.push(table.add(
                        place.number,
                        place.offset,
                        place.length,
                        type_byte(place.role),
                        place.role == Role::Root,
                    )?);
                }
                Ok(Self {
                    table: Table::Mbr(table),
                    partitions,
                })
            }
        }
    }

    /// The table itself.
    pub(super) fn into_table(self) -> Table {
        self.table
    }

    /// The partition for this, if there is one.
    pub(super) fn partition(&self, layout: &Layout, role: Role) -> Option<&Partition> {
        let index = layout.places.iter().position(|place| place.role == role)?;
        self.partitions.get(index)
    }

    /// What the kernel calls PARTUUID.
    pub(super) fn partition_uuid(&self, partition: &Partition) -> String {
        match (&self.table, partition.guid) {
            (_, Some(guid)) => guid.to_string(),
            (Table::Mbr(table), None) => {
                format!("{:08x}-{:02x}", table.disk_signature(), partition.number)
            }
            (Table::Gpt(_), None) => String::new(),
        }
    }

    /// Write it, the record that leads to a GPT last, and see that it is there.
    pub(super) fn write(&self, medium: &dyn Medium) -> Result<(), TableError> {
        self.table.write_new(medium)
    }
}

fn type_guid(role: Role) -> Uuid {
    match role {
        Role::EfiSystem => gpt::EFI_SYSTEM,
        Role::BiosBoot => gpt::BIOS_BOOT,
        Role::Swap => gpt::LINUX_SWAP,
        Role::Ephemeral | Role::ConfigDrive | Role::Root => gpt::LINUX_FILE_SYSTEM,
    }
}

fn type_byte(role: Role) -> u8 {
    match role {
        Role::EfiSystem => mbr::EFI_SYSTEM,
        Role::Swap => mbr::LINUX_SWAP,
        Role::BiosBoot | Role::Ephemeral | Role::ConfigDrive | Role::Root => mbr::LINUX,
    }
}
