//! Large strings of a request, kept once.
//!
//! The conductor sends the config drive twice in one body (contract/data-plane 1.1), each copy up
//! to 85 MiB of base64. The body's parser moves every string above [`LARGE_STRING`] bytes here,
//! finds equal ones, and leaves a marker in its place.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

/// Strings longer than this many bytes are kept apart from their JSON document.
pub const LARGE_STRING: usize = 64 * 1024;

/// Starts every marker. A string from outside that starts like this is itself moved into the
/// table, however short, so a marker cannot be forged.
const MARKER: &str = "\u{0}large-string:";

/// The large strings of one request.
#[derive(Clone, Default)]
pub struct LargeStrings {
    strings: Vec<Arc<str>>,
    /// Where each stands: a body may be nothing but strings that belong here.
    places: HashMap<Arc<str>, usize>,
}

/// Lengths alone: most are config drives.
impl fmt::Debug for LargeStrings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lengths = self.strings.iter().map(|text| text.len());
        f.debug_list().entries(lengths).finish()
    }
}

impl LargeStrings {
    /// The value to put into the document for this string: the string itself, or the marker of the
    /// one copy that is kept.
    pub fn intern(&mut self, text: &str) -> Value {
        if text.len() <= LARGE_STRING && !text.starts_with(MARKER) {
            return Value::String(text.to_owned());
        }
        let index = self.places.get(text).copied().unwrap_or_else(|| {
            let (kept, index) = (Arc::<str>::from(text), self.strings.len());
            self.strings.push(Arc::clone(&kept));
            self.places.insert(kept, index);
            index
        });
        Value::String(format!("{MARKER}{index}"))
    }

    /// The string that this value stands for; `None` where it is not a string.
    pub fn resolve(&self, value: &Value) -> Option<Arc<str>> {
        let text = value.as_str()?;
        match self.marked(text) {
            Some(large) => Some(Arc::clone(large)),
            None => Some(text.into()),
        }
    }

    /// A copy of the document in which each marker is replaced by `<N bytes omitted>`: for logs,
    /// and for the echo of a step, of which the conductor compares only name and interface.
    pub fn elide(&self, value: &Value) -> Value {
        self.replace(value, &|large| format!("<{} bytes omitted>", large.len()))
    }

    /// A copy of the document with the large strings in their places: as it was sent.
    pub fn restore(&self, value: &Value) -> Value {
        self.replace(value, &|large| large.to_string())
    }

    /// How many different large strings there are.
    pub fn len(&self) -> usize {
        self.strings.len()
    }

    /// Whether the request had no large string.
    pub fn is_empty(&self) -> bool {
        self.strings.is_empty()
    }

    fn replace(&self, value: &Value, text_for: &dyn Fn(&str) -> String) -> Value {
        match value {
            Value::String(text) => match self.marked(text) {
                Some(large) => Value::String(text_for(large)),
                None => value.clone(),
            },
            Value::Array(items) => items
                .iter()
                .map(|item| self.replace(item, text_for))
                .collect(),
            Value::Object(members) => Value::Object(
                members
                    .iter()
                    .map(|(name, item)| (name.clone(), self.replace(item, text_for)))
                    .collect(),
            ),
            _ => value.clone(),
        }
    }

    fn marked(&self, text: &str) -> Option<&Arc<str>> {
        self.strings
            .get(text.strip_prefix(MARKER)?.parse::<usize>().ok()?)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use serde_json::json;

    use super::*;

    #[test]
    fn a_dump_shows_no_content() {
        let mut large = LargeStrings::default();
        large.intern(&"planted".repeat(LARGE_STRING));
        assert_eq!(format!("{large:?}"), "[458752]");
        let Value::Object(values) = json!({"password": "planted"}) else {
            unreachable!()
        };
        let arguments = crate::StepArguments {
            values,
            large: Arc::new(large),
        };
        assert_eq!(format!("{arguments:?}"), "{\"password\"}");
    }

    #[test]
    fn equal_large_strings_are_kept_once() {
        let mut large = LargeStrings::default();
        let drive = "x".repeat(LARGE_STRING + 1);
        let first = large.intern(&drive);
        assert_eq!(large.intern(&drive), first);
        assert_eq!(large.len(), 1);
        assert_eq!(large.resolve(&first).as_deref(), Some(drive.as_str()));
    }

    #[test]
    fn a_forged_marker_is_an_ordinary_string() {
        let mut large = LargeStrings::default();
        large.intern(&"x".repeat(LARGE_STRING + 1));
        let forged = large.intern("\u{0}large-string:0");
        assert_eq!(
            large.resolve(&forged).as_deref(),
            Some("\u{0}large-string:0")
        );
    }

    /// One body of 8 MB took four minutes when each was compared with all before it.
    #[test]
    fn as_many_marker_like_strings_as_a_body_can_hold_are_told_apart_at_once() {
        let started = Instant::now();
        let mut large = LargeStrings::default();
        let markers: Vec<_> = (0..200_000)
            .map(|number| large.intern(&format!("{MARKER}{number}x")))
            .collect();
        assert_eq!(large.len(), markers.len());
        let last = large.resolve(&markers[markers.len() - 1]);
        assert_eq!(last.as_deref(), Some(&*format!("{MARKER}199999x")));
        let took = started.elapsed();
        assert!(took < Duration::from_secs(60), "{took:?}");
    }

    #[test]
    fn elision_keeps_the_rest() {
        let mut large = LargeStrings::default();
        let marker = large.intern(&"x".repeat(LARGE_STRING + 1));
        let elided = large.elide(&json!({"a": [1, marker], "b": "short"}));
        assert_eq!(
            elided,
            json!({"a": [1, "<65537 bytes omitted>"], "b": "short"})
        );
    }
}
