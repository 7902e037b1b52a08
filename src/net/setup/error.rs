//! What of a plan cannot be had on this machine.

use std::io;

/// Why an interface is not what the plan says.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetupError {
    /// The kernel refuses something.
    #[error("Could not {what}")]
    Refused {
        /// What, with the interface.
        what: String,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// No card is meant.
    #[error(
        "This server has no network card {wanted}, which is to be {interface}; it has {there}. Its driver or firmware may \
         be missing"
    )]
    NoCard {
        /// Its address or name.
        wanted: String,
        /// Its name in the plan.
        interface: String,
        /// The cards that are there.
        there: String,
    },
    /// What an interface is made of is not there.
    #[error("{interface} is not made: {missing} is missing, on which it lies")]
    NothingBelow {
        /// The interface.
        interface: String,
        /// What it is to lie on.
        missing: String,
    },
    /// Two interfaces of the plan are one.
    #[error("{interface} and {other} are both the network card {card}; only {other} counts")]
    Twice {
        /// The later one.
        interface: String,
        /// The earlier one.
        other: String,
        /// The card's name.
        card: String,
    },
    /// The name belongs to something else.
    #[error("{interface} is not made: the name is that of another interface of this server")]
    NameTaken {
        /// The name.
        interface: String,
    },
    /// Nothing reaches a gateway.
    #[error("The route to {destination} is not set: no interface reaches its gateway")]
    NoWay {
        /// The network.
        destination: String,
    },
}

impl SetupError {
    /// A refusal, for `map_err`.
    pub(super) fn refused(what: String) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Refused { what, source }
    }
}
