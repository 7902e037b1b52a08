//! The commands that the conductor gives: the table of those that ran, the journal that outlives
//! the agent, and one file for each extension (contract/control-plane 5.3, 5.4 and 6).
//!
//! ```text
//! api ── Request ──▶ CommandTable ──▶ extension's file ──▶ hardware
//!                        │  ▲                │
//!                     Journal └── Command ◀──┘ outcome, progress
//! ```
//!
//! A command is journalled, runs, is journalled again and only then shows its end: whoever reads
//! the list after a crash of the agent finds every command that was running, as failed.

mod clean;
mod context;
mod definition;
mod deploy;
mod document;
mod echo;
mod environment;
mod flow;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod image;
mod journal;
mod log;
mod omission;
mod outcome;
mod pace;
mod parameters;
mod poll;
mod registry;
mod request;
mod rescue;
mod results;
#[cfg(test)]
pub(crate) mod schema;
mod service;
mod standby;
mod steps;
mod system;
mod table;
mod words;

#[cfg(test)]
pub(crate) mod fake;

pub(crate) use document::DocumentError;
pub use environment::{Environment, Shutdown};
pub(crate) use environment::{OpenRescue, Signal, TokenlessRead};
#[cfg(test)]
pub(crate) use journal::interrupted_in;
pub(crate) use journal::{JournalError, LAST_EXIT};
pub(crate) use outcome::{Command, CutOff, ErrorObject};
pub(crate) use pace::Pace;
pub(crate) use request::{Request, RequestError};
pub use table::CommandTable;
