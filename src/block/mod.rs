//! Block devices: listing, root device hints, partition tables, rescan, settling.

mod hint_expression;
pub mod hints;
mod identity;
pub mod list;
mod transport;
pub mod udev;
mod vpd;

pub use hint_expression::ExpressionError;
