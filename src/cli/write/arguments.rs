//! The flags of `farrier write`.

use clap::builder::NonEmptyStringValueParser;
use clap::{ArgGroup, Parser};
use farrier_plugin::chain;
use url::Url;

use crate::config::Options;
use crate::stream::{
    Algorithm, Checksum, Credentials, Format, ImageRequest, Location, MD5_DISABLED, Proxies,
};

/// Write an image to a disk or a file.
///
/// The image is raw, iso or qcow2, or raw inside gzip, xz, zstd or bzip2.
#[derive(Debug, Eq, Parser, PartialEq)]
#[command(
    name = "farrier write",
    group = ArgGroup::new("promise").args(["checksum", "no_checksum"]).required(true)
)]
pub(in crate::cli) struct Arguments {
    /// The image: a URL, or the path of a file.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    url: String,
    /// The disk, a file that stands for one, or a new file.
    #[arg(long, value_name = "PATH", value_parser = NonEmptyStringValueParser::new())]
    pub(super) device: String,
    /// What the image has to have: ALGORITHM:DIGEST, or the URL of a file of checksums.
    #[arg(
        long,
        value_name = "ALGORITHM:DIGEST|URL",
        value_parser = NonEmptyStringValueParser::new()
    )]
    checksum: Option<String>,
    /// Write what nothing vouches for.
    #[arg(long)]
    no_checksum: bool,
    /// The image's format, where it is not to be found out.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    format: Option<String>,
    /// Read all of it back from the disk and compare.
    #[arg(long)]
    verify_device: bool,
    /// Answer with JSON.
    #[arg(long)]
    pub(super) json: bool,
    /// Write also to a disk of an installed system (`/` is not in memory).
    #[arg(long)]
    pub(super) force: bool,
}

impl Arguments {
    /// The image that the flags speak of. Formats are all permitted: whoever types the command is
    /// the one who decides that.
    pub(super) fn request(&self, options: &Options) -> Result<ImageRequest, String> {
        let location = location(&self.url)?;
        Ok(ImageRequest {
            id: location.file_name().to_owned(),
            locations: vec![location],
            format: Format::declared(self.format.as_deref()),
            permitted_formats: ["raw", "gpt", "iso", "qcow2"].map(str::to_owned).to_vec(),
            inspect: true,
            checksum: self
                .checksum
                .as_deref()
                .map(|text| checksum(text, options))
                .transpose()?,
            read_back: self.verify_device,
            credentials: Credentials::None,
            proxies: Proxies::default(),
            what: format!("writing image to {}", self.device),
        })
    }
}

/// A URL, or the path of a file.
fn location(text: &str) -> Result<Location, String> {
    let url = if text.contains("://") {
        text.to_owned()
    } else {
        let path = std::path::absolute(text).map_err(|error| format!("{text}: {error}"))?;
        Url::from_file_path(path)
            .map_err(|()| format!("{text} is no path"))?
            .to_string()
    };
    Location::parse(&url).map_err(|error| chain(&error))
}

/// `ALGORITHM:DIGEST`, a digest whose length tells the algorithm, or the URL of a checksum file.
fn checksum(text: &str, options: &Options) -> Result<Checksum, String> {
    if text.contains("://") {
        return Ok(Checksum::File {
            location: location(text)?,
            algorithm: None,
            md5_allowed: options.md5_enabled,
        });
    }
    let (algorithm, digest) = match text.split_once(':') {
        Some((name, digest)) => (Algorithm::named(name), digest),
        None => (Algorithm::of_length(text.len()), text),
    };
    let algorithm = algorithm.ok_or_else(|| {
        format!(
            "The checksum {text} is none: ALGORITHM:DIGEST with sha256, sha512 or another SHA-2"
        )
    })?;
    if algorithm == Algorithm::Md5 && !options.md5_enabled {
        return Err(MD5_DISABLED.to_owned());
    }
    if digest.len() != algorithm.digits() || !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(format!(
            "The digest {digest} is not {} hexadecimal digits",
            algorithm.digits()
        ));
    }
    Ok(Checksum::Value {
        algorithm,
        digest: digest.to_ascii_lowercase(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(["write"].into_iter().chain(line.split_whitespace()))
    }

    #[test]
    fn the_command_line_is_read() {
        let digest = "AB".repeat(32);
        let arguments = parsed(&format!(
            "--url http://h/a.raw --device=/dev/sda --checksum sha256:{digest} --format raw \
             --verify-device --json --force"
        ))
        .unwrap();
        assert_eq!(
            arguments,
            Arguments {
                url: "http://h/a.raw".to_owned(),
                device: "/dev/sda".to_owned(),
                checksum: Some(format!("sha256:{digest}")),
                no_checksum: false,
                format: Some("raw".to_owned()),
                verify_device: true,
                json: true,
                force: true,
            }
        );
        let request = arguments.request(&Options::default()).unwrap();
        assert_eq!(request.format, Format::Raw);
        assert!(request.read_back);
        assert_eq!(
            request.checksum,
            Some(Checksum::Value {
                algorithm: Algorithm::Sha256,
                digest: "ab".repeat(32)
            })
        );
        assert_eq!(
            parsed("--device b --no-checksum --url=a?x=y").unwrap().url,
            "a?x=y"
        );
    }

    #[test]
    fn a_wrong_command_line_is_refused() {
        for line in [
            "",
            "a b",
            "--url a --no-checksum",
            "--device a --no-checksum",
            "--url a --device b",
            "--url a --device b --no-checksum --checksum sha256:00",
            "--url a --device b --no-checksum c",
            "--url a --device b --no-checksum --forced",
            "--url a --device b --no-checksum --force=yes",
            "--url a --device b --checksum",
            "--url= --device b --no-checksum",
        ] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_checksum_is_a_digest_or_a_url() {
        let options = Options::default();
        let sha512 = "00".repeat(64);
        assert!(matches!(
            checksum(&sha512, &options),
            Ok(Checksum::Value {
                algorithm: Algorithm::Sha512,
                ..
            })
        ));
        assert!(matches!(
            checksum("http://h/SHA256SUMS", &options),
            Ok(Checksum::File {
                algorithm: None,
                md5_allowed: false,
                ..
            })
        ));
        let md5 = format!("md5:{}", "0".repeat(32));
        for wrong in ["sha256", "crc32:00", "sha256:00", &sha512[2..], &md5] {
            checksum(wrong, &options).unwrap_err();
        }
        let not_hexadecimal = format!("sha256:{}", "x".repeat(64));
        checksum(&not_hexadecimal, &options).unwrap_err();
        let options = Options {
            md5_enabled: true,
            ..Options::default()
        };
        checksum(&md5, &options).unwrap();
    }
}
