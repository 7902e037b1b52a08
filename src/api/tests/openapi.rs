//! `docs/openapi.json` and what is answered. Every exchange of these tests is held against it, too.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use hyper::Method;

use super::super::openapi::document;
use super::super::resources;
use super::*;
use crate::sys::json_schema::JsonSchemas;

/// Set to `write`, what is kept is replaced.
const VARIABLE: &str = "FARRIER_SNAPSHOTS";

static DOCUMENT: LazyLock<JsonSchemas> = LazyLock::new(|| JsonSchemas(document()));

#[test]
fn what_is_kept_is_what_the_code_has() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
    let made = format!("{}\n", serde_json::to_string_pretty(&document()).unwrap());
    if std::env::var_os(VARIABLE).is_some_and(|value| value == "write") {
        fs::write(&path, made).unwrap();
    } else {
        let kept = fs::read_to_string(&path).unwrap();
        assert!(made == kept, "`make docs` would change docs/openapi.json");
    }
}

/// What the document has of a request's method and path.
fn operation(method: &str, path: &str) -> Option<&'static Value> {
    let found = resources::find(path)?;
    let (pattern, _) = resources::PATHS
        .into_iter()
        .find(|(pattern, _)| match pattern.strip_suffix(resources::ID) {
            Some(start) => !found.id.is_empty() && path.starts_with(start),
            None => pattern.trim_end_matches('/') == path.trim_end_matches('/'),
        })
        .unwrap();
    let pattern = match found.lacks_slash {
        true => pattern.strip_suffix('/').unwrap(),
        false => pattern,
    };
    DOCUMENT.0["paths"][pattern].get(method.to_lowercase())
}

/// Why this is no answer to such a request by the document. What it does not know is not asked for by those who go by it.
pub(super) fn fault(method: &str, target: &str, reply: &Reply) -> Option<String> {
    let path = target.split('?').next().unwrap();
    let operation = operation(method, path)?;
    let mut response = &operation["responses"][reply.status.to_string()];
    if let Some(reference) = response["$ref"].as_str() {
        response = DOCUMENT.0.pointer(&reference[1..]).unwrap();
    }
    if response.is_null() {
        return Some(format!("{method} {path}: {} is not named", reply.status));
    }
    let kind = reply.header("content-type").unwrap_or_default();
    match &response["content"][kind]["schema"] {
        Value::Null if reply.body.is_empty() => None,
        Value::Null => Some(format!("{method} {path}: {kind} is not named")),
        schema if kind == "application/json" => DOCUMENT
            .check(schema, &reply.json(), "body")
            .err()
            .map(|wrong| format!("{method} {path} {}: {wrong}", reply.status)),
        _ => None,
    }
}

#[test]
fn every_path_has_its_methods_and_no_others_and_wants_the_token_where_it_says_so() {
    let served = Served::new();
    for (path, item) in DOCUMENT.0["paths"].as_object().unwrap() {
        let target = path.replace(resources::ID, "1be26c0b-03f2-4d2e-ae87-c02d7f33c123");
        let known: BTreeSet<String> = item
            .as_object()
            .unwrap()
            .keys()
            .filter(|key| *key != "parameters")
            .map(|method| method.to_uppercase())
            .collect();
        for method in [
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
            Method::OPTIONS,
            Method::TRACE,
        ] {
            let method = method.as_str();
            let reply = served.exchange(method, &target, b"");
            let Some(operation) = item.get(method.to_lowercase()) else {
                assert_eq!(reply.status, 405, "{method} {path}");
                let allowed = reply.header("allow").unwrap().split(", ");
                let allowed: BTreeSet<String> = allowed.map(str::to_owned).collect();
                assert_eq!(allowed, known, "{path}");
                continue;
            };
            let is_refused = reply.status == 401;
            assert_eq!(
                is_refused,
                operation.get("security").is_some(),
                "{method} {path}"
            );
            assert!(reply.status < 402, "{method} {path}: {}", reply.status);
        }
    }
}

#[test]
fn every_command_has_an_example_that_is_valid() {
    let body = &DOCUMENT.0["paths"]["/v1/commands/"]["post"]["requestBody"];
    let body = &body["content"]["application/json"];
    let examples = body["examples"].as_object().unwrap();
    assert!(examples.len() >= 19);
    for (name, example) in examples {
        DOCUMENT
            .check(&body["schema"], &example["value"], name)
            .unwrap();
    }
}

/// The schema tells what to send: it may know less than what is taken, and never more.
#[test]
fn no_request_that_the_document_calls_valid_is_refused_for_its_shape() {
    let table: Value =
        serde_json::from_slice(&fs::read("tests/fixtures/odd_requests/cases.json").unwrap())
            .unwrap();
    let body = &DOCUMENT.0["paths"]["/v1/commands/"]["post"]["requestBody"];
    let schema = &body["content"]["application/json"]["schema"];
    let (mut valid, mut lenient) = (0, 0);
    for case in table["cases"].as_array().unwrap() {
        let sent = case["body"]
            .as_str()
            .and_then(|text| serde_json::from_str(text).ok());
        let Some(sent) = sent.filter(|_: &Value| case["method"] == "POST") else {
            continue;
        };
        let answer = &case["farrier"];
        let is_taken = answer["status"] == 200;
        match DOCUMENT.check(schema, &sent, "body") {
            Ok(()) => {
                valid += 1;
                let text = answer["fault"].as_str().unwrap_or_default();
                let is_of_shape = ["400 Bad Request", "Invalid command parameters"]
                    .iter()
                    .any(|beginning| text.starts_with(beginning));
                assert!(!is_of_shape, "{case}");
            }
            Err(_) => lenient += usize::from(is_taken),
        }
    }
    assert!(valid >= 20 && lenient >= 40, "{valid} {lenient}");
}
