//! The example manager as an executable, for where a shared library is not wanted.

use std::process::ExitCode;

use farrier_example_manager::{ExampleHardwareManager, METHODS};
use farrier_plugin::protocol::Capabilities;
use farrier_plugin::serve;

fn main() -> ExitCode {
    serve(ExampleHardwareManager, METHODS, Capabilities::default())
}
