//! Secrets never reach a log: what looks like one is masked by its name, and what is known to be
//! one is masked by its value.

use std::sync::{PoisonError, RwLock};

/// Names whose value is a secret, in lower case: query parameters, JSON members, headers,
/// environment variables and options.
const NAMES: [&str; 11] = [
    "agent_token",
    "agent-token",
    "agent_secret_token",
    "temp_url_sig",
    "password",
    "passwd",
    "authorization",
    "x-auth-token",
    "x-amz-signature",
    "signature",
    "secret",
];

/// Values that are known to be secret.
static VALUES: RwLock<Vec<String>> = RwLock::new(Vec::new());

/// From now on, mask this text wherever it appears. Texts under eight bytes are not taken: they
/// would hide half a log.
pub fn hide(secret: &str) {
    if secret.len() < 8 {
        return;
    }
    let mut values = VALUES.write().unwrap_or_else(PoisonError::into_inner);
    if !values.iter().any(|known| known == secret) {
        values.push(secret.to_owned());
    }
}

/// The text with every secret replaced by `***`.
pub fn mask(text: &str) -> String {
    let mut masked = mask_named(text);
    for value in VALUES.read().unwrap_or_else(PoisonError::into_inner).iter() {
        if masked.contains(value.as_str()) {
            masked = masked.replace(value.as_str(), "***");
        }
    }
    masked
}

/// Mask what follows one of [`NAMES`], and the password in `scheme://user:password@host`.
fn mask_named(text: &str) -> String {
    // ASCII lower case keeps every byte position.
    let lower = text.to_ascii_lowercase();
    let mut masked = String::with_capacity(text.len());
    let mut rest = 0;
    while let Some((start, end)) = next_secret(text, &lower, rest) {
        masked.push_str(&text[rest..start]);
        masked.push_str("***");
        rest = end;
    }
    masked.push_str(&text[rest..]);
    masked
}

/// Start and end of the first secret at or after `from`.
fn next_secret(text: &str, lower: &str, from: usize) -> Option<(usize, usize)> {
    let named = NAMES
        .iter()
        .filter_map(|name| named_value(text, lower, from, name))
        .min();
    [named, userinfo(text, from)].into_iter().flatten().min()
}

fn named_value(text: &str, lower: &str, from: usize, name: &str) -> Option<(usize, usize)> {
    let mut search = from;
    loop {
        let found = search + lower.get(search..)?.find(name)?;
        let after = found + name.len();
        search = after;
        if let Some(range) = value_after(text, after) {
            return Some(range);
        }
    }
}

/// The value in `name=value`, `name: value`, `"name": "value"`, `name=Some("value")`.
fn value_after(text: &str, after: usize) -> Option<(usize, usize)> {
    let tail = &text[after..];
    let assigned = tail.trim_start_matches(['"', '\'', '\\', ' ']);
    let value = assigned.strip_prefix([':', '='])?;
    let value = value.trim_start_matches(' ');
    let value = value.strip_prefix("Some(").unwrap_or(value);
    let opening = value.trim_start_matches('\\');
    let (value, close): (&str, &[char]) = match opening.chars().next()? {
        '"' => (&opening[1..], &['"', '\\', '\n']),
        '\'' => (&opening[1..], &['\'', '\n']),
        _ => (
            value,
            &['&', ' ', ',', ';', '"', '\'', '}', ']', ')', '\n', '\t'],
        ),
    };
    // `Authorization: Basic dXNlcg==` has its secret in the second word.
    let scheme = ["Basic ", "Bearer ", "basic ", "bearer "]
        .into_iter()
        .find(|scheme| value.starts_with(scheme))
        .map_or(0, str::len);
    let start = text.len() - value.len() + scheme;
    let length = text[start..].find(close).unwrap_or(text.len() - start);
    let secret = &text[start..start + length];
    let worth_hiding = !matches!(secret, "" | "null" | "None" | "***" | "******");
    worth_hiding.then_some((start, start + length))
}

fn userinfo(text: &str, from: usize) -> Option<(usize, usize)> {
    let mut search = from;
    loop {
        let authority = search + text.get(search..)?.find("://")? + 3;
        search = authority;
        let end = text[authority..]
            .find(['/', '?', '#', ' ', '"', '\n'])
            .map_or(text.len(), |length| authority + length);
        let Some(at) = text[authority..end].rfind('@') else {
            continue;
        };
        let Some(colon) = text[authority..authority + at].find(':') else {
            continue;
        };
        let range = (authority + colon + 1, authority + at);
        if range.0 < range.1 && &text[range.0..range.1] != "***" {
            return Some(range);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn secrets_are_masked_by_name() {
        for (line, masked) in [
            (
                "POST /v1/commands/?wait=true&agent_token=abc-_1&x=2",
                "POST /v1/commands/?wait=true&agent_token=***&x=2",
            ),
            (
                r#"{"agent_token": "abc", "callback_url": "u"}"#,
                r#"{"agent_token": "***", "callback_url": "u"}"#,
            ),
            (
                r#"body="{\"agent_token\": \"abc\", \"n\": 1}""#,
                r#"body="{\"agent_token\": \"***\", \"n\": 1}""#,
            ),
            (
                "GET http://swift/v1/a?temp_url_sig=f00&temp_url_expires=17 done",
                "GET http://swift/v1/a?temp_url_sig=***&temp_url_expires=17 done",
            ),
            (
                "Authorization: Basic dXNlcjpwYXNz",
                "Authorization: Basic ***",
            ),
            ("http://me:pass@host/x", "http://me:***@host/x"),
            (
                "image_server_password=Some(\"x y\")",
                "image_server_password=Some(\"***\")",
            ),
            (
                "root=/dev/ram ipa-agent-token=abc quiet",
                "root=/dev/ram ipa-agent-token=*** quiet",
            ),
            ("agent_token: null", "agent_token: null"),
            ("the password is asked for", "the password is asked for"),
        ] {
            assert_eq!(mask(line), masked);
        }
    }

    #[test]
    fn a_known_secret_is_masked_anywhere() {
        hide("kG0-unlikely-anywhere-else");
        assert_eq!(mask("x kG0-unlikely-anywhere-else y"), "x *** y");
    }

    proptest! {
        #[test]
        fn any_text_can_be_masked(text in "\\PC{0,80}") {
            let _ = mask(&text);
        }

        #[test]
        fn a_token_never_survives(token in "[A-Za-z0-9_-]{32,43}", before in "[a-z ]{0,9}") {
            let line = format!("{before}?agent_token={token}&wait=true");
            prop_assert!(!mask(&line).contains(&token));
        }
    }
}
