//! The command line: which sub-command, which flags, and the call into the library.

mod erase;
mod inventory;
mod plugins;
mod progress_line;
mod run;
mod write;

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use crate::agent;
use crate::config::{self, Loaded, Options, Sources};
use crate::init;
use crate::sys::root::Root;
use crate::sys::{core_dumps, kernel_parameters, log, printable};

/// The command line was wrong (EX_USAGE of sysexits.h).
const USAGE: u8 = 64;

/// What `--help` says before the agent's flags.
const HELP: &str = "\
The agent that a data centre boots into RAM on every bare-metal server.

usage: farrier [run] [FLAGS]        be the agent (what the ramdisk does)
       farrier erase --plan [--json] [--replay DIRECTORY] [DEVICE...]
                                    show how the disks of this machine, or of a recorded one,
                                    would be erased, and why; touches nothing
       farrier erase --destroy-data DEVICE... [--metadata] [--passes N] [--no-zeros] [--json]
                     [--wipe-special-filesystems] [--force]
                                    erase disks or files and prove it; --metadata: only what
                                    makes a disk look used; --passes: of random data (1);
                                    --no-zeros: no last pass of zeros; --force: disks of an
                                    installed system
       farrier inventory [--json] [--lldp] [--without-plugins] [--replay DIRECTORY]
                                    show what this machine is, or a recorded one; --lldp: wait
                                    for switches to say which port it is plugged into
       farrier inventory --record DIRECTORY [--mask] [--lldp] [--replay DIRECTORY]
                                    save what the inventory is read from, to be replayed
                                    elsewhere; --mask: without serial numbers, UUIDs, addresses
       farrier plugins [--json]     show the hardware managers of this machine and their steps
       farrier plugins test PATH    check a plugin against the protocol
       farrier write --url URL --device PATH (--checksum ALGORITHM:DIGEST|URL | --no-checksum)
                     [--format FORMAT] [--verify-device] [--json] [--force]
                                    write an image (URL or path; raw, iso, qcow2, or raw inside
                                    gzip, xz, zstd or bzip2) to a disk or a file; --verify-device
                                    reads all of it back; --force: a disk of an installed system
       farrier init                 be PID 1 of the ramdisk
       farrier --version
       farrier --help

The agent's flags beat the environment (FARRIER_<OPTION>), which beats configuration files
(/etc/ironic-python-agent.conf, /etc/farrier.conf, /etc/ironic-python-agent.d/*.conf), which beat
the kernel command line:
";

/// Run the sub-command that the arguments name. `farrier` alone is `farrier run`.
pub fn main() -> ExitCode {
    core_dumps::forbid();
    let mut arguments = std::env::args_os();
    let program = arguments.next().unwrap_or_default();
    let name = Path::new(&program).file_name().and_then(OsStr::to_str);
    if let Some(main) = name.and_then(init::by_name) {
        return main();
    }
    // The library's own words about a panic are not masked.
    std::panic::set_hook(Box::new(|panic| {
        complain(&format!("a defect of farrier: {panic}"));
    }));
    let mut arguments = match text_arguments(arguments) {
        Ok(arguments) => arguments,
        Err(argument) => return wrong_usage(&format!("The argument {argument:?} is no UTF-8")),
    };
    let first = arguments.first().cloned().unwrap_or_default();
    match first.as_str() {
        "--help" | "-h" | "help" => say(&format!("{HELP}{}", config::flags_help())),
        "--version" | "-V" => say(&format!(
            "farrier {} ({} on the wire)\n",
            env!("CARGO_PKG_VERSION"),
            agent::VERSION
        )),
        "init" => init::main(),
        "erase" => erase::main(&arguments[1..]),
        "inventory" => inventory::main(&arguments[1..]),
        "plugins" => plugins::main(&arguments[1..]),
        "write" => write::main(&arguments[1..]),
        "run" => {
            arguments.remove(0);
            run::main(arguments)
        }
        other if other.starts_with('-') || other.is_empty() => run::main(arguments),
        other => wrong_usage(&format!("The command {other:?} is not known")),
    }
}

/// The options of this machine as an agent on it has them, for a command that a person gives beside
/// it; the defaults where they cannot be read. Their secrets are masked from now on.
fn options_of_machine() -> Options {
    let parameters = kernel_parameters::all(&Root::system());
    let sources = Sources::of_machine(parameters, Path::new("/"), Vec::new());
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

/// A failure, for the person at the terminal.
fn complain(text: &str) {
    let text = log::mask(text);
    let _ = writeln!(std::io::stderr(), "farrier: {}", printable::line(&text));
}

fn text_arguments(arguments: impl Iterator<Item = OsString>) -> Result<Vec<String>, OsString> {
    arguments.map(OsString::into_string).collect()
}

/// Lines for a person. Foreign text that becomes a part of one goes through [`printable::line`] before.
fn say(text: &str) -> ExitCode {
    put(&printable::lines(text))
}

/// A JSON document, also shown in terminals.
fn say_json(document: &str) -> ExitCode {
    put(&printable::json(document))
}

fn put(text: &str) -> ExitCode {
    // A closed pipe is the reader's business.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn wrong_usage(message: &str) -> ExitCode {
    complain(&format!("{message}; `farrier --help` lists what there is"));
    ExitCode::from(USAGE)
}
