//! `farrier inventory`: what this machine is, for a person or for a program.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use farrier_plugin::{Inventory, SilentContext};

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
        Ok(inventory) => say(&for_person(&inventory)),
        Err(error) => failed(&error.chain()),
    }
}

fn failed(why: &str) -> ExitCode {
    eprintln!("farrier: The inventory could not be read: {why}");
    ExitCode::FAILURE
}

fn for_person(inventory: &Inventory) -> String {
    let vendor = &inventory.system_vendor;
    let firmware = &vendor.firmware;
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "system    {} {}, serial {}",
        known(&vendor.manufacturer),
        known(&vendor.product_name),
        known(&vendor.serial_number)
    );
    let _ = writeln!(
        text,
        "firmware  {} {} of {}, booted by {}",
        known(&firmware.vendor),
        known(&firmware.version),
        known(&firmware.build_date),
        inventory.boot.current_boot_mode
    );
    let _ = writeln!(
        text,
        "cpu       {} x {} ({})",
        inventory.cpu.count,
        inventory.cpu.model_name.as_deref().unwrap_or("unknown"),
        inventory.cpu.architecture
    );
    let _ = writeln!(
        text,
        "memory    {}",
        inventory
            .memory
            .physical_mb
            .map_or_else(|| "unknown".to_owned(), |size| format!("{size} MiB"))
    );
    let _ = writeln!(
        text,
        "bmc       {}",
        inventory
            .bmc_address
            .as_deref()
            .or(inventory.bmc_v6address.as_deref())
            .unwrap_or("none")
    );
    for disk in &inventory.disks {
        let _ = writeln!(
            text,
            "disk      {} {:.1} GB {} {}, serial {}",
            disk.name,
            disk.size as f64 / 1e9,
            if disk.rotational { "rotating" } else { "solid" },
            disk.model.as_deref().unwrap_or("unknown model"),
            disk.serial.as_deref().unwrap_or("unknown")
        );
    }
    for interface in &inventory.interfaces {
        let _ = writeln!(
            text,
            "network   {} {} {} {}",
            interface.name,
            interface.mac_address.as_deref().unwrap_or("no MAC"),
            interface
                .ipv4_address
                .as_deref()
                .or(interface.ipv6_address.as_deref())
                .unwrap_or("no address"),
            if interface.has_carrier {
                "link up"
            } else {
                "no link"
            }
        );
    }
    text
}

fn known(text: &str) -> &str {
    if text.is_empty() { "unknown" } else { text }
}
