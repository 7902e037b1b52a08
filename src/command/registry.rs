//! Which commands there are (contract/control-plane 6).

use farrier_plugin::{ErrorKind, ManagerError};

use super::definition::{Definition, split};
use super::{clean, deploy, flow, image, log, poll, rescue, service, standby, system};

/// Commands that wait for the one that runs instead of being refused at once. Ironic 39 takes a 409 to
/// one of these for "ask again at the next heartbeat", goes on without steps where it has none cached,
/// and the node is cleaned, or serviced, without having been touched. After a 409 to
/// `get_deploy_steps` it does ask again.
const PATIENT: [&str; 2] = ["clean.get_clean_steps", "service.get_service_steps"];

/// Whether the command of this full name waits for the one that runs.
pub(super) fn is_patient(name: &str) -> bool {
    PATIENT.contains(&name)
}

/// A flow runs commands of this registry.
const FLOW: &[Definition] = &[flow::start(
    |_, parameters| flow::validate(commands, parameters),
    |environment, context, parameters| flow::run(commands, environment, context, parameters),
)];

/// Every extension and its commands. `docs/openapi.json` is made of these too.
pub(super) const EXTENSIONS: &[(&str, &[Definition])] = &[
    ("clean", clean::COMMANDS),
    ("deploy", deploy::COMMANDS),
    ("flow", FLOW),
    ("image", image::COMMANDS),
    ("log", log::COMMANDS),
    ("poll", poll::COMMANDS),
    ("rescue", rescue::COMMANDS),
    ("service", service::COMMANDS),
    ("standby", standby::COMMANDS),
    ("system", system::COMMANDS),
];

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

/// The commands of an extension.
fn commands(extension: &str) -> Result<&'static [Definition], ManagerError> {
    EXTENSIONS
        .iter()
        .find_map(|(name, commands)| (*name == extension).then_some(*commands))
        .ok_or_else(|| {
            ManagerError::new(
                ErrorKind::RequestedObjectNotFound,
                format!("Extension with id {extension} not found."),
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::definition::Mode;

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
