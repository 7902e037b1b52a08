//! Several commands in a row as one. The conductor does not use it.

use farrier_plugin::{Context, ErrorKind, ManagerError};
use serde_json::{Map, Value};

use super::definition::{Check, Definition, Mode, Run, split};
use super::environment::Environment;
use super::parameters::{Parameters, Signature, invalid};
use super::system;

/// The command of this extension.
pub(super) const START: &str = "start_flow";

/// Gives the commands of an extension. The registry has them, and has the flow too: so it comes as an
/// argument.
pub(super) type Lookup = fn(&str) -> Result<&'static [Definition], ManagerError>;

/// The command of this extension, with [`validate`] and [`run`] that know their lookup.
pub(super) const fn start(validate: Check, run: Run) -> Definition {
    Definition {
        name: START,
        mode: Mode::Async,
        signature: Signature::of(&["flow"], &[]),
        validate,
        run,
    }
}

/// Every name must be known before the first command runs.
pub(super) fn validate(lookup: Lookup, parameters: &Parameters) -> Result<(), ManagerError> {
    for (name, _) in tasks(parameters)? {
        find(lookup, name)?;
    }
    Ok(())
}

fn find(lookup: Lookup, name: &str) -> Result<&'static Definition, ManagerError> {
    let (extension, command) = split(name)?;
    lookup(extension)?
        .iter()
        .find(|definition| definition.name == command)
        .ok_or_else(|| {
            invalid(format!(
                "Extension {extension} doesn't provide {command} method"
            ))
        })
}

/// Run the commands in order until one fails, or the flow is told to stop.
pub(super) fn run(
    lookup: Lookup,
    environment: &Environment,
    context: &dyn Context,
    parameters: &Parameters,
) -> Result<Value, ManagerError> {
    for (name, params) in tasks(parameters)? {
        if context.is_cancelled() {
            return Err(ManagerError::new(
                ErrorKind::CommandExecution,
                format!("{name} was not begun: the flow was told to stop"),
            ));
        }
        let definition = find(lookup, name)?;
        let parameters = Parameters::new(params.clone(), parameters.large().clone());
        let ended = definition
            .signature
            .check(definition.name, parameters.values())
            .map_err(invalid)
            .and_then(|()| (definition.validate)(environment, &parameters))
            .and_then(|()| (definition.run)(environment, context, &parameters));
        match ended {
            // A version mismatch does not end the flow (contract/control-plane 6.12).
            Err(error) if error.kind() != ErrorKind::VersionMismatch => {
                return Err(ManagerError::new(
                    ErrorKind::CommandExecution,
                    format!("{name} was failed: {}", error.chain()),
                ));
            }
            _ => {}
        }
    }
    Ok(Value::Null)
}

/// Whether the flow's last command is the lock-down, or a flow that ends in it: one that ends well then has ended
/// whole, although its own lock-down tells it to stop.
pub(super) fn ends_in_lock_down(parameters: &Parameters) -> bool {
    let last = tasks(parameters).ok().and_then(|mut tasks| tasks.pop());
    last.is_some_and(|(name, params)| match split(name) {
        Ok(("system", system::LOCKDOWN)) => true,
        Ok(("flow", START)) => {
            let inner = Parameters::new(params.clone(), parameters.large().clone());
            ends_in_lock_down(&inner)
        }
        _ => false,
    })
}

/// A command of a flow: its name and its parameters.
type Task<'a> = (&'a str, &'a Map<String, Value>);

/// The commands in order: each item of the list has one or more.
fn tasks(parameters: &Parameters) -> Result<Vec<Task<'_>>, ManagerError> {
    let mut tasks = Vec::new();
    for item in parameters.list("flow")? {
        let Value::Object(members) = item else {
            return Err(invalid("Each item of 'flow' must be an object"));
        };
        for (name, params) in members {
            let Value::Object(params) = params else {
                return Err(invalid(format!(
                    "The parameters of {name} must be an object"
                )));
            };
            tasks.push((name.as_str(), params));
        }
    }
    Ok(tasks)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    use farrier_plugin::{CancelledContext, SilentContext};
    use serde_json::json;

    use super::*;
    use crate::command::fake::{self, FakeManager};
    use crate::command::{clean, standby};

    fn commands(extension: &str) -> Result<&'static [Definition], ManagerError> {
        match extension {
            "clean" => Ok(clean::COMMANDS),
            "standby" => Ok(standby::COMMANDS),
            other => Err(invalid(format!("Extension with id {other} not found."))),
        }
    }

    fn start(flow: Value) -> (Result<Value, ManagerError>, Arc<FakeManager>) {
        let state = tempfile::tempdir().unwrap();
        let (manager, _) = FakeManager::new();
        let (environment, _) = fake::environment(vec![manager.clone()], state.path());
        let Value::Object(values) = json!({ "flow": flow }) else {
            unreachable!()
        };
        let parameters = Parameters::new(values, Arc::default());
        let result = validate(commands, &parameters)
            .and_then(|()| run(commands, &environment, &SilentContext, &parameters));
        (result, manager)
    }

    fn step(name: &str, version: Value) -> Value {
        json!({"clean.execute_clean_step": {
            "node": {"uuid": "1be2"}, "ports": [], "step": {"step": name},
            "clean_version": version}})
    }

    #[test]
    fn commands_run_in_order_until_one_fails() {
        let (result, manager) = start(json!([
            step("erase_devices", Value::Null),
            step("erase_devices_metadata", json!({"another": "1"})),
            {"standby.sync": {}},
            step("fail", Value::Null),
            {"standby.sync": {}},
        ]));
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CommandExecution);
        assert_eq!(
            error.chain(),
            "clean.execute_clean_step was failed: /dev/sda: 3 sectors could not be written"
        );
        let ran: Vec<String> = manager
            .calls
            .lock()
            .unwrap()
            .iter()
            .map(|call| call.step.clone())
            .collect();
        // The version mismatch of the second did not run it, and did not end the flow either.
        assert_eq!(ran, ["erase_devices", "fail"]);
        assert_eq!(manager.synced.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_flow_that_is_told_to_stop_begins_nothing_more() {
        let state = tempfile::tempdir().unwrap();
        let (manager, _) = FakeManager::new();
        let (environment, _) = fake::environment(vec![manager.clone()], state.path());
        let Value::Object(values) = json!({"flow": [{"standby.sync": {}}]}) else {
            unreachable!()
        };
        let parameters = Parameters::new(values, Arc::default());
        let error = run(commands, &environment, &CancelledContext, &parameters).unwrap_err();
        assert_eq!(
            error.to_string(),
            "standby.sync was not begun: the flow was told to stop"
        );
        assert_eq!(manager.synced.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_flow_that_ends_well_has_no_result() {
        let (result, _) = start(json!([{"standby.sync": {}}]));
        assert_eq!(result.unwrap(), Value::Null);
    }

    #[test]
    fn nothing_runs_where_a_name_is_wrong() {
        for flow in [
            json!([{"standby.sync": {}}, {"standby.nonsense": {}}]),
            json!([{"standby.sync": {}}, {"nonsense": {}}]),
            json!([{"standby.sync": {}}, {"standby.sync": []}]),
            json!([{"standby.sync": {}}, 1]),
            json!({"standby.sync": {}}),
        ] {
            let (result, manager) = start(flow);
            result.unwrap_err();
            assert_eq!(manager.synced.load(Ordering::Relaxed), 0);
        }
    }
}
