//! What ends an agent.

use farrier_plugin::ManagerError;

use crate::api::ApiError;
use crate::command::JournalError;
use crate::conductor::ConductorError;
use crate::net::NetError;

/// Why the agent cannot go on. Everything that may get better by waiting is not among these.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AgentError {
    /// The command API cannot be served.
    #[error("The command API could not be started")]
    Api(#[source] ApiError),
    /// The server ended by itself.
    #[error("The command API has ended by a defect of the agent")]
    ApiEnded,
    /// The clock could not be set, and the options make that an error.
    #[error("The clock could not be set, and the option fail_if_clock_not_set is set")]
    Clock(#[source] ManagerError),
    /// The connection to the conductor cannot be set up with these options.
    #[error("The agent cannot work with these options")]
    Conductor(#[source] ConductorError),
    /// Commands cannot be journalled, so none may run.
    #[error(
        "There is no usable command journal, so the agent serves nothing and sends no heartbeat: \
         the conductor could take an interrupted command for a finished one. Reboot this machine"
    )]
    Journal(#[source] JournalError),
    /// No hardware manager works here.
    #[error("The hardware managers could not be started")]
    Managers(#[source] ManagerError),
    /// The conductor gave this machine's token to an agent that is gone.
    #[error(
        "The conductor has given out this node's token before and this agent does not have it, so \
         nothing is served; the conductor gives a new one when it reboots the node"
    )]
    NoToken,
    /// TLS, certificate or HTTP client cannot be set up.
    #[error("The agent's TLS could not be set up")]
    Tls(#[source] NetError),
    /// The runtime cannot be started.
    #[error("Threads could not be started")]
    Runtime(#[source] std::io::Error),
}
