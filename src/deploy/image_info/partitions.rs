//! What the conductor says about the partitions beside an image of one (contract/data-plane 1.2).

use super::super::error::DeployError;
use super::super::fields::{self, Fields};

/// The file system of an ephemeral partition for which none is named, as the conductor has it.
const DEFAULT_FORMAT: &str = "ext4";

/// Letters of a file system's name; the longest that Linux has are half as long.
const LONGEST_FORMAT: usize = 16;

/// The partitions that a partition image is to have around it. `root_gb`, `kernel`, `ramdisk`,
/// `boot_option` and `disk_label` are not read, as in the reference.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::deploy) struct PartitionWishes {
    /// MiB of the partition that the image goes to, at least 1.
    pub(in crate::deploy) root_mib: u64,
    /// MiB of the swap area; 0 is none.
    pub(in crate::deploy) swap_mib: u64,
    /// MiB of the ephemeral partition; 0 is none.
    pub(in crate::deploy) ephemeral_mib: u64,
    /// The ephemeral partition's file system: small letters, digits, `_` and `-`.
    pub(in crate::deploy) ephemeral_format: String,
    /// Keep the ephemeral partition with what is on it.
    pub(in crate::deploy) preserve_ephemeral: bool,
    /// Whether the result's message names the ESP (`deploy_boot_mode` is `uefi`); where the
    /// partitions lie is decided by the node.
    pub(in crate::deploy) names_esp: bool,
}

impl PartitionWishes {
    /// # Errors
    /// [`DeployError::Arguments`] with the field that is missing or is not what it must be.
    pub(super) fn parse(fields: Fields<'_>) -> Result<Self, DeployError> {
        let root_mib = match fields.whole_number("root_mb")? {
            Some(0) => return Err(fields.wrong("root_mb", "a whole number greater than 0")),
            Some(mib) => mib,
            None => return Err(fields::missing("root_mb")),
        };
        let ephemeral_format = fields
            .text_unless_empty("ephemeral_format")?
            .map_or_else(|| DEFAULT_FORMAT.to_owned(), |name| name.to_string());
        // It becomes a part of a program's name.
        let is_named = ephemeral_format.len() <= LONGEST_FORMAT
            && ephemeral_format.starts_with(|first: char| first.is_ascii_lowercase())
            && ephemeral_format.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte)
            });
        if !is_named {
            return Err(fields.wrong(
                "ephemeral_format",
                "the name of a file system, such as ext4",
            ));
        }
        Ok(Self {
            root_mib,
            swap_mib: fields.whole_number("swap_mb")?.unwrap_or(0),
            ephemeral_mib: fields.whole_number("ephemeral_mb")?.unwrap_or(0),
            ephemeral_format,
            preserve_ephemeral: fields.flag("preserve_ephemeral")?.unwrap_or(false),
            names_esp: fields.word("deploy_boot_mode").as_deref() == Some("uefi"),
        })
    }
}
