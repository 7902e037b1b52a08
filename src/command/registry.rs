//! Which commands there are (contract/control-plane 6).

use farrier_plugin::{Context, ErrorKind, ManagerError};
use serde_json::Value;

use super::parameters::{Parameters, Signature};
use super::{Environment, clean, deploy, flow, image, log, poll, rescue, service, standby, system};

/// A command that can be issued.
pub(super) struct Definition {
    /// The name after the dot.
    pub(super) name: &'static str,
    /// Whether the POST waits for it.
    pub(super) mode: Mode,
    /// What it takes.
    pub(super) signature: Signature,
    /// Looks at the parameters before anything runs; most commands look at theirs while they run.
    pub(super) validate: fn(&Environment, &Parameters) -> Result<(), ManagerError>,
    /// Does it. A string result is wrapped by the table, see [`Definition::wrap`].
    pub(super) run: fn(&Environment, &dyn Context, &Parameters) -> Result<Value, ManagerError>,
}

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

/// Commands that wait for the one that runs instead of being refused at once. Ironic 39 takes a 409 to
/// one of these for "ask again at the next heartbeat", goes on without steps where it has none cached,
/// and the node is cleaned, or serviced, without having been touched. After a 409 to
/// `get_deploy_steps` it does ask again.
const PATIENT: [&str; 2] = ["clean.get_clean_steps", "service.get_service_steps"];

/// Whether the command of this full name waits for the one that runs.
pub(super) fn is_patient(name: &str) -> bool {
    PATIENT.contains(&name)
}

/// A [`Definition::validate`] that has nothing to look at.
pub(super) fn no_validation(_: &Environment, _: &Parameters) -> Result<(), ManagerError> {
    Ok(())
}

/// Find a command by its full name. The errors are those of contract/control-plane 5.5.
pub(super) fn find(name: &str) -> Result<&'static Definition, ManagerError> {
    let (extension, command) = split(name)?;
    commands(extension)?
        .iter()
        .find(|definition| definition.name == command)
        .ok_or_else(|| {
            ManagerError::new(
                ErrorKind::InvalidCommand,
                format!("Unknown command: {command}"),
            )
        })
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

/// The commands of an extension.
pub(super) fn commands(extension: &str) -> Result<&'static [Definition], ManagerError> {
    Ok(match extension {
        "clean" => clean::COMMANDS,
        "deploy" => deploy::COMMANDS,
        "flow" => flow::COMMANDS,
        "image" => image::COMMANDS,
        "log" => log::COMMANDS,
        "poll" => poll::COMMANDS,
        "rescue" => rescue::COMMANDS,
        "service" => service::COMMANDS,
        "standby" => standby::COMMANDS,
        "system" => system::COMMANDS,
        _ => {
            return Err(ManagerError::new(
                ErrorKind::RequestedObjectNotFound,
                format!("Extension with id {extension} not found."),
            ));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_are_the_contracts() {
        let sync = |name| (name, Mode::Sync);
        let background = |name| (name, Mode::Async);
        for (name, mode) in [
            sync("clean.get_clean_steps"),
            background("clean.execute_clean_step"),
            sync("deploy.get_deploy_steps"),
            background("deploy.execute_deploy_step"),
            sync("service.get_service_steps"),
            background("service.execute_service_step"),
            background("image.install_bootloader"),
            sync("standby.get_partition_uuids"),
            sync("standby.sync"),
            background("standby.power_off"),
            background("standby.run_image"),
            background("standby.prepare_image"),
            background("standby.execute_bootc_install"),
            sync("rescue.finalize_rescue"),
            sync("log.collect_system_logs"),
            sync("system.lockdown"),
            sync("poll.get_hardware_info"),
            sync("poll.set_node_info"),
            background("flow.start_flow"),
        ] {
            let definition = find(name).unwrap();
            assert_eq!(definition.mode, mode, "{name}");
            assert!(name.ends_with(definition.name));
        }
    }

    #[test]
    fn wrong_names_have_the_errors_of_the_contract() {
        for (name, kind, details) in [
            (
                "sync",
                ErrorKind::InvalidCommand,
                "Command name must be of the form <extension>.<name>",
            ),
            (
                "foo.bar",
                ErrorKind::RequestedObjectNotFound,
                "Extension with id foo not found.",
            ),
            (
                "standby.bar",
                ErrorKind::InvalidCommand,
                "Unknown command: bar",
            ),
            (
                "standby.sync.x",
                ErrorKind::InvalidCommand,
                "Unknown command: sync.x",
            ),
        ] {
            let error = find(name).err().unwrap();
            assert_eq!((error.kind(), error.to_string().as_str()), (kind, details));
        }
    }
}
