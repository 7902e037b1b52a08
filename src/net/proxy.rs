//! Which proxy a request goes through: the environment's names as curl(1) and the reference's HTTP
//! library read them, `no_proxy` in curl's forms. What both make of the same settings is in
//! `tests/fixtures/proxies`.
//!
//! reqwest's own reading takes no port in `no_proxy`, reads `DOMAIN\user` as a host and a path, and
//! leaves out in silence what it cannot read.

mod no_proxy;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use reqwest::ClientBuilder;
use reqwest::header::HeaderValue;
use url::Url;

use self::no_proxy::NoProxy;
use super::NetError;

/// The proxies for both schemes, and what is reached without.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proxies {
    by_scheme: Vec<(&'static str, Proxy)>,
    direct: NoProxy,
}

/// One proxy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Proxy {
    /// Scheme, host and port.
    pub url: Url,
    /// The value of `Proxy-Authorization`, marked as sensitive.
    pub authorization: Option<HeaderValue>,
}

/// A list of the environment's names for a scheme's proxy, and what they fall back to. Lower case
/// comes first; curl takes `HTTP_PROXY` from no web server's environment, which this is not.
const NAMES: [(&str, [&str; 4]); 2] = [
    (
        "http",
        ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"],
    ),
    (
        "https",
        ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"],
    ),
];

impl Proxies {
    /// Those of the agent's environment.
    pub(crate) fn of_environment() -> Result<Self, NetError> {
        Self::new(&[], None, |name| std::env::var(name).ok())
    }

    /// Proxies by scheme and hosts that are reached directly; where one of them is not given, the
    /// environment's. An empty one that is given means none; an empty variable is as good as none.
    ///
    /// # Errors
    /// If a URL that would be used is no URL of an HTTP proxy.
    pub(crate) fn new(
        own: &[(String, String)],
        no_proxy: Option<&str>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, NetError> {
        let first = |names: &[&str]| {
            names.iter().find_map(|name| {
                let value = environment(name).filter(|value| !value.is_empty())?;
                Some(((*name).to_owned(), value))
            })
        };
        let direct = match no_proxy {
            Some(list) => NoProxy::parse(list),
            None => first(&["no_proxy", "NO_PROXY"])
                .map_or_else(NoProxy::default, |(_, list)| NoProxy::parse(&list)),
        };
        let mut by_scheme = Vec::new();
        if direct.is_everything() {
            return Ok(Self { by_scheme, direct });
        }
        for (scheme, names) in NAMES {
            let given = own
                .iter()
                .find(|(of, _)| of == scheme)
                .map(|(of, url)| (format!("the image's proxy for {of}"), url.clone()));
            let Some((origin, value)) = given.or_else(|| first(&names)) else {
                continue;
            };
            if !value.trim().is_empty() {
                by_scheme.push((scheme, Proxy::parse(&origin, value.trim())?));
            }
        }
        Ok(Self { by_scheme, direct })
    }

    /// The proxy for a URL.
    pub(crate) fn towards(&self, url: &Url) -> Option<&Proxy> {
        let (_, proxy) = self
            .by_scheme
            .iter()
            .find(|(scheme, _)| *scheme == url.scheme())?;
        (!self.direct.covers(url)).then_some(proxy)
    }

    /// A client that uses these proxies and no others.
    pub(crate) fn apply(&self, builder: ClientBuilder) -> ClientBuilder {
        // Without a proxy of ours the library would read the environment itself.
        let mut builder = builder.no_proxy();
        for (scheme, proxy) in &self.by_scheme {
            let (scheme, proxies) = (*scheme, self.clone());
            let mut rule = reqwest::Proxy::custom(move |url| {
                let proxy = proxies.towards(url).filter(|_| url.scheme() == scheme);
                proxy.map(|proxy| proxy.url.clone())
            });
            if let Some(value) = &proxy.authorization {
                rule = rule.custom_http_auth(value.clone());
            }
            builder = builder.proxy(rule);
        }
        builder
    }
}

impl Proxy {
    /// `[http[s]://][user[:password]@]host[:port]`; whatever follows is ignored. `origin` says in
    /// an error where the text is from: the text itself may hold a password.
    fn parse(origin: &str, text: &str) -> Result<Self, NetError> {
        let unusable = |reason: String| NetError::Proxy {
            origin: origin.to_owned(),
            reason,
        };
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let scheme = scheme.to_ascii_lowercase();
        if scheme != "http" && scheme != "https" {
            return Err(unusable(format!(
                "{scheme:?} is the scheme of no HTTP proxy"
            )));
        }
        let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        // Apart from the host, before the URL's parser takes the backslash of `DOMAIN\user` for a
        // slash. A password may hold an `@`, a host may not.
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        let url = Url::parse(&format!("{scheme}://{host}/"))
            .map_err(|error| unusable(format!("its host or port is unusable ({error})")))?;
        let authorization = user
            .map(basic)
            .transpose()
            .map_err(|error| unusable(error.to_string()))?;
        Ok(Self { url, authorization })
    }
}

/// Basic authentication with the bytes that `user:password` stands for, percent-encoded or not.
fn basic(user: &str) -> Result<HeaderValue, reqwest::header::InvalidHeaderValue> {
    let (name, password) = user.split_once(':').unwrap_or((user, ""));
    let mut bytes: Vec<u8> = percent_decode_str(name).collect();
    bytes.push(b':');
    bytes.extend(percent_decode_str(password));
    let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(bytes)))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod cases;
