//! Hardware managers outside the agent: each a process that speaks `docs/plugin-protocol.md`.
//!
//! Nothing that such a process does can do more than fail one command by name: it is started with
//! bounds on memory and processes, its messages are bounded and checked, every call has an end, and
//! what breaks a rule is killed with everything it started.

mod answers;
mod call;
mod call_clock;
mod callbacks;
mod check;
mod connection;
mod error;
mod finder;
mod installed;
mod keeper;
mod limits;
mod manager;
mod methods;
mod stderr;
mod turns;

#[cfg(test)]
mod library_tests;
#[cfg(test)]
mod tests;

pub(super) use answers::Devices;
pub(crate) use check::{Finding, check};
use error::PluginError;
use finder::{Found, find};
pub(super) use installed::Installed;
pub(crate) use installed::Refused;
pub(super) use limits::Limits;
pub(super) use manager::PluginManager;
