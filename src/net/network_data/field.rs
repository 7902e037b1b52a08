//! A value of the document, and where it stands.

use serde_json::{Map, Value};

use crate::net::plan::problem::{Problem, Shown};

/// How messages call the document.
pub(super) const ORIGIN: &str = "network_data.json";

/// A value, which is `null` where there is none, and its place: `links[2].bond_mode`.
#[derive(Clone, Debug)]
pub(super) struct Field<'d> {
    pub place: String,
    pub value: &'d Value,
}

impl<'d> Field<'d> {
    pub(super) fn new(place: String, value: &'d Value) -> Self {
        Self { place, value }
    }

    /// A field of an object.
    pub(super) fn get(&self, name: &str) -> Self {
        let value = self.value.get(name).unwrap_or(&Value::Null);
        // The document itself has a name that would only lengthen every line.
        let place = match self.place.as_str() {
            ORIGIN => name.to_owned(),
            place => format!("{place}.{name}"),
        };
        Self { place, value }
    }

    pub(super) fn is_absent(&self) -> bool {
        self.value.is_null()
    }

    /// This is not what it should be.
    pub(super) fn is_not(&self, expected: &'static str, outcome: &'static str) -> Problem {
        Problem::Value {
            place: Shown::new(&self.place),
            found: found(self.value),
            expected,
            outcome,
        }
    }

    pub(super) fn lacks(&self, field: &'static str, outcome: &'static str) -> Problem {
        Problem::Missing {
            place: Shown::new(&self.place),
            field,
            outcome,
        }
    }

    pub(super) fn object(
        &self,
        problems: &mut Vec<Problem>,
        outcome: &'static str,
    ) -> Option<&'d Map<String, Value>> {
        let object = self.value.as_object();
        if object.is_none() {
            problems.push(self.is_not("a JSON object", outcome));
        }
        object
    }

    /// The items of a list, `limit` of them at most; none where it is absent.
    pub(super) fn items(
        &self,
        problems: &mut Vec<Problem>,
        what: &'static str,
        limit: usize,
    ) -> Vec<Self> {
        let Some(items) = self.value.as_array() else {
            if !self.is_absent() {
                problems.push(self.is_not("a list", "it is left out"));
            }
            return Vec::new();
        };
        if items.len() > limit {
            problems.push(Problem::TooMany {
                origin: ORIGIN,
                what,
                limit,
            });
        }
        let items = items.iter().take(limit).enumerate();
        items
            .map(|(place, value)| Self::new(format!("{}[{place}]", self.place), value))
            .collect()
    }

    /// A list of texts, or one text with the same between commas and blanks, as cloud-init's own format has it.
    pub(super) fn texts(
        &self,
        problems: &mut Vec<Problem>,
        what: &'static str,
        limit: usize,
    ) -> Vec<String> {
        if let Some(text) = self.value.as_str() {
            let words = text.split([',', ' ']).filter(|word| !word.is_empty());
            return words.take(limit).map(str::to_owned).collect();
        }
        self.items(problems, what, limit)
            .into_iter()
            .filter_map(|item| {
                let text = item.value.as_str().map(str::to_owned);
                if text.is_none() {
                    problems.push(item.is_not("a text", "it is left out"));
                }
                text
            })
            .collect()
    }

    pub(super) fn text(&self) -> Option<&'d str> {
        self.value.as_str()
    }

    /// A number, also one that is written as text or with `.0`: templates make both.
    pub(super) fn number(&self) -> Option<u64> {
        match self.value {
            Value::String(text) => text.trim().parse().ok(),
            Value::Number(number) => number.as_u64().or_else(|| {
                let number = number.as_f64().filter(|number| number.fract() == 0.0)?;
                // What is in range is exact.
                (0.0..1e9).contains(&number).then_some(number as u64)
            }),
            _ => None,
        }
    }

    /// A word or number as text.
    pub(super) fn scalar(&self) -> Option<String> {
        match self.value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }
}

/// A value as a message shows it.
fn found(value: &Value) -> Shown {
    match value {
        Value::String(text) => Shown::new(&format!("{text:.100}")),
        Value::Array(_) => Shown::new("a list"),
        Value::Object(_) => Shown::new("an object"),
        other => Shown::new(&other.to_string()),
    }
}
