//! What can go wrong before a connection exists.

use std::io;
use std::path::PathBuf;

use super::resolver::LookupError;

/// Why a connection, an address or a certificate could not be had.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// The HTTP client could not be set up.
    #[error("Could not set up the HTTP client")]
    Client(#[source] reqwest::Error),
    /// A file with certificates or a key cannot be used.
    #[error("Could not read {what} from {path}; check the option {option}")]
    Pem {
        /// What the file should hold.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The option that names the file.
        option: &'static str,
        /// Why not.
        #[source]
        source: rustls_pki_types::pem::Error,
    },
    /// TLS cannot be set up with these certificates or settings.
    #[error("Could not set up TLS with {with}")]
    Tls {
        /// The certificates or settings.
        with: String,
        /// Why not.
        #[source]
        source: rustls::Error,
    },
    /// The own certificate could not be made.
    #[error("Could not make a certificate for {subject}")]
    Certificate {
        /// Whom it was for.
        subject: String,
        /// Why not.
        #[source]
        source: rcgen::Error,
    },
    /// A proxy's URL cannot be used. Neither is shown: a password may stand in it.
    #[error(
        "Could not use {origin} as a proxy: {reason}; it is written [http://][user:password@]host:port"
    )]
    Proxy {
        /// The environment's variable, or whose proxy it is.
        origin: String,
        /// Why not.
        reason: String,
    },
    /// A host name has no address.
    #[error("Could not resolve {host}; check the name servers in /etc/resolv.conf")]
    Resolve {
        /// The name.
        host: String,
        /// Why not.
        #[source]
        source: LookupError,
    },
    /// The interface that the option network_interface names gives no address.
    #[error("The interface {interface} (option network_interface) has no address")]
    InterfaceAddress {
        /// The interface.
        interface: String,
    },
    /// No address of this machine can be reached from the conductor.
    #[error("Agent could not find a valid IP address: no route to {towards}")]
    NoAddress {
        /// The hosts that were tried.
        towards: String,
    },
    /// No service can have this name.
    #[error("{name:?} is no name of a service: {reason}")]
    ServiceName {
        /// The name.
        name: String,
        /// Why not.
        reason: String,
    },
    /// The kernel's list of addresses could not be read.
    #[error("Could not list this machine's addresses")]
    Addresses(#[source] io::Error),
}
