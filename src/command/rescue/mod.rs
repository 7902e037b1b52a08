//! Turning the ramdisk into a rescue system (contract/control-plane 6.8, 10.2).

mod hash;

use farrier_plugin::{Context, ManagerError};
use serde_json::Value;

use super::definition::{Definition, Mode, no_validation};
use super::environment::{Environment, Signal};
use super::parameters::{Parameters, Signature};
use crate::sys::log;

/// The command that Ironic answers a refusal of with the password in plain text: where hashed
/// passwords are not required, any status from 400 on makes it send the command again so. Its
/// errors are therefore results, see [`super::CommandTable::issue`].
pub(super) const FINALIZE: &str = "finalize_rescue";

/// The commands of this extension.
pub(super) const COMMANDS: &[Definition] = &[Definition {
    name: FINALIZE,
    mode: Mode::Sync,
    signature: Signature::of(&[], &["rescue_password", "hashed"]),
    validate: no_validation,
    run: finalize,
}];

/// Answers when the user `rescue` can log in, and has the agent end: the machine is that user's.
fn finalize(
    environment: &Environment,
    _: &dyn Context,
    parameters: &Parameters,
) -> Result<Value, ManagerError> {
    let password = parameters.text("rescue_password")?;
    let is_hashed = parameters.is_true("hashed");
    if !password.is_empty() {
        log::hide_given(&password);
    }
    let hash = if is_hashed {
        hash::check(&password)?;
        password.as_ref().to_owned()
    } else {
        hash::of(&password)?
    };
    log::hide_given(&hash);
    (environment.open_rescue)(&hash)?;
    environment.send(Signal::Rescued);
    Ok(Value::Null)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use farrier_plugin::{ErrorKind, SilentContext};
    use serde_json::json;

    use super::*;
    use crate::command::fake;

    const HASH: &str = "$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1";

    /// What comes of the command, the hash that PID 1's part was given, and the news for the agent.
    fn run(
        params: Value,
        opens: bool,
    ) -> (Result<Value, ManagerError>, Option<String>, Vec<Signal>) {
        let state = tempfile::tempdir().unwrap();
        let (mut environment, mut signals) = fake::environment(Vec::new(), state.path());
        let given = Arc::new(Mutex::new(None));
        let giving = Arc::clone(&given);
        environment.open_rescue = Box::new(move |hash| {
            *giving.lock().unwrap() = Some(hash.to_owned());
            let failed = || ManagerError::new(ErrorKind::CommandExecution, "no SSH server");
            if opens { Ok(()) } else { Err(failed()) }
        });
        let Value::Object(values) = params else {
            unreachable!()
        };
        let parameters = Parameters::new(values, Arc::default());
        let result = finalize(&environment, &SilentContext, &parameters);
        let given = given.lock().unwrap().take();
        (result, given, fake::drain(&mut signals))
    }

    #[test]
    fn a_rescue_ends_the_agent_once_somebody_can_log_in() {
        for hashed in [json!(true), json!(1), json!("yes")] {
            let params = json!({"rescue_password": HASH, "hashed": hashed});
            let (result, given, signals) = run(params, true);
            assert_eq!(result.unwrap(), Value::Null);
            assert_eq!(given.as_deref(), Some(HASH));
            assert_eq!(signals, [Signal::Rescued]);
        }
        for params in [
            json!({"rescue_password": "open sesame"}),
            json!({"rescue_password": "open sesame", "hashed": false}),
            json!({"rescue_password": "open sesame", "hashed": null}),
        ] {
            let (result, given, signals) = run(params, true);
            result.unwrap();
            hash::check(&given.unwrap()).unwrap();
            assert_eq!(signals, [Signal::Rescued]);
        }
    }

    #[test]
    fn where_nobody_can_log_in_the_agent_goes_on() {
        let (result, _, signals) = run(json!({"rescue_password": HASH, "hashed": true}), false);
        assert!(result.unwrap_err().to_string().contains("no SSH server"));
        assert_eq!(signals, []);
    }

    #[test]
    fn nothing_is_done_with_what_is_no_password() {
        for params in [
            json!({}),
            json!({"rescue_password": ""}),
            json!({"rescue_password": "plain", "hashed": true}),
            json!({"rescue_password": "$1$salt$hash", "hashed": true}),
            json!({"rescue_password": "plain", "hashed": "false"}),
            json!({"rescue_password": ["open sesame"]}),
        ] {
            let (result, given, signals) = run(params, true);
            assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidCommandParams);
            assert_eq!((given, signals), (None, Vec::new()));
        }
    }
}
