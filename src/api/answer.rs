//! The answers, in the conductor's shapes (contract/control-plane 5.2, 5.5).

use bytes::Bytes;
use farrier_plugin::ManagerError;
use http_body_util::Full;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION,
    REFERRER_POLICY, SERVER, VARY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};
use serde::Serialize;
use serde_json::json;

use super::page;
use crate::command::ErrorObject;

/// An answer: its body is in memory.
pub(super) type Answer = Response<Full<Bytes>>;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// The name that the conductor's operators know from their logs.
const PRODUCT: HeaderValue = HeaderValue::from_static("ironic-python-agent");

/// 200 with this as JSON.
pub(super) fn ok(body: &impl Serialize) -> Answer {
    match serde_json::to_vec(body) {
        Ok(text) => answer(StatusCode::OK, JSON, text),
        Err(error) => fault(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

/// The same with this page, for a browser: kept nowhere, loading nothing, told to nobody.
pub(super) fn page(text: String) -> Answer {
    let mut answer = answer(StatusCode::OK, HTML, text.into_bytes());
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, page::POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
    ] {
        set(&mut answer, name, HeaderValue::from_static(value));
    }
    answer
}

/// It depends on what the client takes.
pub(super) fn varying(mut answer: Answer) -> Answer {
    set(&mut answer, VARY, HeaderValue::from_static("Accept"));
    answer
}

/// An error with this text.
pub(super) fn fault(status: StatusCode, text: &str) -> Answer {
    answer(status, JSON, fault_text(status, text).into_bytes())
}

/// The body of such an error.
pub(super) fn fault_text(status: StatusCode, text: &str) -> String {
    let code = if status.is_server_error() {
        "Server"
    } else {
        "Client"
    };
    json!({"faultcode": code, "faultstring": text}).to_string()
}

/// An error of the HTTP layer, in the words of the reference's library: `404 Not Found: …`.
pub(super) fn http_fault(status: StatusCode, explanation: &str) -> Answer {
    fault(status, &format!("{status}: {explanation}"))
}

/// The error that a command was refused with: `Agent is busy: executing command sync`.
pub(super) fn refusal(error: &ManagerError) -> Answer {
    let object = ErrorObject::from(error);
    let status = StatusCode::from_u16(object.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    fault(status, &format!("{}: {}", object.message, object.details))
}

/// 405, with the methods that would do.
pub(super) fn method_not_allowed(allowed: &'static str) -> Answer {
    let mut answer = http_fault(
        StatusCode::METHOD_NOT_ALLOWED,
        "The method is not allowed for the requested URL.",
    );
    set(&mut answer, ALLOW, HeaderValue::from_static(allowed));
    answer
}

/// 308 to this path and query.
pub(super) fn redirect(target: &str) -> Answer {
    let Ok(location) = HeaderValue::from_str(target) else {
        return not_found();
    };
    // The page does not repeat the target, in whose query the token is.
    let page = "<!doctype html>\n<html lang=en>\n<title>Redirecting...</title>\n\
                <h1>Redirecting...</h1>\n<p>The path of this URL ends in a slash.</p>\n";
    let mut answer = answer(StatusCode::PERMANENT_REDIRECT, HTML, page.into());
    set(&mut answer, LOCATION, location);
    answer
}

/// 404 for a path that is not there.
pub(super) fn not_found() -> Answer {
    http_fault(
        StatusCode::NOT_FOUND,
        "The requested URL was not found on the server. If you entered the URL manually please \
         check your spelling and try again.",
    )
}

fn answer(status: StatusCode, kind: HeaderValue, body: Vec<u8>) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    set(&mut answer, CONTENT_TYPE, kind);
    set(&mut answer, SERVER, PRODUCT);
    answer
}

fn set(answer: &mut Answer, name: HeaderName, value: HeaderValue) {
    answer.headers_mut().insert(name, value);
}
