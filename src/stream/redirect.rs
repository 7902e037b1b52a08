//! Where a reply sends a request on, and what may go there with it.

use reqwest::cookie::{CookieStore, Jar};
use reqwest::header::{COOKIE, HeaderMap, HeaderValue, LOCATION, SET_COOKIE};
use reqwest::{Response, StatusCode, Url};

use super::error::RedirectError;
use super::quote::quoted;
use super::request::Location;

/// Redirects that are followed, as the reference's HTTP library does.
const REDIRECTS: usize = 30;

/// The way of one request, redirect by redirect.
///
/// The HTTP library would follow them itself, but sends a `Location` on as the server wrote it, and
/// takes one that sets a cookie and comes back to the same URL for a loop.
#[derive(Default)]
pub(super) struct Trail {
    /// What was asked for, and with which cookies.
    visited: Vec<(Url, Option<HeaderValue>)>,
}

impl Trail {
    /// Note what is asked for next, with the cookies that the headers now get for it.
    pub(super) fn visit(
        &mut self,
        url: &Url,
        cookies: &Jar,
        headers: &mut HeaderMap,
    ) -> Result<(), RedirectError> {
        headers.remove(COOKIE);
        let cookie = cookies.cookies(url);
        if let Some(cookie) = &cookie {
            let mut secret = cookie.clone();
            secret.set_sensitive(true);
            headers.insert(COOKIE, secret);
        }
        let step = (url.clone(), cookie);
        if self.visited.contains(&step) {
            return Err(RedirectError::Loop {
                to: Location::of_reply(url).to_string(),
            });
        }
        if self.visited.len() > REDIRECTS {
            return Err(RedirectError::TooMany { limit: REDIRECTS });
        }
        self.visited.push(step);
        Ok(())
    }
}

/// Where a reply sends the request on; `None` where it does not, or to something else than HTTP.
pub(super) fn target(response: &Response) -> Option<Url> {
    match response.status() {
        StatusCode::MOVED_PERMANENTLY
        | StatusCode::FOUND
        | StatusCode::SEE_OTHER
        | StatusCode::TEMPORARY_REDIRECT
        | StatusCode::PERMANENT_REDIRECT => {}
        _ => return None,
    }
    let location = response.headers().get(LOCATION)?;
    let target = response.url().join(&quoted(location.as_bytes())).ok()?;
    matches!(target.scheme(), "http" | "https").then_some(target)
}

/// Whether credentials may go from one URL to the next: to the same host, port and scheme, and from
/// plain HTTP to HTTPS on their usual ports.
pub(super) fn is_one_site(from: &Url, to: &Url) -> bool {
    if from.host() != to.host() {
        return false;
    }
    let of = |url: &Url| (url.scheme().to_owned(), url.port_or_known_default());
    let is_upgrade =
        of(from) == ("http".to_owned(), Some(80)) && of(to) == ("https".to_owned(), Some(443));
    of(from) == of(to) || is_upgrade
}

/// Keep the cookies that a reply sets, for the host or the domain that they are for.
pub(super) fn keep_cookies(cookies: &Jar, response: &Response) {
    let host = response.url().host_str().unwrap_or_default();
    let mut set = response
        .headers()
        .get_all(SET_COOKIE)
        .iter()
        .filter(|cookie| !is_for_a_whole_zone(cookie, host));
    cookies.set_cookies(&mut set, response.url());
}

/// Whether a cookie is for `com` or the like, which the jar, having no list of such domains, would
/// give to all hosts there.
fn is_for_a_whole_zone(cookie: &HeaderValue, host: &str) -> bool {
    String::from_utf8_lossy(cookie.as_bytes())
        .split(';')
        .skip(1)
        .filter_map(|attribute| attribute.split_once('='))
        .filter(|(name, _)| name.trim().eq_ignore_ascii_case("domain"))
        .map(|(_, domain)| domain.trim().trim_matches('.').to_owned())
        .any(|domain| {
            !domain.is_empty() && !domain.contains('.') && !domain.eq_ignore_ascii_case(host)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn credentials_stay_with_their_site() {
        for (from, to, one) in [
            ("http://h/a", "http://h/b", true),
            ("http://h/a", "https://h/b", true),
            ("http://h:80/a", "http://h/b", true),
            ("https://h/a", "http://h/b", false),
            ("http://h:8080/a", "https://h/b", false),
            ("http://h/a", "https://h:8443/b", false),
            ("http://h/a", "http://h:81/b", false),
            ("http://h/a", "http://g/b", false),
            ("http://h/a", "http://x.h/b", false),
        ] {
            assert_eq!(is_one_site(&url(from), &url(to)), one, "{from} {to}");
        }
    }

    #[test]
    fn a_cookie_is_not_for_a_whole_zone() {
        for (cookie, is_too_wide) in [
            ("a=1", false),
            ("a=1; Path=/; Domain=lab.test", false),
            ("a=1; domain = .lab.test", false),
            ("a=1; Domain=test", true),
            ("a=1; Secure; DOMAIN=.test.", true),
            ("a=1; Domain=images", false),
            ("domain=test", false),
            ("a=1; Domain=", false),
        ] {
            let value = HeaderValue::from_str(cookie).unwrap();
            assert_eq!(
                is_for_a_whole_zone(&value, "images"),
                is_too_wide,
                "{cookie}"
            );
        }
    }

    #[test]
    fn the_same_place_with_another_cookie_is_no_loop() {
        let (jar, mut trail, mut headers) = (Jar::default(), Trail::default(), HeaderMap::new());
        let here = url("http://h/a");
        trail.visit(&here, &jar, &mut headers).unwrap();
        assert!(headers.get(COOKIE).is_none());
        jar.add_cookie_str("a=1", &here);
        trail.visit(&here, &jar, &mut headers).unwrap();
        assert!(headers[COOKIE].is_sensitive());
        assert!(matches!(
            trail.visit(&here, &jar, &mut headers),
            Err(RedirectError::Loop { .. })
        ));
        trail.visit(&url("http://g/a"), &jar, &mut headers).unwrap();
        assert!(headers.get(COOKIE).is_none(), "another host");
    }
}
