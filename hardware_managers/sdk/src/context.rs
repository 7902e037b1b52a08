//! What a running method can ask of the agent.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::protocol::Callback;
use crate::{BlockDevice, ManagerError};

/// How far a long method has come.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Progress {
    /// What is being done, for a person: `writing image to /dev/sda`.
    pub what: String,
    /// Bytes (or other units of equal size) done so far.
    pub done: u64,
    /// The same unit in all, where it is known.
    #[serde(default)]
    pub total: Option<u64>,
}

/// How much a line of the log matters.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// For whoever looks for a fault.
    Debug,
    /// For whoever follows what happens.
    Info,
    /// Something is not as it should be, and the work goes on.
    Warning,
    /// Something failed.
    Error,
}

/// A program that the agent is asked to run: an absolute path and an argument vector, no shell.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ProgramRequest {
    /// The program's absolute path.
    pub path: String,
    /// Its arguments, without the program's name.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// Arguments that are shown as `***` in logs and errors.
    #[serde(default)]
    pub secrets: Vec<String>,
    /// Seconds until it is killed, 1 to 86400.
    pub timeout_seconds: u64,
}

impl ProgramRequest {
    /// The program at this path, with a time limit of 60 s.
    pub fn new(path: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            arguments: Vec::new(),
            secrets: Vec::new(),
            timeout_seconds: 60,
        }
    }

    /// One more argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Another time limit, in whole seconds.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout_seconds = timeout.as_secs();
        self
    }
}

/// What a program left that ended by itself.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct ProgramOutput {
    /// Its exit status; `None` where a signal ended it.
    pub exit_code: Option<i32>,
    /// The first 256 KiB of its standard output.
    pub stdout: String,
    /// The first 256 KiB of its standard error.
    pub stderr: String,
}

/// The way back from a method to the agent that runs it.
///
/// Progress, log and the question for a cancel return quickly: they are made from the middle of
/// device loops.
pub trait Context: Send + Sync {
    /// Tell how far the method has come. May be called often; the agent thins it out.
    fn report_progress(&self, progress: Progress);

    /// Whether the command was cancelled. A long loop asks at least once a second.
    fn is_cancelled(&self) -> bool;

    /// A line for the agent's log, under the manager's name. Lost by default.
    fn log(&self, _level: LogLevel, _message: &str) {}

    /// The machine's disks, with their partitions where asked for, as the agent's own manager lists
    /// them. Declines by default.
    fn block_devices(&self, _include_partitions: bool) -> Result<Vec<BlockDevice>, ManagerError> {
        Err(ManagerError::unsupported(
            Callback::ListBlockDevices.as_str(),
        ))
    }

    /// Run a program by the agent's rules: absolute path, no shell, time limit, bounded and logged
    /// output. Any exit status is a result. Declines by default.
    fn run_program(&self, _program: &ProgramRequest) -> Result<ProgramOutput, ManagerError> {
        Err(ManagerError::unsupported(Callback::RunProgram.as_str()))
    }
}

/// A context of a command that was told to stop before this call: for tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct CancelledContext;

impl Context for CancelledContext {
    fn report_progress(&self, _progress: Progress) {}

    fn is_cancelled(&self) -> bool {
        true
    }
}

/// A context that nobody watches: for calls outside a command, and for tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct SilentContext;

impl Context for SilentContext {
    fn report_progress(&self, _progress: Progress) {}

    fn is_cancelled(&self) -> bool {
        false
    }
}
