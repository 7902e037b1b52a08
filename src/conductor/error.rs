//! What can go wrong between agent and conductor.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;

use crate::net::NetError;
use crate::net::redirect::RefusedRedirect;

/// Answers are kept in errors up to this many characters.
const ANSWER_LIMIT: usize = 500;

/// Why the conductor gave no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum ConductorError {
    /// No connection came about, or it broke.
    #[error("Could not reach the conductor at {url}")]
    Unreachable {
        /// Where, without the query.
        url: String,
        /// Why not.
        #[source]
        source: reqwest::Error,
    },
    /// There was a connection, but no answer in time.
    #[error("The conductor at {url} did not answer within {} s", .timeout.as_secs())]
    Timeout {
        /// Where, without the query.
        url: String,
        /// The limit, option `http_request_timeout`.
        timeout: Duration,
    },
    /// The node is locked, status 409: ask again soon.
    #[error("The conductor has the node locked: {text}")]
    Conflict {
        /// What it said.
        text: String,
    },
    /// Another status than the expected one.
    #[error("The conductor at {url} answered: {text}")]
    Status {
        /// Where, without the query.
        url: String,
        /// The status.
        status: u16,
        /// `Error <code>: <text>`.
        text: String,
    },
    /// It points elsewhere: a portal that wants a login, or a wrong URL. Nothing was handed in.
    #[error("The conductor at {url} did not take the request")]
    Redirected {
        /// Where, without the query.
        url: String,
        /// Where it points to, and why that is not followed.
        #[source]
        source: RefusedRedirect,
    },
    /// An answer with the right status and a content that makes no sense.
    #[error("The conductor at {url} answered with {what}")]
    Answer {
        /// Where, without the query.
        url: String,
        /// What is wrong with it.
        what: String,
    },
    /// The answer is about another node than the one that this machine is.
    #[error(
        "The conductor takes this machine for the node {answered}, but since it was booted it is the \
         node {expected}; nothing of that answer is taken. If the node was made anew, have the conductor reboot this machine"
    )]
    OtherNode {
        /// What this machine is known as.
        expected: String,
        /// What the answer says.
        answered: String,
    },
    /// There is no conductor to ask.
    #[error("No URL of a conductor is known; set ipa-api-url on the kernel command line")]
    NoUrl,
    /// A URL that cannot be used.
    #[error("{url:?} is no URL of a conductor: {reason}")]
    Url {
        /// The URL.
        url: String,
        /// Why not.
        reason: String,
    },
    /// The client cannot be set up.
    #[error("Could not set up the connection to the conductor")]
    Setup(#[source] NetError),
}

impl ConductorError {
    /// Whether no answer came at all, so that another URL may help.
    pub fn is_connection(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Timeout { .. })
    }

    /// Whether this may be the answer of no conductor at all: none came, or another program's.
    pub fn leads_nowhere(&self) -> bool {
        self.is_connection()
            || matches!(self, Self::Redirected { .. } | Self::Answer { .. })
            || matches!(self, Self::Status { status, .. } if *status >= 500)
    }

    /// Whether the same request may succeed later: no answer, a locked node, an error on the
    /// conductor's side, or another's answer, as of a network that lets nobody through yet.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::Conflict { .. }
            | Self::Redirected { .. }
            | Self::Answer { .. } => true,
            Self::Status { status, .. } => *status >= 500,
            _ => false,
        }
    }
}

/// What an error answer says, as the reference prints it: `Error <code>: <text>`, where the text is
/// dug out of the answer's JSON (contract/control-plane 2.2).
pub(super) fn status_text(status: StatusCode, body: &[u8]) -> String {
    let text = match serde_json::from_slice::<Value>(body) {
        Ok(value) => message(&value),
        Err(_) => None,
    };
    let text = text.unwrap_or_else(|| String::from_utf8_lossy(body).trim().to_owned());
    let mut short: String = text.chars().take(ANSWER_LIMIT).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("Error {}: {short}", status.as_u16())
}

/// `error_message`, a dictionary or a string with one, of which `faultstring` or `title`.
fn message(value: &Value) -> Option<String> {
    let inner = match value.get("error_message")? {
        Value::String(text) => match serde_json::from_str(text) {
            Ok(inner @ Value::Object(_)) => inner,
            _ => return Some(text.clone()),
        },
        other => other.clone(),
    };
    ["faultstring", "title"]
        .iter()
        .find_map(|name| inner.get(name)?.as_str())
        .map(str::to_owned)
        .or_else(|| Some(inner.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_dug_out_of_the_answer() {
        let not_found = StatusCode::NOT_FOUND;
        for (body, text) in [
            (
                r#"{"error_message": {"debuginfo": null, "faultcode": "Client", "faultstring": "Resource could not be found."}}"#,
                "Error 404: Resource could not be found.",
            ),
            (
                r#"{"error_message": "{\"faultstring\": \"Not here\"}"}"#,
                "Error 404: Not here",
            ),
            (r#"{"error_message": {"title": "T"}}"#, "Error 404: T"),
            (r#"{"error_message": "plain"}"#, "Error 404: plain"),
            (r#"{"other": 1}"#, r#"Error 404: {"other": 1}"#),
            ("<html>\n", "Error 404: <html>"),
        ] {
            assert_eq!(status_text(not_found, body.as_bytes()), text);
        }
        let long = "x".repeat(10_000);
        assert!(status_text(not_found, long.as_bytes()).len() < 600);
    }
}
