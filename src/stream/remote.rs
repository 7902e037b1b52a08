//! One URL on an HTTP server: the client, what opens the server's door, and what its refusals mean.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use farrier_plugin::chain;
use reqwest::cookie::Jar;
use reqwest::header::{ACCEPT_ENCODING, AUTHORIZATION, DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode};
use tracing::warn;

use super::error::DownloadError;
use super::patience::Patience;
use super::redirect::{self, Trail};
use super::request::{Credentials, Location, Proxies};
use super::{client, coding};
use crate::config::Options;

/// The longest pause that a server's `Retry-After` can ask for, in seconds.
const LONGEST_PAUSE: u64 = 300;

/// Parameters of a URL's query that hold a signature: Swift's temporary URLs, Amazon's and Azure's
/// of the same kind.
const SIGNATURES: [&str; 3] = ["temp_url_sig", "X-Amz-Signature", "sig"];

/// A URL, and all that it takes to ask for it.
pub(super) struct Remote<'a> {
    client: Client,
    location: &'a Location,
    authorization: Option<HeaderValue>,
    /// Those that redirects set, for as long as this URL is read.
    cookies: Jar,
    takes_encodings: bool,
    patience: Patience<'a>,
    interval: Duration,
    retries: u32,
}

impl<'a> Remote<'a> {
    pub(super) fn new(
        location: &'a Location,
        credentials: &Credentials,
        proxies: &Proxies,
        options: &Options,
        patience: Patience<'a>,
    ) -> Result<Self, DownloadError> {
        Ok(Self {
            client: client::client(options, proxies)?,
            location,
            authorization: authorization(location, credentials)?,
            cookies: Jar::default(),
            takes_encodings: false,
            patience,
            interval: Duration::from_secs(options.image_download_connection_retry_interval),
            retries: options.image_download_connection_retries,
        })
    }

    /// Take replies with a content encoding: something tells whether the bytes that come of it are
    /// the right ones.
    pub(super) fn with_encodings(mut self, are_taken: bool) -> Self {
        self.takes_encodings = are_taken;
        self
    }

    pub(super) fn location(&self) -> &'a Location {
        self.location
    }

    /// One request, through its redirects, without a look at the last reply's status.
    pub(super) async fn ask(&self, mut headers: HeaderMap) -> Result<Response, DownloadError> {
        // What is stored need not be unpacked, and can be resumed.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(value) = &self.authorization {
            headers.insert(AUTHORIZATION, value.clone());
        }
        let mut trail = Trail::default();
        let mut url = self.location.url().clone();
        let response = loop {
            trail
                .visit(&url, &self.cookies, &mut headers)
                .map_err(|source| DownloadError::Redirect {
                    location: self.location.to_string(),
                    source,
                })?;
            let request = self.client.get(url).headers(headers.clone()).build();
            let request = request.map_err(|error| self.transport(error))?;
            // With the credentials that stood in the URL, which go where the others go.
            headers = request.headers().clone();
            let response = self
                .patience
                .wait(self.client.execute(request), self.location)
                .await?
                .map_err(|error| self.transport(error))?;
            redirect::keep_cookies(&self.cookies, &response);
            let Some(next) = redirect::target(&response) else {
                break response;
            };
            if !redirect::is_one_site(response.url(), &next) {
                headers.remove(AUTHORIZATION);
            }
            url = next;
        };
        if !response.status().is_success() {
            return Ok(response);
        }
        match coding::encoding(response.headers()) {
            Some(encoding)
                if !self.takes_encodings || coding::is_packed_twice(response.headers()) =>
            {
                Err(DownloadError::Encoded {
                    location: self.answered(&response),
                    encoding,
                })
            }
            _ => Ok(response),
        }
    }

    /// The next bytes of a reply's body.
    pub(super) async fn chunk(
        &self,
        response: &mut Response,
    ) -> Result<Option<Bytes>, DownloadError> {
        self.patience
            .wait(response.chunk(), self.location)
            .await?
            .map_err(|error| self.transport(error))
    }

    /// What a reply with another status than the wanted one means.
    pub(super) fn refusal(&self, response: &Response, resumes: bool) -> DownloadError {
        let status = response.status();
        let closed = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        DownloadError::Status {
            location: self.answered(response),
            status: status.as_u16(),
            hint: if status.is_redirection() {
                " (a redirect that cannot be followed)"
            } else if closed && resumes {
                " (while resuming: the temporary URL has probably expired)"
            } else if closed && is_signed(response) {
                " (the temporary URL has probably expired, or its signature is wrong)"
            } else {
                ""
            },
            retry_after: response
                .headers()
                .get(RETRY_AFTER)
                .and_then(|value| seconds_of(value.to_str().ok()?, time_of(response.headers()))),
        }
    }

    /// Wait until it makes sense to ask again after this error, which is the n-th in a row; give the
    /// error back where it makes none.
    pub(super) async fn wait_after(
        &self,
        error: DownloadError,
        failures: u32,
    ) -> Result<(), DownloadError> {
        if !error.may_pass() || failures > self.retries {
            return Err(error);
        }
        let pause = match &error {
            DownloadError::Status {
                retry_after: Some(seconds),
                ..
            } => Duration::from_secs((*seconds).min(LONGEST_PAUSE)).max(self.interval),
            _ => self.interval,
        };
        warn!(
            location = %self.location,
            failures,
            error = %chain(&error),
            "trying again in {} s",
            pause.as_secs()
        );
        self.patience.pause(pause, self.location).await
    }

    pub(super) fn changed(&self) -> DownloadError {
        DownloadError::Changed {
            location: self.location.to_string(),
        }
    }

    /// The URL, and where the server redirected to, without their secrets.
    fn answered(&self, response: &Response) -> String {
        let end = Location::of_reply(response.url()).to_string();
        let start = self.location.to_string();
        if end == start {
            return start;
        }
        format!("{start} (redirected to {end})")
    }

    fn transport(&self, error: reqwest::Error) -> DownloadError {
        DownloadError::Transport {
            location: self.location.to_string(),
            source: error.without_url(),
        }
    }
}

fn authorization(
    location: &Location,
    credentials: &Credentials,
) -> Result<Option<HeaderValue>, DownloadError> {
    let value = match credentials {
        Credentials::None => return Ok(None),
        Credentials::Basic { user, password } => {
            format!(
                "Basic {}",
                BASE64_STANDARD.encode(format!("{user}:{password}"))
            )
        }
        Credentials::Authorization(value) => value.clone(),
    };
    let mut value = HeaderValue::try_from(value).map_err(|_| DownloadError::Unusable {
        location: location.to_string(),
        reason: "the credentials hold characters that a header cannot".to_owned(),
    })?;
    value.set_sensitive(true);
    Ok(Some(value))
}

fn is_signed(response: &Response) -> bool {
    response
        .url()
        .query_pairs()
        .any(|(name, _)| SIGNATURES.contains(&name.as_ref()))
}

/// The server's time as its reply says it: this machine's clock may be wrong by years. Where the
/// reply does not say, that clock is all there is.
fn time_of(headers: &HeaderMap) -> SystemTime {
    headers
        .get(DATE)
        .and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok())
        .unwrap_or_else(SystemTime::now)
}

/// `Retry-After`: seconds, or a date (RFC 9110 10.2.3). A date in the past asks for no pause.
fn seconds_of(value: &str, now: SystemTime) -> Option<u64> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(seconds);
    }
    let then = httpdate::parse_http_date(value).ok()?;
    Some(then.duration_since(now).map_or(0, |pause| pause.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_counted_from_the_servers_own() {
        let mut headers = HeaderMap::new();
        let date = HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT");
        headers.insert(DATE, date);
        let now = time_of(&headers);
        assert_eq!(seconds_of("Sun, 06 Nov 1994 08:50:07 GMT", now), Some(30));
    }

    #[test]
    fn a_pause_is_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        for (value, seconds) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sun, 06 Nov 1994 08:48:37 GMT", Some(0)),
            ("-5", None),
            ("soon", None),
        ] {
            assert_eq!(seconds_of(value, now), seconds, "{value}");
        }
    }
}
