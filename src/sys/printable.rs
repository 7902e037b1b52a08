//! Foreign text for people: disk models, switch names, errors of servers, what programs say. A terminal
//! obeys control characters, and a line break in the wrong place forges a line of another's; so all
//! that does not show as one visible character is shown as its escape: C0 and C1 controls, line and
//! paragraph separators, marks that turn the direction of writing, invisible and combining characters.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The text in one line: `two\nlines`, `\u{1b}[2J`, `\u{202e}`. Quotes and backslashes stay.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    escaped(text, is_visible)
}

/// The same for text that has its own line breaks, which stay.
pub(crate) fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, |character| character == '\n' || is_visible(character))
}

/// The text in one line with blanks in the place of what is not visible, and none around it: for the
/// cells of tables, whose texts from firmware and switches are padded with such characters.
pub(crate) fn blanked(text: &str) -> String {
    let text: String = text
        .chars()
        .map(|character| {
            if is_visible(character) {
                character
            } else {
                ' '
            }
        })
        .collect();
    text.trim().to_owned()
}

/// A JSON document that shows in a terminal what it says to a program: characters that are not visible
/// can only stand in its strings, where `\u202e` means the same.
pub(crate) fn json(document: &str) -> Cow<'_, str> {
    if document.chars().all(|c| c == '\n' || is_visible(c)) {
        return Cow::Borrowed(document);
    }
    let mut text = String::with_capacity(document.len());
    for character in document.chars() {
        if character == '\n' || is_visible(character) {
            text.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            // Writing to a String cannot fail.
            let _ = write!(text, "\\u{unit:04x}");
        }
    }
    Cow::Owned(text)
}

/// Whether a terminal shows this character, and does nothing else with it.
pub(crate) fn is_visible(character: char) -> bool {
    // The standard library's own table; quotes and the backslash are escaped by it for other reasons.
    matches!(character, ' '..='~') || character.escape_debug().len() == 1
}

fn escaped(text: &str, stays: impl Fn(char) -> bool) -> Cow<'_, str> {
    if text.chars().all(&stays) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if stays(character) {
            shown.push(character);
        } else {
            shown.extend(character.escape_debug());
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What has been used to forge lines and to hide in them.
    const FORGERS: &[char] = &[
        '\0',
        '\x07',
        '\x08',
        '\t',
        '\n',
        '\x0b',
        '\x0c',
        '\r',
        '\x1b',
        '\x7f',
        '\u{85}',
        '\u{90}',
        '\u{9b}',
        '\u{9d}',
        '\u{ad}',
        '\u{200b}',
        '\u{200e}',
        '\u{200f}',
        '\u{2028}',
        '\u{2029}',
        '\u{202a}',
        '\u{202d}',
        '\u{202e}',
        '\u{2060}',
        '\u{2066}',
        '\u{2069}',
        '\u{feff}',
        '\u{fff9}',
        '\u{e0041}',
        '\u{336}',
    ];

    #[test]
    fn what_forges_a_line_is_escaped() {
        for forger in FORGERS {
            let text = format!("a{forger}b");
            assert_eq!(line(&text), format!("a{}b", forger.escape_debug()));
            assert!(!line(&text).contains(*forger), "{forger:?}");
            if *forger != '\n' {
                assert!(!lines(&text).contains(*forger), "{forger:?}");
            }
        }
        assert_eq!(
            line("\u{1b}[2J\u{1b}]0;x\u{7}"),
            "\\u{1b}[2J\\u{1b}]0;x\\u{7}"
        );
    }

    #[test]
    fn what_shows_stays() {
        let text = "Größe „ß“ 文 \"C:\\x\" it's 5 µs — 🦀";
        assert!(matches!(line(text), Cow::Borrowed(same) if same == text));
        assert_eq!(lines("a\nb\n"), "a\nb\n");
        assert_eq!(line("a\nb"), "a\\nb");
    }

    #[test]
    fn a_document_means_the_same() {
        let value: serde_json::Value = FORGERS.iter().map(|forger| format!("x{forger}y")).collect();
        let document = serde_json::to_string_pretty(&value).unwrap();
        let shown = json(&document);
        assert!(shown.chars().all(|c| c == '\n' || is_visible(c)), "{shown}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&shown).unwrap(),
            value
        );
    }

    proptest! {
        #[test]
        fn any_text_is_one_visible_line(text in any::<String>()) {
            prop_assert!(line(&text).chars().all(is_visible));
            prop_assert!(lines(&text).chars().all(|c| c == '\n' || is_visible(c)));
        }
    }
}
