//! `farrier inventory`: what this machine is, for a person or for a program.

mod page;
mod record;
#[cfg(test)]
mod snapshots;
#[cfg(test)]
mod speed;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use farrier_plugin::SilentContext;

use super::machine::options_of_machine;
use super::terminal::{complain, say, say_json};
use crate::config::{Live, Options};
use crate::hardware::Managers;
use crate::sys::root::Root;

/// Show what this machine is, or a recorded one, or record it.
#[derive(Debug, Default, Parser)]
pub(super) struct Arguments {
    /// Answer with JSON, as the conductor gets it.
    #[arg(long)]
    json: bool,
    /// Wait for switches to say which port the machine is plugged into.
    #[arg(long)]
    lldp: bool,
    /// Show only what the agent itself knows: for a plugin that asks in the middle of a call.
    #[arg(long)]
    without_plugins: bool,
    /// Save what the inventory is read from, to be replayed elsewhere.
    #[arg(long, value_name = "DIRECTORY")]
    record: Option<PathBuf>,
    /// Record without what names this one machine: serial numbers, UUIDs, addresses.
    #[arg(long, requires = "record")]
    mask: bool,
    /// Show the machine that was recorded there instead of this one.
    #[arg(long, value_name = "DIRECTORY")]
    replay: Option<PathBuf>,
}

/// Show the inventory, of this machine or of a recorded one, or record what it is made of.
pub(super) fn main(arguments: &Arguments) -> ExitCode {
    let root = arguments
        .replay
        .as_ref()
        .map_or_else(Root::system, Root::at);
    if let Some(directory) = &arguments.record {
        return match record::record(&root, directory, arguments.mask, arguments.lldp) {
            Ok(told) => say(&told),
            Err(why) => failed("recorded", &why),
        };
    }
    let inventory = managers(&root, arguments).and_then(|managers| managers.inventory());
    match inventory {
        Ok(inventory) if arguments.json => match serde_json::to_string_pretty(&*inventory) {
            Ok(text) => say_json(&format!("{text}\n")),
            Err(error) => failed("read", &error.to_string()),
        },
        Ok(inventory) => say(&page::for_person(&root, &inventory, arguments.lldp)),
        Err(error) => failed("read", &error.chain()),
    }
}

/// The managers of the machine that this root shows. Nothing is changed there.
fn managers(root: &Root, arguments: &Arguments) -> Result<Managers, farrier_plugin::ManagerError> {
    let mut options = if root.is_system() {
        options_of_machine()
    } else {
        Options::default()
    };
    // Whoever looks at a machine by hand does not want to wait for its disks.
    options.disk_wait_attempts = 0;
    options.collect_lldp = arguments.lldp;
    options.enable_vlan_interfaces.clear();
    if arguments.without_plugins {
        options.hardware_manager_directories.clear();
        // The agent at work has assembled the arrays already.
        Managers::discover_at(Live::new(options), root.clone(), false, &SilentContext)
    } else if root.is_system() {
        Managers::discover(Live::new(options), &SilentContext)
    } else {
        Managers::discover_at(Live::new(options), root.clone(), false, &SilentContext)
    }
}

fn failed(what: &str, why: &str) -> ExitCode {
    complain(&format!("The inventory could not be {what}: {why}"));
    ExitCode::FAILURE
}
