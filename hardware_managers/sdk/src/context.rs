//! What a running method can ask of the agent.

/// How far a long method has come.
#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize, serde::Serialize)]
pub struct Progress {
    /// What is being done, for a person: `writing image to /dev/sda`.
    pub what: String,
    /// Bytes (or other units of equal size) done so far.
    pub done: u64,
    /// The same unit in all, where it is known.
    pub total: Option<u64>,
}

/// The way back from a method to the agent that runs it.
///
/// Calls must return quickly: they are made from the middle of device loops.
pub trait Context: Send + Sync {
    /// Tell how far the method has come. May be called often; the agent thins it out.
    fn report_progress(&self, progress: Progress);

    /// Whether the command was cancelled. A long loop asks at least once a second.
    fn is_cancelled(&self) -> bool;
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
