//! `farrier inventory`: what this machine is, for a person or for a program.

mod page;

use std::path::Path;
use std::process::ExitCode;

use farrier_plugin::SilentContext;

use super::{say, wrong_usage};
use crate::config::{self, Live, Options, Sources};
use crate::hardware::Managers;

/// Show the inventory; `--json` as the conductor gets it.
pub(super) fn main(arguments: &[String]) -> ExitCode {
    let json = match arguments {
        [] => false,
        [only] if only == "--json" => true,
        [first, ..] => return wrong_usage(&format!("The argument {first:?} is not known")),
    };
    let mut options = config::load(&Sources::of_machine(Path::new("/"), Vec::new()))
        .map_or_else(|_| Options::default(), |loaded| loaded.options);
    // Whoever looks at a machine by hand does not want to wait for its disks.
    options.disk_wait_attempts = 0;
    let inventory = Managers::discover(Live::new(options), &SilentContext)
        .and_then(|managers| managers.inventory());
    match inventory {
        Ok(inventory) if json => match serde_json::to_string_pretty(&*inventory) {
            Ok(text) => say(&format!("{text}\n")),
            Err(error) => failed(&error.to_string()),
        },
        Ok(inventory) => say(&page::for_person(&inventory)),
        Err(error) => failed(&error.chain()),
    }
}

fn failed(why: &str) -> ExitCode {
    eprintln!("farrier: The inventory could not be read: {why}");
    ExitCode::FAILURE
}
