//! Secrets never leave the agent: what looks like one is masked by its name, and what is known to
//! be one is masked by its value, in every form in which it may be written.
//!
//! All text for people passes through here: log, console, log archive, recordings, and the errors
//! that the conductor keeps.

mod given;
mod names;
mod private_keys;

use std::fmt::Write;
use std::sync::{PoisonError, RwLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem;
use url::Url;

pub(crate) use self::given::hide_given;
pub(crate) use self::names::is_secret_name;
use self::names::{ALL_NAMES, NAMES_BY_END, QUERY_NAMES};
use super::printable;

/// Below this many bytes a text is not masked by its value: it would hide half a log.
const SHORTEST: usize = 4;

/// Below this many it is masked only where it stands as a word of its own.
const SHORT: usize = 8;

/// User, password and host of a URL have no more bytes than this. They are known by the `@` behind
/// them, so a cut must not be before it.
const AUTHORITY: usize = 1024;

/// Values that are known to be secret, the longest first: one may be a part of another.
static VALUES: RwLock<Vec<String>> = RwLock::new(Vec::new());

/// From now on, mask this text wherever it appears: as it is, without the quotes around it, as it
/// stands in JSON, in a dump, in a URL or in base64. Of a URL also user, password, path and query
/// by themselves, since errors show parts.
///
/// Texts of less than eight bytes are masked as whole words only, those of less than four not at
/// all.
pub fn hide(secret: &str) {
    let mut found = Vec::new();
    add_forms(secret.trim(), &mut found);
    add_forms(secret.trim().trim_matches(['"', '\'']), &mut found);
    if let Ok(url) = Url::parse(secret.trim())
        && url.has_host()
    {
        add_forms(url.as_str(), &mut found);
        add_forms(url.password().unwrap_or_default(), &mut found);
        if url.password().is_none() {
            add_forms(url.username(), &mut found);
        }
        for part in [url.path(), url.query().unwrap_or_default()] {
            // A path of one or two words is no secret, and would be found everywhere.
            if part.len() > 16 {
                add_forms(part, &mut found);
            }
        }
        for (_, value) in url.query_pairs() {
            if value.len() >= SHORT {
                add_forms(&value, &mut found);
            }
        }
    }
    let mut values = VALUES.write().unwrap_or_else(PoisonError::into_inner);
    values.extend(found);
    values.sort_by(|one, other| other.len().cmp(&one.len()).then(one.cmp(other)));
    values.dedup();
}

fn add_forms(text: &str, found: &mut Vec<String>) {
    if text.len() < SHORTEST {
        return;
    }
    let json = serde_json::to_string(text).unwrap_or_default();
    let mut forms = vec![
        text.to_owned(),
        text.escape_debug().to_string(),
        printable::line(text).into_owned(),
        json.trim_matches('"').to_owned(),
        url::form_urlencoded::byte_serialize(text.as_bytes()).collect(),
    ];
    // What is short in base64 is found in what is no secret.
    if text.len() >= SHORT {
        forms.push(STANDARD.encode(text));
    }
    found.extend(forms);
}

/// The text with every secret replaced by `***`. Takes time in proportion to its length, whatever
/// the text: peers that nobody knows can make the agent log theirs.
pub(crate) fn mask(text: &str) -> String {
    let values = VALUES.read().unwrap_or_else(PoisonError::into_inner);
    // Values first: behind a name only the first word of one may be found.
    let masked = without_named(&without_values(text, &values));
    private_keys::without(masked)
}

/// The same of a text of which no more than about this many bytes are wanted; what is left out is
/// counted behind them. It is cut so that no part of a secret stays at the cut.
pub(crate) fn mask_cut(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return mask(text);
    }
    let longest = VALUES
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .first()
        .map_or(0, String::len)
        .max(AUTHORITY);
    // A secret that begins before the cut has to be seen as a whole.
    let seen = text.floor_char_boundary(limit.saturating_add(longest));
    let mut masked = mask(&text[..seen]);
    // What may be the beginning of one that was cut is behind this place: masking makes it shorter.
    let sure = if seen < text.len() {
        masked.len().saturating_sub(longest)
    } else {
        masked.len()
    };
    let sure = sure.min(limit);
    masked.truncate(masked.floor_char_boundary(sure));
    let left_out = text.len().saturating_sub(masked.len());
    // Writing to a String cannot fail.
    let _ = write!(masked, "… ({left_out} bytes left out)");
    masked
}

/// The same for what may not be text: what lies between bytes that are no UTF-8 is masked.
pub(crate) fn mask_bytes(content: &[u8]) -> Vec<u8> {
    let mut masked = Vec::with_capacity(content.len());
    for chunk in content.utf8_chunks() {
        masked.extend_from_slice(mask(chunk.valid()).as_bytes());
        masked.extend_from_slice(chunk.invalid());
    }
    masked
}

fn without_values(text: &str, values: &[String]) -> String {
    let mut masked = text.to_owned();
    for value in values {
        // A log archive has tens of MiB, and there are many values: memchr's search is the faster one.
        // It prepares the search before it looks how long they are.
        if value.len() > masked.len() || memmem::find(masked.as_bytes(), value.as_bytes()).is_none()
        {
            continue;
        }
        masked = if value.len() < SHORT {
            without_word(&masked, value)
        } else {
            masked.replace(value.as_str(), "***")
        };
    }
    masked
}

/// The text without this word, where nothing that belongs to a word stands before or behind it.
fn without_word(text: &str, word: &str) -> String {
    let is_part = |sign: Option<char>| sign.is_some_and(char::is_alphanumeric);
    let mut masked = String::with_capacity(text.len());
    let mut rest = 0;
    for (at, _) in text.match_indices(word) {
        let end = at + word.len();
        if !is_part(text[..at].chars().next_back()) && !is_part(text[end..].chars().next()) {
            masked.push_str(&text[rest..at]);
            masked.push_str("***");
            rest = end;
        }
    }
    masked.push_str(&text[rest..]);
    masked
}

/// Mask what follows a name, and what is secret in `scheme://user:password@host`.
///
/// One pass over the text, whatever it is: what is looked for are the signs of an assignment, of a
/// query, of a flag and of a URL, and only there the names. The end of a value is looked for once,
/// from the end of the value before it on.
fn without_named(text: &str) -> String {
    let mut found = Found {
        text,
        secrets: Vec::new(),
        end: 0,
    };
    let bytes = text.as_bytes();
    for (at, sign) in bytes.iter().enumerate() {
        match sign {
            b':' => {
                found.assigned(at);
                if bytes[at..].starts_with(b"://") {
                    found.userinfo(at + "://".len());
                }
            }
            b'=' => found.assigned(at),
            b'?' | b'&' => found.query(at + 1),
            // The second of two or more.
            b'-' if at > 0 && bytes[at - 1] == b'-' => found.flag(at + 1),
            _ => {}
        }
    }
    found.masked()
}

/// Where a value without quotes ends inside of something: a query, JSON, a list.
const INNER: [char; 11] = ['&', ' ', ',', ';', '"', '\'', '}', ']', ')', '\n', '\t'];

/// Where the value of a parameter or variable ends: a URL can hold all the others.
const OUTER: [char; 5] = [' ', '"', '\'', '\n', '\t'];

/// The secrets of a text, as they are found from its start to its end.
struct Found<'t> {
    text: &'t str,
    /// From where to where; they may overlap.
    secrets: Vec<(usize, usize)>,
    /// The end of the last value that was found behind a name.
    end: usize,
}

impl Found<'_> {
    /// The value in `name=value`, `name: value`, `"name": "value"` and `name=Some("value")`, with
    /// the sign of the assignment at this place.
    fn assigned(&mut self, sign: usize) {
        let before = self.text[..sign].trim_end_matches(['"', '\'', '\\', ' ']);
        let Some(last) = before.as_bytes().last() else {
            return;
        };
        let names = &NAMES_BY_END[usize::from(last.to_ascii_lowercase())];
        if !names.iter().any(|name| ends_with(before, name)) {
            return;
        }
        let is_part = |sign: char| sign.is_alphanumeric() || matches!(sign, '-' | '_' | '.');
        let is_query = before.trim_end_matches(is_part).ends_with(['?', '&']);
        let is_bare = self.text[sign..].starts_with('=') && before.len() == sign && !is_query;
        self.value(sign + 1, if is_bare { &OUTER } else { &INNER });
    }

    /// The value in `--name value`, with the name at this place.
    fn flag(&mut self, name: usize) {
        let rest = &self.text.as_bytes()[name..];
        let known = ALL_NAMES.iter().find(|known| {
            rest.get(..known.len())
                .is_some_and(|found| found.eq_ignore_ascii_case(known.as_bytes()))
                && rest.get(known.len()) == Some(&b' ')
        });
        if let Some(known) = known
            && !rest[known.len()..].starts_with(b" --")
        {
            self.value(name + known.len(), &OUTER);
        }
    }

    /// The value of one of [`QUERY_NAMES`] in `?name=value&…`, with the name at this place.
    fn query(&mut self, name: usize) {
        let rest = &self.text.as_bytes()[name..];
        let known = QUERY_NAMES.iter().find(|known| {
            rest.get(..known.len())
                .is_some_and(|found| found.eq_ignore_ascii_case(known.as_bytes()))
                && rest.get(known.len()) == Some(&b'=')
        });
        if let Some(known) = known {
            self.until(name + known.len() + 1, &INNER);
        }
    }

    /// The value that begins at this place, in quotes or up to one of these characters.
    fn value(&mut self, start: usize, close: &[char]) {
        let value = self.text[start..].trim_start_matches(' ');
        let value = value.strip_prefix("Some(").unwrap_or(value);
        let opening = value.trim_start_matches('\\');
        let (value, close): (&str, &[char]) = match opening.chars().next() {
            None => return,
            Some('"') => (&opening[1..], &['"', '\\', '\n']),
            Some('\'') => (&opening[1..], &['\'', '\n']),
            Some(_) => (value, close),
        };
        // `Authorization: Basic dXNlcg==` has its secret in the second word.
        let scheme = ["Basic ", "Bearer ", "basic ", "bearer "]
            .into_iter()
            .find(|scheme| value.starts_with(scheme))
            .map_or(0, str::len);
        self.until(self.text.len() - value.len() + scheme, close);
    }

    /// From this place to the first of these characters, unless there is nothing to hide, or it is
    /// hidden already.
    fn until(&mut self, start: usize, close: &[char]) {
        if start < self.end {
            return;
        }
        let length = self.text[start..]
            .find(close)
            .unwrap_or(self.text.len() - start);
        let end = start + length;
        if !matches!(
            &self.text[start..end],
            "" | "null" | "None" | "***" | "******"
        ) {
            self.secrets.push((start, end));
            self.end = end;
        }
    }

    /// The password in `scheme://user:password@host`, or all before the `@` where there is no
    /// colon: it may be a token. The authority begins at this place.
    fn userinfo(&mut self, authority: usize) {
        // It ends before the next `://` at the latest, so none is read twice.
        let rest = &self.text[authority..];
        let end = rest
            .find(['/', '?', '#', ' ', '"', '\n'])
            .unwrap_or(rest.len());
        let Some(at) = rest[..end].rfind('@') else {
            return;
        };
        let start = rest[..at].find(':').map_or(0, |colon| colon + 1);
        if start < at && &rest[start..at] != "***" {
            self.secrets.push((authority + start, authority + at));
        }
    }

    /// The text without them.
    fn masked(mut self) -> String {
        self.secrets.sort_unstable();
        let mut masked = String::with_capacity(self.text.len());
        let mut rest = 0;
        for (start, end) in self.secrets {
            if start >= rest {
                masked.push_str(&self.text[rest..start]);
                masked.push_str("***");
            }
            // One that begins in another is masked by its stars.
            rest = rest.max(end);
        }
        masked.push_str(&self.text[rest..]);
        masked
    }
}

/// Whether a text ends so, in whatever case.
fn ends_with(text: &str, end: &str) -> bool {
    let text = text.as_bytes();
    text.len() >= end.len() && text[text.len() - end.len()..].eq_ignore_ascii_case(end.as_bytes())
}

#[cfg(test)]
mod bounds;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn secrets_are_masked_by_name() {
        for (line, masked) in [
            (
                "POST /v1/commands/?wait=true&agent_token=abc-_1&x=2",
                "POST /v1/commands/?wait=true&agent_token=***&x=2",
            ),
            (
                r#"{"agent_token": "abc", "callback_url": "u"}"#,
                r#"{"agent_token": "***", "callback_url": "u"}"#,
            ),
            (
                r#"{"password":1234,"user":"me"}"#,
                r#"{"password":***,"user":"me"}"#,
            ),
            (
                r#"body="{\"agent_token\": \"abc\", \"n\": 1}""#,
                r#"body="{\"agent_token\": \"***\", \"n\": 1}""#,
            ),
            (
                "GET http://swift/v1/a?temp_url_sig=f00&temp_url_expires=17 done",
                "GET http://swift/v1/a?temp_url_sig=***&temp_url_expires=17 done",
            ),
            (
                "PUT https://h/a?se=2026&sig=a%2Bb&sv=1 https://s3/a?X-Amz-Credential=AKIA%2Fx&\
                 X-Amz-Signature=f0&x=1 https://h/?design=1",
                "PUT https://h/a?se=2026&sig=***&sv=1 https://s3/a?X-Amz-Credential=***&\
                 X-Amz-Signature=***&x=1 https://h/?design=1",
            ),
            (
                "http://h/a?AWSAccessKeyId=AKIA&Signature=f0%3D&Expires=1 \
                 https://storage.googleapis.com/a?X-Goog-Credential=a%40b&X-Goog-Signature=f0 \
                 https://h/a?GoogleAccessId=a%40b&Expires=1&Signature=f1 \
                 https://h/a?OSSAccessKeyId=x&Signature=f2&security-token=f3 \
                 https://d.cloudfront.net/a?Policy=eyJ&Key-Pair-Id=K1&Signature=f4",
                "http://h/a?AWSAccessKeyId=***&Signature=***&Expires=1 \
                 https://storage.googleapis.com/a?X-Goog-Credential=***&X-Goog-Signature=*** \
                 https://h/a?GoogleAccessId=***&Expires=1&Signature=*** \
                 https://h/a?OSSAccessKeyId=***&Signature=***&security-token=*** \
                 https://d.cloudfront.net/a?Policy=***&Key-Pair-Id=***&Signature=***",
            ),
            (
                "rootpwd=\"$1$abc\" api_key: k1, private_key='k2' the keyboard: there",
                "rootpwd=\"***\" api_key: ***, private_key='***' the keyboard: there",
            ),
            (
                "Authorization: Basic dXNlcjpwYXNz",
                "Authorization: Basic ***",
            ),
            ("http://me:pass@host/x", "http://me:***@host/x"),
            ("https://ghp_token@host/x", "https://***@host/x"),
            (
                "image_server_password=Some(\"x y\")",
                "image_server_password=Some(\"***\")",
            ),
            (
                "root=/dev/ram ipa-agent-token=abc quiet",
                "root=/dev/ram ipa-agent-token=*** quiet",
            ),
            (
                "ipa-erase-record-url=https://h/x?a=1&b=2,c;d) quiet",
                "ipa-erase-record-url=*** quiet",
            ),
            (
                "FARRIER_ERASE_RECORD_URL=https://h/x?a=1&b=2",
                "FARRIER_ERASE_RECORD_URL=***",
            ),
            (
                "7 1 S 100 /usr/bin/farrier run --image_server_password abc --debug",
                "7 1 S 100 /usr/bin/farrier run --image_server_password *** --debug",
            ),
            (
                r#"{"configdrive":"H4sIC","args":{}}"#,
                r#"{"configdrive":"***","args":{}}"#,
            ),
            ("agent_token: null", "agent_token: null"),
            (
                "https://secret=abc:def@host/x password=a= b",
                "https://secret=*** password=*** b",
            ),
            (
                "---password abc --password --x",
                "---password *** --password --x",
            ),
            ("a password=password=b c", "a password=*** c"),
            ("the password is asked for", "the password is asked for"),
            (
                "two\nlines password=a\nand more",
                "two\nlines password=***\nand more",
            ),
        ] {
            assert_eq!(mask(line), masked);
        }
    }

    #[test]
    fn a_known_secret_is_masked_anywhere() {
        hide("kG0-unlikely-anywhere-else");
        assert_eq!(mask("x kG0-unlikely-anywhere-else y"), "x *** y");
        // Before its name is looked at, which would leave all but the first word.
        hide("several words of one secret");
        assert_eq!(mask("password=several words of one secret"), "password=***");
    }

    #[test]
    fn a_known_secret_is_masked_in_every_form() {
        let secret = "qU\"o\\te d/ä";
        hide(secret);
        hide("\"kept-in-quotes\"");
        for text in [
            format!("{secret:?}"),
            serde_json::json!([secret]).to_string(),
            format!("Basic {}", STANDARD.encode(secret)),
            "http://h/?x=qU%22o%5Cte+d%2F%C3%A4".to_owned(),
            "x kept-in-quotes y".to_owned(),
        ] {
            let masked = mask(&text);
            assert!(masked.contains("***"), "{text}: {masked}");
            assert!(
                !masked.contains("qU") && !masked.contains("kept-in"),
                "{masked}"
            );
        }
    }

    #[test]
    fn the_parts_of_a_secret_url_are_secrets() {
        hide(
            "https://poster:mellonmellon@records.example:443/hooks/T0001/B0002/XXXX?grant=opensesame",
        );
        for text in [
            "https://records.example/hooks/T0001/B0002/XXXX answered 403",
            "got mellonmellon",
            "got opensesame",
            "https://poster:mellonmellon@records.example/hooks/T0001/B0002/XXXX?grant=opensesame",
        ] {
            let masked = mask(text);
            for part in ["mellon", "opensesame", "B0002"] {
                assert!(!masked.contains(part), "{masked}");
            }
        }
        assert_eq!(mask("records.example is there"), "records.example is there");
    }

    #[test]
    fn a_short_secret_is_masked_as_a_word() {
        hide("zq7x");
        assert_eq!(
            mask("zq7x zq7xa azq7x (zq7x) zq7x"),
            "*** zq7xa azq7x (***) ***"
        );
        hide("zq7");
        assert_eq!(mask("zq7 is too short"), "zq7 is too short");
    }

    #[test]
    fn bytes_are_masked_around_what_is_no_text() {
        hide("between-the-bytes");
        assert_eq!(
            mask_bytes(b"\xff between-the-bytes \xfe password=x\n"),
            b"\xff *** \xfe password=***\n"
        );
    }

    proptest! {
        #[test]
        fn any_text_can_be_masked(text in "\\PC{0,80}") {
            let _ = mask(&text);
        }

        #[test]
        fn bytes_without_secrets_stay(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            prop_assume!(!bytes.contains(&b'=') && !bytes.contains(&b':') && !bytes.contains(&b'-'));
            prop_assert_eq!(mask_bytes(&bytes), bytes);
        }

        #[test]
        fn a_token_never_survives(token in "[A-Za-z0-9_-]{32,43}", before in "[a-z ]{0,9}") {
            let line = format!("{before}?agent_token={token}&wait=true");
            prop_assert!(!mask(&line).contains(&token));
        }
    }
}
