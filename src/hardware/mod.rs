//! Dispatch among hardware managers, their steps, and the generic manager.
//!
//! [`Managers`] is the door: the rooms above ask it, and it asks the managers in the order of their
//! support. The generic manager is one of them, and reaches `deploy`, `erase` and `inventory`.

mod disk_wait;
mod dispatch;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod generic;
mod logs;
mod managers;
mod plugin;
mod steps;

#[cfg(test)]
pub(crate) mod fake;

#[cfg(test)]
pub(crate) use generic::described_steps as generic_steps;
pub use managers::Managers;
pub(crate) use managers::RosterEntry;
pub(crate) use plugin::{Finding, Refused, check as check_plugin};
pub(crate) use steps::StepCall;
