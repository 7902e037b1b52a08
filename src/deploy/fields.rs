//! Reading the fields of an object that the conductor sent, each by its type.
//!
//! A value of another type is an error that names its field. It is never taken for an absent one: a
//! deploy would succeed without what was asked for. What the reference takes is taken here, too.

use std::sync::Arc;

use farrier_plugin::{LargeStrings, StepArguments};
use serde_json::{Map, Value};

use super::error::DeployError;
use crate::block::hints::is_empty;

/// The largest whole number that a JSON number with a fraction holds exactly.
const MOST_WHOLE: f64 = 9_007_199_254_740_992.0;

/// An object, and what messages call it.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    owner: &'static str,
    values: &'a Map<String, Value>,
    large: &'a LargeStrings,
}

impl<'a> Fields<'a> {
    /// The arguments of a step or a command.
    pub(super) fn of_arguments(arguments: &'a StepArguments) -> Self {
        Self {
            owner: "The argument",
            values: &arguments.values,
            large: &arguments.large,
        }
    }

    /// The description of an image among these arguments.
    pub(super) fn of_image(arguments: &'a StepArguments) -> Result<Self, DeployError> {
        let values = match arguments.values.get("image_info") {
            Some(Value::Object(values)) => values,
            // The reference's word for no description.
            None => return Err(missing("id")),
            Some(empty) if is_empty(empty) => return Err(missing("id")),
            Some(_) => return Err(Self::of_arguments(arguments).wrong("image_info", "an object")),
        };
        for name in ["id", "urls"] {
            if !values.contains_key(name) {
                return Err(missing(name));
            }
        }
        Ok(Self {
            owner: "Image",
            values,
            large: &arguments.large,
        })
    }

    /// A value; a null counts as absent.
    pub(super) fn value(self, name: &str) -> Option<&'a Value> {
        self.values.get(name).filter(|value| !value.is_null())
    }

    /// A value; whatever Python takes for false counts as absent, where the reference does so.
    pub(super) fn value_unless_empty(self, name: &str) -> Option<&'a Value> {
        self.values.get(name).filter(|value| !is_empty(value))
    }

    /// A string, large or small.
    pub(super) fn text(self, name: &str) -> Result<Option<Arc<str>>, DeployError> {
        self.value(name)
            .map(|value| self.string(name, value))
            .transpose()
    }

    /// A string, with absence as in [`Self::value_unless_empty`].
    pub(super) fn text_unless_empty(self, name: &str) -> Result<Option<Arc<str>>, DeployError> {
        self.value_unless_empty(name)
            .map(|value| self.string(name, value))
            .transpose()
    }

    /// A string, or a number in its place, which the reference turns into one; with absence as in
    /// [`Self::value_unless_empty`].
    pub(super) fn text_or_number(self, name: &str) -> Result<Option<Arc<str>>, DeployError> {
        match self.value_unless_empty(name) {
            Some(Value::Number(number)) => Ok(Some(number.to_string().into())),
            _ => self.text_unless_empty(name),
        }
    }

    /// A field that only says what something is called in messages, or is compared with one word:
    /// like the reference, anything else than a string is no such word.
    pub(super) fn word(self, name: &str) -> Option<Arc<str>> {
        self.large.resolve(self.values.get(name)?)
    }

    /// A boolean, or a number in its place. Words are refused, though the reference takes them for true: "false", too.
    pub(super) fn flag(self, name: &str) -> Result<Option<bool>, DeployError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(number @ Value::Number(_)) => Ok(Some(!is_empty(number))),
            Some(_) => Err(self.wrong(name, "true or false")),
        }
    }

    /// A whole number that is not negative. `2048.0`, which JSON does not tell from it, is one too.
    pub(super) fn whole_number(self, name: &str) -> Result<Option<u64>, DeployError> {
        let Some(value) = self.value(name) else {
            return Ok(None);
        };
        let whole = |number: f64| {
            (number.fract() == 0.0 && (0.0..=MOST_WHOLE).contains(&number)).then_some(number as u64)
        };
        match value {
            Value::Number(number) => number.as_u64().or_else(|| number.as_f64().and_then(whole)),
            _ => None,
        }
        .map(Some)
        .ok_or_else(|| self.wrong(name, "a whole number that is not negative"))
    }

    /// A list of strings with at least one element.
    pub(super) fn texts(self, name: &str) -> Result<Vec<Arc<str>>, DeployError> {
        match self.value(name) {
            Some(Value::Array(items)) if !items.is_empty() => items
                .iter()
                .map(|item| {
                    self.large
                        .resolve(item)
                        .ok_or_else(|| self.wrong(name, "a list of strings"))
                })
                .collect(),
            _ => Err(self.wrong(name, "a list with at least one element")),
        }
    }

    /// An object of strings; members that Python takes for false are left out.
    pub(super) fn texts_by_name(self, name: &str) -> Result<Vec<(String, String)>, DeployError> {
        let members = match self.value(name) {
            None => return Ok(Vec::new()),
            Some(Value::Object(members)) => members,
            Some(_) => return Err(self.wrong(name, "an object")),
        };
        members
            .iter()
            .filter(|(_, value)| !is_empty(value))
            .map(|(member, value)| match self.large.resolve(value) {
                Some(text) => Ok((member.clone(), text.to_string())),
                None => Err(self.wrong(&format!("{name}.{member}"), "a string")),
            })
            .collect()
    }

    /// The error of a field that is not what it must be: `a string`.
    pub(super) fn wrong(self, name: &str, expected: &str) -> DeployError {
        DeployError::Arguments(format!("{} '{name}' must be {expected}.", self.owner))
    }

    fn string(self, name: &str, value: &Value) -> Result<Arc<str>, DeployError> {
        self.large
            .resolve(value)
            .ok_or_else(|| self.wrong(name, "a string"))
    }
}

pub(super) fn missing(name: &str) -> DeployError {
    DeployError::Arguments(format!("Image is missing '{name}' field."))
}
