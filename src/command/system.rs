//! Taking the machine off the network without powering it off.

use serde_json::Value;

use super::definition::{Definition, Mode, no_validation};
use super::environment::Signal;
use super::parameters::Signature;

/// The command that ends the serving, itself included.
pub(super) const LOCKDOWN: &str = "lockdown";

/// The commands of this extension.
pub(super) const COMMANDS: &[Definition] = &[Definition {
    name: LOCKDOWN,
    mode: Mode::Sync,
    signature: Signature::NONE,
    validate: no_validation,
    // The agent stops the server gracefully, so this command's answer still leaves.
    run: |environment, _, _| {
        environment.send(Signal::LockDown);
        Ok(Value::Null)
    },
}];
