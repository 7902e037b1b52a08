//! The rows of one structure, as the reference reads them from dmidecode's text.

use serde_json::{Map, Value, json};

use crate::inventory::Structure;

/// What dmidecode prints for a code that the specification does not have.
pub(super) const OUT_OF_SPEC: &str = "<OUT OF SPEC>";

/// Keys and values of a structure that is being described.
///
/// Everything past the formatted area reads as 0; whoever describes a structure looks at its length
/// first, since older firmware writes shorter ones.
pub(super) struct Rows<'s> {
    structure: &'s Structure<'s>,
    rows: Map<String, Value>,
}

impl<'s> Rows<'s> {
    /// A structure, described so far by its handle alone.
    pub(super) fn of(structure: &'s Structure<'s>) -> Self {
        let mut rows = Self {
            structure,
            rows: Map::new(),
        };
        rows.text(
            "Handle",
            &format!(
                "Handle 0x{:04X}, DMI type {}, {} bytes",
                structure.handle,
                structure.kind,
                structure.length()
            ),
        );
        rows
    }

    pub(super) fn finish(self) -> Map<String, Value> {
        self.rows
    }

    pub(super) fn length(&self) -> usize {
        self.structure.length()
    }

    pub(super) fn byte(&self, offset: usize) -> u8 {
        self.structure.byte(offset).unwrap_or(0)
    }

    pub(super) fn word(&self, offset: usize) -> u16 {
        self.structure.word(offset).unwrap_or(0)
    }

    pub(super) fn double_word(&self, offset: usize) -> u32 {
        self.structure.double_word(offset).unwrap_or(0)
    }

    pub(super) fn quad_word(&self, offset: usize) -> u64 {
        self.structure.quad_word(offset).unwrap_or(0)
    }

    /// The string whose number stands at this offset, as dmidecode prints it: every byte that is
    /// not printable ASCII is a dot.
    pub(super) fn string_at(&self, offset: usize) -> String {
        match self.byte(offset) {
            0 => "Not Specified".to_owned(),
            number => match self.structure.string_bytes(number) {
                Some(bytes) => bytes
                    .iter()
                    .map(|byte| match byte {
                        b' '..=b'~' => char::from(*byte),
                        _ => '.',
                    })
                    .collect(),
                None => "<BAD INDEX>".to_owned(),
            },
        }
    }

    /// A row with a text.
    ///
    /// One of nothing but blanks, which firmware likes for a serial number that nobody has set,
    /// comes out as an empty list: in the text that the reference reads, it looks like the head of
    /// a list. Rules written against the reference's data expect that, so it stays.
    pub(super) fn text(&mut self, key: &str, value: &str) {
        let value = match value.trim() {
            "" => json!([]),
            text => json!(text),
        };
        self.rows.insert(key.to_owned(), value);
    }

    /// A row with the string whose number stands at this offset.
    pub(super) fn string(&mut self, key: &str, offset: usize) {
        let text = self.string_at(offset);
        self.text(key, &text);
    }

    /// A row with several values.
    pub(super) fn list(&mut self, key: &str, values: &[&str]) {
        self.rows.insert(key.to_owned(), json!(values));
    }

    /// A row with the word for a code; see [`word_for`].
    pub(super) fn code(&mut self, key: &str, words: &str, code: u8) {
        self.text(key, word_for(words, code));
    }

    /// A row with a size; see [`size`].
    pub(super) fn size(&mut self, key: &str, amount: u64, unit: usize) {
        self.text(key, &size(amount, unit));
    }
}

/// The word for a code, from a table of words with `|` between them; the first is that of code 1.
///
/// One text for a table takes half the room of an array of texts in the executable.
pub(super) fn word_for(words: &str, code: u8) -> &str {
    usize::from(code)
        .checked_sub(1)
        .and_then(|index| words.split('|').nth(index))
        .unwrap_or(OUT_OF_SPEC)
}

/// The words for the bits that are set, from a table as above; the first is that of bit `first`,
/// and a bit without a word is reserved.
pub(super) fn words_for(words: &str, bits: u64, first: u32) -> Vec<&str> {
    words
        .split('|')
        .zip(first..u64::BITS)
        .filter(|(word, bit)| !word.is_empty() && bits >> bit & 1 == 1)
        .map(|(word, _)| word)
        .collect()
}

/// An amount in the greatest unit that loses nothing, or the one below it: `16 GB`, `1536 MB`.
/// `unit` is what one is: 0 a byte, 1 a KiB. Like dmidecode, units are powers of 1024 and anything
/// below the two highest is dropped.
fn size(amount: u64, unit: usize) -> String {
    const UNITS: [&str; 8] = ["bytes", "kB", "MB", "GB", "TB", "PB", "EB", "ZB"];
    let mut step = amount.checked_ilog2().unwrap_or(0) / 10;
    if step > 0 && amount >> (10 * (step - 1)) & 0x3ff != 0 {
        step -= 1;
    }
    let number = amount >> (10 * step);
    let name = UNITS.get(step as usize + unit).unwrap_or(&OUT_OF_SPEC);
    format!("{number} {name}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes() {
        for (amount, unit, text) in [
            (0, 1, "0 kB"),
            (64, 1, "64 kB"),
            (16 << 20, 1, "16 GB"),
            ((16 << 20) + 1, 1, "16 GB"),
            (3 << 19, 1, "1536 MB"),
            (1 << 40, 0, "1 TB"),
            (u64::MAX, 1, "16383 EB"),
        ] {
            assert_eq!(size(amount, unit), text);
        }
    }

    #[test]
    fn words_of_codes_and_bits() {
        assert_eq!(word_for("Other|Unknown", 2), "Unknown");
        for code in [0, 3, 255] {
            assert_eq!(word_for("Other|Unknown", code), OUT_OF_SPEC);
        }
        assert_eq!(words_for("a||c", 0b11100, 2), ["a", "c"]);
        assert!(words_for("a", 0, 63).is_empty());
    }

    proptest! {
        #[test]
        fn a_size_never_grows(amount: u64) {
            let text = size(amount, 0);
            let number: u64 = text.split(' ').next().unwrap().parse().unwrap();
            prop_assert!(number < 1 << 20);
            prop_assert!(number > 0 || amount == 0);
        }
    }
}
