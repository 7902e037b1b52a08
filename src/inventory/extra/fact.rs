//! A fact, and the list of those of one item as it grows.

use serde::Serialize;
use serde_json::Value;

/// A fact: category, item, name and value, a text or a number.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Fact(&'static str, String, String, Value);

/// Facts of one item.
pub(super) struct Facts<'l> {
    list: &'l mut Vec<Fact>,
    category: &'static str,
    item: String,
}

impl<'l> Facts<'l> {
    pub(super) fn of(
        list: &'l mut Vec<Fact>,
        category: &'static str,
        item: impl Into<String>,
    ) -> Self {
        Self {
            list,
            category,
            item: item.into(),
        }
    }

    /// Add a fact; nothing where the value is unknown.
    pub(super) fn add(&mut self, name: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.list.push(Fact(
                self.category,
                self.item.clone(),
                name.to_owned(),
                value.into(),
            ));
        }
    }
}
