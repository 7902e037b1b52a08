//! A server that misbehaves in every way that was thought of, and what is left afterwards: a clear
//! error, a blank head, no thread.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use farrier_plugin::{Context, ErrorKind, Progress, chain};
use proptest::prelude::*;

use super::{MIB, assert_written, head_is_blank, image, impatient, options, request};
use crate::config::Options;
use crate::stream::test_server::{Reply, Request, TestServer};
use crate::stream::{Format, ImageRequest, StreamError, Written, write};
use crate::sys::memory_medium::MemoryMedium;

/// Remembers the threads that asked whether the command is cancelled, which every stage does.
#[derive(Default)]
struct Threads(Mutex<BTreeSet<i32>>);

impl Context for Threads {
    fn report_progress(&self, _: Progress) {
        self.is_cancelled();
    }

    fn is_cancelled(&self) -> bool {
        let thread = nix::unistd::gettid().as_raw();
        self.0.lock().unwrap().insert(thread);
        false
    }
}

impl Threads {
    /// The kernel takes a moment to let a thread go that was joined already.
    fn assert_gone(&self) {
        let own = nix::unistd::gettid().as_raw();
        let end = Instant::now() + Duration::from_secs(60);
        let threads = self.0.lock().unwrap();
        assert!(
            threads.iter().any(|thread| *thread != own),
            "stages have threads of their own"
        );
        for thread in threads.iter().filter(|thread| **thread != own) {
            while fs::exists(format!("/proc/self/task/{thread}")).unwrap() {
                assert!(Instant::now() < end, "a thread is left behind");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

/// Write what the server gives, and look after it in any case.
fn written(
    request: &ImageRequest,
    options: &Options,
    medium: &MemoryMedium,
) -> Result<Written, StreamError> {
    let threads = Threads::default();
    let outcome = write(request, options, medium, &threads);
    threads.assert_gone();
    if let Err(error) = &outcome {
        let text = chain(error);
        assert!(!text.contains("secret"), "{text}");
        let content = medium.content();
        assert!(
            head_is_blank(&content) || content.iter().all(|byte| *byte == 0xaa),
            "after an error the head is blank, or nothing was touched"
        );
    }
    outcome
}

fn url(server: &TestServer) -> [String; 1] {
    [server.url("/one.raw?temp_url_sig=secret")]
}

/// What a server does with one request.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// Answer properly, and cut the connection after so many bytes.
    Cut(usize),
    /// Send everything whatever was asked for, and cut the connection after so many bytes.
    Whole(usize),
    /// Another content under another entity tag, cut too.
    Other(usize),
    /// A part that says it starts so many bytes elsewhere.
    Elsewhere(usize),
    /// Fewer bytes than announced, by so many, without a cut: the server believes it is done.
    Few(usize),
    Status(u16),
    /// Hang up before a word.
    Silent,
}

impl Act {
    fn reply(self, content: &Arc<Vec<u8>>, other: &Arc<Vec<u8>>, request: &Request) -> Reply {
        match self {
            Self::Cut(at) => Reply::ranged(content, request).cut_at(at),
            Self::Whole(at) => Reply::ok(content).cut_at(at),
            Self::Other(at) => Reply::ranged(other, request)
                .header("ETag", "\"other\"")
                .cut_at(at),
            Self::Elsewhere(by) => {
                let reply = Reply::ranged(content, request);
                let (from, end) = (reply.from + by, reply.to - 1 + by);
                reply.header(
                    "Content-Range",
                    &format!("bytes {from}-{end}/{}", content.len()),
                )
            }
            Self::Few(by) => {
                let mut reply = Reply::ranged(content, request);
                let length = reply.to - reply.from;
                reply.to -= by.min(length);
                reply.announce(Some(length))
            }
            Self::Status(status) => Reply::status(status),
            Self::Silent => Reply::ok(content).silent(),
        }
    }
}

fn act(size: usize) -> impl Strategy<Value = Act> {
    let place = || {
        prop_oneof![
            0..size,
            Just(0),
            Just(1),
            Just(MIB - 1),
            Just(MIB),
            Just(MIB + 1),
            Just(size - 1),
        ]
    };
    prop_oneof![
        6 => place().prop_map(Act::Cut),
        2 => place().prop_map(Act::Whole),
        1 => place().prop_map(Act::Other),
        1 => (1..5000usize).prop_map(Act::Elsewhere),
        1 => (1..5000usize).prop_map(Act::Few),
        1 => prop_oneof![Just(500), Just(503), Just(408), Just(429), Just(416), Just(412)]
            .prop_map(Act::Status),
        1 => Just(Act::Silent),
    ]
}

const SIZE: usize = 2 * MIB + 77;

static CONTENT: LazyLock<Arc<Vec<u8>>> = LazyLock::new(|| image(SIZE));
static OTHER: LazyLock<Arc<Vec<u8>>> =
    LazyLock::new(|| Arc::new(CONTENT.iter().rev().copied().collect()));

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    /// However often and wherever the connection is cut, as long as the content stays the same, it
    /// is written, and no byte is asked for twice.
    #[test]
    fn cuts_anywhere_any_number_of_times(
        mut cuts in prop::collection::vec(prop_oneof![0..SIZE, MIB - 2..MIB + 3, SIZE - 3..SIZE], 0..12),
    ) {
        cuts.sort_unstable();
        let content = Arc::clone(&CONTENT);
        let server = TestServer::start({
            let (content, cuts) = (Arc::clone(&content), cuts.clone());
            move |number, request| {
                let reply = Reply::ranged(&content, request);
                match cuts.get(number) {
                    Some(at) => {
                        let bytes = at.saturating_sub(reply.from);
                        reply.cut_at(bytes)
                    }
                    None => reply,
                }
            }
        });
        let options = Options { image_download_connection_retries: 12, ..options() };
        let medium = MemoryMedium::used(4 * MIB);
        written(&request(&url(&server), &content), &options, &medium).unwrap();
        assert_written(&medium, &content);
        let requests = server.requests();
        prop_assert_eq!(requests.len(), cuts.len() + 1);
        for (request, cut) in requests[1..].iter().zip(&cuts) {
            prop_assert_eq!(request.range(), (*cut > 0).then_some(*cut));
        }
    }

    /// Whatever a server does, either the promised image is on the medium, or nothing that boots.
    #[test]
    fn any_misbehaviour_ends_well_or_blank(acts in prop::collection::vec(act(SIZE), 0..8)) {
        let content = Arc::clone(&CONTENT);
        let server = TestServer::start({
            let (content, acts) = (Arc::clone(&content), acts.clone());
            move |number, request| match acts.get(number) {
                Some(act) => act.reply(&content, &OTHER, request),
                None => Reply::ranged(&content, request),
            }
        });
        let medium = MemoryMedium::used(4 * MIB);
        match written(&request(&url(&server), &content), &options(), &medium) {
            Ok(_) => assert_written(&medium, &content),
            Err(error) => prop_assert!(
                matches!(error.kind(), ErrorKind::ImageDownload | ErrorKind::ImageChecksum),
                "{}", chain(&error)
            ),
        }
    }
}

#[test]
fn a_part_that_is_another_than_asked_for_is_not_taken() {
    let content = image(3 * MIB);
    let (cut, end) = (2 * MIB, 3 * MIB - 1);
    for range in [
        format!("bytes {}-{end}/{}", cut - 1, 3 * MIB),
        format!("bytes {}-{end}/{}", cut + 1, 3 * MIB),
        format!("bytes {cut}-{end}/{}", 3 * MIB + 1),
        format!("bytes {cut}-{end}/*"),
        format!("bytes {cut}-{}/{}", end - 1, 3 * MIB),
        format!("octets {cut}-{end}/{}", 3 * MIB),
        "bytes */3145728".to_owned(),
        String::new(),
    ] {
        let server = TestServer::start({
            let (content, range) = (Arc::clone(&content), range.clone());
            move |number, request| match number {
                0 => Reply::ok(&content).cut_at(cut),
                1 => Reply::ranged(&content, request).header("Content-Range", &range),
                _ => Reply::ranged(&content, request),
            }
        });
        let medium = MemoryMedium::used(4 * MIB);
        written(&request(&url(&server), &content), &options(), &medium).unwrap();
        assert_written(&medium, &content);
        let ranges: Vec<_> = server.requests().iter().map(Request::range).collect();
        assert_eq!(ranges, [None, Some(cut), None], "{range}: started over");
    }
}

#[test]
fn a_server_that_never_gets_the_range_right_is_given_up() {
    let content = image(3 * MIB);
    let server = TestServer::start({
        let content = Arc::clone(&content);
        move |_, request| match request.range() {
            None => Reply::ok(&content).cut_at(2 * MIB),
            Some(_) => Reply::ranged(&content, request).header("Last-Modified", "yesterday"),
        }
    });
    let medium = MemoryMedium::used(4 * MIB);
    let request = request(&url(&server), &content);
    let error = written(&request, &options(), &medium).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ImageDownload);
    assert_eq!(
        chain(&error),
        format!(
            "Download of image one.raw failed: {} changed while it was read",
            server.url("/one.raw")
        )
    );
    assert_eq!(
        server.requests().len(),
        8,
        "four times over, two requests each"
    );
}

#[test]
fn more_bytes_than_announced() {
    let content = image(3 * MIB);
    // The body ends for every client where its announced length says; the rest was promised.
    let server = TestServer::start({
        let content = Arc::clone(&content);
        move |_, _| Reply::ok(&content).announce(Some(3 * MIB - 10))
    });
    let medium = MemoryMedium::used(4 * MIB);
    let error = written(&request(&url(&server), &content), &options(), &medium).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ImageChecksum);

    // A part that goes on behind the end of the whole.
    let longer = image(3 * MIB + 10);
    let server = TestServer::start({
        let content = Arc::new(longer[..3 * MIB].to_vec());
        move |number, _| match number {
            0 => Reply::ok(&content).cut_at(2 * MIB),
            _ => {
                let mut reply = Reply::ok(&longer).announce(None).header(
                    "Content-Range",
                    &format!("bytes {}-{}/{}", 2 * MIB, 3 * MIB - 1, 3 * MIB),
                );
                (reply.status, reply.from) = (206, 2 * MIB);
                reply
            }
        }
    });
    let medium = MemoryMedium::used(4 * MIB);
    let error = written(&request(&url(&server), &content), &options(), &medium).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ImageDownload);
    assert!(
        chain(&error).ends_with("/one.raw sent more than the 3145728 bytes that it announced"),
        "{}",
        chain(&error)
    );
}

#[test]
fn a_page_of_html_is_no_image() {
    let page = Arc::new(b"<!doctype html><title>Log in</title>".repeat(1000));
    let server = TestServer::start({
        let page = Arc::clone(&page);
        move |_, _| Reply::ok(&page).header("Content-Type", "text/html")
    });
    let mut request = request(&url(&server), &image(MIB));
    let medium = MemoryMedium::used(4 * MIB);
    let error = written(&request, &options(), &medium).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidImage);
    assert_eq!(
        chain(&error),
        "Security: Expected format was raw, but image was actually an HTML or XML page: check the URL: \
         a login page, a proxy's or a portal's answer comes with status 200"
    );

    request.format = Format::Undeclared;
    request.permitted_formats = vec!["gpt".to_owned(), "qcow2".to_owned()];
    let medium = MemoryMedium::used(4 * MIB);
    let error = written(&request, &options(), &medium).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidImage);
    assert_eq!(
        chain(&error),
        "Security: Detected image format was an HTML or XML page, but only gpt, qcow2 are allowed: check \
         the URL: a login page, a proxy's or a portal's answer comes with status 200"
    );
    assert_eq!(medium.log(), []);
}

#[test]
fn a_server_that_drips_ends_with_the_time_limit() {
    let content = image(3 * MIB);
    let server = TestServer::start({
        let content = Arc::clone(&content);
        move |_, _| Reply::ok(&content).drip(997, 20)
    });
    let options = Options {
        image_download_max_duration: 3,
        ..options()
    };
    let medium = MemoryMedium::used(4 * MIB);
    let began = Instant::now();
    let error = written(&request(&url(&server), &content), &options, &medium).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ImageDownloadTimeout);
    // The whole would take a minute.
    assert!(began.elapsed() < Duration::from_secs(30));
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_server_that_stalls_again_and_again_is_given_up() {
    let content = image(3 * MIB);
    let server = TestServer::start({
        let content = Arc::clone(&content);
        move |_, request| Reply::ranged(&content, request).stall_at(1000)
    });
    let options = Options {
        image_download_connection_retries: 1,
        ..impatient()
    };
    let medium = MemoryMedium::used(4 * MIB);
    let error = written(&request(&url(&server), &content), &options, &medium).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ImageDownload);
    assert_eq!(
        chain(&error),
        format!(
            "Download of image one.raw failed: Timed out reading next chunk from webserver at {} \
             after 3 seconds",
            server.url("/one.raw")
        )
    );
    let ranges: Vec<_> = server.requests().iter().map(Request::range).collect();
    assert_eq!(ranges, [None, Some(1000)]);
}

#[test]
fn a_server_that_asks_for_a_pause_gets_it() {
    let content = image(2 * MIB);
    for (status, pause) in [(429, "1"), (503, "Sun, 06 Nov 1994 08:49:37 GMT")] {
        let server = TestServer::start({
            let content = Arc::clone(&content);
            move |number, request| match number {
                0 => Reply::ok(&content).cut_at(MIB),
                1 => Reply::status(status).header("Retry-After", pause),
                _ => Reply::ranged(&content, request),
            }
        });
        let medium = MemoryMedium::used(4 * MIB);
        let began = Instant::now();
        written(&request(&url(&server), &content), &options(), &medium).unwrap();
        assert_written(&medium, &content);
        if pause == "1" {
            assert!(began.elapsed() >= Duration::from_secs(1));
        }
        let ranges: Vec<_> = server.requests().iter().map(Request::range).collect();
        assert_eq!(ranges, [None, Some(MIB), Some(MIB)]);
    }
}

/// Makes the file longer so many times, whenever a stage asks whether to go on.
struct Growing {
    file: fs::File,
    left: AtomicUsize,
}

impl Context for Growing {
    fn report_progress(&self, _: Progress) {}

    fn is_cancelled(&self) -> bool {
        let take_one = |left: usize| left.checked_sub(1);
        let order = Ordering::SeqCst;
        if self.left.fetch_update(order, order, take_one).is_ok() {
            (&self.file).write_all(b"more").unwrap();
        }
        false
    }
}

#[test]
fn a_local_file_that_is_written_to_is_not_taken() {
    let content = image(2 * MIB);
    for (times, fits) in [(1, false), (usize::MAX, false), (0, true)] {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&content).unwrap();
        let mut request = request(&[format!("file://{}", file.path().display())], &content);
        if !fits {
            request.checksum = None;
        }
        let growing = Growing {
            file: file.reopen().unwrap(),
            left: times.into(),
        };
        (&growing.file).seek(SeekFrom::End(0)).unwrap();
        let medium = MemoryMedium::used(8 * MIB);
        let outcome = write(&request, &options(), &medium, &growing);
        if times == usize::MAX {
            let error = outcome.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ImageDownload);
            assert!(
                chain(&error).ends_with("changed while it was read"),
                "{error}"
            );
            assert!(head_is_blank(&medium.content()));
        } else {
            let size = outcome.unwrap().size;
            assert_eq!(size, file.path().metadata().unwrap().len());
        }
    }
}
