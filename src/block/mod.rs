//! Block devices: listing, root device hints, partition tables, rescan, settling.

pub mod fat;
#[cfg(test)]
pub(crate) mod fixture;
pub mod gpt;
mod hint_expression;
pub mod hints;
pub mod holders;
mod identity;
pub mod list;
pub mod mbr;
pub mod probe;
pub mod rescan;
pub mod table;
mod transport;
pub mod udev;
mod vpd;

pub use hint_expression::ExpressionError;
