//! The command line: which sub-command, which flags, and the call into the library.

use std::process::ExitCode;

/// Run the sub-command that the arguments name.
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
