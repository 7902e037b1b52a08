//! One running step: what holds for all of its devices, and the turn of each.

mod passwords;
mod release;
mod running;
mod scopes;
mod side_by_side;
#[cfg(test)]
mod tests;
mod turn;

pub use running::{Aim, EraseStep, Foreseen, Order};
pub use side_by_side::{Outcome, in_parallel};
