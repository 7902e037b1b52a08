//! The HTTP client of one image: the agent's TLS settings, and the image's own proxies.

use std::time::Duration;

use reqwest::{Client, NoProxy, Proxy};

use super::error::DownloadError;
use super::request::Proxies;
use crate::config::Options;
use crate::net::http;
use crate::net::resolver::Resolver;

/// A client that waits no longer than `image_download_connection_timeout` for a connection.
pub(super) fn client(options: &Options, proxies: &Proxies) -> Result<Client, DownloadError> {
    let mut builder = http::builder(options, Resolver::default())
        .map_err(|error| DownloadError::Client(error.into()))?
        .connect_timeout(Duration::from_secs(
            options.image_download_connection_timeout.max(1),
        ));
    let direct = proxies.no_proxy.as_deref().and_then(NoProxy::from_string);
    for (scheme, url) in &proxies.by_scheme {
        // A proxy without a scheme is an HTTP proxy, as everywhere.
        let url = if url.contains("://") {
            url.clone()
        } else {
            format!("http://{url}")
        };
        let proxy = match scheme.as_str() {
            "http" => Proxy::http(url),
            "https" => Proxy::https(url),
            _ => continue,
        }
        .map_err(client_error)?;
        builder = builder.proxy(proxy.no_proxy(direct.clone()));
    }
    builder.build().map_err(client_error)
}

fn client_error(error: reqwest::Error) -> DownloadError {
    DownloadError::Client(error.without_url().into())
}
