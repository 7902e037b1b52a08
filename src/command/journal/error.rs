//! Why there is no journal, or no line in it.

use std::io;
use std::path::PathBuf;

/// Why there is no journal. An agent without one must not serve.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file or its directory could not be made, opened or read.
    #[error(
        "The command journal {path} cannot be used; without it a crash could pass for a finished \
         step, so nothing is served: power-cycle the machine"
    )]
    Access {
        /// The file.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// Another process has it.
    #[error("The command journal {path} belongs to another agent that is still running")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It has a line that this agent did not write.
    #[error(
        "The command journal {path} is damaged in line {line} ({reason}); nothing is served: \
         power-cycle the machine"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
}

/// Why something could not be written down.
#[derive(Debug, thiserror::Error)]
pub(in crate::command) enum WriteError {
    /// It has reached its bound.
    #[error(
        "it is full after {length} bytes of commands since the machine was started; reboot the \
         machine to go on"
    )]
    Full {
        /// Its length.
        length: u64,
    },
    /// The file could not be written.
    #[error(transparent)]
    Write(#[from] io::Error),
}
