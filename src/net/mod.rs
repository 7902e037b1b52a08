//! What every connection shares: TLS settings, the HTTP client, addresses and routes.

pub mod address;
pub mod certificate;
mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
pub mod http;
pub mod links;
pub mod mdns;
pub mod ntp;
pub mod proxy;
pub mod redirect;
pub mod resolver;
pub mod tls;
mod tls_anchors;
#[cfg(test)]
mod tls_cases;
mod tls_ciphers;
pub mod tls_hint;
#[cfg(test)]
mod tls_tests;
mod tls_verifier;
pub mod vlans;
mod x509;

pub use error::NetError;
