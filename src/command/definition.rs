//! What a command is: its name, what it takes, and what it does.

use farrier_plugin::{Context, ErrorKind, ManagerError};
use serde_json::Value;

use super::environment::Environment;
use super::parameters::{Parameters, Signature};

/// A command that can be issued.
pub(super) struct Definition {
    /// The name after the dot.
    pub(super) name: &'static str,
    /// Whether the POST waits for it.
    pub(super) mode: Mode,
    /// What it takes.
    pub(super) signature: Signature,
    /// Looks at the parameters before anything runs; most commands look at theirs while they run.
    pub(super) validate: Check,
    /// Does it. A string result is wrapped by the table, see [`Definition::wrap`].
    pub(super) run: Run,
}

/// See [`Definition::validate`].
pub(super) type Check = fn(&Environment, &Parameters) -> Result<(), ManagerError>;

/// See [`Definition::run`].
pub(super) type Run = fn(&Environment, &dyn Context, &Parameters) -> Result<Value, ManagerError>;

/// When the answer to the POST leaves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Mode {
    /// When the command has ended; no other command starts meanwhile.
    Sync,
    /// As soon as it runs, on a thread of its own.
    Async,
}

impl Definition {
    /// What the conductor sees of this result: strings are wrapped (contract/control-plane 5.4).
    pub(super) fn wrap(&self, result: Value) -> Value {
        match (result, self.mode) {
            (Value::String(text), Mode::Sync) => serde_json::json!({ "result": text }),
            (Value::String(text), Mode::Async) => {
                serde_json::json!({ "result": format!("{}: {text}", self.name) })
            }
            (result, _) => result,
        }
    }
}

/// A [`Definition::validate`] that has nothing to look at.
pub(super) fn no_validation(_: &Environment, _: &Parameters) -> Result<(), ManagerError> {
    Ok(())
}

/// Extension and command of a full name.
pub(super) fn split(name: &str) -> Result<(&str, &str), ManagerError> {
    name.split_once('.').ok_or_else(|| {
        ManagerError::new(
            ErrorKind::InvalidCommand,
            "Command name must be of the form <extension>.<name>",
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn strings_are_wrapped_and_nothing_else_is() {
        let wrap = |mode, result| {
            let definition = Definition {
                name: "brew",
                mode,
                signature: Signature::NONE,
                validate: no_validation,
                run: |_, _, _| Ok(Value::Null),
            };
            definition.wrap(result)
        };
        let coffee = || json!("coffee");
        assert_eq!(wrap(Mode::Sync, coffee()), json!({"result": "coffee"}));
        let named = json!({"result": "brew: coffee"});
        assert_eq!(wrap(Mode::Async, coffee()), named);
        for other in [json!(null), json!({"result": "coffee"}), json!(["coffee"])] {
            for mode in [Mode::Sync, Mode::Async] {
                assert_eq!(wrap(mode, other.clone()), other);
            }
        }
    }
}
