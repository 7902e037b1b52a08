//! Clean steps: between two tenants.

use farrier_plugin::StepKind::Clean;

use super::definition::Definition;
use super::steps::{self, execute, list};

/// The commands of this extension.
pub(super) const COMMANDS: &[Definition] = &steps::commands(
    ["get_clean_steps", "execute_clean_step"],
    [
        |environment, _, parameters| list(Clean, environment, parameters),
        |environment, context, parameters| execute(Clean, environment, context, parameters),
    ],
);
