//! The `farrier` executable: parse the command line and call the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    farrier::main()
}
