//! URLs as people and servers write them, in the characters that HTTP knows.

/// The parts of a URL or of a reference to one (RFC 3986 appendix B); joined they are the text again.
struct Parts<'t> {
    /// Scheme and authority, with their delimiters; may be empty.
    origin: &'t [u8],
    path: &'t [u8],
    /// With its question mark.
    query: &'t [u8],
    /// With its number sign.
    fragment: &'t [u8],
}

/// A URL or a reference with its path and query percent-encoded as the reference's HTTP library does
/// it.
///
/// The parser of URLs leaves `[ ] | ^` as they are, which Tomcat answers with 400, and takes a
/// backslash for a slash, as browsers do. A percent sign that begins no encoding is encoded itself,
/// and so are all others of its part then; what needs no encoding is decoded.
pub(super) fn quoted(reference: &[u8]) -> String {
    let parts = Parts::of(reference);
    let mut quoted = String::from_utf8_lossy(parts.origin).into_owned();
    if !parts.origin.is_empty() && parts.path.first().is_some_and(|first| *first != b'/') {
        quoted.push('/');
    }
    push_quoted(&mut quoted, parts.path, b"/");
    push_quoted(&mut quoted, parts.query, b"/?");
    quoted.push_str(&String::from_utf8_lossy(parts.fragment));
    quoted
}

/// The last part of the path as it is written.
pub(super) fn file_name(url: &str) -> &str {
    let path = Parts::of(url.as_bytes()).path;
    let start = path
        .iter()
        .rposition(|byte| *byte == b'/')
        .map_or(0, |at| at + 1);
    // Cut at ASCII characters, so it is text.
    std::str::from_utf8(&path[start..]).unwrap_or_default()
}

impl<'t> Parts<'t> {
    fn of(text: &'t [u8]) -> Self {
        let cut = |text: &'t [u8], at: &dyn Fn(u8) -> bool| {
            let at = text.iter().position(|byte| at(*byte));
            text.split_at(at.unwrap_or(text.len()))
        };
        let (rest, fragment) = cut(text, &|byte| byte == b'#');
        let (rest, query) = cut(rest, &|byte| byte == b'?');
        let authority = authority_start(rest);
        let (origin, path) = match authority {
            None => rest.split_at(0),
            Some(start) => {
                let (authority, _) = cut(&rest[start..], &|byte| matches!(byte, b'/' | b'\\'));
                rest.split_at(start + authority.len())
            }
        };
        Self {
            origin,
            path,
            query,
            fragment,
        }
    }
}

/// Where the authority starts: behind `//`, which stands at the start or behind a scheme.
fn authority_start(text: &[u8]) -> Option<usize> {
    let slashes = text.windows(2).position(|pair| pair == b"//")?;
    let is_scheme = match text[..slashes].split_last() {
        None => true,
        Some((colon, scheme)) => {
            let is_known = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
            *colon == b':' && !scheme.is_empty() && scheme.iter().all(is_known)
        }
    };
    is_scheme.then_some(slashes + 2)
}

/// Characters that mean themselves everywhere (RFC 3986 2.3).
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

fn push_quoted(quoted: &mut String, part: &[u8], also: &[u8]) {
    let encoding = |at: usize| -> Option<u8> {
        let digits = part.get(at + 1..at + 3)?;
        digits.iter().all(u8::is_ascii_hexdigit).then_some(())?;
        u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let is_encoded = (0..part.len()).all(|at| part[at] != b'%' || encoding(at).is_some());
    let mut at = 0;
    while at < part.len() {
        let byte = part[at];
        let (meant, length) = match encoding(at) {
            Some(meant) if byte == b'%' && is_encoded => (meant, 3),
            _ => (byte, 1),
        };
        let stays = is_unreserved(meant)
            || length == 1 && (b"!$&'()*+,;=:@".contains(&byte) || also.contains(&byte));
        if stays {
            quoted.push(char::from(meant));
        } else {
            quoted.push_str(&format!("%{meant:02X}"));
        }
        at += length;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reqwest::Url;

    use super::*;

    #[test]
    fn what_http_does_not_know_is_encoded() {
        for (written, expected) in [
            ("http://h/a[1]|^{}`", "http://h/a%5B1%5D%7C%5E%7B%7D%60"),
            (
                "http://u:p@[::1]:8/a\\b?c\\[#[d]",
                "http://u:p@[::1]:8/a%5Cb?c%5C%5B#[d]",
            ),
            ("http://h\\@evil/a", "http://h/%5C@evil/a"),
            ("http://h?a//b", "http://h?a//b"),
            ("//h/[", "//h/%5B"),
            ("a//[", "a//%5B"),
            ("/a://[b]", "/a://%5Bb%5D"),
            ("?a=[", "?a=%5B"),
            ("", ""),
            ("http://h/%5b%41%7e", "http://h/%5BA~"),
            ("http://h/100%/%20?%41", "http://h/100%25/%2520?A"),
            ("http://h/é", "http://h/%C3%A9"),
        ] {
            assert_eq!(quoted(written.as_bytes()), expected);
        }
        assert_eq!(quoted(b"/\xe9"), "/%E9");
    }

    #[test]
    fn a_file_is_named_as_it_is_written() {
        for (url, name) in [
            ("http://h/a/b [1].raw?c/d#e", "b [1].raw"),
            ("http://h/%5B1%5D", "%5B1%5D"),
            ("http://h", ""),
            ("http://h/a/", ""),
            ("file:///a", "a"),
        ] {
            assert_eq!(file_name(url), name);
        }
    }

    proptest! {
        #[test]
        fn any_reference_becomes_what_http_can_carry(reference in prop::collection::vec(any::<u8>(), 0..60)) {
            let path = [b"http://h/", &reference[..]].concat();
            let url = Url::parse(&quoted(&path)).unwrap();
            prop_assert_eq!(url.host_str(), Some("h"));
            let carried = |text: &str| text.bytes().all(|byte| {
                is_unreserved(byte) || b"%!$&'()*+,;=:@/?".contains(&byte)
            });
            prop_assert!(carried(url.path()) && carried(url.query().unwrap_or_default()));
            // Once encoded, it stays as it is.
            prop_assert_eq!(quoted(quoted(&path).as_bytes()), quoted(&path));
        }
    }
}
