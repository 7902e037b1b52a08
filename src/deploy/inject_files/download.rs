//! Content from a server, into a file system on a loop device.

use std::fs;
use std::sync::Arc;

use farrier_plugin::{ErrorKind, SilentContext, chain};
use serde_json::json;

use super::*;
use crate::deploy::image_tree::fixture::Image;
use crate::stream::http_cases;
use crate::stream::test_server::{Reply, Request, TestServer};

/// Inject what this address has into an image.
fn inject(image: &Image, address: &str, insecure: bool) -> Result<(), DeployError> {
    let mut arguments = StepArguments::default();
    let file = json!({"path": "/etc/a", "content": address, "partition": image.path()});
    arguments.values.insert("files".to_owned(), json!([file]));
    let files = Files::parse(&Node::default(), &[], &arguments).unwrap();
    let options = Options {
        image_download_connection_timeout: 60,
        image_download_connection_retries: 2,
        image_download_connection_retry_interval: 0,
        insecure,
        ..Options::default()
    };
    inject_files(&SilentContext, &BlockDevice::default(), &files, &options)
}

fn content(image: &Image) -> Vec<u8> {
    image.look(|root| {
        let names = fs::read_dir(root.join("etc")).unwrap();
        assert_eq!(names.count(), 1, "nothing but the file");
        fs::read(root.join("etc/a")).unwrap()
    })
}

fn image() -> Option<Image> {
    Image::ext4(|root| {
        fs::create_dir(root.join("etc")).unwrap();
        fs::write(root.join("etc/a"), "old").unwrap();
    })
}

#[test]
fn a_download_that_breaks_off_goes_on() {
    let Some(image) = image() else { return };
    let new = Arc::new(vec![b'x'; 300_000]);
    let server = TestServer::start({
        let new = Arc::clone(&new);
        move |number, request| match number {
            0 => Reply::status(503),
            1 => Reply::ok(&new).cut_at(100_000),
            _ => Reply::ranged(&new, request),
        }
    });
    inject(&image, &server.url("/a"), false).unwrap();
    assert!(content(&image) == *new);
    let ranges: Vec<_> = server.requests().iter().map(Request::range).collect();
    assert_eq!(ranges, [None, None, Some(100_000)]);
}

#[test]
fn content_that_changes_meanwhile_is_written_as_one_or_the_other() {
    let Some(image) = image() else { return };
    let (first, second) = (Arc::new(vec![b'1'; 9000]), Arc::new(vec![b'2'; 9000]));
    let server = TestServer::start({
        let second = Arc::clone(&second);
        move |number, request| match number {
            0 => Reply::ok(&first).cut_at(5000),
            _ => Reply::ranged(&second, request).header("ETag", "\"second\""),
        }
    });
    inject(&image, &server.url("/a"), false).unwrap();
    assert!(content(&image) == *second);
}

#[test]
fn content_that_is_not_there_leaves_the_old_file_and_no_secret() {
    let Some(image) = image() else { return };
    let server = TestServer::start(|_, _| Reply::status(404));
    let error = inject(&image, &server.url("/a?sig=planted"), false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CommandExecution);
    let said = chain(&error);
    let expected = format!(
        "Failed to process file /etc/a: Unable to read data from {}",
        server.url("/a")
    );
    assert!(said.starts_with(&expected), "{said}");
    assert!(said.contains("404") && !said.contains("planted"), "{said}");
    assert_eq!(server.requests().len(), 1);
    assert_eq!(content(&image), b"old");
}

#[test]
fn a_certificate_is_checked_unless_the_step_says_otherwise() {
    let Some(image) = image() else { return };
    let new = Arc::new(b"new".to_vec());
    let server = TestServer::start_tls(http_cases::certificate(), move |_, _| Reply::ok(&new));
    let said = chain(&inject(&image, &server.url("/a"), false).unwrap_err());
    assert!(said.contains("certificate"), "{said}");
    assert_eq!(content(&image), b"old");
    inject(&image, &server.url("/a"), true).unwrap();
    assert_eq!(content(&image), b"new");
}
