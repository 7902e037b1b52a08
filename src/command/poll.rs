//! Reading the inventory, and telling a stand-alone agent its node. The conductor uses neither.

use farrier_plugin::{ErrorKind, ManagerError};

use super::definition::{Definition, Mode, no_validation};
use super::parameters::Signature;

/// The commands of this extension.
pub(super) const COMMANDS: &[Definition] = &[
    Definition {
        name: "get_hardware_info",
        mode: Mode::Sync,
        signature: Signature::NONE,
        validate: no_validation,
        run: |environment, _, _| {
            let inventory = environment.managers.inventory_uncached()?;
            serde_json::to_value(inventory).map_err(|error| {
                ManagerError::new(
                    ErrorKind::CommandExecution,
                    "The inventory could not be written as JSON",
                )
                .with_source(error)
            })
        },
    },
    Definition {
        name: "set_node_info",
        mode: Mode::Sync,
        signature: Signature::of(&[], &["node_info"]),
        validate: no_validation,
        // This agent has no stand-alone mode, so the answer is the reference's for an agent that
        // belongs to a conductor (contract/control-plane 6.9).
        run: |_, _, _| {
            Err(ManagerError::new(
                ErrorKind::InvalidCommand,
                "Node lookup data can only be set when the Ironic Python Agent is running in \
                 standalone mode.",
            ))
        },
    },
];
