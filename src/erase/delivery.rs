//! Sending erase records to where a site keeps them: a conductor keeps no result of a step, and by
//! default no log of a cleaning that went well.

use std::thread;
use std::time::Duration;

use reqwest::{Method, StatusCode, Url};
use serde_json::Value;
use tracing::{info, warn};

use crate::config::{Options, Secret};
use crate::net::resolver::Resolver;
use crate::net::{NetError, http};

/// Tries of one record, and the pause after the first, doubled after each: about half a minute, in
/// which a receiver that is restarted is back.
const TRIES: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Why a record did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The option names no place.
    #[error("erase_record_url is no http:// or https:// URL")]
    Url,
    /// No client could be made.
    #[error("Could not prepare to send the erase record")]
    Client(#[from] NetError),
    /// No thread of execution for it.
    #[error("Could not start sending the erase record")]
    Runtime(#[source] std::io::Error),
    /// The receiver says no.
    #[error("{place} answered {status} to the erase record")]
    Refused {
        /// Scheme, host and path.
        place: String,
        /// Its answer.
        status: StatusCode,
    },
    /// The receiver could not be reached, or went away.
    #[error("The erase record did not reach {place}")]
    Transport {
        /// Scheme, host and path.
        place: String,
        /// What failed, without the URL.
        #[source]
        source: reqwest::Error,
    },
}

/// Send this record to `erase_record_url`, if there is one; tried for about half a minute. Must not
/// be called on a thread that drives a runtime.
pub fn deliver(options: &Options, record: &Value) -> Result<(), DeliveryError> {
    deliver_with(options, record, FIRST_PAUSE)
}

fn deliver_with(
    options: &Options,
    record: &Value,
    first_pause: Duration,
) -> Result<(), DeliveryError> {
    let Some(url) = options.erase_record_url.as_ref().map(Secret::reveal) else {
        return Ok(());
    };
    let (method, url) = if options.erase_record_method == "PUT" {
        (Method::PUT, place_of(url, record)?)
    } else {
        (Method::POST, parsed(url)?)
    };
    let device = record["device"]["name"].as_str().unwrap_or_default();
    let client = http::client(options, Resolver::default())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(DeliveryError::Runtime)?;
    let limit = Duration::from_secs(options.http_request_timeout);
    let body = record.to_string();
    let mut pause = first_pause;
    let mut tries = 1;
    loop {
        let request = client
            .request(method.clone(), url.clone())
            .header("Content-Type", "application/json")
            .timeout(limit)
            .body(body.clone());
        // Inside, since the time limit needs the runtime from the start.
        let error = match runtime.block_on(async { request.send().await }) {
            Ok(answer) if answer.status().is_success() => {
                info!(device, place = shown(&url), "erase record delivered");
                return Ok(());
            }
            Ok(answer) => DeliveryError::Refused {
                place: shown(&url),
                status: answer.status(),
            },
            Err(error) => DeliveryError::Transport {
                place: shown(&url),
                source: error.without_url(),
            },
        };
        if tries == TRIES || is_final(&error) {
            return Err(error);
        }
        warn!(device, %error, tries, "trying again");
        thread::sleep(pause);
        pause *= 2;
        tries += 1;
    }
}

/// Whether the same request will be refused for ever.
fn is_final(error: &DeliveryError) -> bool {
    match error {
        DeliveryError::Refused { status, .. } => {
            status.is_client_error()
                && !matches!(
                    *status,
                    StatusCode::REQUEST_TIMEOUT
                        | StatusCode::TOO_EARLY
                        | StatusCode::TOO_MANY_REQUESTS
                )
        }
        _ => false,
    }
}

fn parsed(url: &str) -> Result<Url, DeliveryError> {
    Url::parse(url)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or(DeliveryError::Url)
}

/// A place of its own for each record below the URL: node, serial number or name of the device, and
/// time.
fn place_of(url: &str, record: &Value) -> Result<Url, DeliveryError> {
    let mut url = parsed(url)?;
    let node = record["node"].as_str().unwrap_or("unknown-node");
    let device = record["device"]["serial"]
        .as_str()
        .or_else(|| record["device"]["name"].as_str())
        .unwrap_or("unknown-device");
    let started = record["started"].as_str().unwrap_or_default();
    url.path_segments_mut()
        .map_err(|()| DeliveryError::Url)?
        .pop_if_empty()
        .push(&plain(node))
        .push(&format!("{}-{}.json", plain(device), plain(started)));
    Ok(url)
}

/// Only what every object store takes in a name.
fn plain(text: &str) -> String {
    text.trim_start_matches("/dev/")
        .chars()
        .map(|c| match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' | '-' => c,
            _ => '_',
        })
        .collect()
}

/// Without what may be secret: user, password and query.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // Neither fails for http and https.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread::JoinHandle;

    use serde_json::json;

    use super::*;

    /// A receiver that answers with these status codes, one connection each; gives back what it got.
    fn receiver(answers: &'static [&'static str]) -> (String, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!(
            "http://{}/records?key=secret",
            listener.local_addr().unwrap()
        );
        let thread = thread::spawn(move || {
            answers
                .iter()
                .map(|status| {
                    let (mut stream, _) = listener.accept().unwrap();
                    let mut got = Vec::new();
                    let mut part = [0; 4096];
                    loop {
                        let count = stream.read(&mut part).unwrap();
                        got.extend_from_slice(&part[..count]);
                        if count == 0 || got.ends_with(b"}") {
                            break;
                        }
                    }
                    let answer = format!(
                        "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                    );
                    stream.write_all(answer.as_bytes()).unwrap();
                    String::from_utf8(got).unwrap()
                })
                .collect()
        });
        (url, thread)
    }

    fn options(url: &str, method: &str) -> Options {
        Options {
            erase_record_url: Some(url.into()),
            erase_record_method: method.to_owned(),
            ..Options::default()
        }
    }

    fn record() -> Value {
        json!({"node": "n1", "device": {"name": "/dev/sda", "serial": "S/1"},
               "started": "2026-11-22T07:14:20.123Z"})
    }

    fn send(options: &Options) -> Result<(), DeliveryError> {
        deliver_with(options, &record(), Duration::from_millis(1))
    }

    #[test]
    fn a_record_is_posted_and_a_busy_receiver_asked_again() {
        let (url, thread) = receiver(&["503 Busy", "429 Slow down", "200 OK"]);
        send(&options(&url, "POST")).unwrap();
        let got = thread.join().unwrap();
        assert_eq!(got.len(), 3);
        assert!(
            got[2].starts_with("POST /records?key=secret HTTP/1.1\r\n"),
            "{}",
            got[2]
        );
        let body = got[2].split_once("\r\n\r\n").unwrap().1;
        assert_eq!(serde_json::from_str::<Value>(body).unwrap(), record());
    }

    #[test]
    fn each_record_is_put_to_a_place_of_its_own() {
        let (url, thread) = receiver(&["201 Created"]);
        send(&options(&url, "PUT")).unwrap();
        let got = thread.join().unwrap();
        let line = "PUT /records/n1/S_1-2026-11-22T07_14_20.123Z.json?key=secret HTTP/1.1\r\n";
        assert!(got[0].starts_with(line), "{}", got[0]);
    }

    #[test]
    fn a_refusal_is_final_and_shows_no_secret() {
        let (url, thread) = receiver(&["403 Forbidden"]);
        let error = send(&options(&url, "POST")).unwrap_err().to_string();
        thread.join().unwrap();
        assert!(error.contains("403"), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }

    #[test]
    fn nobody_there_is_an_error_and_no_url_is_nothing_to_do() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/?key=secret", listener.local_addr().unwrap());
        drop(listener);
        let error = send(&options(&url, "POST")).unwrap_err();
        let text = crate::sys::log::chain(&error);
        assert!(!text.contains("secret"), "{text}");
        deliver(&Options::default(), &record()).unwrap();
        assert!(matches!(
            send(&options("ftp://h/", "POST")),
            Err(DeliveryError::Url)
        ));
    }
}
