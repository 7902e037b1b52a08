//! The cases of `tests/fixtures/checksum_files/cases.json`: by which digest the reference verified
//! an image, and by which this does. `tests/checksum_files/reference.py` wrote them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use farrier_plugin::{SilentContext, chain};
use serde_json::{Value, json};

use super::{MIB, options, request};
use crate::config::Options;
use crate::stream::test_server::{Reply, TestServer};
use crate::stream::{Algorithm, Checksum, Location, StreamError, write};
use crate::sys::memory_medium::MemoryMedium;

#[test]
fn each_file_of_checksums_verifies_the_image_as_the_table_says() {
    let table = table();
    let wrong: Vec<String> = cases(&table)
        .iter()
        .map(|case| (case, answer(&table, case)))
        .filter(|(case, answer)| *answer != case["farrier"])
        .map(|(case, answer)| format!("{case:.400}\n    answered {answer}"))
        .collect();
    assert!(cases(&table).len() >= 90);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_reference_and_coreutils_are_left_only_for_a_reason() {
    let table = table();
    let mut used = BTreeSet::new();
    for case in cases(&table) {
        assert!(case["farrier"].get("crashes").is_none(), "{case}");
        assert_eq!(
            case["farrier"] != case["reference"],
            case.get("why").is_some(),
            "{case}"
        );
        used.extend(case.get("why").and_then(Value::as_str));
        // MD5 is an option.
        let coreutils = case.get("coreutils").and_then(Value::as_array);
        let verifies = coreutils.into_iter().flatten().any(|algorithm| {
            algorithm != "md5"
                && case
                    .get("algorithm")
                    .is_none_or(|wanted| wanted == algorithm)
        });
        assert!(
            !verifies || case["farrier"].get("verifies").is_some(),
            "{case}"
        );
    }
    let known = table["reasons"].as_object().unwrap();
    let known: BTreeSet<&str> = known.keys().map(String::as_str).collect();
    assert_eq!(used, known);
}

fn table() -> Value {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/checksum_files/cases.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn cases(table: &Value) -> &[Value] {
    table["cases"].as_array().unwrap()
}

fn text<'a>(case: &'a Value, field: &str) -> Option<&'a str> {
    case.get(field).map(|value| value.as_str().unwrap())
}

/// The file of checksums as it is served.
fn content(case: &Value) -> Vec<u8> {
    let times = case.get("times").map_or(0, |times| times.as_u64().unwrap());
    let mut content = text(case, "filler").unwrap_or("").repeat(times as usize);
    content.push_str(text(case, "content").unwrap());
    let utf16 =
        |unit: fn(u16) -> [u8; 2]| content.encode_utf16().flat_map(unit).collect::<Vec<_>>();
    match text(case, "encoding").unwrap_or("utf-8") {
        "utf-8" => content.into_bytes(),
        "utf-8-sig" => [b"\xef\xbb\xbf", content.as_bytes()].concat(),
        "utf-16-le" => utf16(u16::to_le_bytes),
        "utf-16-le-sig" => [b"\xff\xfe".to_vec(), utf16(u16::to_le_bytes)].concat(),
        "utf-16-be-sig" => [b"\xfe\xff".to_vec(), utf16(u16::to_be_bytes)].concat(),
        "latin-1" => content
            .chars()
            .map(|one| u8::try_from(one).unwrap())
            .collect(),
        other => panic!("{other}"),
    }
}

/// What the image is verified by: a server has both files, and the image is written.
fn answer(table: &Value, case: &Value) -> Value {
    let image = Arc::new(text(table, "image").unwrap().as_bytes().to_vec());
    let sums = Arc::new(content(case));
    let kind = text(case, "type").map(str::to_owned);
    let server = TestServer::start({
        let image = Arc::clone(&image);
        move |_, request| match (request.target.as_str(), &kind) {
            ("/SUMS", Some(kind)) => Reply::ok(&sums).header("Content-Type", kind),
            ("/SUMS", None) => Reply::ok(&sums),
            _ => Reply::ok(&image),
        }
    });
    let url = server.url(text(case, "url").unwrap_or("/disk.raw"));
    let mut request = request(&[url], &image);
    request.checksum = Some(Checksum::File {
        location: Location::parse(&server.url("/SUMS")).unwrap(),
        algorithm: text(case, "algorithm").map(|name| Algorithm::named(name).unwrap()),
        md5_allowed: case.get("md5").is_some(),
    });
    let medium = MemoryMedium::used(2 * MIB);
    // Reading the system's trust anchors for each case would take longer than all else.
    let options = Options {
        insecure: true,
        ..options()
    };
    match write(&request, &options, &medium, &SilentContext) {
        Ok(written) => {
            let (algorithm, _) = written.checksum.split_once(':').unwrap();
            assert!(written.digest.is_some());
            json!({ "verifies": algorithm })
        }
        Err(StreamError::Checksum { .. }) => json!({ "differs": true }),
        Err(error) => {
            let text = chain(&error);
            let mut reason = text.rsplit("failed: ").next().unwrap();
            reason = reason.split(" [").next().unwrap();
            for before in ["image one.raw: ", "SUMS "] {
                reason = reason.split(before).last().unwrap();
            }
            json!({ "refuses": reason })
        }
    }
}
