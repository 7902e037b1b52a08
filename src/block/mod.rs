//! Block devices: listing, root device hints, partition tables, rescan, settling.

pub(crate) mod boot_mode;
mod by_path;
pub(crate) mod exclusive;
pub(crate) mod fat;
pub(crate) mod fat_writer;
#[cfg(test)]
pub(crate) mod fixture;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod gap;
pub(crate) mod gpt;
#[cfg(test)]
mod hint_cases;
mod hint_expression;
pub(crate) mod hints;
pub(crate) mod holders;
mod identity;
pub(crate) mod in_use;
pub(crate) mod iso9660;
#[cfg(test)]
mod kernel_cases;
pub(crate) mod list;
#[cfg(test)]
mod machines;
pub(crate) mod mbr;
#[cfg(test)]
mod oracle;
pub(crate) mod partition;
pub(crate) mod partition_maps;
pub(crate) mod probe;
pub(crate) mod raid_name;
pub(crate) mod raid_superblock;
pub(crate) mod raid_verdict;
pub(crate) mod rescan;
pub(crate) mod settle;
pub(crate) mod shared_file_system;
pub(crate) mod signatures;
pub(crate) mod skip;
mod slices;
pub(crate) mod stack;
pub(crate) mod superblocks;
pub(crate) mod table;
pub(crate) mod table_error;
pub(crate) mod take_apart;
mod transport;
pub(crate) mod udev;
pub(crate) mod virtual_media;
mod vpd;
pub(crate) mod wipe;
