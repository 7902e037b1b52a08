//! Sending erase records to where a site keeps them: a conductor keeps no result of a step, and by
//! default no log of a cleaning that went well.

use std::thread;
use std::time::{Duration, Instant};

use farrier_plugin::{Context, chain};
use reqwest::{Method, StatusCode, Url};
use serde_json::Value;
use tracing::{info, warn};

use crate::config::{Options, Secret};
use crate::net::NetError;
use crate::net::http::{self, shown};
use crate::net::redirect::{self, RefusedRedirect, SendError};
use crate::net::resolver::Resolver;

/// Tries of one record, and the pause after the first, doubled after each: about half a minute, in
/// which a receiver that is restarted is back.
const TRIES: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// How long a request may go on after a cancel, so that what became of the device is still told before
/// the agent ends; and how often a cancel is looked for.
const LAST_LIMIT: Duration = Duration::from_secs(4);
const LOOK: Duration = Duration::from_millis(100);

/// Why a record did not arrive.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeliveryError {
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
    /// It points elsewhere.
    #[error("The erase record was not delivered to {place}")]
    Redirected {
        /// Scheme, host and path.
        place: String,
        /// Where it points to, and why that is not followed.
        #[source]
        source: RefusedRedirect,
    },
    /// The command was cancelled, and the receiver takes too long.
    #[error("The erase record did not reach {place} in the few seconds that a cancel leaves")]
    TooLate {
        /// Scheme, host and path.
        place: String,
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

/// Send this record to `erase_record_url`, if there is one; tried for about half a minute, and after
/// a cancel once more at most. It is
/// delivered when the receiver answers 200, 201, 202 or 204 and nothing else. Must not be called on a
/// thread that drives a runtime.
pub(in crate::erase) fn deliver(
    options: &Options,
    record: &Value,
    context: &dyn Context,
) -> Result<(), DeliveryError> {
    deliver_with(options, record, context, FIRST_PAUSE)
}

fn deliver_with(
    options: &Options,
    record: &Value,
    context: &dyn Context,
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
        let is_last = tries == TRIES || context.is_cancelled();
        let request = client
            .request(method.clone(), url.clone())
            .header("Content-Type", "application/json")
            .timeout(limit)
            .body(body.clone());
        // Inside, since the time limit needs the runtime from the start.
        let sent = runtime.block_on(async {
            let sent = async {
                let request = request.build().map_err(SendError::Transport)?;
                redirect::send(&client, request).await
            };
            tokio::select! {
                sent = sent => Some(sent),
                () = too_late(context) => None,
            }
        });
        let place = shown(&url);
        let Some(sent) = sent else {
            return Err(DeliveryError::TooLate { place });
        };
        let error = match sent {
            Ok(answer) if is_delivered(answer.status()) => {
                info!(device, place, "erase record delivered");
                return Ok(());
            }
            Ok(answer) => DeliveryError::Refused {
                place,
                status: answer.status(),
            },
            Err(SendError::Redirect(source)) => DeliveryError::Redirected { place, source },
            Err(SendError::Transport(error)) => DeliveryError::Transport {
                place,
                source: error.without_url(),
            },
        };
        if is_last || is_final(&error) {
            return Err(error);
        }
        warn!(device, error = %chain(&error), tries, "trying again");
        let waiting = Instant::now();
        while waiting.elapsed() < pause && !context.is_cancelled() {
            thread::sleep(LOOK.min(pause));
        }
        pause *= 2;
        tries += 1;
    }
}

/// Some seconds after a cancel.
async fn too_late(context: &dyn Context) {
    while !context.is_cancelled() {
        tokio::time::sleep(LOOK).await;
    }
    tokio::time::sleep(LAST_LIMIT).await;
}

/// Whether a receiver that answers so has the record. A success of another kind speaks of a part, or
/// of several things that went differently.
fn is_delivered(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::OK | StatusCode::CREATED | StatusCode::ACCEPTED | StatusCode::NO_CONTENT
    )
}

/// Whether the same request will be refused for ever.
fn is_final(error: &DeliveryError) -> bool {
    match error {
        DeliveryError::Refused { status, .. } => {
            !status.is_server_error()
                && !matches!(
                    *status,
                    StatusCode::REQUEST_TIMEOUT
                        | StatusCode::TOO_EARLY
                        | StatusCode::TOO_MANY_REQUESTS
                )
        }
        DeliveryError::Redirected { .. } => true,
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

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::thread::JoinHandle;

    use farrier_plugin::{CancelledContext, SilentContext};
    use serde_json::json;

    use super::*;

    /// A receiver that gives these answers, one connection each; gives back what it got.
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
                    let got = request(&mut stream);
                    let answer = format!(
                        "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                    );
                    stream.write_all(answer.as_bytes()).unwrap();
                    got
                })
                .collect()
        });
        (url, thread)
    }

    /// A whole request, with as much of a body as it says.
    fn request(stream: &mut TcpStream) -> String {
        let mut got = String::new();
        let mut part = [0; 4096];
        loop {
            let count = stream.read(&mut part).unwrap();
            got.push_str(std::str::from_utf8(&part[..count]).unwrap());
            let Some((head, body)) = got.split_once("\r\n\r\n") else {
                continue;
            };
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().unwrap());
            if count == 0 || body.len() >= length {
                return got;
            }
        }
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
        deliver_with(options, &record(), &SilentContext, Duration::from_millis(1))
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
    fn a_portal_that_answers_after_a_redirect_has_no_record() {
        for status in ["301 Moved", "302 Found", "303 See Other"] {
            let answer: &'static str =
                Box::leak(format!("{status}\r\nLocation: /login?session=secret").into_boxed_str());
            let answers: &'static [&'static str] = Box::leak(Box::new([answer]));
            for method in ["POST", "PUT"] {
                let (url, thread) = receiver(answers);
                let error = send(&options(&url, method)).unwrap_err();
                thread.join().unwrap();
                let text = chain(&error);
                assert!(
                    text.contains(&format!("the answer is {}", &status[..3])),
                    "{text}"
                );
                assert!(text.contains("/login, which is not followed"), "{text}");
                assert!(!text.contains("secret"), "{text}");
            }
        }
    }

    #[test]
    fn a_record_does_not_go_to_another_host() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let elsewhere = format!(
            "307 Temporary\r\nLocation: http://{}/",
            listener.local_addr().unwrap()
        );
        let elsewhere: &'static str = Box::leak(elsewhere.into_boxed_str());
        let (url, thread) = receiver(Box::leak(Box::new([elsewhere])));
        let error = send(&options(&url, "POST")).unwrap_err();
        thread.join().unwrap();
        assert!(matches!(error, DeliveryError::Redirected { .. }), "{error}");
        listener.set_nonblocking(true).unwrap();
        let nobody = listener.accept().unwrap_err();
        assert_eq!(nobody.kind(), std::io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_receiver_can_send_the_record_to_another_place_of_its_own() {
        for status in [307, 308] {
            let answer = format!("{status} Elsewhere\r\nLocation: /archive?key=other");
            let answer: &'static str = Box::leak(answer.into_boxed_str());
            let (url, thread) = receiver(Box::leak(Box::new([answer, "204 No Content"])));
            send(&options(&url, "POST")).unwrap();
            let got = thread.join().unwrap();
            assert!(
                got[1].starts_with("POST /archive?key=other HTTP/1.1\r\n"),
                "{}",
                got[1]
            );
            let body = got[1].split_once("\r\n\r\n").unwrap().1;
            assert_eq!(serde_json::from_str::<Value>(body).unwrap(), record());
        }
    }

    #[test]
    fn redirects_in_a_loop_are_left() {
        let around = "307 Around\r\nLocation: /records?key=secret";
        let (url, thread) = receiver(Box::leak(Box::new([around])));
        let error = send(&options(&url, "POST")).unwrap_err();
        thread.join().unwrap();
        assert!(chain(&error).ends_with("the redirects go round in a loop"));
    }

    #[test]
    fn only_a_success_that_speaks_of_the_whole_record_is_one() {
        for (answer, delivered) in [
            ("200 OK", true),
            ("202 Accepted", true),
            ("204 No Content", true),
            ("206 Partial Content", false),
            ("207 Multi-Status", false),
            ("300 Multiple Choices", false),
            ("302 Found", false),
            ("304 Not Modified", false),
        ] {
            let answer: &'static [&'static str] = Box::leak(Box::new([answer]));
            let (url, thread) = receiver(answer);
            assert_eq!(
                send(&options(&url, "POST")).is_ok(),
                delivered,
                "{answer:?}"
            );
            thread.join().unwrap();
        }
    }

    #[test]
    fn a_cancel_leaves_one_try_of_a_few_seconds() {
        let begun = Instant::now();
        let (url, thread) = receiver(&["503 Busy"]);
        let error = deliver(&options(&url, "POST"), &record(), &CancelledContext).unwrap_err();
        thread.join().unwrap();
        assert!(matches!(error, DeliveryError::Refused { .. }));
        // One that takes the connection and says nothing.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", silent.local_addr().unwrap());
        let error = deliver(&options(&url, "POST"), &record(), &CancelledContext).unwrap_err();
        assert!(matches!(error, DeliveryError::TooLate { .. }));
        assert!(begun.elapsed() < Duration::from_secs(25));
    }

    #[test]
    fn nobody_there_is_an_error_and_no_url_is_nothing_to_do() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/?key=secret", listener.local_addr().unwrap());
        drop(listener);
        let error = send(&options(&url, "POST")).unwrap_err();
        let text = chain(&error);
        assert!(!text.contains("secret"), "{text}");
        deliver(&Options::default(), &record(), &SilentContext).unwrap();
        assert!(matches!(
            send(&options("ftp://h/", "POST")),
            Err(DeliveryError::Url)
        ));
    }
}
