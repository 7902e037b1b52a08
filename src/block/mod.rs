//! Block devices: listing, root device hints, partition tables, rescan, settling.

mod by_path;
mod hint_expression;
pub mod hints;
mod identity;
pub mod list;
#[cfg(test)]
mod machines;
mod raid_name;
pub mod settle;
pub mod skip;
mod transport;
pub mod udev;
mod vpd;

pub use hint_expression::ExpressionError;
pub use raid_name::RaidName;
