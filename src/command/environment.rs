//! What the commands need from the agent, and what they tell it.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use farrier_plugin::{ManagerError, Node};
use tokio::sync::mpsc::UnboundedSender;

use crate::config;
use crate::hardware::Managers;
use crate::sys::power::{self, PowerError, Transition};

/// What lets the user of a rescue in, by the crypt(5) hash of the password.
pub(crate) type OpenRescue = dyn Fn(&str) -> Result<(), ManagerError> + Send + Sync;

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
    /// Lets the user `rescue` in with the password of this crypt(5) hash, and answers when that user can log in; or leaves
    /// everything as it was. Blocks.
    pub open_rescue: Box<OpenRescue>,
    /// What the machine shows of an erase that was cut short, for the errors of erases that ended so.
    pub left_behind: Option<String>,
}

impl Environment {
    /// Tell the agent. There is nobody to tell once it is ending.
    pub(super) fn send(&self, signal: Signal) {
        let _ = self.signals.send(signal);
    }
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

/// News for the agent, from the commands and from where they are asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Signal {
    /// A command ended: the conductor should hear of it at once.
    HeartbeatNow,
    /// Stop serving, take the network down and stay (contract/control-plane 6.11).
    LockDown,
    /// Stop serving for good: the machine is the rescue user's (contract/control-plane 10.2).
    Rescued,
    /// Somebody read results without the token: a person should hear of it.
    Read(TokenlessRead),
}

/// Results were read without the token (contract/control-plane 5.7). Told at most four times in an agent's life: once of
/// each kind.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TokenlessRead {
    /// Who.
    pub peer: IpAddr,
    /// Whether this address is known to be a conductor's.
    pub is_conductor: bool,
    /// Whether it was answered.
    pub is_admitted: bool,
}
