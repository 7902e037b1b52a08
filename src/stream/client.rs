//! The HTTP client of one image: the agent's TLS settings, the image's own proxies, and a careful
//! eye on redirects.

use std::time::Duration;

use reqwest::Client;
use reqwest::redirect::{Attempt, Policy};

use super::error::{DownloadError, RedirectError};
use super::request::{Location, Proxies};
use crate::config::Options;
use crate::net::resolver::Resolver;
use crate::net::{http, proxy};

/// Redirects that are followed, as the reference's HTTP library does.
const REDIRECTS: usize = 30;

/// A client that waits no longer than `image_download_connection_timeout` for a connection.
///
/// Where a redirect leads to another host, port or scheme, reqwest takes the credentials off the
/// request; a test holds it to that.
pub(super) fn client(options: &Options, proxies: &Proxies) -> Result<Client, DownloadError> {
    let environment = |name: &str| std::env::var(name).ok();
    let proxies = proxy::Proxies::new(&proxies.by_scheme, proxies.no_proxy.as_deref(), environment);
    proxies
        .and_then(|proxies| http::builder(options, Resolver::default(), &proxies))
        .map_err(|error| DownloadError::Client(error.into()))?
        .redirect(Policy::custom(follow))
        .connect_timeout(Duration::from_secs(
            options.image_download_connection_timeout.max(1),
        ))
        .build()
        .map_err(client_error)
}

fn follow(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let error = if attempt.previous().contains(attempt.url()) {
        RedirectError::Loop {
            to: Location::of_reply(attempt.url()).to_string(),
        }
    } else if attempt.previous().len() > REDIRECTS {
        RedirectError::TooMany { limit: REDIRECTS }
    } else {
        return attempt.follow();
    };
    attempt.error(error)
}

fn client_error(error: reqwest::Error) -> DownloadError {
    DownloadError::Client(error.without_url().into())
}
