//! The client of the conductor's API (contract/control-plane 2.1, 3.1, 9.5).

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use farrier_plugin::chain;
use reqwest::header::{ACCEPT, CONTENT_TYPE, DATE, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tracing::{debug, warn};
use url::Url;

use super::error::status_text;
use super::{Beat, ConductorError, LookupAnswer};
use crate::config::Options;
use crate::net::NetError;
use crate::net::http::{self, shown};
use crate::net::proxy::Proxies;
use crate::net::redirect::{self, SendError};
use crate::net::resolver::Resolver;

/// Answers larger than this are refused; a lookup's is a few KiB.
const ANSWER_LIMIT: usize = 4 * 1024 * 1024;

/// The header in which a conductor says the highest version that it speaks.
const MAXIMUM_VERSION: &str = "X-OpenStack-Ironic-API-Maximum-Version";

/// So many lookups have to find the node before a conductor that never tells its version is one of a
/// time before there were tokens.
const VERSION_TRIES: u32 = 3;

/// The most that a connection may take: three tries of TCP.
const CONNECT: Duration = Duration::from_secs(10);

/// A version `1.N` of the conductor's API.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ApiVersion(pub u32);

impl ApiVersion {
    /// Taken where the conductor does not say its own.
    pub const FALLBACK: Self = Self(31);
    /// Heartbeats carry the agent's version from here on.
    pub const AGENT_VERSION: Self = Self(36);
    /// Lookups give a token, and heartbeats carry it, from here on.
    pub const AGENT_TOKEN: Self = Self(62);
    /// Heartbeats carry the agent's certificate from here on.
    pub const AGENT_VERIFY_CA: Self = Self(68);

    /// The version of this text, `1.N`.
    pub fn named(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        (major == "1").then_some(())?;
        minor.parse().ok().map(Self)
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.0)
    }
}

/// Talks to the conductor's API at any of several URLs.
///
/// The URLs are tried in order, the next only where no answer came at all; the one that answered
/// is the first from then on.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    urls: Mutex<Vec<Url>>,
    configured_version: Option<ApiVersion>,
    version: Mutex<Option<ApiVersion>>,
    /// Lookups that found the node while the conductor did not tell its version.
    untold: AtomicU32,
    clock: Mutex<Option<Reading>>,
    request_id: Option<HeaderValue>,
    timeout: Duration,
}

/// What the conductor's clock said, and when that was.
///
/// How far it is from this machine's clock was rejected: that may be set at any moment, and what
/// was a difference before is an error of decades after.
#[derive(Clone, Copy, Debug)]
struct Reading {
    said: SystemTime,
    at: Instant,
}

impl Reading {
    /// What it says now.
    fn at(self, now: Instant) -> SystemTime {
        let since = now.saturating_duration_since(self.at);
        self.said.checked_add(since).unwrap_or(self.said)
    }
}

impl Client {
    /// A client for the URLs in `api_url`, with the TLS settings, request id, time-out and API
    /// version of these options.
    pub fn new(options: &Options, resolver: Resolver) -> Result<Self, ConductorError> {
        let urls = options
            .api_url
            .iter()
            .map(|url| base_url(url))
            .collect::<Result<_, _>>()?;
        let timeout = Duration::from_secs(options.http_request_timeout);
        // A connection that does not come about is told from an answer that does not come.
        let http = Proxies::of_environment()
            .and_then(|proxies| http::builder(options, resolver, &proxies))
            .and_then(|builder| {
                builder
                    .connect_timeout(timeout.min(CONNECT))
                    .build()
                    .map_err(NetError::Client)
            })
            .map_err(ConductorError::Setup)?;
        let configured = options.ironic_api_version.as_deref();
        let configured_version = configured.and_then(ApiVersion::named);
        Ok(Self {
            http,
            urls: Mutex::new(urls),
            configured_version,
            version: Mutex::new(configured_version),
            untold: AtomicU32::new(0),
            clock: Mutex::new(None),
            request_id: options
                .global_request_id
                .as_deref()
                .and_then(|id| HeaderValue::from_str(id).ok()),
            timeout,
        })
    }

    /// The URLs, the one that answered last first.
    pub fn urls(&self) -> Vec<Url> {
        self.urls
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Ask this URL from now on, which is another conductor's or the same one's new one.
    ///
    /// # Errors
    /// If it is no URL of a conductor; then nothing is changed.
    pub fn move_to(&self, url: &str) -> Result<(), ConductorError> {
        let url = base_url(url)?;
        *self.urls.lock().unwrap_or_else(PoisonError::into_inner) = vec![url];
        *self.known_version() = self.configured_version;
        self.untold.store(0, Ordering::Relaxed);
        Ok(())
    }

    /// The time by the conductor's clock, as of its last answer. It goes on evenly whatever happens
    /// to this machine's clock.
    pub fn conductor_time(&self) -> Option<SystemTime> {
        let reading = *self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        Some(reading?.at(Instant::now()))
    }

    /// The highest version that the conductor speaks. Asked once; where it cannot be found out,
    /// 1.31 is taken and the next call asks again.
    pub async fn version(&self) -> ApiVersion {
        self.found_version().await.unwrap_or_else(|error| {
            warn!(
                error = %chain(&error),
                "could not find out the conductor's API version; taking {}",
                ApiVersion::FALLBACK
            );
            ApiVersion::FALLBACK
        })
    }

    async fn found_version(&self) -> Result<ApiVersion, ConductorError> {
        if let Some(version) = *self.known_version() {
            return Ok(version);
        }
        let version = self.discover().await?;
        debug!(%version, "the conductor's API version");
        *self.known_version() = Some(version);
        Ok(version)
    }

    /// Ask once for the node with one of these MAC addresses, or with this UUID.
    ///
    /// Where the version cannot be found out for reasons that pass, nothing is asked: by the version
    /// that would be taken instead, a conductor gives no token, and an agent without one found its node
    /// for nothing. Where a conductor says what is no version, or refuses to say it, the lookup's own
    /// answer may say it; if it does not either, the node counts as found at the third try only.
    pub async fn lookup(
        &self,
        addresses: &[String],
        node_uuid: Option<&str>,
    ) -> Result<LookupAnswer, ConductorError> {
        let mut query = vec![("addresses", addresses.join(","))];
        if let Some(uuid) = node_uuid {
            query.push(("node_uuid", uuid.to_owned()));
        }
        let untold = match self.found_version().await {
            Ok(version) => return self.lookup_by(version, &query).await,
            Err(error)
                if error.is_transient() && !matches!(error, ConductorError::Answer { .. }) =>
            {
                return Err(error);
            }
            Err(error) => error,
        };
        // No token is given out by this version, so none is lost.
        let answer = self.lookup_by(ApiVersion::FALLBACK, &query).await;
        let told = *self.known_version();
        if let Some(version) = told {
            return self.lookup_by(version, &query).await;
        }
        let answer = answer?;
        if self.untold.fetch_add(1, Ordering::Relaxed) + 1 < VERSION_TRIES {
            return Err(untold);
        }
        warn!(
            error = %chain(&untold),
            "the conductor does not tell its API version, so there is no token and no TLS of the \
             agent's own"
        );
        Ok(answer)
    }

    async fn lookup_by(
        &self,
        version: ApiVersion,
        query: &[(&str, String)],
    ) -> Result<LookupAnswer, ConductorError> {
        let version = version.min(ApiVersion::AGENT_TOKEN);
        let answer = self
            .request(Method::GET, "v1/lookup", query, Some(version), None)
            .await?;
        let answer = answer.expect(StatusCode::OK)?;
        let value = answer.json()?;
        LookupAnswer::read(value).map_err(|what| ConductorError::Answer {
            url: answer.url,
            what,
        })
    }

    /// Send one heartbeat.
    pub async fn heartbeat(&self, beat: &Beat) -> Result<(), ConductorError> {
        let version = self.version().await.min(ApiVersion::AGENT_VERIFY_CA);
        let body = serde_json::to_vec(&beat.body(version)).unwrap_or_default();
        let path = format!("v1/heartbeat/{}", beat.node_uuid);
        self.request(Method::POST, &path, &[], Some(version), Some(&body))
            .await?
            .expect(StatusCode::ACCEPTED)?;
        Ok(())
    }

    async fn discover(&self) -> Result<ApiVersion, ConductorError> {
        let answer = self
            .request(Method::GET, "", &[], None, None)
            .await?
            .expect(StatusCode::OK)?;
        let value = answer.json()?;
        value
            .pointer("/default_version/version")
            .and_then(Value::as_str)
            .and_then(ApiVersion::named)
            .ok_or_else(|| ConductorError::Answer {
                url: answer.url,
                what: "no default_version.version 1.N".to_owned(),
            })
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, String)],
        version: Option<ApiVersion>,
        body: Option<&[u8]>,
    ) -> Result<Answer, ConductorError> {
        let mut failure = ConductorError::NoUrl;
        for base in self.urls() {
            let mut url = base.clone();
            if !path.is_empty() {
                url.set_path(&format!("{}{path}", base.path()));
            }
            if !query.is_empty() {
                url.query_pairs_mut().extend_pairs(query);
            }
            match self.send(method.clone(), url, version, body).await {
                Ok(answer) => {
                    self.prefer(&base);
                    return Ok(answer);
                }
                Err(error) if error.is_connection() => {
                    debug!(error = %chain(&error), "no answer");
                    failure = error;
                }
                Err(error) => return Err(error),
            }
        }
        Err(failure)
    }

    /// One request to one URL, whatever the status of the answer.
    pub(super) async fn send(
        &self,
        method: Method,
        url: Url,
        version: Option<ApiVersion>,
        body: Option<&[u8]>,
    ) -> Result<Answer, ConductorError> {
        let shown = shown(&url);
        let mut request = self
            .http
            .request(method, url)
            .timeout(self.timeout)
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/json");
        if let Some(version) = version {
            request = request.header("X-OpenStack-Ironic-API-Version", version.to_string());
        }
        if let Some(id) = &self.request_id {
            request = request.header("X-OpenStack-Request-ID", id.clone());
        }
        if let Some(body) = body {
            request = request.body(body.to_vec());
        }
        let failed = |error: reqwest::Error| {
            let url = shown.clone();
            if error.is_timeout() && !error.is_connect() {
                let timeout = self.timeout;
                ConductorError::Timeout { url, timeout }
            } else {
                let source = error.without_url();
                ConductorError::Unreachable { url, source }
            }
        };
        let request = request.build().map_err(failed)?;
        let sent = redirect::send(&self.http, request).await;
        let mut response = sent.map_err(|error| match error {
            SendError::Transport(error) => failed(error),
            SendError::Redirect(source) => ConductorError::Redirected {
                url: shown.clone(),
                source,
            },
        })?;
        self.note_clock(&response);
        self.note_version(&response);
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > ANSWER_LIMIT {
                return Err(ConductorError::Answer {
                    url: shown,
                    what: format!("more than {ANSWER_LIMIT} bytes"),
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer {
            url: shown,
            status,
            body,
        })
    }

    fn note_clock(&self, response: &Response) {
        let date = response
            .headers()
            .get(DATE)
            .and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
        if let Some(said) = date {
            let at = Instant::now();
            *self.clock.lock().unwrap_or_else(PoisonError::into_inner) = Some(Reading { said, at });
        }
    }

    /// Ironic tells its versions with every answer. What the root says goes before that.
    fn note_version(&self, response: &Response) {
        let said = response.headers().get(MAXIMUM_VERSION);
        let version = said.and_then(|version| ApiVersion::named(version.to_str().ok()?));
        if let Some(version) = version {
            self.known_version().get_or_insert(version);
        }
    }

    fn known_version(&self) -> std::sync::MutexGuard<'_, Option<ApiVersion>> {
        self.version.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn prefer(&self, url: &Url) {
        let mut urls = self.urls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(position) = urls.iter().position(|known| known == url) {
            urls.rotate_left(position);
        }
    }
}

/// An answer that was read to its end.
pub(super) struct Answer {
    pub(super) url: String,
    pub(super) status: StatusCode,
    pub(super) body: Vec<u8>,
}

impl Answer {
    fn expect(self, status: StatusCode) -> Result<Self, ConductorError> {
        if self.status == status {
            return Ok(self);
        }
        Err(self.failure())
    }

    /// The error that this answer is.
    pub(super) fn failure(self) -> ConductorError {
        let text = status_text(self.status, &self.body);
        if self.status == StatusCode::CONFLICT {
            return ConductorError::Conflict { text };
        }
        ConductorError::Status {
            url: self.url,
            status: self.status.as_u16(),
            text,
        }
    }

    pub(super) fn json(&self) -> Result<Value, ConductorError> {
        serde_json::from_slice(&self.body).map_err(|error| ConductorError::Answer {
            url: self.url.clone(),
            what: format!("something that is no JSON ({error})"),
        })
    }
}

impl Beat {
    /// The heartbeat's JSON for this version (contract/control-plane 3.1).
    fn body(&self, version: ApiVersion) -> Value {
        let mut body = json!({"callback_url": self.callback_url});
        if version >= ApiVersion::AGENT_VERSION {
            body["agent_version"] = json!(self.agent_version);
        }
        if version >= ApiVersion::AGENT_TOKEN {
            body["agent_token"] = json!(self.agent_token);
        }
        if version >= ApiVersion::AGENT_VERIFY_CA
            && let Some(certificate) = &self.agent_verify_ca
        {
            body["agent_verify_ca"] = json!(certificate);
        }
        body
    }
}

/// The URL with a path that ends in `/`, so that relative paths can follow.
fn base_url(text: &str) -> Result<Url, ConductorError> {
    let wrong = |reason: String| ConductorError::Url {
        url: text.to_owned(),
        reason,
    };
    if text == "mdns" {
        return Err(wrong("mdns cannot be one URL among others".to_owned()));
    }
    let mut url = Url::parse(text).map_err(|error| wrong(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(wrong("it is http://HOST or https://HOST".to_owned()));
    }
    url.set_query(None);
    url.set_fragment(None);
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_conductors_clock_goes_on_evenly() {
        let said = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_331_660);
        let at = Instant::now();
        let reading = Reading { said, at };
        let minute = Duration::from_secs(60);
        assert_eq!(reading.at(at + minute), said + minute);
        assert_eq!(reading.at(at - minute), said);
    }
}
