//! Promised digests: each algorithm, each way to name it, each way to be wrong.

use std::sync::Arc;

use farrier_plugin::{ErrorKind, SilentContext, chain};

use super::{MIB, assert_written, head_is_blank, image, options, request, sha256};
use crate::stream::test_server::{Reply, TestServer};
use crate::stream::{
    Algorithm, Checksum, Credentials, ImageRequest, Location, MD5_DISABLED, StreamError, Written,
    write,
};
use crate::sys::memory_medium::MemoryMedium;

const SIZE: usize = 2 * MIB;

fn hexadecimal(algorithm: Algorithm, data: &[u8]) -> String {
    let mut digest = algorithm.start();
    digest.update(data);
    digest.finish()
}

/// Serves the image, and these files of checksums.
fn serving(content: &Arc<Vec<u8>>, files: &[(&'static str, String)]) -> TestServer {
    let content = Arc::clone(content);
    let files = files.to_vec();
    TestServer::start(move |_, request| {
        let path = request.target.split('?').next().unwrap_or_default();
        match files.iter().find(|(name, _)| *name == path) {
            Some((_, text)) => Reply::ok(&Arc::new(text.clone().into_bytes())),
            None if path == "/one.raw" => Reply::ok(&content),
            None => Reply::status(404),
        }
    })
}

fn file(server: &TestServer, target: &str) -> Checksum {
    Checksum::File {
        location: Location::parse(&server.url(&format!("{target}?sig=secret"))).unwrap(),
        algorithm: None,
        md5_allowed: false,
    }
}

fn written(request: &ImageRequest, content: &[u8]) -> Result<Written, StreamError> {
    let medium = MemoryMedium::used(4 * MIB);
    let outcome = write(request, &options(), &medium, &SilentContext);
    match &outcome {
        Ok(_) => assert_written(&medium, content),
        Err(StreamError::Checksum { .. }) => assert!(head_is_blank(&medium.content())),
        Err(_) => assert_eq!(medium.log(), []),
    }
    outcome
}

#[test]
fn each_algorithm_is_computed_over_the_bytes_as_served() {
    let content = image(SIZE);
    let server = serving(&content, &[]);
    for algorithm in [
        Algorithm::Md5,
        Algorithm::Sha1,
        Algorithm::Sha224,
        Algorithm::Sha256,
        Algorithm::Sha384,
        Algorithm::Sha512,
        Algorithm::Sha3x256,
        Algorithm::Blake2b,
    ] {
        let digest = hexadecimal(algorithm, &content);
        let mut request = request(&[server.url("/one.raw")], &content);
        request.checksum = Some(Checksum::Value {
            algorithm,
            digest: digest.clone(),
        });
        let good = written(&request, &content).unwrap();
        assert_eq!(good.digest.as_deref(), Some(digest.as_str()));

        let wrong = "0".repeat(digest.len());
        request.checksum = Some(Checksum::Value {
            algorithm,
            digest: wrong.clone(),
        });
        let error = written(&request, &content).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ImageChecksum);
        // The reference swaps the first two fields (contract/data-plane 1.4).
        assert_eq!(
            chain(&error),
            format!(
                "Image failed to verify against checksum. location: {}; image ID: one.raw; image \
                 checksum: {wrong}; verification checksum: {digest}",
                server.url("/one.raw")
            )
        );
    }
}

#[test]
fn a_file_of_checksums_is_read_in_each_of_its_formats() {
    let content = image(SIZE);
    let (sha256, sha512) = (sha256(&content), hexadecimal(Algorithm::Sha512, &content));
    let zeros = "0".repeat(64);
    let files = [
        ("/alone", sha256.clone()),
        ("/alone512", format!("\n{}\n", sha512.to_uppercase())),
        ("/gnu", format!("{zeros}  zero.raw\n{sha256}  one.raw\n")),
        ("/binary", format!("# sums\n{sha512} *one.raw\n")),
        (
            "/bsd",
            format!("SHA256 (zero.raw) = {zeros}\nSHA256 (one.raw) = {sha256}\n"),
        ),
        (
            "/dos",
            format!("{zeros}  zero.raw\r\n{sha256}  one.raw\r\n"),
        ),
    ];
    let server = serving(&content, &files);
    let mut request = request(&[server.url("/one.raw?sig=1")], &content);
    for (name, _) in &files {
        request.checksum = Some(file(&server, name));
        written(&request, &content).unwrap_or_else(|error| panic!("{name}: {}", chain(&error)));
    }
}

#[test]
fn a_file_of_checksums_that_is_no_use_is_said_so() {
    let content = image(SIZE);
    let files = [
        ("/empty", " \n\n".to_owned()),
        ("/page", "<html>".to_owned()),
        ("/other", format!("{}  two.raw\n", "0".repeat(64))),
        ("/huge", "x".repeat((16 << 20) + 1)),
        ("/md5", hexadecimal(Algorithm::Md5, &content)),
    ];
    let server = serving(&content, &files);
    let mut request = request(&[server.url("/one.raw")], &content);
    let unusable = format!("Unable to proceed with image one.raw: {MD5_DISABLED}");
    for (name, kind, said) in [
        (
            "/empty",
            ErrorKind::ImageDownload,
            "failed: Empty checksum file",
        ),
        (
            "/page",
            ErrorKind::ImageDownload,
            "failed: Invalid checksum file (No valid checksum found) [<html>]",
        ),
        (
            "/other",
            ErrorKind::ImageDownload,
            "failed: Checksum file does not contain name one.raw",
        ),
        (
            "/huge",
            ErrorKind::ImageDownload,
            "is larger than 16777216 bytes",
        ),
        ("/none", ErrorKind::ImageDownload, "expected 200"),
        ("/md5", ErrorKind::Rest, unusable.as_str()),
    ] {
        request.checksum = Some(file(&server, name));
        let error = written(&request, &content).unwrap_err();
        let text = chain(&error);
        assert_eq!(error.kind(), kind, "{text}");
        if kind == ErrorKind::ImageDownload {
            let start = format!("Download of image {} failed: ", server.url(name));
            assert!(text.starts_with(&start), "{text}");
        }
        assert!(text.ends_with(said), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
    let requests = server.requests();
    assert!(
        requests
            .iter()
            .all(|request| !request.target.starts_with("/one.raw")),
        "the image is not fetched before its checksum is known"
    );

    // Where it is enabled, it counts.
    request.checksum = Some(Checksum::File {
        location: Location::parse(&server.url("/md5")).unwrap(),
        algorithm: None,
        md5_allowed: true,
    });
    written(&request, &content).unwrap();
}

#[test]
fn the_named_algorithm_counts_and_not_the_digests_length() {
    let content = image(SIZE);
    let server = serving(
        &content,
        &[("/sums", format!("{}  one.raw\n", sha256(&content)))],
    );
    let mut request = request(&[server.url("/one.raw")], &content);
    request.checksum = Some(Checksum::File {
        location: Location::parse(&server.url("/sums")).unwrap(),
        algorithm: Some(Algorithm::Sha512),
        md5_allowed: false,
    });
    let error = written(&request, &content).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ImageChecksum);
}

#[test]
fn a_file_of_checksums_gets_the_retries_and_the_credentials_of_the_image() {
    let content = image(SIZE);
    let server = TestServer::start({
        let content = Arc::clone(&content);
        let sums = Arc::new(format!("{}  one.raw\n", sha256(&content)).into_bytes());
        move |number, request| match (number, request.target.as_str()) {
            (0, _) => Reply::status(503),
            (1, _) => Reply::ok(&sums).cut_at(10),
            (2, _) => Reply::ranged(&sums, request),
            _ => Reply::ok(&content),
        }
    });
    let mut request = request(&[server.url("/one.raw")], &content);
    request.credentials = Credentials::Basic {
        user: "me".to_owned(),
        password: "pw".to_owned(),
    };
    request.checksum = Some(file(&server, "/sums"));
    written(&request, &content).unwrap();
    let requests = server.requests();
    assert_eq!(requests.len(), 4);
    for request in requests {
        assert_eq!(request.header("authorization"), Some("Basic bWU6cHc="));
    }
}
