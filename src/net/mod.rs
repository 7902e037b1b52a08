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
#[cfg(test)]
mod tls_tests;
pub mod vlans;

pub use error::NetError;
