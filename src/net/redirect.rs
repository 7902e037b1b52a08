//! Which redirects are followed by requests to the conductor and to receivers of records.
//!
//! The rule of browsers, which is the HTTP library's too, is wrong for an agent: a POST that is
//! answered 301, 302 or 303 is repeated as a GET, so that a portal's login page stands for a
//! conductor that took a heartbeat, and a POST that is answered 307 is repeated wherever the answer
//! points to, the token in it. Images have a rule of their own (`stream`): what comes from wherever
//! is verified.

use std::fmt;

use reqwest::header::LOCATION;
use reqwest::{Client, Method, Request, Response, StatusCode, Url};

use super::http::shown;

/// Redirects that are followed one after the other. One to https and one to another path are common;
/// each may take the time limit of the request.
const LIMIT: usize = 10;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// No connection came about, or it broke.
    #[error(transparent)]
    Transport(reqwest::Error),
    /// The answer is a redirect that is not followed.
    #[error(transparent)]
    Redirect(#[from] RefusedRedirect),
}

/// A redirect that is not followed. Nothing was handed in.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the answer is {status} and points to {to}, which is not followed: {reason}")]
pub struct RefusedRedirect {
    /// The status of the answer.
    pub status: StatusCode,
    /// Where it points to, without user, password, query and fragment.
    pub to: String,
    /// Why it is not followed.
    pub reason: Reason,
}

/// Why a redirect is not followed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reason {
    /// 301, 302 or 303 to a request that hands something in.
    BecomesGet,
    /// To another host, or another port of it.
    OtherHost,
    /// From https to anything else, or to no HTTP at all.
    Unprotected,
    /// To where it came from.
    Loop,
    /// More than ten in a row.
    TooMany,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BecomesGet => {
                "it asks for a GET, which hands nothing in; 307 or 308 would keep the request"
            }
            Self::OtherHost => "what is sent does not leave its host; configure the right URL",
            Self::Unprotected => {
                "what is sent goes by http or https only, and not from https to http"
            }
            Self::Loop => "the redirects go round in a loop",
            Self::TooMany => "there were too many before it",
        })
    }
}

/// Send this request and follow redirects as long as it stays what it is and where it is: a GET
/// follows all, anything else 307 and 308 only, and both only to the same host and port, by the same
/// scheme or by https in the place of http, on whatever port that is.
///
/// The client must follow none itself, as [`super::http::client`] makes it. A time limit of the
/// request counts for each answer anew.
pub(crate) async fn send(client: &Client, mut request: Request) -> Result<Response, SendError> {
    let mut visited = vec![request.url().clone()];
    loop {
        let again = request.try_clone();
        let (method, from) = (request.method().clone(), request.url().clone());
        let response = client.execute(request).await;
        let response = response.map_err(SendError::Transport)?;
        let Some(target) = target(&response, &from) else {
            return Ok(response);
        };
        let refused = |reason| RefusedRedirect {
            status: response.status(),
            to: shown(&target),
            reason,
        };
        check(&method, response.status(), &from, &target).map_err(refused)?;
        if visited.contains(&target) {
            return Err(refused(Reason::Loop).into());
        }
        if visited.len() > LIMIT {
            return Err(refused(Reason::TooMany).into());
        }
        // Only a body that is streamed cannot be sent twice, and then the answer stands.
        let Some(mut next) = again else {
            return Ok(response);
        };
        next.url_mut().clone_from(&target);
        visited.push(target);
        request = next;
    }
}

/// Where this answer sends the request; `None` where it is no redirect, or one to nowhere, which is
/// an answer like any other that is not the expected one.
fn target(response: &Response, from: &Url) -> Option<Url> {
    let redirects = matches!(
        response.status(),
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    );
    if !redirects {
        return None;
    }
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    let mut target = from.join(location).ok()?;
    // Nobody else says who we are. Neither fails for http and https, and nothing else is followed.
    let _ = target.set_username("");
    let _ = target.set_password(None);
    target.set_fragment(None);
    Some(target)
}

fn check(method: &Method, status: StatusCode, from: &Url, target: &Url) -> Result<(), Reason> {
    let keeps_method = matches!(
        status,
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT
    );
    if *method != Method::GET && !keeps_method {
        return Err(Reason::BecomesGet);
    }
    // Another port can be another's server on that host; only for https it must be another one.
    let same_port = match (from.scheme(), target.scheme()) {
        ("http", "https") => true,
        (before, after) if before == after => {
            from.port_or_known_default() == target.port_or_known_default()
        }
        _ => return Err(Reason::Unprotected),
    };
    if from.host() != target.host() || !same_port {
        return Err(Reason::OtherHost);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_is_followed_within_its_host_only() {
        let url = |text: &str| Url::parse(text).unwrap();
        let http = "http://h:6385/v1/heartbeat/1";
        let https = "https://h/records";
        for (from, to, expected) in [
            (http, "http://h:6385/v1/heartbeat/1/", Ok(())),
            (http, "https://h/v1", Ok(())),
            (http, "https://h:13385/v1", Ok(())),
            (http, "http://h/v1", Err(Reason::OtherHost)),
            (http, "http://portal.example/", Err(Reason::OtherHost)),
            (http, "https://portal.example/", Err(Reason::OtherHost)),
            (http, "http://h.example:6385/", Err(Reason::OtherHost)),
            (http, "ftp://h:6385/", Err(Reason::Unprotected)),
            (https, "https://H:443/elsewhere", Ok(())),
            (https, "https://h:8443/records", Err(Reason::OtherHost)),
            (https, "http://h/records", Err(Reason::Unprotected)),
            (https, "http://h:443/records", Err(Reason::Unprotected)),
        ] {
            for (method, status) in [(Method::POST, 307), (Method::PUT, 308), (Method::GET, 302)] {
                let status = StatusCode::from_u16(status).unwrap();
                assert_eq!(
                    check(&method, status, &url(from), &url(to)),
                    expected,
                    "{to}"
                );
            }
        }
    }

    #[test]
    fn what_hands_something_in_does_not_become_a_get() {
        let url = Url::parse("http://h/").unwrap();
        for status in [301, 302, 303] {
            let status = StatusCode::from_u16(status).unwrap();
            for method in [Method::POST, Method::PUT] {
                let checked = check(&method, status, &url, &url);
                assert_eq!(checked, Err(Reason::BecomesGet), "{method} {status}");
            }
            assert_eq!(check(&Method::GET, status, &url, &url), Ok(()));
        }
    }
}
