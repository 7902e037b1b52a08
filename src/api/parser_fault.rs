//! What hyper answers by itself, completed.
//!
//! hyper answers a head that it cannot read with 400, 414 or 431 and no body, before any service is
//! asked. The conductor reads `faultstring` from the body of every answer from 400 on, and ends in
//! a TypeError without one. hyper has no place to say so, so its answer is exchanged on its way out:
//! no answer of ours lacks the header `server`.
//!
//! The end of a connection is here too: what the peer still sends is taken in for a moment, because
//! closing on it would take the answer from the peer.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::answer::fault_text;

/// The longest head that hyper writes by itself is below this many bytes.
const HEAD: usize = 256;

/// How much and for how long a peer may go on sending after the last answer.
const LINGER: (usize, Duration) = (256 * 1024, Duration::from_secs(1));

/// A stream to hyper, which writes complete answers.
pub(super) struct ParserFaults<S> {
    stream: S,
    /// The rest of an answer that takes the place of hyper's.
    rest: Vec<u8>,
    /// Bytes that may still come after the end, and until when.
    linger: Option<(usize, Pin<Box<Sleep>>)>,
}

impl<S> ParserFaults<S> {
    /// Write to this stream.
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            rest: Vec::new(),
            linger: None,
        }
    }
}

impl<S: AsyncWrite + Unpin> ParserFaults<S> {
    fn poll_rest(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.rest.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, &self.rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.rest.drain(..written);
        }
        Poll::Ready(Ok(()))
    }
}

/// Where in these bytes an answer of hyper's own begins, and its status.
fn own_answer(bytes: &[u8]) -> Option<(usize, StatusCode)> {
    let tail = bytes.len().saturating_sub(HEAD);
    if !bytes.ends_with(b"\r\n\r\n") {
        return None;
    }
    let start = tail
        + bytes[tail..]
            .windows(7)
            .rposition(|part| part == b"HTTP/1.")?;
    let head = std::str::from_utf8(&bytes[start..]).ok()?;
    let status = match head.get(9..12)? {
        "400" => StatusCode::BAD_REQUEST,
        "414" => StatusCode::URI_TOO_LONG,
        "431" => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        _ => return None,
    };
    let is_own = head.contains("\r\ncontent-length: 0\r\n") && !head.contains("\r\nserver:");
    is_own.then_some((start, status))
}

/// The whole answer with this status.
fn complete(status: StatusCode) -> Vec<u8> {
    let explanation = match status {
        StatusCode::URI_TOO_LONG => {
            "The length of the requested URL exceeds the capacity limit for this server. The \
             request cannot be processed."
        }
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            "One or more header fields exceeds the maximum size."
        }
        _ => "The browser (or proxy) sent a request that this server could not understand.",
    };
    let body = fault_text(status, &format!("{status}: {explanation}"));
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nserver: ironic-python-agent\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

impl<S: AsyncRead + Unpin> AsyncRead for ParserFaults<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ParserFaults<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_rest(context))?;
        match own_answer(bytes) {
            None => Pin::new(&mut self.stream).poll_write(context, bytes),
            Some((0, status)) => {
                // Leaves with the flush that follows every answer.
                self.rest = complete(status);
                Poll::Ready(Ok(bytes.len()))
            }
            // What stands before it first.
            Some((start, _)) => Pin::new(&mut self.stream).poll_write(context, &bytes[..start]),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let last = parts.iter().rposition(|part| !part.is_empty());
        let own = last.and_then(|last| own_answer(&parts[last]));
        match (own, last) {
            (None, _) | (_, None) => {
                ready!(self.poll_rest(context))?;
                Pin::new(&mut self.stream).poll_write_vectored(context, parts)
            }
            (Some(_), Some(last)) => match parts[..last].iter().find(|part| !part.is_empty()) {
                Some(first) => {
                    ready!(self.poll_rest(context))?;
                    Pin::new(&mut self.stream).poll_write(context, first)
                }
                None => self.poll_write(context, &parts[last]),
            },
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_rest(context))?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.linger.is_none() {
            ready!(self.poll_rest(context))?;
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
            let (bytes, time) = LINGER;
            self.linger = Some((bytes, Box::pin(sleep(time))));
        }
        let Self { stream, linger, .. } = &mut *self;
        while let Some((left, end)) = linger {
            let mut dropped = [0; 4096];
            let mut buffer = ReadBuf::new(&mut dropped);
            if end.as_mut().poll(context).is_ready() {
                break;
            }
            // A peer that broke off has no need of the answer.
            if ready!(Pin::new(&mut *stream).poll_read(context, &mut buffer)).is_err() {
                break;
            }
            let count = buffer.filled().len();
            if count == 0 || count >= *left {
                break;
            }
            *left -= count;
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hypers_own_answers_are_exchanged() {
        let own = b"HTTP/1.1 414 URI Too Long\r\nconnection: close\r\ncontent-length: 0\r\n\
                    date: Sun, 29 Nov 2026 00:00:00 GMT\r\n\r\n";
        assert_eq!(own_answer(own), Some((0, StatusCode::URI_TOO_LONG)));
        let behind = [b"{\"a\": 1}".as_slice(), own].concat();
        assert_eq!(own_answer(&behind), Some((8, StatusCode::URI_TOO_LONG)));
        for other in [
            b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".as_slice(),
            b"HTTP/1.1 400 Bad Request\r\nserver: ironic-python-agent\r\ncontent-length: 0\r\n\r\n",
            b"HTTP/1.1 400 Bad Request\r\ncontent-length: 10\r\n\r\n",
            b"HTTP/1.1 4\r\n\r\n",
            b"\r\n\r\n",
            b"",
            &own[..own.len() - 1],
        ] {
            assert_eq!(own_answer(other), None);
        }
    }
}
