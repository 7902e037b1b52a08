//! The HTTP client that the conductor's API, images and config drives are fetched with.

use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect::Policy;

use super::resolver::Resolver;
use super::tls_hint::Hints;
use super::{NetError, tls};
use crate::config::Options;

/// Redirects that are followed, as the reference's HTTP library does.
const REDIRECTS: usize = 30;

/// A client with the TLS settings of these options, the proxies of the environment and the
/// resolver given. It sets no time limit for whole requests and none for reads: set one for each
/// request.
///
/// Errors of this client print the URL they are about, and a URL's query may hold a token or a
/// temporary signature: call `without_url` before an error is kept or shown.
pub fn client(options: &Options, resolver: Resolver) -> Result<reqwest::Client, NetError> {
    builder(options, resolver)?
        .build()
        .map_err(|error| NetError::Client(error.without_url()))
}

/// The same before it is built, for a caller that has proxies or time limits of its own.
pub fn builder(options: &Options, resolver: Resolver) -> Result<reqwest::ClientBuilder, NetError> {
    Ok(reqwest::Client::builder()
        .user_agent(concat!("farrier/", env!("CARGO_PKG_VERSION")))
        .tls_backend_preconfigured(tls::client(options)?)
        .connector_layer(Hints::of(options))
        .dns_resolver(Arc::new(resolver))
        .redirect(Policy::limited(REDIRECTS))
        .referer(false)
        // A long erase leaves minutes between requests; a connection that a firewall has forgotten
        // by then would cost a time-out.
        .pool_idle_timeout(Duration::from_secs(20))
        .pool_max_idle_per_host(1)
        .tcp_nodelay(true)
        .http1_only())
}
