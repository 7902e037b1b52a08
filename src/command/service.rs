//! Service steps: on a deployed node that was taken into service.

use farrier_plugin::StepKind::Service;

use super::definition::Definition;
use super::steps::{self, execute, list};

/// The commands of this extension.
pub(super) const COMMANDS: &[Definition] = &steps::commands(
    ["get_service_steps", "execute_service_step"],
    [
        |environment, _, parameters| list(Service, environment, parameters),
        |environment, context, parameters| execute(Service, environment, context, parameters),
    ],
);
