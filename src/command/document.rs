//! A request's JSON, parsed as it arrives.
//!
//! The conductor's largest body carries one config drive of up to 85 MiB of base64 twice
//! (contract/data-plane 1.1). serde_json's own `Value` would hold both, next to the body. Here the
//! parser reads from a stream and each string above [`LARGE_STRING`] goes to [`LargeStrings`],
//! which keeps equal ones once: the peak is one config drive in the table and one in the parser's
//! hands.

use std::fmt;
use std::io::{self, BufRead};

use farrier_plugin::{LARGE_STRING, LargeStrings};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// What everything but the large strings of one document may take, in bytes: its small strings,
/// and 64 for each value. A node with all its ports is a few hundred KiB; without a limit, a body of 256 MiB made
/// of `[0,0,0,…` would become gigabytes of [`Value`].
pub(super) const DOCUMENT_LIMIT: usize = 32 * 1024 * 1024;

/// Counted for each value beside its text: the size of a [`Value`] in a container with spare room.
const VALUE_COST: usize = 64;

/// A parsed document.
#[derive(Debug)]
pub(super) struct Document {
    /// The document, with markers in place of large strings.
    pub(super) value: Value,
    /// The large strings.
    pub(super) large: LargeStrings,
}

/// Why a document could not be parsed.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// It is not JSON, or it is nested deeper than 127 levels, or it ended early.
    #[error("{0}")]
    Syntax(String),
    /// It takes more than [`DOCUMENT_LIMIT`] without its large strings.
    #[error(
        "The document takes more than {DOCUMENT_LIMIT} bytes of memory besides strings above \
         {LARGE_STRING} bytes; no conductor sends such a thing"
    )]
    TooLarge,
}

impl Document {
    /// Parse exactly one document, with a byte order mark before it or without.
    pub(super) fn parse(mut reader: impl BufRead) -> Result<Self, DocumentError> {
        skip_mark(&mut reader).map_err(|error| DocumentError::Syntax(error.to_string()))?;
        let mut parser = serde_json::Deserializer::from_reader(reader);
        let mut builder = Builder::default();
        let parsed = Seed(&mut builder)
            .deserialize(&mut parser)
            .and_then(|value| parser.end().map(|()| value));
        match parsed {
            Ok(value) => Ok(Self {
                value,
                large: builder.large,
            }),
            Err(_) if builder.budget.exhausted => Err(DocumentError::TooLarge),
            Err(error) => Err(DocumentError::Syntax(error.to_string())),
        }
    }
}

/// Skip the mark that some editors put before UTF-8 (RFC 8259 8.1 allows to).
fn skip_mark(reader: &mut impl BufRead) -> io::Result<()> {
    const MARK: &[u8] = "\u{feff}".as_bytes();
    // No document begins with its first byte, so that what is taken here is missed by nobody.
    if reader.fill_buf()?.first() != MARK.first() {
        return Ok(());
    }
    let mut taken = [0; MARK.len()];
    reader.read_exact(&mut taken)?;
    match taken == MARK {
        true => Ok(()),
        false => Err(io::Error::other("expected value at line 1 column 1")),
    }
}

#[derive(Default)]
struct Builder {
    large: LargeStrings,
    budget: Budget,
}

#[derive(Default)]
struct Budget {
    spent: usize,
    exhausted: bool,
}

impl Budget {
    fn spend<E: Error>(&mut self, text: usize) -> Result<(), E> {
        self.spent = self.spent.saturating_add(VALUE_COST).saturating_add(text);
        if self.spent <= DOCUMENT_LIMIT {
            return Ok(());
        }
        self.exhausted = true;
        Err(E::custom("document too large"))
    }
}

/// One value is read into the builder's tables.
struct Seed<'a>(&'a mut Builder);

impl Seed<'_> {
    fn plain<E: Error>(self, value: Value) -> Result<Value, E> {
        self.0.budget.spend(0)?;
        Ok(value)
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        self.plain(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        self.plain(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        self.plain(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        self.plain(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        // JSON has no number that is not finite.
        self.plain(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        let small = if text.len() > LARGE_STRING {
            0
        } else {
            text.len()
        };
        self.0.budget.spend(small)?;
        Ok(self.0.large.intern(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        self.0.budget.spend(0)?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(Seed(&mut *self.0))? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        self.0.budget.spend(0)?;
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            self.0.budget.spend(name.len())?;
            let value = members.next_value_seed(Seed(&mut *self.0))?;
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn parse(text: &str) -> Result<Document, DocumentError> {
        Document::parse(text.as_bytes())
    }

    /// Put the large strings back.
    fn whole(document: &Document, value: &Value) -> Value {
        match value {
            Value::String(_) => Value::from(document.large.resolve(value).unwrap().as_ref()),
            Value::Array(items) => items.iter().map(|item| whole(document, item)).collect(),
            Value::Object(members) => members
                .iter()
                .map(|(name, item)| (name.clone(), whole(document, item)))
                .collect(),
            plain => plain.clone(),
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".*".prop_map(Value::from),
            "\u{0}large-string:[0-9]{1,2}".prop_map(Value::from),
            (LARGE_STRING - 2..LARGE_STRING + 3).prop_map(|length| Value::from("x".repeat(length))),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((".*", inner), 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_document_is_what_serde_json_reads(value in any_json()) {
            let text = serde_json::to_string(&value).unwrap();
            let document = parse(&text).unwrap();
            let expected: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(whole(&document, &document.value), expected);
        }

        #[test]
        fn what_serde_json_refuses_is_refused(text in "[\\[\\]{}:,\"0-9a-z\\\\ .e-]{0,24}") {
            let expected = serde_json::from_str::<Value>(&text);
            prop_assert_eq!(parse(&text).is_ok(), expected.is_ok());
        }
    }

    #[test]
    fn a_large_string_that_comes_twice_is_kept_once() {
        let drive = "H".repeat(LARGE_STRING * 3);
        let text = json!({"a": {"configdrive": drive}, "configdrive": drive}).to_string();
        let document = parse(&text).unwrap();
        assert_eq!(document.large.len(), 1);
        assert_eq!(
            document.value["a"]["configdrive"],
            document.value["configdrive"]
        );
    }

    #[test]
    fn nesting_has_an_end() {
        let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(parse(&deep(127)).is_ok());
        let error = parse(&deep(100_000)).unwrap_err();
        assert!(error.to_string().contains("recursion limit"), "{error}");
    }

    #[test]
    fn many_small_values_are_refused_before_they_fill_the_memory() {
        let text = format!("[{}0]", "0,".repeat(DOCUMENT_LIMIT / VALUE_COST));
        assert!(matches!(parse(&text), Err(DocumentError::TooLarge)));
    }

    #[test]
    fn a_byte_order_mark_is_skipped_once() {
        let marked = parse("\u{feff} {\"a\": 1}").unwrap();
        assert_eq!(marked.value, json!({"a": 1}));
        for text in ["\u{feff}", "\u{feff}\u{feff}{}", "\u{fefe}{}", "{}\u{feff}"] {
            assert!(
                matches!(parse(text), Err(DocumentError::Syntax(_))),
                "{text}"
            );
        }
        assert!(Document::parse(&b"\xef\xbb"[..]).is_err());
    }

    #[test]
    fn a_second_document_is_refused() {
        assert!(matches!(parse("{} {}"), Err(DocumentError::Syntax(_))));
    }

    #[test]
    fn the_last_of_equal_names_wins() {
        assert_eq!(parse(r#"{"a": 1, "a": 2}"#).unwrap().value, json!({"a": 2}));
    }
}
