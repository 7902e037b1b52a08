//! The options of the machine that a command runs on.

use std::path::Path;

use crate::config::{self, Flags, Loaded, Options, Sources};
use crate::sys::root::Root;
use crate::sys::{kernel_parameters, log};

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
pub(super) fn hide_secrets(loaded: &Loaded) {
    for secret in &loaded.secrets {
        log::hide(secret.reveal());
    }
}
