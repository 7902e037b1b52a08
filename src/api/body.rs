//! A request's body, parsed while it arrives.
//!
//! ```text
//! hyper ──frames──▶ feed ──queue of a few──▶ Frames: Read ──▶ the parser, on a blocking thread
//! ```
//!
//! The body is never in memory as a whole. What comes after an error is read and dropped, so that
//! a client that sends its whole body before it reads still gets the answer.

use std::io::{self, BufReader, Read};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::{Body, Incoming};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::warn;

use super::answer::{Answer, http_fault};
use crate::command::{DocumentError, Request, RequestError};

/// The largest body in bytes. The conductor's largest is a config drive of 64 MiB as base64, twice
/// in write_image's arguments and perhaps once more in the node: 3 × 85 MiB, and some KiB.
pub(super) const BODY_LIMIT: u64 = 264 * 1024 * 1024;

/// A body of which nothing arrives for this long is given up.
const STALL_LIMIT: Duration = Duration::from_secs(60);

/// How long the rest of a body that is not wanted is taken in.
const DROP_LIMIT: Duration = Duration::from_secs(10);

/// Frames that wait for the parser; hyper's frames have up to some hundred KiB.
const QUEUE: usize = 4;

/// The parser reads byte by byte out of this many bytes.
const BUFFER: usize = 64 * 1024;

enum Part {
    Data(Bytes),
    End,
}

/// Read a body as a request, or give the answer that says why it is none.
pub(super) async fn read(body: Incoming) -> Result<Request, Answer> {
    if body.size_hint().lower() > BODY_LIMIT {
        discard(body).await;
        return Err(too_large());
    }
    let (parts, received) = mpsc::channel(QUEUE);
    let parser = spawn_blocking(move || {
        Request::read(BufReader::with_capacity(BUFFER, Frames::new(received)))
    });
    let fed = feed(body, parts).await;
    let parsed = parser.await;
    fed?;
    match parsed {
        Ok(parsed) => parsed.map_err(|error| refuse(&error)),
        Err(panic) => {
            warn!(%panic, "the parser of request bodies ended in a panic");
            Err(http_fault(
                StatusCode::INTERNAL_SERVER_ERROR,
                "The parser of request bodies failed.",
            ))
        }
    }
}

/// Take in a body that is not wanted, for a while: a client that is still sending does not look
/// for an answer, and closing on it would take the answer from it.
pub(super) async fn discard(mut body: Incoming) {
    let deadline = Instant::now() + DROP_LIMIT;
    while let Ok(Some(Ok(_))) = timeout_at(deadline, body.frame()).await {}
}

async fn feed(mut body: Incoming, parts: mpsc::Sender<Part>) -> Result<(), Answer> {
    let mut length: u64 = 0;
    loop {
        let frame = match timeout(STALL_LIMIT, body.frame()).await {
            Err(_) => {
                return Err(http_fault(
                    StatusCode::REQUEST_TIMEOUT,
                    "The request's body stopped arriving.",
                ));
            }
            // The client is gone: nobody reads this answer.
            Ok(Some(Err(error))) => {
                return Err(http_fault(StatusCode::BAD_REQUEST, &error.to_string()));
            }
            Ok(Some(Ok(frame))) => frame,
            Ok(None) => {
                let _ = parts.send(Part::End).await;
                return Ok(());
            }
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        length += data.len() as u64;
        if length > BODY_LIMIT {
            drop(parts);
            discard(body).await;
            return Err(too_large());
        }
        // A parser that has seen enough is gone; the rest is read and dropped.
        let _ = parts.send(Part::Data(data)).await;
    }
}

fn too_large() -> Answer {
    http_fault(
        StatusCode::PAYLOAD_TOO_LARGE,
        &format!("The data value transmitted exceeds the capacity limit of {BODY_LIMIT} bytes."),
    )
}

fn refuse(error: &RequestError) -> Answer {
    match error {
        RequestError::Shape => http_fault(StatusCode::BAD_REQUEST, &error.to_string()),
        RequestError::Document(DocumentError::TooLarge) => {
            http_fault(StatusCode::PAYLOAD_TOO_LARGE, &error.to_string())
        }
        RequestError::Document(error) => http_fault(
            StatusCode::BAD_REQUEST,
            &format!("Failed to decode JSON object: {error}"),
        ),
    }
}

/// The frames as a reader, for a blocking thread.
struct Frames {
    parts: mpsc::Receiver<Part>,
    current: Bytes,
    ended: bool,
}

impl Frames {
    fn new(parts: mpsc::Receiver<Part>) -> Self {
        Self {
            parts,
            current: Bytes::new(),
            ended: false,
        }
    }
}

impl Read for Frames {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !self.current.has_remaining() && !self.ended {
            match self.parts.blocking_recv() {
                Some(Part::Data(data)) => self.current = data,
                Some(Part::End) => self.ended = true,
                // A connection that broke must not look like the body's end.
                None => return Err(io::ErrorKind::ConnectionAborted.into()),
            }
        }
        let count = self.current.remaining().min(buffer.len());
        self.current.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}
