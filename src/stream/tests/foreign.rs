//! The files of `tests/fixtures/foreign_images/cases.json`: what is no disk is refused with the command
//! that unpacks it, and what a disk begins with is written. `tests/foreign_images/files.py` made them.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use farrier_plugin::{ErrorKind, SilentContext, chain};
use flate2::read::GzDecoder;
use serde_json::Value;

use super::{MIB, options, request};
use crate::stream::test_server::{Reply, TestServer};
use crate::stream::{Format, describe, write};
use crate::sys::memory_medium::MemoryMedium;

fn table() -> Value {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/foreign_images/cases.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn file(case: &Value) -> Vec<u8> {
    let packed = BASE64_STANDARD
        .decode(case["file"].as_str().unwrap())
        .unwrap();
    let mut content = Vec::new();
    GzDecoder::new(&packed[..])
        .read_to_end(&mut content)
        .unwrap();
    content
}

fn serving(content: &[u8]) -> TestServer {
    let content = Arc::new(content.to_vec());
    TestServer::start(move |_, _| Reply::ok(&content))
}

#[test]
fn what_is_no_disk_is_refused_before_the_first_byte_with_the_command_that_unpacks_it() {
    let table = table();
    let cases = table["cases"].as_array().unwrap();
    let foreign = cases.iter().filter(|case| case.get("what").is_some());
    assert!(foreign.clone().count() >= 45);
    for case in foreign {
        let content = file(case);
        let server = serving(&content);
        for format in [Format::Raw, Format::Undeclared] {
            let medium = MemoryMedium::used(2 * MIB);
            let mut request = request(&[server.url("/one.raw")], &content);
            request.format = format;
            request.permitted_formats = vec!["raw".to_owned(), "gpt".to_owned()];
            let error = write(&request, &options(), &medium, &SilentContext).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidImage);
            let error = chain(&error);
            for part in ["what", "remedy"] {
                assert!(
                    error.contains(case[part].as_str().unwrap()),
                    "{case:.60} {error}"
                );
            }
            assert_eq!(medium.log(), [], "{case:.60}");
        }
    }
}

#[test]
fn what_a_disk_begins_with_is_no_foreign_file() {
    let table = table();
    let cases = table["cases"].as_array().unwrap();
    let disks = cases.iter().filter(|case| case.get("what").is_none());
    assert!(disks.clone().count() >= 12);
    for case in disks {
        let mut content = file(case);
        content.resize(64 << 10, 0);
        let what = describe(&content);
        let is_disk = ["of no known kind", "a disk with a partition table", "text"].contains(&what);
        assert!(is_disk, "{case:.60} {what}");
    }
}

/// With deep inspection off, an image that was declared raw is written whatever it is.
#[test]
fn without_inspection_any_byte_is_written() {
    let table = table();
    for case in table["cases"].as_array().unwrap() {
        let mut content = file(case);
        content.truncate(MIB);
        let server = serving(&content);
        let medium = MemoryMedium::used(2 * MIB);
        let mut request = request(&[server.url("/one.raw")], &content);
        request.format = Format::Raw;
        request.inspect = false;
        write(&request, &options(), &medium, &SilentContext).unwrap();
        assert!(medium.content()[..content.len()] == content, "{case:.60}");
    }
}
