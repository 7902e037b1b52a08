//! Servers that refuse, stumble, cut, stall and lie.

use std::sync::Arc;

use farrier_plugin::{ErrorKind, SilentContext, chain};

use super::{MIB, assert_written, head_is_blank, image, impatient, options, request, run};
use crate::config::Options;
use crate::stream::test_server::{self, Reply, TestServer};
use crate::stream::{StreamError, write};
use crate::sys::memory_medium::{Change, MemoryMedium};

#[test]
fn a_refusal_is_final_and_touches_nothing() {
    for status in [400, 401, 403, 404, 410, 206, 204] {
        let server = TestServer::start(move |_, _| Reply::status(status));
        let medium = MemoryMedium::used(4 * MIB);
        let error = run(&server, b"", &medium).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ImageDownload);
        let hint = match status {
            401 | 403 => " (the temporary URL has probably expired, or its signature is wrong)",
            _ => "",
        };
        let text = chain(&error);
        assert_eq!(
            text,
            format!(
                "Download of image one.raw failed: Received status code {status} from {}, \
                 expected 200{hint}",
                server.url("/one.raw")
            )
        );
        assert_eq!(server.requests().len(), 1, "{status}");
        assert_eq!(medium.log(), []);
    }
}

#[test]
fn a_server_that_stumbles_is_asked_again() {
    for status in [500, 503, 408, 425, 429] {
        let content = image(3 * MIB);
        let server = TestServer::start({
            let content = Arc::clone(&content);
            move |number, _| match number {
                0..3 => Reply::status(status).header("Retry-After", "0"),
                _ => Reply::ok(&content),
            }
        });
        let medium = MemoryMedium::used(4 * MIB);
        run(&server, &content, &medium).unwrap();
        assert_written(&medium, &content);
        assert_eq!(server.requests().len(), 4);
    }
    let server = TestServer::start(|_, _| Reply::status(500));
    let error = run(&server, b"", &MemoryMedium::used(4 * MIB)).unwrap_err();
    assert!(
        chain(&error).contains("Received status code 500"),
        "{error}"
    );
    assert_eq!(server.requests().len(), 4);
}

#[test]
fn a_cut_connection_goes_on_where_it_ended() {
    let content = image(9 * MIB);
    let cuts = [2 * MIB + 7, 5 * MIB];
    let server = TestServer::start({
        let content = Arc::clone(&content);
        move |number, request| {
            let reply = Reply::ranged(&content, request);
            match cuts.get(number) {
                Some(at) => {
                    let bytes = at - reply.from;
                    reply.cut_at(bytes)
                }
                None => reply,
            }
        }
    });
    let medium = MemoryMedium::used(16 * MIB);
    run(&server, &content, &medium).unwrap();
    assert_written(&medium, &content);
    let requests = server.requests();
    assert_eq!(
        requests
            .iter()
            .map(test_server::Request::range)
            .collect::<Vec<_>>(),
        [None, Some(cuts[0]), Some(cuts[1])]
    );
    assert_eq!(requests[1].header("if-range"), Some("\"one\""));
    assert_eq!(requests[1].header("if-match"), Some("\"one\""));
    assert_eq!(requests[0].header("accept-encoding"), Some("identity"));
}

#[test]
fn a_server_without_ranges_sends_again_and_nothing_is_written_twice() {
    let content = image(6 * MIB);
    let server = TestServer::start({
        let content = Arc::clone(&content);
        move |number, _| match number {
            0 => Reply::ok(&content).cut_at(2 * MIB + 1),
            _ => Reply::ok(&content),
        }
    });
    let medium = MemoryMedium::used(8 * MIB);
    run(&server, &content, &medium).unwrap();
    assert_written(&medium, &content);
    assert_eq!(server.requests().len(), 2);
    let blanked = |change: &&Change| matches!(change, Change::Zero { offset: 0, .. });
    assert_eq!(medium.log().iter().filter(blanked).count(), 1);
}

#[test]
fn content_that_changes_starts_over() {
    let old = image(6 * MIB);
    let mut changed = (*old).clone();
    changed.reverse();
    let new = Arc::new(changed);
    for resumed_status in [206, 200, 412, 416] {
        let server = TestServer::start({
            let (old, new) = (Arc::clone(&old), Arc::clone(&new));
            move |number, request| match number {
                0 => Reply::ok(&old).cut_at(3 * MIB),
                1 if resumed_status == 206 => {
                    Reply::ranged(&new, request).header("ETag", "\"two\"")
                }
                1 if resumed_status >= 400 => Reply::status(resumed_status),
                _ => Reply::ok(&new).header("ETag", "\"two\""),
            }
        });
        let medium = MemoryMedium::used(8 * MIB);
        run(&server, &new, &medium).unwrap();
        assert_written(&medium, &new);
        assert_eq!(server.requests().len(), 3, "{resumed_status}");
    }
}

#[test]
fn an_expired_url_on_a_resume_is_named() {
    let content = image(6 * MIB);
    let server = TestServer::start({
        let content = Arc::clone(&content);
        move |number, _| match number {
            0 => Reply::ok(&content).cut_at(3 * MIB),
            _ => Reply::status(401),
        }
    });
    let medium = MemoryMedium::used(8 * MIB);
    let text = chain(&run(&server, &content, &medium).unwrap_err());
    assert!(
        text.contains("the temporary URL has probably expired"),
        "{text}"
    );
    assert!(!text.contains("secret"), "{text}");
    assert!(head_is_blank(&medium.content()));
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_wrong_length_is_no_image() {
    let content = image(3 * MIB);
    let server = TestServer::start({
        let content = Arc::clone(&content);
        move |_, request| {
            let reply = Reply::ranged(&content, request);
            let length = reply.body.len() - reply.from + 10;
            reply.announce(Some(length))
        }
    });
    let medium = MemoryMedium::used(4 * MIB);
    let error = run(&server, &content, &medium).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ImageDownload);
    assert!(head_is_blank(&medium.content()));
}

#[test]
fn a_body_of_unknown_length_is_taken_to_its_end() {
    let content = image(3 * MIB);
    let server = TestServer::start({
        let content = Arc::clone(&content);
        move |_, _| Reply::ok(&content).announce(None)
    });
    let medium = MemoryMedium::used(4 * MIB);
    run(&server, &content, &medium).unwrap();
    assert_written(&medium, &content);

    // Larger than the disk, which shows only on the way.
    let medium = MemoryMedium::used(2 * MIB + 512);
    let error = run(&server, &content, &medium).unwrap_err();
    assert!(matches!(error, StreamError::TooLarge { .. }), "{error}");
    assert!(head_is_blank(&medium.content()));
}

#[test]
fn a_stalled_server_is_left() {
    let content = image(3 * MIB);
    let server = TestServer::start({
        let content = Arc::clone(&content);
        move |number, request| {
            let reply = Reply::ranged(&content, request);
            if number == 0 {
                reply.stall_at(MIB)
            } else {
                reply
            }
        }
    });
    let medium = MemoryMedium::used(4 * MIB);
    let request = request(&[server.url("/one.raw")], &content);
    write(&request, &impatient(), &medium, &SilentContext).unwrap();
    assert_written(&medium, &content);
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn the_time_limit_ends_it() {
    let content = image(3 * MIB);
    let server = TestServer::start({
        let content = Arc::clone(&content);
        move |_, _| Reply::ok(&content).stall_at(MIB)
    });
    let options = Options {
        image_download_max_duration: 3,
        ..options()
    };
    let medium = MemoryMedium::used(4 * MIB);
    let request = request(&[server.url("/a"), server.url("/b")], &content);
    let error = write(&request, &options, &medium, &SilentContext).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ImageDownloadTimeout);
    assert_eq!(
        chain(&error),
        "Download of image one.raw failed: Download exceeded max allowed time (3 seconds)"
    );
    assert_eq!(server.requests().len(), 1);
    assert!(head_is_blank(&medium.content()));
}

#[test]
fn the_next_url_is_tried_and_all_failures_are_told() {
    let content = image(3 * MIB);
    let server = TestServer::start({
        let content = Arc::clone(&content);
        move |_, request| match request.target.as_str() {
            "/good" => Reply::ok(&content),
            _ => Reply::status(404),
        }
    });
    let medium = MemoryMedium::used(4 * MIB);
    let urls = [server.url("/bad?sig=secret"), server.url("/good")];
    write(
        &request(&urls, &content),
        &options(),
        &medium,
        &SilentContext,
    )
    .unwrap();
    assert_written(&medium, &content);

    let urls = [server.url("/bad?sig=secret"), server.url("/worse")];
    let error = write(
        &request(&urls, &content),
        &options(),
        &medium,
        &SilentContext,
    )
    .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("/bad; time: ") && text.contains(" s. Error: Received status code 404"),
        "{text}"
    );
    assert!(
        text.contains("\n URL: ") && text.contains("/worse; time"),
        "{text}"
    );
    assert!(!text.contains("secret"), "{text}");
}
