//! Addresses of content with the node's own facts in them, in the style of Python's `str.format`:
//! `http://server/{node[uuid]}/{ports[0][address]}`.

use serde_json::Value;

/// Bytes of a finished address.
const LIMIT: usize = 8192;

/// Brackets behind a name.
const MOST_KEYS: usize = 16;

/// What the fields of an address may name.
#[derive(Clone, Copy)]
pub(super) struct Facts<'a> {
    /// The node's members.
    pub(super) node: &'a serde_json::Map<String, Value>,
    /// Its ports.
    pub(super) ports: &'a [Value],
}

/// Why an address could not be made.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum AddressError {
    /// A brace without its other.
    #[error("a single {0} in it; a brace that stands for itself is written twice")]
    Brace(char),
    /// A field that is none.
    #[error("the field {{{0}}} is not like {{node[name]}} or {{ports[0][name]}}")]
    Field(String),
    /// A field that names nothing.
    #[error("the field {{{0}}} names nothing that there is")]
    Missing(String),
    /// A field that names an object or a list.
    #[error("the field {{{0}}} names neither a text nor a number")]
    NoText(String),
    /// It grew too long.
    #[error("with its fields filled in it is longer than {LIMIT} bytes")]
    TooLong,
}

/// The address that this text stands for.
pub(super) fn filled(text: &str, facts: Facts<'_>) -> Result<String, AddressError> {
    let mut address = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        address.push_str(&rest[..at]);
        let brace = if rest[at..].starts_with('{') {
            '{'
        } else {
            '}'
        };
        rest = &rest[at + 1..];
        if let Some(behind) = rest.strip_prefix(brace) {
            address.push(brace);
            rest = behind;
        } else if brace == '}' {
            return Err(AddressError::Brace('}'));
        } else {
            let (field, behind) = rest.split_once('}').ok_or(AddressError::Brace('{'))?;
            push_value(&mut address, field, facts)?;
            rest = behind;
        }
        if address.len() > LIMIT {
            return Err(AddressError::TooLong);
        }
    }
    address.push_str(rest);
    match address.len() {
        0..=LIMIT => Ok(address),
        _ => Err(AddressError::TooLong),
    }
}

/// The words are Python's: its `str` of a truth value and of none.
fn push_value(address: &mut String, field: &str, facts: Facts<'_>) -> Result<(), AddressError> {
    let keys = keys(field).ok_or_else(|| AddressError::Field(shortened(field)))?;
    let missing = || AddressError::Missing(shortened(field));
    let (name, keys) = keys;
    let Some((first, deeper)) = keys.split_first() else {
        return Err(AddressError::NoText(shortened(field)));
    };
    let mut value = match name {
        "node" => facts.node.get(*first),
        _ => facts.ports.get(index(first).ok_or_else(missing)?),
    }
    .ok_or_else(missing)?;
    for key in deeper {
        value = match value {
            Value::Object(members) => members.get(*key),
            Value::Array(items) => index(key).and_then(|index| items.get(index)),
            _ => None,
        }
        .ok_or_else(missing)?;
    }
    match value {
        Value::String(text) => address.push_str(text),
        Value::Number(number) => address.push_str(&number.to_string()),
        Value::Bool(true) => address.push_str("True"),
        Value::Bool(false) => address.push_str("False"),
        Value::Null => address.push_str("None"),
        Value::Array(_) | Value::Object(_) => return Err(AddressError::NoText(shortened(field))),
    }
    Ok(())
}

/// `node[a][b]` as `node` and its keys. Neither attributes nor conversions nor formats: what they would be
/// good for here nobody has said, and what they give away in Python is known.
fn keys(field: &str) -> Option<(&str, Vec<&str>)> {
    let name = ["node", "ports"]
        .into_iter()
        .find(|name| field.starts_with(name))?;
    let mut rest = &field[name.len()..];
    let mut keys = Vec::new();
    while !rest.is_empty() {
        let (key, behind) = rest.strip_prefix('[')?.split_once(']')?;
        if key.is_empty() || keys.len() == MOST_KEYS {
            return None;
        }
        keys.push(key);
        rest = behind;
    }
    Some((name, keys))
}

fn index(key: &str) -> Option<usize> {
    let is_number = key.len() <= 9 && key.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| key.parse().ok()).flatten()
}

/// A field for a message. What does not look like one may be a piece of a secret, and is not shown.
fn shortened(field: &str) -> String {
    let is_of_field = |c: char| c.is_ascii_alphanumeric() || "[]_-.!:<>".contains(c);
    if field.chars().all(is_of_field) {
        field.chars().take(80).collect()
    } else {
        "***".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn fill(text: &str) -> Result<String, AddressError> {
        let node = json!({
            "uuid": "1be2",
            "properties": {"rack": 7, "tags": ["a", "b"], "is_new": true, "none": null},
        });
        let ports = [json!({"address": "52:54:00:00:00:01"}), json!({})];
        filled(
            text,
            Facts {
                node: node.as_object().unwrap(),
                ports: &ports,
            },
        )
    }

    #[test]
    fn fields_are_filled_in_as_python_does() {
        for (text, expected) in [
            ("http://h/a", "http://h/a"),
            ("http://h/{node[uuid]}.cfg", "http://h/1be2.cfg"),
            ("{ports[0][address]}", "52:54:00:00:00:01"),
            (
                "{node[properties][rack]}/{node[properties][tags][1]}",
                "7/b",
            ),
            (
                "{node[properties][is_new]}{node[properties][none]}",
                "TrueNone",
            ),
            ("{{node}}", "{node}"),
            ("a{{{node[uuid]}}}", "a{1be2}"),
        ] {
            assert_eq!(fill(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_filled_in_is_said() {
        for (text, expected) in [
            ("a}b", AddressError::Brace('}')),
            ("a{b", AddressError::Brace('{')),
            ("{}", AddressError::Field(String::new())),
            ("{0}", AddressError::Field("0".to_owned())),
            ("{node.uuid}", AddressError::Field("node.uuid".to_owned())),
            (
                "{node[uuid]!r}",
                AddressError::Field("node[uuid]!r".to_owned()),
            ),
            (
                "{node[uuid]:>9}",
                AddressError::Field("node[uuid]:>9".to_owned()),
            ),
            (
                "{nodes[uuid]}",
                AddressError::Field("nodes[uuid]".to_owned()),
            ),
            ("{node[]}", AddressError::Field("node[]".to_owned())),
            ("{node}", AddressError::NoText("node".to_owned())),
            (
                "{node[properties]}",
                AddressError::NoText("node[properties]".to_owned()),
            ),
            (
                "{node[name]}",
                AddressError::Missing("node[name]".to_owned()),
            ),
            (
                "{node[uuid][0]}",
                AddressError::Missing("node[uuid][0]".to_owned()),
            ),
            (
                "{ports[2][address]}",
                AddressError::Missing("ports[2][address]".to_owned()),
            ),
            (
                "{ports[-1][address]}",
                AddressError::Missing("ports[-1][address]".to_owned()),
            ),
            (&"x".repeat(LIMIT + 1), AddressError::TooLong),
            (&"{node[uuid]}".repeat(LIMIT / 4 + 1), AddressError::TooLong),
        ] {
            assert_eq!(fill(text), Err(expected), "{text:.80}");
        }
    }

    proptest! {
        #[test]
        fn text_without_braces_stays(text in "[^{}]{0,100}") {
            prop_assert_eq!(fill(&text), Ok(text));
        }

        #[test]
        fn doubled_braces_are_braces(text in "[{}a-z]{0,100}") {
            let doubled = text.replace('{', "{{").replace('}', "}}");
            prop_assert_eq!(fill(&doubled), Ok(text));
        }

        #[test]
        fn any_text_is_survived(text in "[{}\\[\\]a-z0-9.:!]{0,60}|(\\{(node|ports)(\\[[a-z0-9]{0,9}\\]){0,5}\\}){0,9}") {
            let _ = fill(&text);
        }
    }
}
