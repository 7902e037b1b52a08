//! Block devices: listing, root device hints, partition tables, rescan, settling.

mod by_path;
pub mod fat;
pub mod fat_writer;
#[cfg(test)]
pub(crate) mod fixture;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod gap;
pub mod gpt;
#[cfg(test)]
mod hint_cases;
mod hint_expression;
pub mod hints;
pub mod holders;
mod identity;
pub mod iso9660;
#[cfg(test)]
mod kernel_cases;
pub mod list;
#[cfg(test)]
mod machines;
pub mod mbr;
#[cfg(test)]
mod oracle;
pub mod partition;
pub mod probe;
mod raid_name;
pub mod rescan;
pub mod settle;
pub mod skip;
mod slices;
pub mod table;
pub mod table_error;
mod transport;
pub mod udev;
pub(crate) mod virtual_media;
mod vpd;
