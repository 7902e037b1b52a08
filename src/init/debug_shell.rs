//! A root shell on a terminal, for a look at a machine that does not come up.

use std::path::Path;

use super::console::{self, Console};
use super::supervisor::{Output, Rule, Supervisor};
use crate::config::KernelParameters;
use crate::sys::service::Service;

/// The debug shell, where a parameter asks for it and there is none yet. Returns whether it was added.
pub(super) fn add(
    console: &Console,
    supervisor: &mut Supervisor,
    parameters: &KernelParameters,
) -> bool {
    let Some(terminal) = parameters.value_or_word("farrier.shell") else {
        return false;
    };
    if supervisor.has("shell") {
        return false;
    }
    let terminal = if terminal.is_empty() {
        "console"
    } else {
        terminal
    };
    let terminal = terminal_device(terminal);
    // It would draw over what somebody types.
    console.leave(&terminal);
    supervisor.add(
        "shell",
        // setsid -c makes the terminal the controlling one, for job control and Ctrl-C.
        Service::new("/usr/bin/busybox")
            .args(["setsid", "-c", "/usr/bin/busybox", "sh", "-l"])
            .on_terminal(Path::new("/dev").join(terminal)),
        Rule::Always,
        Output::Consoles,
    );
    true
}

/// `/dev/console` cannot be a controlling terminal; the device behind it can.
fn terminal_device(name: &str) -> String {
    if name != "console" {
        return name.to_owned();
    }
    console::active()
        .split_whitespace()
        .last()
        .unwrap_or("console")
        .to_owned()
}
