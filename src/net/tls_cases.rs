//! The cases of `tests/fixtures/tls_peers/cases.json`: which servers the reference and curl accepted,
//! and which this does. `tests/tls_peers/reference.py` wrote them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use farrier_plugin::chain;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::resolver::Resolver;
use super::tls_hint::Hints;
use super::{http, tls};
use crate::config::{Options, TlsVersion};
use crate::sys::hex;

#[tokio::test]
async fn each_server_is_accepted_or_refused_as_the_table_says() {
    let table = table();
    let files = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for case in cases(&table) {
        let options = options(case, files.path());
        let refusal = match case.get("answer") {
            Some(answer) => handshake(&options, &hex::decode(text(answer)).unwrap()).await,
            None => certificates(&options, case, now(&table)),
        };
        let answer = refusal.as_ref().map_or("accepts", |_| "refuses");
        let says = case.get("says").map_or("", text);
        if answer != text(&case["farrier"]) || !refusal.as_deref().unwrap_or(says).contains(says) {
            wrong.push(format!("{}: {answer} {refusal:?}", case["title"]));
        }
    }
    assert!(cases(&table).len() >= 90);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_reference_is_left_only_for_a_reason() {
    let table = table();
    let mut used = BTreeSet::new();
    for case in cases(&table) {
        let reference = match &case["reference"] {
            Value::String(accepts) => accepts,
            _ => "refuses",
        };
        assert_eq!(
            text(&case["farrier"]) != reference,
            case.get("why").is_some(),
            "{}",
            case["title"]
        );
        used.extend(case.get("why").map(text));
    }
    let known = table["reasons"].as_object().unwrap();
    let known: BTreeSet<&str> = known.keys().map(String::as_str).collect();
    assert_eq!(used, known);
}

/// Whatever byte is changed of a certificate that is accepted, signed or not: it is refused then.
/// One that is a CA's is verified in a form that was never signed, so none of its bytes may count
/// less for that.
#[test]
fn no_byte_of_an_accepted_certificate_can_be_changed() {
    let table = table();
    let files = tempfile::tempdir().unwrap();
    for title in ["CA:FALSE", "CA:TRUE", "CA:TRUE, path length 0"] {
        let case = cases(&table).iter().find(|case| case["title"] == title);
        let case = case.unwrap();
        let options = options(case, files.path());
        let verifier = tls::verifier(&options).unwrap();
        let verify = |der: Vec<u8>| {
            verifier.verify_server_cert(
                &CertificateDer::from(der),
                &[],
                &ServerName::try_from("localhost").unwrap(),
                &[],
                now(&table),
            )
        };
        let accepted = bytes(&case["chain"][0]);
        verify(accepted.clone()).unwrap();
        for place in 0..accepted.len() {
            for bits in [0x01, 0x80, 0xff] {
                let mut changed = accepted.clone();
                changed[place] ^= bits;
                assert!(verify(changed).is_err(), "{title}: byte {place}, {bits:x}");
            }
        }
    }
}

fn now(table: &Value) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(table["now"].as_u64().unwrap()))
}

fn table() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls_peers/cases.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn cases(table: &Value) -> &[Value] {
    table["cases"].as_array().unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    BASE64_STANDARD.decode(text(value)).unwrap()
}

/// The options of a case, with its `cafile` in this folder.
fn options(case: &Value, folder: &Path) -> Options {
    let mut content = String::new();
    for part in case["cafile"].as_array().unwrap() {
        let Value::Array(block) = part else {
            content.push_str(text(part));
            continue;
        };
        let (label, body) = (text(&block[0]), text(&block[1]).as_bytes());
        content.push_str(&format!("-----BEGIN {label}-----\n"));
        for line in body.chunks(64) {
            content.push_str(std::str::from_utf8(line).unwrap());
            content.push('\n');
        }
        content.push_str(&format!("-----END {label}-----\n"));
    }
    if let Some(newline) = case.get("newline") {
        content = content.replace('\n', text(newline));
    }
    let encoded = match case.get("encoding").map(text) {
        None => content.into_bytes(),
        Some("utf-8-sig") => [b"\xef\xbb\xbf", content.as_bytes()].concat(),
        Some("utf-16-le-sig") => {
            let units = content.encode_utf16().flat_map(u16::to_le_bytes);
            [0xff, 0xfe].into_iter().chain(units).collect()
        }
        Some(other) => panic!("{other}"),
    };
    let path = folder.join("cafile.pem");
    fs::write(&path, encoded).unwrap();
    Options {
        cafile: Some(path),
        tls_min_version: match case.get("least") {
            Some(_) => TlsVersion::Tls13,
            None => TlsVersion::Tls12,
        },
        ..Options::default()
    }
}

/// Why the server's certificates are refused, if they are.
fn certificates(options: &Options, case: &Value, now: UnixTime) -> Option<String> {
    let verifier = match tls::verifier(options) {
        Ok(verifier) => verifier,
        Err(error) => return Some(chain(&error)),
    };
    let sent: Vec<CertificateDer<'_>> = case["chain"]
        .as_array()
        .unwrap()
        .iter()
        .map(|der| CertificateDer::from(bytes(der)))
        .collect();
    let outcome = verifier.verify_server_cert(
        &sent[0],
        &sent[1..],
        &ServerName::try_from("localhost").unwrap(),
        &[],
        now,
    );
    let error = outcome.err()?;
    Some(chain(&*Hints::of(options).add(Box::new(error))))
}

/// Why a server that says this is refused, if it is.
async fn handshake(options: &Options, answer: &[u8]) -> Option<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let client = http::client(options, Resolver::default()).unwrap();
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut hello = [0; 4096];
        let _ = stream.read(&mut hello).await;
        stream.write_all(answer).await.unwrap();
        // The client may close before it has all of it.
        let _ = stream.shutdown().await;
        let _ = stream.read(&mut hello).await;
    };
    let (response, ()) = tokio::join!(client.get(url).send(), serve);
    response.err().map(|error| chain(&error.without_url()))
}
