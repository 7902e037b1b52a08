//! The cases of `tests/fixtures/config_drives/cases.json`: what the reference would write to the disk,
//! and what this does. `tests/config_drives/reference.py` wrote them.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use flate2::read::GzDecoder;
use serde_json::{Value, json};

use super::tests::decode;
use crate::stream::test_server::{Reply, TestServer};

#[test]
fn each_config_drive_is_taken_as_the_table_says() {
    let table = table();
    let wrong: Vec<String> = cases(&table)
        .iter()
        .map(|case| (case, answer(&table, case)))
        .filter(|(case, answer)| *answer != case["farrier"])
        .map(|(case, answer)| format!("{}\n    answered {answer}", case["title"]))
        .collect();
    assert!(cases(&table).len() >= 60);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_reference_is_left_only_for_a_reason() {
    let table = table();
    let mut used = BTreeSet::new();
    for case in cases(&table) {
        // Whatever is not refused is one of the images.
        let answers = case["farrier"].as_object().unwrap();
        assert!(answers.contains_key("writes") || answers.contains_key("refuses"));
        let differs = case["farrier"] != case["reference"];
        assert_eq!(differs, case.get("why").is_some(), "{}", case["title"]);
        used.extend(case.get("why").and_then(Value::as_str));
    }
    let known = table["reasons"].as_object().unwrap();
    let known: BTreeSet<&str> = known.keys().map(String::as_str).collect();
    assert_eq!(used, known);
}

fn table() -> Value {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/config_drives/cases.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn cases(table: &Value) -> &[Value] {
    table["cases"].as_array().unwrap()
}

fn stored(value: &Value) -> Vec<u8> {
    let packed = BASE64_STANDARD.decode(value.as_str().unwrap()).unwrap();
    let mut content = Vec::new();
    GzDecoder::new(&packed[..])
        .read_to_end(&mut content)
        .unwrap();
    content
}

/// Which image is written, or the part of the error that the table wants.
fn answer(table: &Value, case: &Value) -> Value {
    let decoded = match case.get("url") {
        Some(body) => {
            let body = Arc::new(stored(body));
            let server = TestServer::start(move |_, _| Reply::ok(&body));
            decode(&server.url("/drive"))
        }
        None => decode(&String::from_utf8(stored(&case["inline"])).unwrap()),
    };
    match decoded {
        Ok(image) => {
            let images = table["images"].as_object().unwrap();
            let name = images
                .iter()
                .filter(|(name, _)| *name != "tool")
                .find(|(_, content)| stored(content) == image)
                .map(|(name, _)| name);
            json!({ "writes": name })
        }
        Err(error) => {
            let text = error.to_string();
            match case["farrier"].get("refuses").and_then(Value::as_str) {
                Some(part) if text.contains(part) => json!({ "refuses": part }),
                _ => json!({ "refuses": text }),
            }
        }
    }
}
