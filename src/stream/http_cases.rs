//! The cases of `tests/fixtures/http/cases.json`: what the reference, requests and curl made of a
//! server's bytes, and what this makes of them. `tests/http/reference.py` wrote them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use farrier_plugin::{SilentContext, chain};
use rustls::ServerConfig;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};

use super::request::{Checksum, Location};
use super::test_server::{Reply, Request, TestServer};
use super::tests::{MIB, options, request};
use super::write;
use crate::config::Options;
use crate::sys::memory_medium::MemoryMedium;

/// Cases that are asked at the same time: they mostly wait.
const AT_ONCE: usize = 8;

#[test]
fn each_reply_is_taken_as_the_table_says() {
    let table = Table::read();
    let cases: Vec<&Value> = table
        .cases()
        .filter(|case| case.get("drive").is_none())
        .collect();
    assert!(cases.len() >= 100);
    let next = Mutex::new(cases.iter());
    let wrong = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(case) = next.lock().unwrap().next() else {
                        break;
                    };
                    let (answer, told) = image(&table, case);
                    if answer != case["farrier"] {
                        let line = format!("{case}\n    answered {answer}: {told}");
                        wrong.lock().unwrap().push(line);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_reference_and_curl_are_left_only_for_a_reason() {
    let table = Table::read();
    let mut used = BTreeSet::new();
    for case in table.cases() {
        let ours = &case["farrier"];
        let is_missed = ["reference", "requests", "curl"].iter().any(|name| {
            case.get(name).is_some_and(|theirs| theirs["takes"] == true) && ours["takes"] == false
        });
        assert_eq!(
            *ours != case["reference"] || is_missed,
            case.get("why").is_some(),
            "{case}"
        );
        used.extend(case.get("why").and_then(Value::as_str));
    }
    let known = table.0["reasons"].as_object().unwrap();
    let known: BTreeSet<&str> = known.keys().map(String::as_str).collect();
    assert_eq!(used, known);
}

/// Whether the image is written, what was asked for, and the error. Nothing else is ever left on the
/// disk than the image.
fn image(table: &Table, case: &Value) -> (Value, String) {
    let script = table.serve(case);
    let target = case
        .get("url")
        .and_then(Value::as_str)
        .unwrap_or("/one.raw");
    let mut request = request(&[script.url(target)], &table.body("image"));
    match case["digest"].as_str() {
        Some(name) => {
            let of_it = super::tests::request(&[], &table.body(name));
            request.checksum = of_it.checksum;
        }
        None => {
            request.checksum = Some(Checksum::File {
                location: Location::parse(&script.url("/sums")).unwrap(),
                algorithm: None,
                md5_allowed: false,
            });
        }
    }
    let options = Options {
        image_download_connection_retries: 0,
        insecure: true,
        ..options()
    };
    let medium = MemoryMedium::used(2 * MIB);
    let outcome = write(&request, &options, &medium, &SilentContext);
    let held = medium.content();
    match &outcome {
        Ok(_) => assert!(held.starts_with(&table.body("image")), "{case}"),
        Err(_) if medium.log().is_empty() => {}
        Err(_) => assert!(held[..MIB].iter().all(|byte| *byte == 0), "{case}"),
    }
    let told = outcome
        .as_ref()
        .err()
        .map_or(String::new(), |error| chain(error));
    (script.answer(case, outcome.is_ok()), told)
}

/// The file of cases.
pub(crate) struct Table(Value);

impl Table {
    pub(crate) fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/http/cases.json");
        Self(serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap())
    }

    pub(crate) fn cases(&self) -> impl Iterator<Item = &Value> {
        self.0["cases"].as_array().unwrap().iter()
    }

    /// The bytes of this name.
    pub(crate) fn body(&self, name: &str) -> Vec<u8> {
        BASE64_STANDARD
            .decode(self.0["bodies"][name].as_str().unwrap())
            .unwrap()
    }

    /// A server that answers as the case says.
    pub(crate) fn serve(&self, case: &Value) -> Script {
        let replies: Vec<(String, Vec<u8>, bool)> = case["replies"]
            .as_array()
            .unwrap()
            .iter()
            .map(|reply| {
                let pieces = reply["body"].as_array().unwrap().iter();
                let body = pieces.flat_map(|piece| match piece.as_str() {
                    Some(text) => latin1(text),
                    None => self.body(piece["of"].as_str().unwrap()),
                });
                let head = reply["head"].as_str().unwrap().to_owned();
                (head, body.collect(), reply.get("hold").is_some())
            })
            .collect();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let urls = Arc::new(OnceLock::<[String; 2]>::new());
        let answer = |prefix: &'static str| {
            let (replies, asked, urls) = (replies.clone(), Arc::clone(&asked), Arc::clone(&urls));
            move |_: usize, request: &Request| {
                let mut asked = asked.lock().unwrap();
                asked.push(format!("{prefix}{}", ask(request)));
                let (head, body, hold) = &replies[asked.len().min(replies.len()) - 1];
                let [here, there] = urls.get().unwrap();
                let head = head.replace("{here}", here).replace("{there}", there);
                Reply::raw([latin1(&head), body.clone()].concat(), *hold)
            }
        };
        let tls = case.get("tls").map(|_| certificate());
        let here = TestServer::start_on("127.0.0.1:0", tls, answer(""));
        let there = TestServer::start_on("127.0.0.2:0", None, answer("there "));
        urls.set([here.url(""), there.url("")]).unwrap();
        Script {
            here,
            _there: there,
            asked,
        }
    }
}

/// A server for one case.
pub(crate) struct Script {
    here: TestServer,
    _there: TestServer,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Script {
    pub(crate) fn url(&self, target: &str) -> String {
        self.here.url(target)
    }

    /// The case's answer in the shape of the table. How often a reply that is not taken is asked for
    /// again is no part of it.
    pub(crate) fn answer(&self, case: &Value, takes: bool) -> Value {
        let mut asks = self.asked.lock().unwrap().clone();
        asks.truncate(case["replies"].as_array().unwrap().len());
        json!({ "takes": takes, "asks": asks })
    }
}

/// What was asked for, with its cookies in the order of the table.
fn ask(request: &Request) -> String {
    let Some(cookie) = request.header("cookie") else {
        return request.target.clone();
    };
    let mut cookies: Vec<&str> = cookie.split("; ").collect();
    cookies.sort_unstable();
    format!("{} with {}", request.target, cookies.join("; "))
}

fn latin1(text: &str) -> Vec<u8> {
    let byte = |letter: char| u8::try_from(u32::from(letter)).unwrap();
    text.chars().map(byte).collect()
}

/// A server's certificate that nobody vouches for.
pub(crate) fn certificate() -> ServerConfig {
    let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(own.signing_key.serialize_der());
    ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], PrivateKeyDer::from(key))
        .unwrap()
}
