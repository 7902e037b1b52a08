//! Servers and files that parts are read from while a pass runs, and those that refuse or lie.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use farrier_plugin::{Context, Progress, SilentContext};

use super::{HeaderMap, RangeError, Ranges, of};
use crate::config::Options;
use crate::stream::error::DownloadError;
use crate::stream::halt::Halt;
use crate::stream::patience::Patience;
use crate::stream::remote::Remote;
use crate::stream::request::{Credentials, Location};
use crate::stream::source::runtime;
use crate::stream::test_server::{Reply, Request, TestServer};
use crate::stream::tests::{MIB, image, impatient, options, request};
use crate::stream::version::Version;

/// Read the parts from a server, after a pass over it was opened.
fn parts(
    server: &TestServer,
    options: &Options,
    context: &dyn Context,
    read: impl FnOnce(&dyn Ranges),
) {
    let mut request = request(&[server.url("/one.raw?sig=secret")], b"");
    request.credentials = Credentials::Authorization("Bearer eyJ0".to_owned());
    let location = &request.locations[0];
    let halt = Halt::new(context);
    let patience = Patience::new(options, &halt, Instant::now());
    let unhurried = Halt::new(&SilentContext);
    let remote = Remote::new(
        location,
        &request.credentials,
        &request.proxies,
        options,
        Patience::new(options, &unhurried, Instant::now()),
    );
    let opened = runtime(location)
        .unwrap()
        .block_on(remote.unwrap().ask(HeaderMap::new()))
        .unwrap();
    let ranges = of(location, &request, options, patience, Version::of(&opened));
    read(&*ranges);
}

/// Serves the first request as a pass gets it, and all others as the function says.
fn server(answer: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static) -> TestServer {
    let first = image(MIB);
    TestServer::start(move |number, request| match number {
        0 => Reply::ok(&first),
        _ => answer(number, request),
    })
}

fn text(error: &RangeError) -> String {
    farrier_plugin::chain(error)
}

#[test]
fn parts_are_read_from_anywhere() {
    let content = image(MIB);
    let server = server({
        let content = Arc::clone(&content);
        move |_, request| Reply::ranged(&content, request)
    });
    parts(&server, &options(), &SilentContext, |ranges| {
        for (offset, length) in [
            (0, 1),
            (65536, 4096),
            (MIB - 1, 1),
            (0, MIB),
            (500, 0),
            (MIB, 0),
        ] {
            let part = ranges.read(offset as u64, length).unwrap();
            assert_eq!(part, content[offset..offset + length]);
        }
        for (offset, length) in [(MIB as u64, 1), (0, MIB + 1), (u64::MAX, 2)] {
            let error = ranges.read(offset, length).unwrap_err();
            assert!(text(&error).ends_with("are not within its 1048576 bytes"));
        }
    });
    let requests = server.requests();
    assert_eq!(requests.len(), 5);
    assert_eq!(requests[1].header("range"), Some("bytes=0-0"));
    assert_eq!(requests[2].header("range"), Some("bytes=65536-69631"));
    for request in &requests[1..] {
        assert_eq!(request.header("if-match"), Some("\"one\""));
        assert_eq!(request.header("authorization"), Some("Bearer eyJ0"));
        assert_eq!(request.header("accept-encoding"), Some("identity"));
    }
}

#[test]
fn a_server_that_does_no_ranges_is_asked_once() {
    let content = image(MIB);
    type Answer = fn(&Arc<Vec<u8>>, &Request) -> Reply;
    let answers: [Answer; 5] = [
        |content, _| Reply::ok(content),
        |content, request| Reply::ranged(content, request).header("Content-Range", "bytes 0-9/*"),
        |content, request| {
            Reply::ranged(content, request).header("Content-Range", "bytes 11-20/1048576")
        },
        |content, request| {
            Reply::ranged(content, request).header("Content-Range", "bytes 10-18/1048576")
        },
        // Several parts in one body (RFC 9110 14.6) were not asked for.
        |content, request| {
            Reply::ranged(content, request).header("Content-Range", "multipart/byteranges")
        },
    ];
    for answer in answers {
        let server = server({
            let content = Arc::clone(&content);
            move |_, request| answer(&content, request)
        });
        parts(&server, &options(), &SilentContext, |ranges| {
            for _ in 0..3 {
                let error = ranges.read(10, 10).unwrap_err();
                assert!(matches!(error, RangeError::Refused), "{}", text(&error));
            }
        });
        assert_eq!(server.requests().len(), 2);
    }
}

#[test]
fn a_server_that_tells_no_length_is_not_asked() {
    let content = image(MIB);
    let server = TestServer::start(move |_, _| Reply::ok(&content).announce(None));
    parts(&server, &options(), &SilentContext, |ranges| {
        assert!(matches!(ranges.read(0, 1), Err(RangeError::Refused)));
    });
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn another_version_is_not_mixed_in() {
    let content = image(MIB);
    type Answer = fn(&Arc<Vec<u8>>, &Request) -> Reply;
    let answers: [Answer; 6] = [
        |content, request| Reply::ranged(content, request).header("ETag", "\"two\""),
        |content, request| Reply::ranged(content, request).header("Last-Modified", "now"),
        |content, request| {
            Reply::ranged(content, request).header("Content-Range", "bytes 10-19/1048577")
        },
        |content, _| Reply::ok(content).header("ETag", "\"two\""),
        |_, _| Reply::status(412),
        |_, _| Reply::status(416),
    ];
    for answer in answers {
        let server = server({
            let content = Arc::clone(&content);
            move |_, request| answer(&content, request)
        });
        parts(&server, &options(), &SilentContext, |ranges| {
            let error = ranges.read(10, 10).unwrap_err();
            assert!(
                matches!(error, RangeError::Download(DownloadError::Changed { .. })),
                "{}",
                text(&error)
            );
        });
        assert_eq!(server.requests().len(), 2);
    }
}

#[test]
fn a_part_is_asked_for_again_where_that_may_help() {
    let content = image(MIB);
    let server = server({
        let content = Arc::clone(&content);
        move |number, request| {
            let reply = Reply::ranged(&content, request);
            match number {
                1 => Reply::status(503),
                2 => reply.cut_at(5),
                3 => reply.stall_at(0),
                _ => reply,
            }
        }
    });
    parts(&server, &impatient(), &SilentContext, |ranges| {
        assert_eq!(ranges.read(10, 1000).unwrap(), content[10..1010]);
    });
    assert_eq!(server.requests().len(), 5);
}

#[test]
fn an_expired_url_is_final_and_named() {
    let server = server(|_, _| Reply::status(401));
    parts(&server, &options(), &SilentContext, |ranges| {
        let text = text(&ranges.read(0, 1).unwrap_err());
        assert!(
            text.contains("the temporary URL has probably expired"),
            "{text}"
        );
        assert!(!text.contains("secret"), "{text}");
    });
    assert_eq!(server.requests().len(), 2);
}

/// Cancels after so many questions.
struct Cancelled(std::sync::atomic::AtomicUsize);

impl Context for Cancelled {
    fn report_progress(&self, _: Progress) {}

    fn is_cancelled(&self) -> bool {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed) > 1
    }
}

#[test]
fn a_read_ends_with_the_pipeline_and_with_the_time_limit() {
    let stalling = || {
        let content = image(MIB);
        server(move |_, request| Reply::ranged(&content, request).stall_at(0))
    };
    let began = Instant::now();
    parts(&stalling(), &options(), &Cancelled(0.into()), |ranges| {
        assert!(matches!(
            ranges.read(0, 1),
            Err(RangeError::Download(DownloadError::Interrupted { .. }))
        ));
    });
    let limited = Options {
        image_download_max_duration: 3,
        ..options()
    };
    parts(&stalling(), &limited, &SilentContext, |ranges| {
        assert!(matches!(
            ranges.read(0, 1),
            Err(RangeError::Download(DownloadError::Deadline { seconds: 3 }))
        ));
    });
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_file_is_read_until_it_changes() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let content = image(MIB);
    file.write_all(&content).unwrap();
    let url = format!("file://{}", file.path().display());
    let request = request(&[url], b"");
    let options = options();
    let halt = Halt::new(&SilentContext);
    let patience = Patience::new(&options, &halt, Instant::now());
    let version = Version::of_file(&file.as_file().metadata().unwrap());
    let location: &Location = &request.locations[0];
    let ranges = of(location, &request, &options, patience, version);
    assert_eq!(ranges.read(0, MIB).unwrap(), *content);
    assert_eq!(ranges.read(4097, 3).unwrap(), content[4097..4100]);
    assert!(ranges.read(MIB as u64, 0).unwrap().is_empty());
    assert!(ranges.read(MIB as u64, 1).is_err());
    file.write_all(b"more").unwrap();
    let error = ranges.read(0, 1).unwrap_err();
    assert!(
        text(&error).ends_with("changed while it was read"),
        "{}",
        text(&error)
    );
    halt.stop();
    assert!(matches!(
        ranges.read(0, 1),
        Err(RangeError::Download(DownloadError::Interrupted { .. }))
    ));
}
