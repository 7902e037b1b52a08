//! Content codings (RFC 9110 8.4): what a server says that it packed a body with.

use reqwest::header::{CONTENT_ENCODING, HeaderMap};

use super::decode::{Codec, Compression, CompressionError, Deflate};

/// A coding that is taken off.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Coding {
    Deflate,
    Gzip,
    Zstd,
}

impl Coding {
    /// The coding that these headers name; `None` where they name none that is taken off. The rest
    /// says nothing about the bytes: object stores hand out `aws-chunked`, `UTF-8`, `none` or nothing
    /// with what is stored plain.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        codings(headers).next()
    }

    /// A decoder at the start of a body.
    pub(super) fn codec(self) -> Result<Box<dyn Codec>, CompressionError> {
        match self {
            Self::Deflate => Ok(Box::new(Deflate::default())),
            Self::Gzip => Compression::Gzip.codec(),
            Self::Zstd => Compression::Zstd.codec(),
        }
    }

    /// The coding's name (RFC 9110 8.4.1).
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Deflate => "deflate",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    fn named(word: &str) -> Option<Self> {
        let is = |name: &str| word.eq_ignore_ascii_case(name);
        if is("gzip") || is("x-gzip") {
            Some(Self::Gzip)
        } else if is("deflate") {
            Some(Self::Deflate)
        } else if is("zstd") {
            Some(Self::Zstd)
        } else {
            None
        }
    }
}

/// Whether the headers name more than one coding that would have to be taken off.
pub(super) fn is_packed_twice(headers: &HeaderMap) -> bool {
    codings(headers).nth(1).is_some()
}

/// What stands in the headers, where it is anything else than `identity`.
pub(super) fn encoding(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all(CONTENT_ENCODING).iter().peekable();
    values.peek()?;
    let text = values
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .collect::<Vec<_>>()
        .join(", ");
    (!text.eq_ignore_ascii_case("identity")).then_some(text)
}

fn codings(headers: &HeaderMap) -> impl Iterator<Item = Coding> {
    headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|word| Coding::named(word.trim()))
}
