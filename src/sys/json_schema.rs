//! For tests: whether a value is what a JSON Schema says.

use regex_lite::Regex;
use serde_json::{Map, Value};

/// A document with schemas in it, to which their references lead.
pub(crate) struct JsonSchemas(pub(crate) Value);

impl JsonSchemas {
    /// Why the value is not what the schema says. A keyword that is not known here is a fault of
    /// this test, so that nothing passes unlooked at.
    pub(crate) fn check(&self, schema: &Value, value: &Value, place: &str) -> Result<(), String> {
        let wrong = |what: String| Err(format!("{place}: {what}: {value}"));
        let Some(schema) = schema.as_object() else {
            return match schema {
                Value::Bool(true) => Ok(()),
                _ => wrong("nothing fits".to_owned()),
            };
        };
        for (keyword, expected) in schema {
            let fits = |schema: &Value| self.check(schema, value, place);
            let all = || expected.as_array().into_iter().flatten();
            match keyword.as_str() {
                "$ref" => {
                    let pointer = expected.as_str().unwrap().strip_prefix('#').unwrap();
                    fits(self.0.pointer(pointer).unwrap())?;
                }
                "allOf" => all().try_for_each(fits)?,
                "anyOf" | "oneOf" => {
                    let faults: Vec<String> =
                        all().filter_map(|schema| fits(schema).err()).collect();
                    if faults.len() == all().count() {
                        return wrong(format!("none fits ({})", faults.join("; ")));
                    }
                }
                "not" if fits(expected).is_ok() => return wrong("fits".to_owned()),
                "enum" if !all().any(|one| one == value) => {
                    return wrong("is not listed".to_owned());
                }
                "pattern" => {
                    let pattern = Regex::new(expected.as_str().unwrap()).unwrap();
                    if value.as_str().is_some_and(|text| !pattern.is_match(text)) {
                        return wrong(format!("does not match {expected}"));
                    }
                }
                "minLength" => {
                    let length = value.as_str().map(|text| text.chars().count() as u64);
                    if length.is_some_and(|length| length < expected.as_u64().unwrap()) {
                        return wrong(format!("has {length:?} characters"));
                    }
                }
                "const" if value != expected => return wrong(format!("is not {expected}")),
                "type" => {
                    let types: Vec<&str> = match expected {
                        Value::String(one) => vec![one],
                        _ => all().filter_map(Value::as_str).collect(),
                    };
                    if !types.iter().any(|kind| is(value, kind)) {
                        return wrong(format!("is not {types:?}"));
                    }
                }
                "minimum" | "maximum" => {
                    let (value, bound) = (value.as_f64(), expected.as_f64().unwrap());
                    let beyond = |value: f64| (value < bound) == (keyword == "minimum");
                    if value.is_some_and(|value| value != bound && beyond(value)) {
                        return wrong(format!("is beyond the {keyword} {bound}"));
                    }
                }
                "minItems" | "maxItems" => {
                    let bound = usize::try_from(expected.as_u64().unwrap()).unwrap();
                    let length = value.as_array().map_or(bound, Vec::len);
                    if length != bound && (length < bound) == (keyword == "minItems") {
                        return wrong(format!("has {length} members"));
                    }
                }
                "required" if value.is_object() => {
                    if let Some(name) =
                        all().find(|name| value.get(name.as_str().unwrap()).is_none())
                    {
                        return wrong(format!("{name} is missing"));
                    }
                }
                "dependentRequired" => {
                    let needs = |(name, needed): (&String, &Value)| {
                        let missing = |name: &Value| value.get(name.as_str().unwrap()).is_none();
                        value.get(name).is_some() && needed.as_array().unwrap().iter().any(missing)
                    };
                    if expected.as_object().unwrap().iter().any(needs) {
                        return wrong(format!("has not all of {expected}"));
                    }
                }
                "properties" => {
                    for (name, schema) in expected.as_object().unwrap() {
                        if let Some(member) = value.get(name) {
                            self.check(schema, member, &format!("{place}.{name}"))?;
                        }
                    }
                }
                "additionalProperties" => {
                    let known = schema.get("properties");
                    for (name, member) in value.as_object().into_iter().flatten() {
                        if known.and_then(|known| known.get(name)).is_none() {
                            self.check(expected, member, &format!("{place}.{name}"))?;
                        }
                    }
                }
                "propertyNames" => {
                    for name in value.as_object().into_iter().flat_map(Map::keys) {
                        self.check(expected, &name.as_str().into(), place)?;
                    }
                }
                "items" => {
                    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.check(expected, item, &format!("{place}[{index}]"))?;
                    }
                }
                "prefixItems" => {
                    for (schema, item) in all().zip(value.as_array().into_iter().flatten()) {
                        self.check(schema, item, place)?;
                    }
                }
                "uniqueItems" | "not" | "const" | "required" | "default" | "description"
                | "format" | "title" | "enum" | "examples" => {}
                _ => panic!("the test does not know the keyword {keyword}"),
            }
        }
        Ok(())
    }
}

fn is(value: &Value, kind: &str) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => panic!("there is no type {kind}"),
    }
}
