//! The whole stream against a server and a medium that misbehave.

mod access;
mod checksum;
mod checksum_files;
mod compressed;
mod download;
mod encoding;
mod faults;
mod foreign;
mod loop_disk;
mod medium;
mod qcow2;
mod sink;

use std::sync::Arc;

use farrier_plugin::SilentContext;

use super::test_server::TestServer;
use super::{
    Algorithm, Checksum, Credentials, Format, ImageRequest, Location, Proxies, StreamError,
    Written, write,
};
use crate::config::Options;
use crate::sys::memory_medium::MemoryMedium;

pub(super) const MIB: usize = 1 << 20;

pub(super) fn image(size: usize) -> Arc<Vec<u8>> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let bytes = (0..size.div_ceil(8)).flat_map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    Arc::new(bytes.take(size).collect())
}

fn sha256(data: &[u8]) -> String {
    let mut digest = Algorithm::Sha256.start();
    digest.update(data);
    digest.finish()
}

pub(super) fn request(urls: &[String], content: &[u8]) -> ImageRequest {
    ImageRequest {
        id: "one.raw".to_owned(),
        locations: urls
            .iter()
            .map(|url| Location::parse(url).unwrap())
            .collect(),
        format: Format::Raw,
        permitted_formats: vec!["raw".to_owned(), "gpt".to_owned()],
        inspect: true,
        checksum: Some(Checksum::Value {
            algorithm: Algorithm::Sha256,
            digest: sha256(content),
        }),
        credentials: Credentials::None,
        proxies: Proxies::default(),
        what: "writing image to memory".to_owned(),
        read_back: false,
    }
}

/// Those of a machine that may be busy: no server of these tests is given up for its pauses.
pub(super) fn options() -> Options {
    Options {
        image_download_connection_timeout: 60,
        image_download_connection_retries: 3,
        image_download_connection_retry_interval: 0,
        ..Options::default()
    }
}

/// For servers that are to be given up for their pauses, and others not for those of a busy machine.
pub(super) fn impatient() -> Options {
    Options {
        image_download_connection_timeout: 3,
        ..options()
    }
}

fn run(server: &TestServer, content: &[u8], medium: &MemoryMedium) -> Result<Written, StreamError> {
    let request = request(&[server.url("/one.raw?sig=secret")], content);
    write(&request, &options(), medium, &SilentContext)
}

/// The medium holds the image, zeros in its last MiB unless the image reaches there, and its old
/// bytes between.
fn assert_written(medium: &MemoryMedium, content: &[u8]) {
    let held = medium.content();
    assert!(
        held[..content.len()] == *content,
        "the image is on the medium"
    );
    let tail = held.len() - MIB;
    assert!(
        held[tail.max(content.len())..]
            .iter()
            .all(|byte| *byte == 0)
    );
    assert!(
        held[content.len().max(MIB)..tail.max(content.len())]
            .iter()
            .all(|byte| *byte == 0xaa)
    );
}

fn head_is_blank(content: &[u8]) -> bool {
    content[..MIB].iter().all(|byte| *byte == 0)
}
