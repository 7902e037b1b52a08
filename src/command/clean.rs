//! Clean steps: between two tenants.

use farrier_plugin::StepKind::Clean;

use super::definition::{Definition, Mode, no_validation};
use super::steps::{self, EXECUTE, GET};

/// The commands of this extension.
pub(super) const COMMANDS: &[Definition] = &[
    Definition {
        name: "get_clean_steps",
        mode: Mode::Sync,
        signature: GET,
        validate: no_validation,
        run: |environment, _, parameters| steps::list(Clean, environment, parameters),
    },
    Definition {
        name: "execute_clean_step",
        mode: Mode::Async,
        signature: EXECUTE,
        validate: no_validation,
        run: |environment, context, parameters| {
            steps::execute(Clean, environment, context, parameters)
        },
    },
];
