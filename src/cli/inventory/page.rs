//! The inventory as a page to read.

use std::fmt::Write as _;

use farrier_plugin::Inventory;

/// The inventory as a page for a person.
pub(super) fn for_person(inventory: &Inventory) -> String {
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
