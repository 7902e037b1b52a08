//! The flash-card manager as an executable: `docs/onmetal.md`.

use std::process::ExitCode;

use farrier_onmetal_manager::{METHODS, OnMetalHardwareManager, capabilities};

fn main() -> ExitCode {
    farrier_plugin::serve(
        OnMetalHardwareManager::beside_the_program(),
        &METHODS,
        capabilities(),
    )
}
