//! How an agent ends.

/// How an agent ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum End {
    /// The network is to be taken down, and nothing may happen any more.
    LockedDown,
    /// The machine is a rescue system, and no agent serves in it.
    Rescued,
    /// The system asked the agent to end.
    Terminated,
}
