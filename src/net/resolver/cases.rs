//! The cases of `tests/fixtures/names/cases.json`: what the C library answered, and what this
//! answers, of name servers that do as the case says. `tests/names/reference.py` wrote them.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::tests::{NameServer, Place};

fn table() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/names/cases.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[tokio::test]
async fn each_name_is_resolved_as_the_table_says() {
    let table = table();
    let cases = table["cases"].as_array().unwrap();
    assert!(cases.len() >= 40);
    let (waiting, prompt): (Vec<_>, Vec<_>) = cases.iter().cloned().partition(waits);
    let mut wrong = Vec::new();
    for case in prompt {
        wrong.extend(check(case).await);
    }
    let mut checks = JoinSet::new();
    for case in waiting {
        checks.spawn(check(case));
    }
    wrong.extend(checks.join_all().await.into_iter().flatten());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_c_library_is_left_only_for_a_reason() {
    let table = table();
    let mut used = BTreeSet::new();
    for case in table["cases"].as_array().unwrap() {
        assert_eq!(
            case["farrier"] != case["reference"],
            case.get("why").is_some(),
            "{case}"
        );
        used.extend(case.get("why").and_then(Value::as_str));
    }
    let known = table["reasons"].as_object().unwrap();
    let known: BTreeSet<&str> = known.keys().map(String::as_str).collect();
    assert_eq!(used, known);
}

/// Whether a time limit runs out in it.
fn waits(case: &Value) -> bool {
    let servers = case["servers"].to_string();
    servers.contains("silent") || servers.contains("drop")
}

/// What is wrong with the answer.
async fn check(case: Value) -> Option<String> {
    let answer = answer(&case).await;
    (answer != case["farrier"]).then(|| format!("{case}\n    answered {answer}"))
}

/// The addresses, sorted as text.
async fn answer(case: &Value) -> Value {
    let text = |key: &str| case[key].as_str().unwrap();
    let place = Place::new();
    place.write("resolv.conf", text("resolv_conf"));
    place.write("hosts", text("hosts"));
    place.write("hostname", text("host_name"));
    let mut servers = Vec::new();
    for (address, zone) in case["servers"].as_object().unwrap() {
        servers.push(NameServer::start(address, place.port(), zone).await);
    }
    let second = if waits(case) { 500 } else { 5000 };
    let resolver = place.resolver(Duration::from_millis(second));
    let mut found: Vec<String> = resolver
        .lookup(text("name"))
        .await
        .unwrap_or_default()
        .iter()
        .map(ToString::to_string)
        .collect();
    found.sort();
    json!(found)
}
