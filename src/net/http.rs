//! The HTTP client that the conductor's API, images and config drives are fetched with.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use reqwest::redirect::Policy;

use super::proxy::Proxies;
use super::resolver::Resolver;
use super::tls_hint::Hints;
use super::{NetError, tls};
use crate::config::Options;

/// A client with the TLS settings of these options, the proxies of the environment and the
/// resolver given. It sets no time limit for whole requests and none for reads: set one for each
/// request. It follows no redirect: [`super::redirect::send`] does.
///
/// Errors of this client print the URL they are about, and a URL's query may hold a token or a
/// temporary signature: call `without_url` before an error is kept or shown.
pub(crate) fn client(options: &Options, resolver: Resolver) -> Result<reqwest::Client, NetError> {
    builder(options, resolver, &Proxies::of_environment()?)?
        .build()
        .map_err(|error| NetError::Client(error.without_url()))
}

/// The same before it is built and with these proxies, for a caller that has time limits of its
/// own.
pub(crate) fn builder(
    options: &Options,
    resolver: Resolver,
    proxies: &Proxies,
) -> Result<reqwest::ClientBuilder, NetError> {
    let builder = reqwest::Client::builder()
        .user_agent(concat!("farrier/", env!("CARGO_PKG_VERSION")))
        .tls_backend_preconfigured(tls::client(options)?)
        .connector_layer(Hints::of(options))
        .dns_resolver(Arc::new(resolver))
        .redirect(Policy::none())
        .referer(false)
        // A long erase leaves minutes between requests; a connection that a firewall has forgotten
        // by then would cost a time-out.
        .pool_idle_timeout(Duration::from_secs(20))
        .pool_max_idle_per_host(1)
        .tcp_nodelay(true)
        // Old servers and balancers fold long lines, put a blank before the colon, and send lines that
        // are no header at all; curl and Python pass over all of that.
        .http1_allow_obsolete_multiline_headers_in_responses(true)
        .http1_allow_spaces_after_header_name_in_responses(true)
        .http1_ignore_invalid_headers_in_responses(true)
        .http1_only();
    Ok(proxies.apply(builder))
}

/// A URL for a message, without what may be secret: user, password, query and fragment.
pub(crate) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // Neither fails for http and https; `file:` has none.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}
