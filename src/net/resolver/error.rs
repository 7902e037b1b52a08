//! Why a name has no address.

use std::net::IpAddr;

/// Why a name has no address.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LookupError {
    /// No server can be asked for it.
    #[error(
        "it is no host name: a part between dots is empty or longer than 63 bytes, or the whole \
         is longer than 253"
    )]
    NoName,
    /// A server knows that there is no such name.
    #[error("{server} says that {name} does not exist")]
    NotFound {
        /// The name that was asked for, perhaps with a search domain.
        name: String,
        /// The server.
        server: IpAddr,
    },
    /// A server knows the name, but no address of it.
    #[error("{server} has no address for {name}")]
    NoAddress {
        /// The name that was asked for, perhaps with a search domain.
        name: String,
        /// The server.
        server: IpAddr,
    },
    /// No server could answer.
    #[error("no name server could tell about {name}: {complaints}")]
    NoAnswer {
        /// The name that was asked for, perhaps with a search domain.
        name: String,
        /// Each server, and what came from it.
        complaints: String,
    },
}
