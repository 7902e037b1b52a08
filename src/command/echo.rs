//! What a step's result repeats of what the conductor sent and of what a manager answered. Whoever reads
//! results is not always who sent the step: the conductor logs them, and keeps parts in its database.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use farrier_plugin::LargeStrings;
use serde_json::{Map, Value};

use crate::sys::log;

/// In place of a secret.
const MASKED: &str = "***";

/// Strings that are hidden by their value have so many bytes. Shorter ones could be words of any log,
/// longer ones are documents, of which a part would go unseen.
const HIDDEN_LENGTH: std::ops::RangeInclusive<usize> = 8..=1024;

/// So many different values of steps are hidden by their value in a boot: each is looked for in every
/// line of the log. A node has a handful.
const HIDDEN_VALUES: usize = 64;

static HIDDEN: Mutex<Hidden> = Mutex::new(Hidden(BTreeSet::new()));

/// What steps have had hidden by its value.
struct Hidden(BTreeSet<String>);

/// The step as it is repeated in its result: the conductor compares its interface and its name, so that
/// secrets among its arguments are masked and large strings replaced by their length.
pub(super) fn step(step: &Map<String, Value>, large: &LargeStrings) -> Value {
    Value::Object(masked_members(step, large))
}

/// What a manager gave, with secrets masked in its texts. What it gave under a name, it gave on purpose.
pub(super) fn result(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(log::mask(&text)),
        Value::Array(items) => items.into_iter().map(result).collect(),
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(name, item)| (name, result(item)))
                .collect(),
        ),
        other => other,
    }
}

/// From now on, mask the secrets among these arguments wherever they appear: in the log, in what a
/// plugin says, in errors and in results.
pub(super) fn hide_secrets(arguments: &Map<String, Value>) {
    for (name, value) in arguments {
        match value {
            Value::String(text) if log::is_secret_name(name) => hide(text),
            Value::Object(members) => hide_secrets(members),
            Value::Array(items) => {
                for item in items {
                    match item {
                        Value::Object(members) => hide_secrets(members),
                        Value::String(text) if log::is_secret_name(name) => hide(text),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
}

fn hide(text: &str) {
    let mut hidden = HIDDEN.lock().unwrap_or_else(PoisonError::into_inner);
    if hidden.takes(text) {
        log::hide(text);
    }
}

impl Hidden {
    /// Whether this one is new and finds room.
    fn takes(&mut self, text: &str) -> bool {
        HIDDEN_LENGTH.contains(&text.len())
            && self.0.len() < HIDDEN_VALUES
            && self.0.insert(text.to_owned())
    }
}

fn masked_members(members: &Map<String, Value>, large: &LargeStrings) -> Map<String, Value> {
    let masked = members.iter().map(|(name, item)| {
        let item = match item {
            Value::Null | Value::Bool(_) => item.clone(),
            _ if log::is_secret_name(name) => {
                length(item, large).unwrap_or_else(|| Value::String(MASKED.to_owned()))
            }
            _ => masked(item, large),
        };
        (name.clone(), item)
    });
    masked.collect()
}

fn masked(value: &Value, large: &LargeStrings) -> Value {
    match value {
        Value::String(text) => {
            length(value, large).unwrap_or_else(|| Value::String(text_without_secrets(text)))
        }
        Value::Array(items) => items.iter().map(|item| masked(item, large)).collect(),
        Value::Object(members) => Value::Object(masked_members(members, large)),
        other => other.clone(),
    }
}

/// A proxy is written without a scheme too: `user:password@host:port`.
fn text_without_secrets(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((user, host)) if user.contains(':') && !user.contains([' ', '/']) => {
            format!("{MASKED}@{}", log::mask(host))
        }
        _ => log::mask(text),
    }
}

/// What stands for a large string; `None` for any other value.
fn length(value: &Value, large: &LargeStrings) -> Option<Value> {
    let elided = large.elide(value);
    (value.is_string() && elided != *value).then_some(elided)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn members(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(members) => members,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn a_step_comes_back_without_its_secrets() {
        let sent = members(json!({
            "step": "configure_bmc", "interface": "management", "priority": 0,
            "args": {
                "password": "planted-Ec01", "BMC_Password": "planted-Ec02", "api_key": "planted-Ec03",
                "secret": {"any": "planted-Ec04"}, "client_secret": ["planted-Ec05"],
                "auth_token": "planted-Ec06", "passphrase": "planted-Ec07", "pin": 1,
                "private_key": "planted-Ec08", "configdrive": "planted-Ec09", "password_length": 12,
                "users": [{"name": "root", "admin_pass": "planted-Ec10"}],
                "image_info": {"urls": [
                    "https://me:planted-Ec11@h/i?X-Amz-Signature=planted-Ec12&x=1",
                    "http://h/i?temp_url_sig=planted-Ec13",
                ]},
                "command": "set --password planted-Ec14", "proxy": "me:planted-Ec15@h:3128",
            },
        }));
        let echo = step(&sent, &LargeStrings::default());
        let text = echo.to_string();
        assert!(!text.contains("planted"), "{text}");
        assert_eq!(echo["step"], "configure_bmc");
        assert_eq!(echo["interface"], "management");
        assert_eq!(echo["priority"], 0);
        assert_eq!(echo["args"]["pin"], 1);
        assert_eq!(
            echo["args"]["users"][0],
            json!({"name": "root", "admin_pass": "***"})
        );
    }

    #[test]
    fn what_was_an_argument_is_masked_wherever_it_comes_out() {
        hide_secrets(&members(json!({
            "password": "planted-Ed01", "nested": [{"api_key": "planted-Ed02"}],
            "tokens": ["planted-Ed03"], "port": "not-hidden-1", "secret": "short",
        })));
        let said = log::mask("got planted-Ed01, planted-Ed02 and planted-Ed03; not-hidden-1 short");
        assert_eq!(said, "got ***, *** and ***; not-hidden-1 short");
        let given = result(json!({"log": ["set planted-Ed01", 1], "password": "made by the tool"}));
        assert_eq!(
            given,
            json!({"log": ["set ***", 1], "password": "made by the tool"})
        );
    }

    #[test]
    fn what_is_hidden_by_value_is_bounded() {
        let mut hidden = Hidden(BTreeSet::new());
        assert!(!hidden.takes("short") && !hidden.takes(&"x".repeat(1025)));
        let taken = (0..200).filter(|number| hidden.takes(&format!("planted-{number:04}")));
        assert_eq!(taken.count(), HIDDEN_VALUES);
    }
}
