//! Several commands in a row as one. The conductor does not use it.

use farrier_plugin::{Context, ErrorKind, ManagerError};
use serde_json::{Map, Value};

use super::Environment;
use super::parameters::{Parameters, Signature, invalid};
use super::registry::{self, Definition, Mode};

/// The commands of this extension.
pub(super) const COMMANDS: &[Definition] = &[Definition {
    name: "start_flow",
    mode: Mode::Async,
    signature: Signature::of(&["flow"], &[]),
    validate,
    run,
}];

/// Every name must be known before the first command runs.
fn validate(_: &Environment, parameters: &Parameters) -> Result<(), ManagerError> {
    for (name, _) in tasks(parameters)? {
        let (extension, command) = registry::split(name)?;
        let known = registry::commands(extension)?
            .iter()
            .any(|definition| definition.name == command);
        if !known {
            return Err(invalid(format!(
                "Extension {extension} doesn't provide {command} method"
            )));
        }
    }
    Ok(())
}

fn run(
    environment: &Environment,
    context: &dyn Context,
    parameters: &Parameters,
) -> Result<Value, ManagerError> {
    for (name, params) in tasks(parameters)? {
        let definition = registry::find(name)?;
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

/// The commands in order: each item of the list has one or more.
fn tasks(parameters: &Parameters) -> Result<Vec<(&str, &Map<String, Value>)>, ManagerError> {
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
