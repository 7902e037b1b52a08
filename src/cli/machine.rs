//! The options of the machine that a command runs on.

use std::path::Path;
use std::process::ExitCode;

use farrier_plugin::chain;

use super::terminal::complain;
use crate::config::{self, Flags, KernelParameters, Loaded, Options, Sources};
use crate::sys::root::Root;
use crate::sys::{kernel_parameters, log};

/// The configuration is wrong (EX_CONFIG of sysexits.h). Starting again would not help.
const CONFIGURATION: u8 = 78;

/// The options of kernel parameters, files, environment and flags; their secrets are masked from now on. What is wrong
/// with them is said at the terminal, since they say how to log.
pub(super) fn load(
    parameters: KernelParameters,
    root: &Path,
    flags: Flags,
) -> Result<Loaded, ExitCode> {
    let loaded = config::load(&Sources::of_machine(parameters, root, flags)).map_err(|errors| {
        for error in &errors {
            complain(&chain(error));
        }
        ExitCode::from(CONFIGURATION)
    })?;
    hide_secrets(&loaded);
    Ok(loaded)
}

/// The options of this machine as an agent on it has them, for a command that a person gives beside
/// it; the defaults where they cannot be read. Their secrets are masked from now on.
pub(super) fn options_of_machine() -> Options {
    let parameters = kernel_parameters::all(&Root::system());
    let sources = Sources::of_machine(parameters, Path::new("/"), Flags::default());
    match config::load(&sources) {
        Ok(loaded) => {
            hide_secrets(&loaded);
            loaded.options
        }
        Err(_) => Options::default(),
    }
}

/// Mask what the options' sources hold of secrets, wherever it appears.
fn hide_secrets(loaded: &Loaded) {
    for secret in &loaded.secrets {
        log::hide(secret.reveal());
    }
}
