//! Replies with a content encoding: one that is none, one around an image, and one in chunks.

use std::io::Read;
use std::sync::Arc;

use farrier_plugin::{ErrorKind, SilentContext, chain};

use super::{MIB, assert_written, head_is_blank, image, options, request, sha256};
use crate::stream::test_server::{Reply, Request, TestServer};
use crate::stream::{Checksum, Format, ImageRequest, StreamError, Written, write};
use crate::sys::memory_medium::MemoryMedium;

fn gzip(content: &[u8]) -> Arc<Vec<u8>> {
    let mut packed = Vec::new();
    flate2::read::GzEncoder::new(content, flate2::Compression::fast())
        .read_to_end(&mut packed)
        .unwrap();
    Arc::new(packed)
}

/// Serve this with the coding gzip, whole or in parts, but for what is said of the n-th request.
fn serving(
    body: &Arc<Vec<u8>>,
    change: impl Fn(usize, &Request, Reply) -> Reply + Send + Sync + 'static,
) -> TestServer {
    let body = Arc::clone(body);
    TestServer::start(move |number, request| {
        let reply = Reply::ranged(&body, request).header("Content-Encoding", "gzip");
        change(number, request, reply)
    })
}

fn written(
    server: &TestServer,
    vouched: &[u8],
    change: impl FnOnce(&mut ImageRequest),
    medium: &MemoryMedium,
) -> Result<Written, StreamError> {
    let mut request = request(&[server.url("/one.raw")], vouched);
    change(&mut request);
    write(&request, &options(), medium, &SilentContext)
}

fn ranges(server: &TestServer) -> Vec<Option<usize>> {
    server.requests().iter().map(Request::range).collect()
}

#[test]
fn without_a_digest_any_encoding_is_refused_by_name() {
    let content = image(2 * MIB);
    for word in ["gzip", "aws-chunked", ""] {
        let server = serving(&content, move |_, _, reply| {
            reply.header("Content-Encoding", word)
        });
        let medium = MemoryMedium::used(4 * MIB);
        let unvouched = |request: &mut ImageRequest| request.checksum = None;
        let error = written(&server, &content, unvouched, &medium).unwrap_err();
        assert_eq!(
            chain(&error),
            format!(
                "Download of image one.raw failed: {} is sent with the content encoding {word}, \
                 although it was asked for as it is stored: have the server send it without",
                server.url("/one.raw")
            )
        );
        assert_eq!(server.requests().len(), 1);
        assert_eq!(medium.log(), []);
    }
}

#[test]
fn the_digest_may_be_of_what_is_stored_or_of_what_comes_of_it() {
    let content = image(3 * MIB + 700);
    let packed = gzip(&content);
    for vouched in [&content, &packed] {
        // Cut in the middle, and resumed within the packed bytes.
        let server = serving(&packed, |number, _, reply| match number {
            0 => reply.cut_at(2 * MIB),
            _ => reply,
        });
        let medium = MemoryMedium::used(8 * MIB);
        let done = written(&server, vouched, |_| {}, &medium).unwrap();
        assert_written(&medium, &content);
        assert_eq!(done.digest, Some(sha256(vouched)));
        assert_eq!(done.checksum, format!("sha256:{}", sha256(vouched)));
        assert_eq!(done.size, content.len() as u64);
        assert_eq!(ranges(&server), [None, Some(2 * MIB)]);
    }
}

#[test]
fn neither_digest_is_no_image() {
    let content = image(3 * MIB);
    let server = serving(&gzip(&content), |_, _, reply| reply);
    let medium = MemoryMedium::used(8 * MIB);
    let error = written(&server, b"another", |_| {}, &medium).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ImageChecksum);
    assert!(chain(&error).ends_with(&sha256(&content)), "{error}");
    assert!(head_is_blank(&medium.content()));
    assert_eq!(
        server.requests().len(),
        2,
        "once more, in case it was damaged"
    );
}

#[test]
fn what_was_damaged_on_the_way_is_fetched_again() {
    let content = image(3 * MIB);
    let packed = gzip(&content);
    let mut damaged = packed.to_vec();
    damaged[2 * MIB] ^= 0x10;
    let damaged = Arc::new(damaged);
    for vouched in [&content, &packed] {
        let damaged = Arc::clone(&damaged);
        let server = serving(&packed, move |number, _, mut reply| {
            if number == 0 {
                reply.body = Arc::clone(&damaged);
            }
            reply
        });
        let medium = MemoryMedium::used(8 * MIB);
        written(&server, vouched, |_| {}, &medium).unwrap();
        assert_written(&medium, &content);
        assert_eq!(ranges(&server), [None, None]);
    }
    // What is stored so is damaged for good.
    let server = serving(&damaged, |_, _, reply| reply);
    let medium = MemoryMedium::used(8 * MIB);
    let error = written(&server, &damaged, |_| {}, &medium).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidImage);
    let text = chain(&error);
    assert!(
        text.starts_with("Image one.raw is damaged: content encoding gzip: "),
        "{text}"
    );
    assert!(head_is_blank(&medium.content()));
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn parts_with_and_without_the_encoding_are_not_joined() {
    let content = image(3 * MIB);
    let packed = gzip(&content);
    let server = serving(&packed, {
        let packed = Arc::clone(&packed);
        move |number, request, reply| match number {
            0 => reply.cut_at(2 * MIB),
            1 => Reply::ranged(&packed, request),
            _ => reply,
        }
    });
    let medium = MemoryMedium::used(8 * MIB);
    written(&server, &content, |_| {}, &medium).unwrap();
    assert_written(&medium, &content);
    assert_eq!(ranges(&server), [None, Some(2 * MIB), None]);
}

#[test]
fn nobody_looks_into_what_is_written_as_it_is_stored() {
    let content = image(3 * MIB);
    let packed = gzip(&content);
    let unseen = |request: &mut ImageRequest| request.inspect = false;
    for (vouched, disk, requests) in [(&content, &content, 1), (&packed, &packed, 2)] {
        let server = serving(&packed, |_, _, reply| reply);
        let medium = MemoryMedium::used(8 * MIB);
        let done = written(&server, vouched, unseen, &medium).unwrap();
        assert_eq!(done.size, disk.len() as u64);
        assert!(medium.content().starts_with(disk));
        assert_eq!(server.requests().len(), requests);
    }
}

#[test]
fn what_the_encoding_is_around_is_judged_like_any_image() {
    let content = image(2 * MIB);
    let server = serving(&gzip(&content), |_, _, reply| reply);
    let medium = MemoryMedium::used(8 * MIB);
    let declared = |request: &mut ImageRequest| request.format = Format::Other("qcow2".to_owned());
    let error = written(&server, &content, declared, &medium).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidImage);
    assert_eq!(medium.log(), []);

    // More comes of it than the disk holds.
    let bomb = gzip(&vec![b'x'; 64 * MIB]);
    let server = serving(&bomb, |_, _, reply| reply);
    let error = written(&server, &bomb, |_| {}, &medium).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ImageWrite);
    assert!(head_is_blank(&medium.content()));
}

/// In chunks, beside a length that is wrong, up to a cut.
fn chunked(body: &[u8]) -> Reply {
    let head = "HTTP/1.1 200 OK\r\nETag: \"one\"\r\nContent-Length: 5\r\n\
                Transfer-Encoding: chunked\r\n\r\n";
    let chunk = format!("{:x}\r\n", body.len());
    Reply::raw([head.as_bytes(), chunk.as_bytes(), body].concat(), false)
}

#[test]
fn a_body_in_chunks_is_resumed_whatever_length_stands_beside_them() {
    let content = image(3 * MIB);
    for checksum in [true, false] {
        let server = TestServer::start({
            let content = Arc::clone(&content);
            move |number, request| match number {
                0 => chunked(&content[..2 * MIB]),
                _ => Reply::ranged(&content, request),
            }
        });
        let medium = MemoryMedium::used(4 * MIB);
        let unvouched = |request: &mut ImageRequest| {
            request.checksum.take_if(|_: &mut Checksum| !checksum);
        };
        written(&server, &content, unvouched, &medium).unwrap();
        assert_written(&medium, &content);
        assert_eq!(ranges(&server), [None, Some(2 * MIB)]);
    }
}
