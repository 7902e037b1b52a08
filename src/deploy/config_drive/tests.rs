use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use farrier_plugin::SilentContext;
use proptest::prelude::*;

use super::*;
use crate::block::fat_writer::Content;
use crate::block::fixture::{self, gzip};
use crate::stream::http_cases::Table;
use crate::stream::test_server::{Reply, TestServer};

/// An ISO 9660 image as far as its descriptor, with this content behind.
fn iso(content: &[u8]) -> Vec<u8> {
    let mut image = vec![0; 32768];
    image.extend(b"\x01CD001");
    image.resize(34816, 0);
    image.extend(content);
    image
}

pub(super) fn decode(sent: &str) -> Result<Vec<u8>, DeployError> {
    let options = Options {
        image_download_connection_retries: 0,
        ..Options::default()
    };
    let drive = ConfigDrive::decode(&sent.into(), "n1", &options, &SilentContext, LIMIT_MIB)?;
    let mut content = Vec::new();
    drive.reader().unwrap().read_to_end(&mut content).unwrap();
    assert_eq!(content.len() as u64, drive.size());
    Ok(content)
}

#[test]
fn base64_of_gzip_is_decoded_leniently() {
    let content = iso(&b"config drive ".repeat(1000));
    let text = fixture::sent(&content);
    let broken_lines: String = text
        .as_bytes()
        .chunks(61)
        .map(|line| String::from_utf8_lossy(line).into_owned() + "\r\n")
        .collect();
    let unpadded = text.trim_end_matches('=').to_owned();
    for sent in [text, broken_lines, unpadded] {
        assert_eq!(decode(&sent).unwrap(), content);
    }
}

/// On blocks of 512 bytes it is written as it is, so what a FAT could not hold does not matter.
#[test]
fn a_drive_without_its_padding_is_cut_off_only_where_something_is_missing() {
    let mut image = fixture::config_drive();
    let nodes = iso9660::read(&image).unwrap().unwrap();
    let end = last_byte(&nodes, &image);
    drop(nodes);
    // More than there is.
    image[32768 + 80..][..4].copy_from_slice(&u32::MAX.to_le_bytes());
    // The first regular file becomes a device.
    let mode = image
        .windows(8)
        .position(|part| part[..2] == *b"PX" && part[4..8] == 0o100_444_u32.to_le_bytes())
        .expect("a file with a mode");
    image[mode + 4..mode + 8].copy_from_slice(&0o020_444_u32.to_le_bytes());
    let error = iso9660::read(&image).unwrap_err().to_string();
    assert!(error.contains("is a device"), "{error}");
    let whole = &image[..end];
    assert_eq!(decode(&fixture::sent(whole)).unwrap(), whole);
    for length in [end - 1, 60 << 10, 40 << 10, 32768 + 300] {
        let error = decode(&fixture::sent(&image[..length])).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("is cut off after"), "{length}: {error}");
    }
}

/// Where the last file ends that has content.
fn last_byte(nodes: &[Node<'_>], image: &[u8]) -> usize {
    let ends = nodes.iter().map(|node| match &node.content {
        Content::File(bytes) if bytes.is_empty() => 0,
        Content::File(bytes) => bytes.as_ptr() as usize - image.as_ptr() as usize + bytes.len(),
        Content::Directory(children) => last_byte(children, image),
    });
    ends.max().unwrap_or_default()
}

#[test]
fn what_is_no_config_drive_is_said() {
    let no_gzip = BASE64_STANDARD.encode("no gzip at all");
    let truncated = BASE64_STANDARD.encode(&gzip(&[7; 5000])[..30]);
    for (sent, text) in [
        (
            "!!!",
            "Config drive for node n1 is not base64 encoded or the content is malformed.",
        ),
        (
            "A",
            "Config drive for node n1 is not base64 encoded or the content is malformed.",
        ),
        (
            &no_gzip,
            "Encountered error while decompressing and writing config drive for node n1. Error",
        ),
        (
            &truncated,
            "Encountered error while decompressing and writing config drive for node n1. Error",
        ),
    ] {
        let error = decode(sent).unwrap_err();
        assert!(error.to_string().starts_with(text), "{sent}: {error}");
    }
}

#[test]
fn the_limit_is_64_mib() {
    let largest = iso(&vec![0; (64 << 20) - 34816]);
    assert_eq!(decode(&fixture::sent(&largest)).unwrap().len(), 64 << 20);
    let larger = [&largest[..], &[0; 4 << 20]].concat();
    let error = decode(&fixture::sent(&larger)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Config drive size exceeds maximum limit of 64MiB. Size of the given config drive is \
         68 MiB for node n1."
    );
}

#[test]
fn a_download_is_known_by_its_content() {
    let mut iso = vec![0; 64 << 10];
    iso[32768..32774].copy_from_slice(b"\x01CD001");
    // All ASCII, and a multiple of four: the reference takes this for base64.
    iso[32775..32779].copy_from_slice(b"AAAA");
    let replies = [
        ("/plain", iso.clone()),
        ("/gzip", gzip(&iso)),
        ("/base64", fixture::sent(&iso).into_bytes()),
    ];
    let server = TestServer::start(move |_, request| {
        replies
            .iter()
            .find(|(target, _)| *target == request.target)
            .map_or(Reply::status(404), |(_, body)| {
                Reply::ok(&Arc::new(body.clone()))
            })
    });
    for target in ["/plain", "/gzip", "/base64"] {
        assert_eq!(decode(&server.url(target)).unwrap(), iso, "{target}");
    }
    let error = decode(&server.url("/none?sig=secret")).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "Can't download the configdrive content for node n1 from '{}'. Got status code 404",
            server.url("/none")
        )
    );
}

/// The reference's answers are in the same table (tests/http).
#[test]
fn a_download_is_known_whatever_its_content_encoding() {
    let table = Table::read();
    let drives = table.cases().filter(|case| case.get("drive").is_some());
    let wrong: Vec<String> = drives
        .filter_map(|case| {
            let script = table.serve(case);
            let decoded = decode(&script.url("/drive"));
            let is_drive = decoded
                .as_ref()
                .is_ok_and(|drive| *drive == table.body("drive"));
            let answer = script.answer(case, is_drive);
            (answer != case["farrier"]).then(|| format!("{case}\n    {answer} {decoded:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_bomb_in_a_content_encoding_ends_at_the_limit() {
    let bomb = Arc::new(gzip(&vec![0; 97 << 20]));
    let server = TestServer::start(move |_, _| Reply::ok(&bomb).header("Content-Encoding", "gzip"));
    let error = decode(&server.url("/drive")).unwrap_err().to_string();
    assert!(error.ends_with("is larger than 100663296 bytes"), "{error}");
    assert_eq!(server.requests().len(), 1);
}

proptest! {
    #[test]
    fn any_text_is_survived(sent in "[A-Za-z0-9+/=\n ]{0,200}") {
        let _ = decode(&sent);
    }

    #[test]
    fn any_content_comes_back(content in prop::collection::vec(any::<u8>(), 0..3000)) {
        let image = iso(&content);
        prop_assert_eq!(decode(&fixture::sent(&image)).unwrap(), image);
    }
}
