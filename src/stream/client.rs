//! The HTTP client of one image: the agent's TLS settings, and the image's own proxies.

use std::time::Duration;

use reqwest::Client;

use super::error::DownloadError;
use super::request::Proxies;
use crate::config::Options;
use crate::net::resolver::Resolver;
use crate::net::{http, proxy};

/// A client that waits no longer than `image_download_connection_timeout` for a connection.
///
/// It follows no redirects: `redirect` does.
pub(super) fn client(options: &Options, proxies: &Proxies) -> Result<Client, DownloadError> {
    let environment = |name: &str| std::env::var(name).ok();
    let proxies = proxy::Proxies::new(&proxies.by_scheme, proxies.no_proxy.as_deref(), environment);
    proxies
        .and_then(|proxies| http::builder(options, Resolver::default(), &proxies))
        .map_err(|error| DownloadError::Client(error.into()))?
        .connect_timeout(Duration::from_secs(
            options.image_download_connection_timeout.max(1),
        ))
        .build()
        .map_err(client_error)
}

fn client_error(error: reqwest::Error) -> DownloadError {
    DownloadError::Client(error.without_url().into())
}
