//! What can be wrong with a manager outside the agent.

use std::io;
use std::path::PathBuf;

use farrier_plugin::protocol::{Failure, MessageError};

/// Why a plugin is not used, or why a call of it has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(in crate::hardware) enum PluginError {
    /// A file or folder that others could have put there.
    #[error(
        "{path} is not used: it must belong to root, and nobody else may write to it (chown root, \
         chmod go-w)"
    )]
    Unprotected {
        /// The file or folder.
        path: PathBuf,
    },
    /// Neither a program nor a folder with one.
    #[error("{path} is not used: {why}")]
    NoProgram {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The kernel does not start it.
    #[error(
        "The hardware manager {name} could not be started ({path}); is it made for this machine, \
         and is its interpreter in the ramdisk?"
    )]
    Start {
        /// The plugin.
        name: String,
        /// Its program.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// Its answer to the greeting is none.
    #[error("The hardware manager {name} did not introduce itself: {why}")]
    Introduction {
        /// The plugin.
        name: String,
        /// What is wrong.
        why: String,
    },
    /// After a restart it is another.
    #[error(
        "The hardware manager {name} is dropped: after a restart it gave another name, version or \
         list of methods than before"
    )]
    Changed {
        /// The plugin.
        name: String,
    },
    /// It ended again and again.
    #[error(
        "The hardware manager {name} is dropped: it ended {times} times in a row; last, it {why}"
    )]
    KeepsEnding {
        /// The plugin.
        name: String,
        /// How often.
        times: u32,
        /// How it ended the last time.
        why: String,
    },
    /// It is not used any more.
    #[error("{why}")]
    Dropped {
        /// What was said of it then.
        why: String,
    },
    /// The process ended, or was ended because it broke a rule, during a call.
    #[error("The hardware manager {name} {why} during {method}")]
    Ended {
        /// The plugin.
        name: String,
        /// The call.
        method: String,
        /// What happened, as the rest of a sentence about it: `was killed by signal SIGSEGV`.
        why: String,
    },
    /// It did not answer in time, nor stop when it was told to, and was killed.
    #[error(
        "The hardware manager {name} did not answer {method} within {seconds} s and was killed"
    )]
    Deadline {
        /// The plugin.
        name: String,
        /// The call.
        method: String,
        /// The limit.
        seconds: u64,
    },
    /// It did not answer in time, and ended the call when it was told to stop.
    #[error(
        "The hardware manager {name} did not answer {method} within {seconds} s, and stopped when \
         it was told to"
    )]
    Overdue {
        /// The plugin.
        name: String,
        /// The call.
        method: String,
        /// The limit.
        seconds: u64,
    },
    /// Other calls were before this one until its deadline, or until it was cancelled.
    #[error(
        "The hardware manager {name} was not asked {method}: it was busy with other calls until \
         the deadline or the cancel"
    )]
    Busy {
        /// The plugin.
        name: String,
        /// The call.
        method: String,
    },
    /// The command was cancelled; where it did not stop by itself, it was killed.
    #[error(
        "The hardware manager {name} was killed: it did not stop {method} within {seconds} s of the cancel"
    )]
    Cancelled {
        /// The plugin.
        name: String,
        /// The call.
        method: String,
        /// The time that it was given.
        seconds: u64,
    },
    /// The request is too large for it.
    #[error("The request {method} cannot be sent to the hardware manager {name}")]
    Request {
        /// The plugin.
        name: String,
        /// The call.
        method: String,
        /// Why.
        #[source]
        source: MessageError,
    },
    /// What it answers is not what the method gives.
    #[error("The hardware manager {name} answered {method} with something else than asked for")]
    Result {
        /// The plugin.
        name: String,
        /// The call.
        method: String,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// The manager itself says that it failed.
    #[error("The hardware manager {name} failed in {method}: {}", failure.message)]
    Failed {
        /// The plugin.
        name: String,
        /// The call.
        method: String,
        /// What it says.
        failure: Failure,
    },
}
