//! Deploy steps: while an image is deployed.

use farrier_plugin::StepKind::Deploy;

use super::definition::{Definition, Mode, no_validation};
use super::steps::{self, EXECUTE, GET};

/// The commands of this extension.
pub(super) const COMMANDS: &[Definition] = &[
    Definition {
        name: "get_deploy_steps",
        mode: Mode::Sync,
        signature: GET,
        validate: no_validation,
        run: |environment, _, parameters| steps::list(Deploy, environment, parameters),
    },
    Definition {
        name: "execute_deploy_step",
        mode: Mode::Async,
        signature: EXECUTE,
        validate: no_validation,
        run: |environment, context, parameters| {
            steps::execute(Deploy, environment, context, parameters)
        },
    },
];
