//! The config drive's content, decoded as it is read (contract/data-plane 4.2).

use std::io::{self, Cursor, Read};
use std::sync::Arc;

use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::read::DecoderReader;
use farrier_plugin::Context;
use flate2::read::MultiGzDecoder;

use super::error::DeployError;
use super::image_info::is_url;
use crate::config::Options;
use crate::stream::{Credentials, DownloadError, Location, Proxies, fetch};
use crate::sys::log::chain;

/// The largest config drive, in MiB.
pub(super) const LIMIT_MIB: u64 = 64;

/// Bytes up to which the size of one that is too large is found out, for the message.
const COUNTED: u64 = 1 << 30;

/// Bytes of a download that are taken: the largest config drive as base64 of incompressible data,
/// with line breaks.
const DOWNLOAD_LIMIT: u64 = (LIMIT_MIB << 20) * 3 / 2;

const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Where the descriptor of an ISO 9660 image says so.
const ISO_DESCRIPTOR: usize = 32769;

/// Base64 as Python's lenient decoder takes it: padding or none, and whatever lies in the last
/// bits. What is not of the alphabet is filtered out before.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A config drive that was found readable, and its size.
pub(super) struct ConfigDrive {
    content: Content,
    size: u64,
}

/// What it is kept as: never unpacked, since that may be 64 MiB.
enum Content {
    /// Base64 of gzip.
    Base64(Text),
    /// gzip.
    Gzip(Vec<u8>),
    /// The image itself.
    Plain(Vec<u8>),
}

#[derive(Clone)]
enum Text {
    Shared(Arc<str>),
    Own(Arc<Vec<u8>>),
}

impl ConfigDrive {
    /// Decode what the conductor sent, a URL or base64, once to its end: what is wrong with it
    /// shows before the disk is touched.
    pub(super) fn decode(
        sent: &Arc<str>,
        node: &str,
        options: &Options,
        context: &dyn Context,
    ) -> Result<Self, DeployError> {
        let (content, origin) = if is_url(sent) {
            let location = parse(sent, node)?;
            let bytes = download(&location, node, options, context)?;
            (classify(bytes), format!(" Downloaded from \"{location}\"."))
        } else {
            (
                Content::Base64(Text::Shared(Arc::clone(sent))),
                String::new(),
            )
        };
        let mut drive = Self { content, size: 0 };
        drive.check_base64(node, &origin)?;
        let counted = io::copy(&mut drive.reader().take(COUNTED), &mut io::sink());
        drive.size = counted.map_err(|source| DeployError::ConfigDriveContent {
            node: node.to_owned(),
            source,
        })?;
        let mib = drive.size.div_ceil(1 << 20);
        if mib > LIMIT_MIB {
            return Err(DeployError::ConfigDrive(format!(
                "Config drive size exceeds maximum limit of {LIMIT_MIB}MiB. Size of the given \
                 config drive is {mib} MiB for node {node}."
            )));
        }
        Ok(drive)
    }

    /// Bytes of the image.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The image's bytes.
    pub(super) fn reader(&self) -> Box<dyn Read + '_> {
        match &self.content {
            Content::Base64(text) => Box::new(MultiGzDecoder::new(decoder(text.bytes()))),
            Content::Gzip(bytes) => Box::new(MultiGzDecoder::new(&bytes[..])),
            Content::Plain(bytes) => Box::new(&bytes[..]),
        }
    }

    /// All of the image's bytes, at most 64 MiB.
    pub(super) fn unpacked(&self) -> io::Result<Vec<u8>> {
        let mut content = Vec::with_capacity(usize::try_from(self.size).unwrap_or_default());
        self.reader().read_to_end(&mut content)?;
        Ok(content)
    }

    /// Tell text that is no base64 from base64 of something else.
    fn check_base64(&self, node: &str, origin: &str) -> Result<(), DeployError> {
        let Content::Base64(text) = &self.content else {
            return Ok(());
        };
        match io::copy(&mut decoder(text.bytes()), &mut io::sink()) {
            Ok(count) if count > 0 => Ok(()),
            outcome => {
                let why = match outcome {
                    Ok(_) => "it is empty".to_owned(),
                    Err(error) => error.to_string(),
                };
                Err(DeployError::ConfigDrive(format!(
                    "Config drive for node {node} is not base64 encoded or the content is \
                     malformed. Error: {why}.{origin}"
                )))
            }
        }
    }
}

impl Text {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Shared(text) => text.as_bytes(),
            Self::Own(bytes) => bytes,
        }
    }
}

fn decoder(text: &[u8]) -> DecoderReader<'static, GeneralPurpose, Alphabet<'_>> {
    DecoderReader::new(Alphabet(Cursor::new(text)), &LENIENT)
}

/// Leaves out all that is not of base64's alphabet, such as line breaks, and padding, which means
/// nothing to a lenient decoder.
struct Alphabet<'t>(Cursor<&'t [u8]>);

impl Read for Alphabet<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.0.read(buffer)?;
            if count == 0 {
                return Ok(0);
            }
            let mut kept = 0;
            for at in 0..count {
                let byte = buffer[at];
                if byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/' {
                    buffer[kept] = byte;
                    kept += 1;
                }
            }
            if kept > 0 {
                return Ok(kept);
            }
        }
    }
}

/// What a download is, by its content. The reference tries base64 first, and takes some images for
/// it (contract/data-plane 4.2).
fn classify(bytes: Vec<u8>) -> Content {
    if bytes.starts_with(&GZIP) {
        return Content::Gzip(bytes);
    }
    let is_iso = bytes.get(ISO_DESCRIPTOR..ISO_DESCRIPTOR + 5) == Some(b"CD001");
    if is_iso || !bytes.is_ascii() {
        return Content::Plain(bytes);
    }
    Content::Base64(Text::Own(Arc::new(bytes)))
}

fn parse(url: &str, node: &str) -> Result<Location, DeployError> {
    Location::parse(url).map_err(|error| {
        DeployError::ConfigDrive(format!(
            "Can't download the configdrive content for node {node}. Reason: {error}"
        ))
    })
}

/// The reference tries once; a connection that fails is tried again here like an image's.
fn download(
    location: &Location,
    node: &str,
    options: &Options,
    context: &dyn Context,
) -> Result<Vec<u8>, DeployError> {
    fetch(
        location,
        &Credentials::None,
        &Proxies::default(),
        DOWNLOAD_LIMIT,
        options,
        context,
    )
    .map_err(|error| {
        let why = match &error {
            DownloadError::Status { status, .. } => format!("Got status code {status}"),
            error => format!("Reason: {}", chain(error)),
        };
        DeployError::ConfigDrive(format!(
            "Can't download the configdrive content for node {node} from '{location}'. {why}"
        ))
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    use farrier_plugin::SilentContext;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;
    use crate::stream::http_cases::Table;
    use crate::stream::test_server::{Reply, TestServer};

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn decode(sent: &str) -> Result<Vec<u8>, DeployError> {
        let options = Options {
            image_download_connection_retries: 0,
            ..Options::default()
        };
        let drive = ConfigDrive::decode(&sent.into(), "n1", &options, &SilentContext)?;
        let mut content = Vec::new();
        drive.reader().read_to_end(&mut content).unwrap();
        assert_eq!(content.len() as u64, drive.size());
        Ok(content)
    }

    #[test]
    fn base64_of_gzip_is_decoded_leniently() {
        let content = b"config drive ".repeat(1000);
        let text = BASE64_STANDARD.encode(gzip(&content));
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
        let zeros = vec![0; 64 << 20];
        assert_eq!(
            decode(&BASE64_STANDARD.encode(gzip(&zeros))).unwrap().len(),
            64 << 20
        );
        let larger = [&zeros[..], &[0; 4 << 20]].concat();
        let error = decode(&BASE64_STANDARD.encode(gzip(&larger))).unwrap_err();
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
            ("/base64", BASE64_STANDARD.encode(gzip(&iso)).into_bytes()),
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
        let server =
            TestServer::start(move |_, _| Reply::ok(&bomb).header("Content-Encoding", "gzip"));
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
            prop_assert_eq!(decode(&BASE64_STANDARD.encode(gzip(&content))).unwrap(), content);
        }
    }
}
