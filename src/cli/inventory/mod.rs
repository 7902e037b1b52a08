//! `farrier inventory`: what this machine is, for a person or for a program.

mod page;
mod record;
#[cfg(test)]
mod snapshots;
#[cfg(test)]
mod speed;

use std::path::PathBuf;
use std::process::ExitCode;

use farrier_plugin::SilentContext;

use super::{complain, options_of_machine, say, say_json, wrong_usage};
use crate::config::{Live, Options};
use crate::hardware::Managers;
use crate::sys::root::Root;

/// What the command line asks for.
#[derive(Debug, Default)]
struct Arguments {
    /// As the conductor gets it.
    json: bool,
    /// Wait for what switches announce.
    lldp: bool,
    /// Only what the agent itself knows: for a plugin that asks in the middle of a call.
    without_plugins: bool,
    /// Save what the inventory is made of.
    record: Option<PathBuf>,
    /// Without what names this one machine.
    mask: bool,
    /// Show a recorded machine instead of this one.
    replay: Option<PathBuf>,
}

/// Show the inventory, of this machine or of a recorded one, or record what it is made of.
pub(super) fn main(arguments: &[String]) -> ExitCode {
    let arguments = match Arguments::parse(arguments) {
        Ok(arguments) => arguments,
        Err(message) => return wrong_usage(&message),
    };
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
    let inventory = managers(&root, &arguments).and_then(|managers| managers.inventory());
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

impl Arguments {
    fn parse(words: &[String]) -> Result<Self, String> {
        let mut arguments = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut directory = || {
                words
                    .next()
                    .map(PathBuf::from)
                    .ok_or_else(|| format!("{word} needs a directory"))
            };
            match word.as_str() {
                "--lldp" => arguments.lldp = true,
                "--without-plugins" => arguments.without_plugins = true,
                "--json" => arguments.json = true,
                "--mask" => arguments.mask = true,
                "--record" => arguments.record = Some(directory()?),
                "--replay" => arguments.replay = Some(directory()?),
                _ => return Err(format!("The argument {word:?} is not known")),
            }
        }
        if arguments.mask && arguments.record.is_none() {
            return Err("--mask goes with --record".to_owned());
        }
        Ok(arguments)
    }
}

fn failed(what: &str, why: &str) -> ExitCode {
    complain(&format!("The inventory could not be {what}: {why}"));
    ExitCode::FAILURE
}
