//! The root partition of a partition image, on the disk that it was deployed to.

use super::efi_partitions::is_of;
use crate::block::partition::Partition;
use crate::block::probe;
use crate::block::table::Table;
use crate::block::table_error::TableError;
use crate::sys::block_device::Medium;

/// The file systems that systems lie in.
const KINDS: [&str; 3] = ["ext4", "xfs", "btrfs"];

/// The root partition, with the UUID of its file system, by which GRUB and the kernel are to find it, and the features
/// of that ([`probe::FileSystem::features`]).
pub(super) struct ImageRoot {
    pub(super) partition: Partition,
    pub(super) uuid: String,
    pub(super) features: u32,
}

impl ImageRoot {
    /// All partitions that could be it: with a file system that holds systems, and with a UUID.
    ///
    /// # Errors
    /// The disk could not be read.
    pub(super) fn all(medium: &dyn Medium, table: &Table) -> Result<Vec<Self>, TableError> {
        let mut found = Vec::new();
        for partition in table.partitions() {
            let system = probe::file_system(medium, partition.offset, partition.length)?;
            let system = system.filter(|system| KINDS.contains(&system.kind));
            if let Some((uuid, features)) =
                system.and_then(|system| Some((system.uuid?, system.features)))
            {
                found.push(Self {
                    partition,
                    uuid,
                    features,
                });
            }
        }
        Ok(found)
    }

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
        let mut found: Vec<(Partition, Option<(String, u32)>)> = Vec::new();
        for partition in table.partitions() {
            let system = probe::file_system(medium, partition.offset, partition.length)?
                .and_then(|found| Some((found.uuid?, found.features)));
            let is_named = system
                .as_ref()
                .is_some_and(|(uuid, _)| uuid.eq_ignore_ascii_case(wanted));
            if Some(partition.number) != but && (is_named || is_of(&partition, wanted)) {
                found.push((partition, system));
            }
        }
        let not_told_apart = |reason| TableError::Damaged { reason };
        match found.as_slice() {
            [] => Ok(None),
            [(partition, Some((uuid, features)))] => Ok(Some(Self {
                partition: partition.clone(),
                uuid: uuid.clone(),
                features: *features,
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
