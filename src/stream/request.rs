//! Which image, from where, and what is promised about it.

use std::fmt;

use percent_encoding::percent_decode_str;
use reqwest::Url;

use super::digest::Algorithm;
use super::error::DownloadError;
use super::quote::{file_name, quoted};
use crate::net::http::shown;
use crate::sys::text_encoding;

/// An image to write.
#[derive(Clone, Debug)]
pub(crate) struct ImageRequest {
    /// The id under which conductor and messages speak of it.
    pub id: String,
    /// Where it is, tried in order; at least one.
    pub locations: Vec<Location>,
    /// What it was declared to be.
    pub format: Format,
    /// Formats that may be found where none was declared (option `permitted_image_formats`).
    pub permitted_formats: Vec<String>,
    /// Do not look at what the image is (option `disable_deep_image_inspection`).
    pub inspect: bool,
    /// Its promised digest; without one nothing is verified, which only the command line may ask
    /// for.
    pub checksum: Option<Checksum>,
    /// What opens the server's door.
    pub credentials: Credentials,
    /// Proxies for this image alone.
    pub proxies: Proxies,
    /// What is being done, for the person who watches: `writing image to /dev/sda`.
    pub what: String,
    /// Whether all that was written is read from the disk again and compared before the head makes
    /// it bootable (option `verify_written_image`).
    pub read_back: bool,
}

/// A place that bytes come from: an `http:`, `https:` or `file:` URL.
///
/// `Display` and `Debug` leave out user, password, query and fragment: the query of a temporary URL
/// is a secret.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct Location {
    url: Url,
    /// The last part of the path as it was written.
    name: String,
}

/// The declared format of an image (contract/data-plane 1.2, `disk_format`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Format {
    /// The bytes of the disk: `raw`.
    Raw,
    /// The bytes of a disk with a partition table: `gpt`.
    Gpt,
    /// Null or `unknown`: what it is is found out.
    Undeclared,
    /// Any other word.
    Other(String),
}

/// A promised digest.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Checksum {
    /// The digest itself, hexadecimal in either case.
    Value {
        /// How it is computed.
        algorithm: Algorithm,
        /// The digest in lower case.
        digest: String,
    },
    /// A file of checksums to fetch; the algorithm follows from the digest's length unless it is
    /// given.
    File {
        /// The file.
        location: Location,
        /// How it is computed, where that was said.
        algorithm: Option<Algorithm>,
        /// Whether MD5 may be used (option `md5_enabled`).
        md5_allowed: bool,
    },
}

/// What opens the image server's door. Never shown.
#[derive(Clone, Default, Eq, PartialEq)]
pub(crate) enum Credentials {
    /// No door.
    #[default]
    None,
    /// HTTP basic authentication.
    Basic {
        /// User.
        user: String,
        /// Password.
        password: String,
    },
    /// The whole value of the `Authorization` header.
    Authorization(String),
}

/// Proxies for one image (contract/data-plane 1.2). Empty means those of the environment.
#[derive(Clone, Default, Eq, PartialEq)]
pub(crate) struct Proxies {
    /// Scheme (`http`, `https`) and the proxy's URL for it.
    pub by_scheme: Vec<(String, String)>,
    /// Hosts that are reached directly, comma separated.
    pub no_proxy: Option<String>,
}

/// Without the URLs: a proxy's password stands in them.
impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schemes: Vec<&str> = self.by_scheme.iter().map(|(scheme, _)| &**scheme).collect();
        f.debug_struct("Proxies")
            .field("by_scheme", &schemes)
            .field("no_proxy", &self.no_proxy)
            .finish()
    }
}

impl Location {
    /// Parse a URL, whose path and query need not be percent-encoded; the error does not repeat it.
    pub(crate) fn parse(url: &str) -> Result<Self, DownloadError> {
        let unusable = |reason: String| DownloadError::Unusable {
            location: "Image URL".to_owned(),
            reason,
        };
        let url = url.trim();
        let parsed =
            Url::parse(&quoted(url.as_bytes())).map_err(|error| unusable(error.to_string()))?;
        match parsed.scheme() {
            "http" | "https" | "file" => Ok(Self {
                url: parsed,
                name: file_name(url).to_owned(),
            }),
            scheme => Err(unusable(format!(
                "the scheme {scheme} is not one of http, https and file"
            ))),
        }
    }

    /// The last part of the path as it was written, as a checksum file would name it.
    pub(crate) fn file_name(&self) -> &str {
        &self.name
    }

    /// The path with its characters decoded: `%20` is a blank.
    pub(super) fn decoded_path(&self) -> String {
        let bytes: Vec<u8> = percent_decode_str(self.url.path()).collect();
        text_encoding::decode(&bytes).into_owned()
    }

    /// The place that a reply came from in the end, to name it without its secrets.
    pub(super) fn of_reply(url: &Url) -> Self {
        Self {
            url: url.clone(),
            name: file_name(url.path()).to_owned(),
        }
    }

    /// The URL with its secrets, for the request alone.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.url))
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Location({self})")
    }
}

impl Format {
    /// The format that the conductor's word declares.
    pub(crate) fn declared(word: Option<&str>) -> Self {
        match word {
            None | Some("" | "unknown") => Self::Undeclared,
            Some("raw") => Self::Raw,
            Some("gpt") => Self::Gpt,
            Some(other) => Self::Other(other.to_owned()),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Basic { .. } => "Basic(***)",
            Self::Authorization(_) => "Authorization(***)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_never_shows_its_secrets() {
        let location =
            Location::parse("http://user:pw@h:81/a/b.raw?temp_url_sig=secret#part").unwrap();
        assert_eq!(location.to_string(), "http://h:81/a/b.raw");
        assert_eq!(format!("{location:?}"), "Location(http://h:81/a/b.raw)");
        assert_eq!(location.file_name(), "b.raw");
        let error = Location::parse("ftp://h/a?sig=secret").unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
        assert!(Location::parse("not a url?sig=secret").is_err());
    }

    #[test]
    fn a_host_beyond_ascii_is_read_in_its_ascii_form() {
        let location = Location::parse("http://xn--bcher-kva.example/a.raw").unwrap();
        assert_eq!(location.to_string(), "http://xn--bcher-kva.example/a.raw");
        let error = Location::parse("http://b\u{fc}cher.example/a.raw?sig=secret").unwrap_err();
        assert_eq!(
            error.to_string(),
            "Image URL: invalid international domain name"
        );
    }

    #[test]
    fn credentials_are_never_shown() {
        let basic = Credentials::Basic {
            user: "me".to_owned(),
            password: "hunter2".to_owned(),
        };
        assert_eq!(format!("{basic:?}"), "Basic(***)");
        let proxies = Proxies {
            by_scheme: vec![("http".to_owned(), "http://me:hunter2@proxy:3128".to_owned())],
            no_proxy: None,
        };
        assert!(!format!("{proxies:?}").contains("hunter2"));
    }
}
