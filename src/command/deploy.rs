//! Deploy steps: while an image is deployed.

use farrier_plugin::StepKind::Deploy;

use super::definition::Definition;
use super::steps::{self, execute, list};

/// The commands of this extension.
pub(super) const COMMANDS: &[Definition] = &steps::commands(
    ["get_deploy_steps", "execute_deploy_step"],
    [
        |environment, _, parameters| list(Deploy, environment, parameters),
        |environment, context, parameters| execute(Deploy, environment, context, parameters),
    ],
);
