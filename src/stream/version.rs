//! What tells one version of a content from another.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use reqwest::header::{
    CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_RANGE,
    LAST_MODIFIED, TRANSFER_ENCODING,
};
use reqwest::{Response, StatusCode};

use super::coding::Coding;

/// The version of a content that a reply, or an open file, is of. Two parts of one image may only
/// be put together where all of this is equal: some servers ignore `If-Range` and `If-Match`
/// (Swift does), so what they answer is compared here too.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Version {
    etag: Option<HeaderValue>,
    modified: Option<HeaderValue>,
    /// Of the bytes that are sent.
    length: Option<u64>,
    /// What they are packed with. Parts are parts of the packed bytes (RFC 9110 14.2).
    coding: Option<Coding>,
}

/// The part of the content that a reply with status 206 holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Part {
    /// The first byte.
    pub(super) start: u64,
    /// The byte after the last.
    pub(super) end: u64,
    /// Bytes of the whole content, where the server tells.
    pub(super) total: Option<u64>,
}

impl Version {
    /// The version that a reply is of.
    pub(super) fn of(response: &Response) -> Self {
        let header = |name: HeaderName| response.headers().get(name).cloned();
        Self {
            etag: header(ETAG),
            modified: header(LAST_MODIFIED),
            length: match response.status() {
                StatusCode::PARTIAL_CONTENT => Part::of(response).and_then(|part| part.total),
                _ => content_length(response),
            },
            coding: Coding::of(response.headers()),
        }
    }

    /// The version of a local file, in the shape in which web servers make an entity tag of it. The
    /// length is known of regular files only.
    pub(super) fn of_file(facts: &Metadata) -> Self {
        let tag = format!(
            "\"{:x}-{:x}-{:x}.{:x}\"",
            facts.dev(),
            facts.ino(),
            facts.mtime(),
            facts.mtime_nsec()
        );
        Self {
            etag: HeaderValue::try_from(tag).ok(),
            modified: None,
            length: facts.is_file().then_some(facts.len()),
            coding: None,
        }
    }

    /// Bytes of the whole content, where they are known; of what is sent packed they are not.
    pub(super) fn length(&self) -> Option<u64> {
        self.length.filter(|_| self.coding.is_none())
    }

    /// Bytes that are sent for the whole content, where they are known.
    pub(super) fn sent_length(&self) -> Option<u64> {
        self.length
    }

    /// What the content is packed with.
    pub(super) fn coding(&self) -> Option<Coding> {
        self.coding
    }

    /// Whether a later reply may be of the content that this one is of. A reply in chunks tells no
    /// length, and a later one for a part of the same content may.
    pub(super) fn is_continued_by(&self, later: &Self) -> bool {
        let told = Self {
            length: self.length.or(later.length),
            ..self.clone()
        };
        told == *later
    }

    /// Whether another content would surely be told from this one. A server that sends neither an
    /// entity tag nor a date could serve the parts of two contents of one length.
    pub(super) fn is_telling(&self) -> bool {
        self.etag.is_some() || self.modified.is_some()
    }

    /// Ask for this version and no other.
    pub(super) fn demand(&self, headers: &mut HeaderMap) {
        match (&self.etag, &self.modified) {
            // A weak validator must not stand in these headers (RFC 9110 13.1.1, 13.1.5).
            (Some(etag), _) if !etag.as_bytes().starts_with(b"W/") => {
                headers.insert(IF_RANGE, etag.clone());
                headers.insert(IF_MATCH, etag.clone());
            }
            (None, Some(modified)) => {
                headers.insert(IF_RANGE, modified.clone());
            }
            _ => {}
        }
    }
}

impl Part {
    /// The part that a reply says it is: `Content-Range: bytes 100-199/200`. `None` where that does
    /// not stand there, contradicts itself, or differs from the body's announced length.
    pub(super) fn of(response: &Response) -> Option<Self> {
        let part = Self::parse(response.headers().get(CONTENT_RANGE)?.to_str().ok()?)?;
        content_length(response)
            .is_none_or(|length| length == part.end - part.start)
            .then_some(part)
    }

    pub(super) fn parse(value: &str) -> Option<Self> {
        let (range, total) = value.trim().strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let start = number(first)?;
        let end = number(last)?.checked_add(1)?;
        let total = match total {
            "*" => None,
            total => Some(number(total)?),
        };
        (start < end && total.is_none_or(|total| end <= total)).then_some(Self {
            start,
            end,
            total,
        })
    }
}

/// How a reply's body ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Framing {
    /// The last chunk says so. A length beside it is ignored (RFC 9112 6.3).
    Chunks,
    /// After so many bytes.
    Length(u64),
    /// With the connection.
    Connection,
}

impl Framing {
    /// The framing of a reply's body. `Transfer-Encoding: identity`, of an earlier HTTP, is none.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let words = |name: HeaderName| {
            let values = headers.get_all(name).into_iter();
            values.flat_map(|value| value.to_str().unwrap_or_default().split(','))
        };
        if words(TRANSFER_ENCODING).any(|word| word.trim().eq_ignore_ascii_case("chunked")) {
            return Self::Chunks;
        }
        let mut lengths = words(CONTENT_LENGTH).map(number);
        match lengths.next().flatten() {
            Some(length) if lengths.all(|other| other == Some(length)) => Self::Length(length),
            _ => Self::Connection,
        }
    }
}

fn content_length(response: &Response) -> Option<u64> {
    match Framing::of(response.headers()) {
        Framing::Length(length) => Some(length),
        Framing::Chunks | Framing::Connection => None,
    }
}

/// Decimal digits alone: `parse` would take a plus sign too.
fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn content_ranges() {
        let part = |start, end, total| Some(Part { start, end, total });
        for (text, expected) in [
            ("bytes 0-0/1", part(0, 1, Some(1))),
            ("bytes 100-199/200", part(100, 200, Some(200))),
            ("bytes 100-149/200", part(100, 150, Some(200))),
            ("bytes 100-199/*", part(100, 200, None)),
            ("bytes */200", None),
            ("bytes 199-100/200", None),
            ("bytes 100-200/200", None),
            ("bytes +1-2/3", None),
            ("bytes 1-18446744073709551615/*", None),
            ("bytes 1-2", None),
            ("items 1-2/3", None),
            ("", None),
        ] {
            assert_eq!(Part::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn a_body_ends_as_its_headers_say() {
        let (encoding, length) = (TRANSFER_ENCODING, CONTENT_LENGTH);
        for (lines, framing) in [
            (vec![], Framing::Connection),
            (vec![(&length, "7")], Framing::Length(7)),
            (vec![(&length, "7, 7")], Framing::Length(7)),
            (vec![(&length, "7"), (&length, "8")], Framing::Connection),
            (vec![(&length, "+7")], Framing::Connection),
            (vec![(&length, "")], Framing::Connection),
            (
                vec![(&length, "7"), (&encoding, "chunked")],
                Framing::Chunks,
            ),
            (
                vec![(&encoding, "gzip, Chunked"), (&length, "x")],
                Framing::Chunks,
            ),
            (
                vec![(&encoding, "identity"), (&length, "7")],
                Framing::Length(7),
            ),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                headers.append(name, HeaderValue::from_static(value));
            }
            assert_eq!(Framing::of(&headers), framing, "{headers:?}");
        }
    }

    #[test]
    fn a_changed_file_is_another_version() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("image");
        let version = |content: &[u8]| {
            std::fs::write(&path, content).unwrap();
            Version::of_file(&std::fs::metadata(&path).unwrap())
        };
        let one = version(b"one");
        assert_eq!(one.length(), Some(3));
        assert_eq!(one, Version::of_file(&std::fs::metadata(&path).unwrap()));
        assert_ne!(one, version(b"three"));
    }

    proptest! {
        #[test]
        fn any_content_range_is_survived(text in "(bytes )?[0-9*]{0,21}-?[0-9]{0,21}/?[0-9*]{0,21}") {
            if let Some(part) = Part::parse(&text) {
                prop_assert!(part.start < part.end);
                prop_assert!(part.total.is_none_or(|total| part.end <= total));
            }
        }
    }
}
