//! What a step's result repeats of what the conductor sent and of what a manager answered. Whoever reads
//! results is not always who sent the step: the conductor logs them, and keeps parts in its database.

use farrier_plugin::LargeStrings;
use serde_json::{Map, Value};

use crate::sys::log;

/// In place of a secret.
const MASKED: &str = "***";

/// The step as it is repeated in its result: secrets among its arguments are masked and large strings
/// replaced by their length. Its interface and its name are what the conductor compares, so they
/// stay whatever they are: a word of them may be somebody's password.
pub(super) fn step(step: &Map<String, Value>, large: &LargeStrings) -> Value {
    let mut echo = masked_members(step, large);
    for name in ["interface", "step"] {
        if let Some(value) = step.get(name) {
            echo.insert(name.to_owned(), large.elide(value));
        }
    }
    if step.get("step").and_then(Value::as_str) == Some("inject_files")
        && let Some(Value::Array(files)) =
            echo.get_mut("args").and_then(|args| args.get_mut("files"))
    {
        files.iter_mut().for_each(hide_content);
    }
    Value::Object(echo)
}

/// A file to inject may be a key, and the name of what it holds does not tell.
fn hide_content(file: &mut Value) {
    match file {
        Value::Object(members) => {
            if let Some(content) = members.get_mut("content") {
                *content = Value::String(MASKED.to_owned());
            }
        }
        // No such thing, so nobody knows what it is.
        other => *other = Value::String(MASKED.to_owned()),
    }
}

/// What a manager gave for this step, with secrets masked in its texts. What it gave under a name, it
/// gave on purpose. Of a RAID step all stays: the conductor makes the node's root device hint of it.
pub(super) fn result(step: &Map<String, Value>, value: Value) -> Value {
    match step.get("interface").and_then(Value::as_str) {
        Some("raid") => value,
        _ => masked_texts(value),
    }
}

fn masked_texts(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(log::mask(&text)),
        Value::Array(items) => items.into_iter().map(masked_texts).collect(),
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(name, item)| (name, masked_texts(item)))
                .collect(),
        ),
        other => other,
    }
}

/// From now on, mask the secrets among these arguments wherever they appear: in the log, in what a
/// plugin says, in errors and in results. Large strings are documents, of which a part would go unseen.
pub(super) fn hide_secrets(arguments: &Map<String, Value>, large: &LargeStrings) {
    let hide = |name: &str, value: &Value| {
        if let Value::String(text) = value
            && log::is_secret_name(name)
            && length(value, large).is_none()
        {
            log::hide_given(text);
        }
    };
    for (name, value) in arguments {
        match value {
            Value::Object(members) => hide_secrets(members, large),
            Value::Array(items) => {
                for item in items {
                    match item {
                        Value::Object(members) => hide_secrets(members, large),
                        item => hide(name, item),
                    }
                }
            }
            value => hide(name, value),
        }
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
    fn what_a_file_to_inject_holds_is_not_repeated() {
        let sent = members(json!({
            "step": "inject_files", "interface": "deploy",
            "args": {"files": [
                {"path": "/etc/a", "content": "cGxhbnRlZC1FZTAx"},
                {"path": "/etc/b", "content": "http://h/{node[uuid]}/planted-Ee02"},
                {"path": "/etc/c", "deleted": true},
                "planted-Ee03",
            ]},
        }));
        assert_eq!(
            step(&sent, &LargeStrings::default())["args"]["files"],
            json!([
                {"path": "/etc/a", "content": "***"},
                {"path": "/etc/b", "content": "***"},
                {"path": "/etc/c", "deleted": true},
                "***",
            ])
        );
    }

    #[test]
    fn what_was_an_argument_is_masked_wherever_it_comes_out() {
        hide_secrets(
            &members(json!({
                "password": "planted-Ed01", "nested": [{"api_key": "planted-Ed02"}],
                "tokens": ["planted-Ed03"], "port": "not-hidden-1", "secret": "short",
            })),
            &LargeStrings::default(),
        );
        let said = log::mask("got planted-Ed01, planted-Ed02 and planted-Ed03; not-hidden-1 short");
        assert_eq!(said, "got ***, *** and ***; not-hidden-1 short");
        let gave = json!({"log": ["set planted-Ed01", 1], "password": "made by the tool"});
        let given = result(&members(json!({"interface": "bios"})), gave.clone());
        assert_eq!(
            given,
            json!({"log": ["set ***", 1], "password": "made by the tool"})
        );
        // The conductor keeps it as the node's RAID configuration and root device hint.
        assert_eq!(
            result(&members(json!({"interface": "raid"})), gave.clone()),
            gave
        );
    }

    #[test]
    fn what_the_conductor_compares_stays_whatever_is_hidden() {
        log::hide("planted-interface");
        let sent = members(json!({
            "step": "planted-interface_metadata", "interface": "planted-interface",
            "args": {"x": "planted-interface"},
        }));
        assert_eq!(
            step(&sent, &LargeStrings::default()),
            json!({
                "step": "planted-interface_metadata", "interface": "planted-interface",
                "args": {"x": "***"},
            })
        );
    }
}
