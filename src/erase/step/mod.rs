//! One running step: what holds for all of its devices, and the turn of each.

mod array_members;
mod beside_arrays;
mod method_run;
mod passwords;
mod release;
mod running;
mod scopes;
mod side_by_side;
#[cfg(test)]
mod tests;
mod turn;

pub(crate) use passwords::passwords_left;
pub(crate) use running::{Aim, EraseStep, Foreseen, Order};
pub(crate) use side_by_side::in_parallel;
