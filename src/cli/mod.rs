//! The command line: which sub-command, which flags, and the call into the library. Help, manual
//! (docs/man) and completions (docs/completions) are made of what stands here beside each flag.

mod erase;
mod inspect;
mod inventory;
mod machine;
mod plugins;
mod progress_line;
mod run;
mod status;
mod step_table;
mod steps;
mod terminal;
mod write;

use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::agent;
use crate::config::Flags;
use crate::deploy;
use crate::init;
use crate::sys::core_dumps;

/// The agent that a data centre boots into RAM on every bare-metal server.
///
/// Without a sub-command it is the agent, as with `run`. Each sub-command lists its own flags, as in
/// `farrier inventory --help`.
#[derive(Parser)]
#[command(
    name = "farrier",
    bin_name = "farrier",
    version = format!("{} ({} on the wire)", env!("FARRIER_VERSION"), agent::VERSION),
    args_conflicts_with_subcommands = true,
    args_override_self = true
)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Subcommand)]
enum Command {
    /// Be the agent: what the ramdisk does.
    Run(Flags),
    Erase(erase::Arguments),
    Inspect(inspect::Arguments),
    Inventory(inventory::Arguments),
    Plugins(plugins::Arguments),
    Status(status::Arguments),
    Steps(steps::Arguments),
    Write(write::Arguments),
    /// Be PID 1 of the ramdisk.
    Init,
}

/// Run the sub-command that the arguments name. `farrier` alone is `farrier run`.
pub fn main() -> ExitCode {
    core_dumps::forbid();
    let program = std::env::args_os().next().unwrap_or_default();
    let name = Path::new(&program).file_name().and_then(OsStr::to_str);
    if let Some(main) = name.and_then(|name| init::by_name(name).or_else(|| deploy::by_name(name)))
    {
        return main();
    }
    // The library's own words about a panic are not masked.
    std::panic::set_hook(Box::new(|panic| {
        terminal::complain(&format!("a defect of farrier: {panic}"));
    }));
    let line = match CommandLine::try_parse() {
        Ok(line) => line,
        Err(answer) => return terminal::answer(&answer),
    };
    match line.command.unwrap_or(Command::Run(line.flags)) {
        Command::Run(flags) => run::main(flags),
        Command::Erase(arguments) => erase::main(arguments),
        Command::Inspect(arguments) => inspect::main(arguments),
        Command::Inventory(arguments) => inventory::main(&arguments),
        Command::Plugins(arguments) => plugins::main(arguments),
        Command::Status(arguments) => status::main(&arguments),
        Command::Steps(arguments) => steps::main(&arguments),
        Command::Write(arguments) => write::main(&arguments),
        Command::Init => init::main(),
    }
}

/// The command line as clap knows it, for what is made of it.
pub fn command_line() -> clap::Command {
    CommandLine::command()
}
