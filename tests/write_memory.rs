//! `farrier write` as a process of its own, against servers that send without end or cut again and
//! again: its memory stays within the bound of SPECIFICATION.md. The only test of its process, so
//! that the peak of all children is that of its own.

#![expect(
    clippy::unwrap_used,
    reason = "a test's helpers fail the test by panicking"
)]

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread;

use farrier::testing::sys::{Output, Program};
use nix::sys::resource::{UsageWho, getrusage};

const MIB: usize = 1 << 20;

/// The bound of SPECIFICATION.md, in KiB, which is what the kernel counts in.
const BOUND: i64 = 96 << 10;

/// Size of the disk, a file.
const DISK: usize = 192 * MIB;

/// Serves each request in turn with the function, until the process ends.
fn serve(mut answer: impl FnMut(&mut TcpStream, usize) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/endless.raw", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut from = 0;
            for line in BufReader::new(stream.try_clone().unwrap()).lines() {
                let line = line.unwrap().to_lowercase();
                if let Some(range) = line.strip_prefix("range: bytes=") {
                    from = range.trim_end_matches('-').parse().unwrap();
                }
                if line.is_empty() {
                    break;
                }
            }
            answer(&mut stream, from);
        }
    });
    url
}

fn block() -> Vec<u8> {
    (0..MIB).map(|byte| (byte % 251) as u8 + 1).collect()
}

fn write(url: &str, device: &Path) -> Output {
    File::create(device).unwrap().set_len(DISK as u64).unwrap();
    [
        "FARRIER_IMAGE_DOWNLOAD_CONNECTION_RETRY_INTERVAL=0",
        "FARRIER_IMAGE_DOWNLOAD_CONNECTION_RETRIES=30",
        env!("CARGO_BIN_EXE_farrier"),
        "write",
        "--no-checksum",
        "--format=raw",
        "--url",
        url,
        "--device",
        device.to_str().unwrap(),
    ]
    .into_iter()
    .fold(Program::new("/usr/bin/env"), Program::arg)
    .output()
    .unwrap()
}

/// What the disk holds, piece by piece: a program that is started counts the peak of the one that
/// starts it as its own.
fn megabytes(disk: &Path) -> impl Iterator<Item = Vec<u8>> {
    let mut file = File::open(disk).unwrap();
    (0..DISK / MIB).map(move |_| {
        let mut piece = vec![0; MIB];
        file.read_exact(&mut piece).unwrap();
        piece
    })
}

fn assert_bounded() {
    let peak = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss();
    assert!(peak <= BOUND, "{peak} KiB");
}

#[test]
fn memory_is_bounded_whatever_the_server_does() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");

    // A body without a length and without an end stops where the disk does.
    let endless = serve(|stream, _| {
        let block = block();
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
        while stream.write_all(&block).is_ok() {}
    });
    let done = write(&endless, &disk);
    let said = &done.stderr;
    assert!(!done.status.success());
    assert!(said.contains("does not fit onto a device"), "{said}");
    assert_eq!(megabytes(&disk).next(), Some(vec![0; MIB]));
    assert_bounded();

    // A connection that is cut every 13 MiB; each goes on where the one before ended.
    let cutting = serve(|stream, from| {
        let block = block();
        let status = if from == 0 {
            "200 OK"
        } else {
            "206 Partial Content"
        };
        let _ = write!(
            stream,
            "HTTP/1.1 {status}\r\nETag: \"one\"\r\nContent-Length: {}\r\n\
             Content-Range: bytes {from}-{}/{DISK}\r\n\r\n",
            DISK - from,
            DISK - 1
        );
        let end = (from + 13 * MIB + 1).min(DISK);
        let mut place = from;
        while place < end {
            let within = &block[place % MIB..];
            let count = within.len().min(end - place);
            if stream.write_all(&within[..count]).is_err() {
                return;
            }
            place += count;
        }
    });
    let done = write(&cutting, &disk);
    assert!(done.status.success(), "{}", done.stderr);
    let block = block();
    assert!(megabytes(&disk).all(|held| held == block));
    assert_bounded();
}
