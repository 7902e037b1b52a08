//! The HTTP client of one image: the agent's TLS settings, and the image's own proxies.

use std::time::Duration;

use reqwest::{Client, NoProxy, Proxy};

use super::error::DownloadError;
use super::request::Proxies;
use crate::config::Options;
use crate::net::http;
use crate::net::resolver::Resolver;

/// A client that waits no longer than `image_download_connection_timeout` for a connection.
///
/// It follows no redirects: `redirect` does.
pub(super) fn client(options: &Options, proxies: &Proxies) -> Result<Client, DownloadError> {
    let mut builder = http::builder(options, Resolver::default())
        .map_err(|error| DownloadError::Client(error.into()))?
        .connect_timeout(Duration::from_secs(
            options.image_download_connection_timeout.max(1),
        ))
        // All that apply are set below; the library would drop those of the environment for one
        // scheme as soon as one is given for the other.
        .no_proxy();
    let environment = |name: &str| std::env::var(name).ok();
    let direct = proxies
        .no_proxy
        .clone()
        .or_else(|| first(&["no_proxy", "NO_PROXY"], environment));
    // The library takes a star for all names, but for no address.
    let all_direct = direct
        .as_deref()
        .is_some_and(|hosts| hosts.split(',').any(|host| host.trim() == "*"));
    if all_direct {
        return builder.build().map_err(client_error);
    }
    let direct = direct.and_then(|hosts| NoProxy::from_string(&hosts));
    for (scheme, url) in chosen(proxies, environment) {
        let proxy = match scheme {
            "http" => Proxy::http(url),
            _ => Proxy::https(url),
        }
        .map_err(client_error)?;
        builder = builder.proxy(proxy.no_proxy(direct.clone()));
    }
    builder.build().map_err(client_error)
}

/// Scheme and proxy: the image's own, else the environment's, by curl's and Python's names. An
/// empty one of the image's means none.
fn chosen(
    proxies: &Proxies,
    environment: impl Fn(&str) -> Option<String> + Copy,
) -> Vec<(&'static str, String)> {
    [
        ("http", ["http_proxy", "HTTP_PROXY"]),
        ("https", ["https_proxy", "HTTPS_PROXY"]),
    ]
    .into_iter()
    .filter_map(|(scheme, names)| {
        let own = proxies.by_scheme.iter().find(|(of, _)| of == scheme);
        let url = match own {
            Some((_, url)) => url.clone(),
            None => first(&names, environment)
                .or_else(|| first(&["all_proxy", "ALL_PROXY"], environment))?,
        };
        let url = url.trim();
        // A proxy without a scheme is an HTTP proxy, as everywhere.
        match url {
            "" => None,
            _ if url.contains("://") => Some((scheme, url.to_owned())),
            _ => Some((scheme, format!("http://{url}"))),
        }
    })
    .collect()
}

fn first(names: &[&str], environment: impl Fn(&str) -> Option<String>) -> Option<String> {
    names
        .iter()
        .find_map(|name| environment(name).filter(|value| !value.is_empty()))
}

fn client_error(error: reqwest::Error) -> DownloadError {
    DownloadError::Client(error.without_url().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_images_proxies_come_before_the_environments() {
        let environment = |name: &str| match name {
            "http_proxy" => Some("http://env:1".to_owned()),
            "ALL_PROXY" => Some("all:2".to_owned()),
            _ => None,
        };
        let own = |pairs: &[(&str, &str)]| Proxies {
            by_scheme: pairs
                .iter()
                .map(|(scheme, url)| ((*scheme).to_owned(), (*url).to_owned()))
                .collect(),
            no_proxy: None,
        };
        let pairs = |list: &[(&'static str, &str)]| -> Vec<(&'static str, String)> {
            list.iter()
                .map(|(scheme, url)| (*scheme, (*url).to_owned()))
                .collect()
        };
        assert_eq!(
            chosen(&own(&[]), environment),
            pairs(&[("http", "http://env:1"), ("https", "http://all:2")])
        );
        assert_eq!(
            chosen(&own(&[("https", "own:3")]), environment),
            pairs(&[("http", "http://env:1"), ("https", "http://own:3")])
        );
        assert_eq!(
            chosen(&own(&[("http", ""), ("https", "https://own:4")]), |_| None),
            pairs(&[("https", "https://own:4")])
        );
    }
}
