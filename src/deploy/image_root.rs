//! The root partition of a partition image, on the disk that it was deployed to.

use super::efi_partitions::is_of;
use crate::block::partition::Partition;
use crate::block::probe;
use crate::block::table::Table;
use crate::block::table_error::TableError;
use crate::sys::block_device::Medium;

/// The root partition, and the UUID of its file system, by which GRUB and the kernel are to find it.
pub(super) struct ImageRoot {
    pub(super) partition: Partition,
    pub(super) uuid: String,
}

impl ImageRoot {
    /// The partition that has this UUID, or whose file system has it; never the one with the number `but`.
    ///
    /// # Errors
    /// Its file system has none, or another partition has the same: what would be booted is anybody's guess.
    pub(super) fn find(
        medium: &dyn Medium,
        table: &Table,
        wanted: &str,
        but: Option<u32>,
    ) -> Result<Option<Self>, TableError> {
        let mut found: Vec<(Partition, Option<String>)> = Vec::new();
        for partition in table.partitions() {
            let uuid = probe::file_system(medium, partition.offset, partition.length)?
                .and_then(|found| found.uuid);
            let is_named = uuid
                .as_deref()
                .is_some_and(|uuid| uuid.eq_ignore_ascii_case(wanted));
            if Some(partition.number) != but && (is_named || is_of(&partition, wanted)) {
                found.push((partition, uuid));
            }
        }
        let not_told_apart = |reason| TableError::Damaged { reason };
        match found.as_slice() {
            [] => Ok(None),
            [(partition, Some(uuid))] => Ok(Some(Self {
                partition: partition.clone(),
                uuid: uuid.clone(),
            })),
            [(root, None)] => Err(not_told_apart(format!(
                "the file system of the root partition {} has no UUID by which it could be booted",
                root.number
            ))),
            [(one, _), (other, _), ..] => Err(not_told_apart(format!(
                "partitions {} and {} have the same UUID {wanted}: deploy without keeping the \
                 ephemeral partition, or give one of them another UUID",
                one.number, other.number
            ))),
        }
    }
}
