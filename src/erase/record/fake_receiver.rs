//! A site's receiver of erase records, for tests.

use std::io::{Read, Write};
use std::net::TcpListener;

use serde_json::Value;

/// Take one request, give this answer, and return the request's JSON.
pub(crate) fn receive(listener: &TcpListener, status: &str) -> Value {
    receive_at(listener, status).1
}

/// The same with the request's first line.
pub(crate) fn receive_at(listener: &TcpListener, status: &str) -> (String, Value) {
    let (mut stream, _) = listener.accept().unwrap();
    let mut got = Vec::new();
    let mut part = [0; 65_536];
    loop {
        let count = stream.read(&mut part).unwrap();
        got.extend_from_slice(&part[..count]);
        let start = got.windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(start) = start
            && let Ok(json) = serde_json::from_slice(&got[start + 4..])
        {
            let answer =
                format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).unwrap();
            let head = String::from_utf8_lossy(&got[..start]);
            return (head.lines().next().unwrap().to_owned(), json);
        }
        assert!(count > 0, "the request is cut short");
    }
}
