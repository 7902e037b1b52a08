//! Service steps: on a deployed node that was taken into service.

use farrier_plugin::StepKind::Service;

use super::definition::{Definition, Mode, no_validation};
use super::steps::{self, EXECUTE, GET};

/// The commands of this extension.
pub(super) const COMMANDS: &[Definition] = &[
    Definition {
        name: "get_service_steps",
        mode: Mode::Sync,
        signature: GET,
        validate: no_validation,
        run: |environment, _, parameters| steps::list(Service, environment, parameters),
    },
    Definition {
        name: "execute_service_step",
        mode: Mode::Async,
        signature: EXECUTE,
        validate: no_validation,
        run: |environment, context, parameters| {
            steps::execute(Service, environment, context, parameters)
        },
    },
];
