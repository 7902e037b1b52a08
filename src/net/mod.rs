//! What every connection shares: TLS settings, the HTTP client, addresses and routes.

pub(crate) mod address;
pub(crate) mod arp;
pub(crate) mod boot_table;
pub(crate) mod certificate;
pub(crate) mod dhcp_question;
mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
pub(crate) mod hardware_address;
pub(crate) mod http;
mod internet_checksum;
pub(crate) mod links;
pub(crate) mod mdns;
pub(crate) mod neighbor_discovery;
pub(crate) mod network_data;
pub(crate) mod network_parameters;
pub(crate) mod ntp;
pub(crate) mod plan;
pub(crate) mod proxy;
pub(crate) mod redirect;
pub(crate) mod resolver;
pub(crate) mod setup;
pub(crate) mod statsd;
pub(crate) mod tls;
mod tls_anchors;
#[cfg(test)]
mod tls_cases;
mod tls_ciphers;
pub(crate) mod tls_hint;
#[cfg(test)]
mod tls_tests;
mod tls_verifier;
pub(crate) mod vlans;
pub(crate) mod x509;

pub(crate) use error::NetError;
