//! The command line: which sub-command, which flags, and the call into the library.

use std::path::Path;
use std::process::ExitCode;

use crate::init;

/// Run the sub-command that the arguments name.
pub fn main() -> ExitCode {
    let mut arguments = std::env::args();
    let program = arguments.next().unwrap_or_default();
    let name = Path::new(&program)
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    if let Some(main) = init::by_name(name) {
        return main();
    }
    match arguments.next().as_deref() {
        Some("init") => init::main(),
        _ => ExitCode::SUCCESS,
    }
}
