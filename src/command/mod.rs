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

use std::path::PathBuf;
use std::sync::Arc;

use farrier_plugin::{ManagerError, Node};
use tokio::sync::mpsc::UnboundedSender;

use crate::config;
use crate::hardware::Managers;
use crate::sys::power::{self, PowerError, Transition};

mod clean;
mod context;
mod deploy;
mod document;
mod echo;
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
mod service;
mod standby;
mod steps;
mod system;
mod table;

#[cfg(test)]
pub(crate) mod fake;

pub use document::{DOCUMENT_LIMIT, DocumentError};
#[cfg(test)]
pub(crate) use journal::interrupted_in;
pub use journal::{JournalError, LAST_EXIT};
pub use outcome::{Command, ErrorObject, Outcome, Status};
pub use pace::Pace;
pub use request::{Request, RequestError};
pub use table::CommandTable;

/// What the commands need from the agent.
pub struct Environment {
    /// The hardware managers.
    pub managers: Arc<Managers>,
    /// The options in force.
    pub options: config::Live,
    /// Where news for the agent goes.
    pub signals: UnboundedSender<Signal>,
    /// Where the journal is kept: a directory on tmpfs, `/run/farrier` in the ramdisk.
    pub state_directory: PathBuf,
    /// Looks the node up once more and gives what the conductor says about it now, or `None` where
    /// that failed (contract/control-plane 2.4, later re-lookup). Blocks.
    pub relookup: Box<dyn Fn() -> Option<Node> + Send + Sync>,
    /// How the machine ends.
    pub shutdown: Shutdown,
}

/// How the machine ends: the parts of contract/control-plane 10.6 that are not the command's.
pub struct Shutdown {
    /// Sets the clock and stores it in the hardware clock, before anything else. An error ends the
    /// command: where the options tolerate a wrong clock, this answers `Ok`.
    pub set_clock: Box<dyn Fn() -> Result<(), ManagerError> + Send + Sync>,
    /// Reboots or powers off.
    pub request: Box<dyn Fn(Transition) -> Result<(), PowerError> + Send + Sync>,
}

impl Default for Shutdown {
    /// The real one, with a clock that is left as it is.
    fn default() -> Self {
        Self {
            set_clock: Box::new(|| Ok(())),
            request: Box::new(power::request),
        }
    }
}

/// News from the commands to the agent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Signal {
    /// A command ended: the conductor should hear of it at once.
    HeartbeatNow,
    /// Stop serving, take the network down and stay (contract/control-plane 6.11).
    LockDown,
}
