//! The inventory as a page to read: tables that fit a terminal of 100 columns, without colours.

mod table;
#[cfg(test)]
mod tests;

use farrier_plugin::{BlockDevice, Inventory, NetworkInterface};
use serde_json::Value;

use self::table::Table;
use crate::inventory::lldp::{self, Neighbour};
use crate::inventory::{Smbios, dmi, processor_names};
use crate::sys::printable::blanked;
use crate::sys::root::Root;

const BY_PATH: &str = "/dev/disk/by-path/";

/// The inventory as a page for a person. The root shows what the inventory leaves out, such as
/// memory modules; `lldp` says that switches were to be listened to.
pub(super) fn for_person(root: &Root, inventory: &Inventory, lldp: bool) -> String {
    let mut page = section("SYSTEM", &system(inventory));
    page.push_str(&section("PROCESSORS", &processors(root, inventory)));
    page.push_str(&section("MEMORY", &memory(root, inventory)));
    page.push_str(&section("DISKS", &disks(&inventory.disks)));
    page.push_str(&section("INTERFACES", &interfaces(&inventory.interfaces)));
    page.push_str(&section(
        "SWITCH PORTS",
        &switch_ports(&inventory.interfaces),
    ));
    let mut hints = hints(root, &inventory.interfaces);
    // A recording need not have any.
    if lldp && root.is_system() {
        hints.push_str(&not_listened_at(&inventory.interfaces));
    }
    page.push_str(&section("HINTS", &hints));
    page
}

/// Nothing where there is nothing below the title.
fn section(title: &str, lines: &str) -> String {
    if lines.is_empty() {
        return String::new();
    }
    format!("{title}\n{lines}\n")
}

/// Names and what they stand for, without those that are not known.
fn facts(facts: &[(&str, String)]) -> String {
    facts
        .iter()
        .map(|(name, value)| (name, blanked(value)))
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("  {name:<10}  {value}\n"))
        .collect()
}

fn words<'w>(words: impl IntoIterator<Item = &'w str>) -> String {
    joined(words, " ")
}

fn joined<'w>(words: impl IntoIterator<Item = &'w str>, separator: &str) -> String {
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    words.join(separator)
}

fn system(inventory: &Inventory) -> String {
    let vendor = &inventory.system_vendor;
    let firmware = &vendor.firmware;
    let boot = &inventory.boot;
    let mut made_by = words([firmware.vendor.as_str(), &firmware.version]);
    if !firmware.build_date.is_empty() {
        made_by = words([made_by.as_str(), "of", &firmware.build_date]);
    }
    let mut boot_mode = boot.current_boot_mode.clone();
    // The word is the wire's, which has no other for a machine without UEFI.
    if boot_mode == "bios" && inventory.cpu.architecture == "aarch64" {
        boot_mode.push_str(" (which on this machine means: not UEFI)");
    }
    if let Some(interface) = &boot.pxe_interface {
        boot_mode.push_str(&format!(", from the interface {interface}"));
    }
    let bmc_mac = inventory.bmc_mac.as_ref().map(|mac| format!("MAC {mac}"));
    let address = |address: &Option<String>, none: &str| {
        address
            .clone()
            .filter(|address| address != none)
            .unwrap_or_default()
    };
    facts(&[
        ("maker", vendor.manufacturer.clone()),
        ("product", vendor.product_name.clone()),
        ("serial", vendor.serial_number.clone()),
        ("firmware", made_by),
        ("boot mode", boot_mode),
        ("host name", inventory.hostname.clone()),
        (
            "BMC",
            joined(
                [
                    address(&inventory.bmc_address, "0.0.0.0").as_str(),
                    address(&inventory.bmc_v6address, "::/0").as_str(),
                    bmc_mac.as_deref().unwrap_or_default(),
                ],
                ", ",
            ),
        ),
    ])
}

fn processors(root: &Root, inventory: &Inventory) -> String {
    let cpu = &inventory.cpu;
    let model =
        processor_names(root, Smbios::read(root).as_ref()).or_else(|| cpu.model_name.clone());
    let sockets = cpu
        .socket_count
        .map(|sockets| counted(sockets.into(), "socket", "sockets"));
    let frequency = cpu.frequency.split('.').next().unwrap_or_default();
    facts(&[
        ("model", model.unwrap_or_default()),
        (
            "count",
            joined(
                [
                    counted(cpu.count.into(), "logical processor", "logical processors").as_str(),
                    sockets.as_deref().unwrap_or_default(),
                ],
                ", ",
            ),
        ),
        ("kind", cpu.architecture.clone()),
        (
            "frequency",
            if frequency.is_empty() {
                String::new()
            } else {
                format!("up to {frequency} MHz")
            },
        ),
    ])
}

fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn memory(root: &Root, inventory: &Inventory) -> String {
    let gib = |bytes: u64| match bytes >> 20 {
        mib @ ..1024 => format!("{mib} MiB"),
        mib => format!("{:.1} GiB", mib as f64 / 1024.0),
    };
    let memory = &inventory.memory;
    let slots = memory_slots(root);
    let size = |slot: &Value| said(slot, "Size");
    let (used, empty): (Vec<_>, Vec<_>) = slots.iter().partition(|slot| !size(slot).is_empty());
    let mut lines = facts(&[
        (
            "plugged in",
            memory
                .physical_mb
                .filter(|size| *size > 0)
                .map(|size| gib(size << 20))
                .unwrap_or_default(),
        ),
        ("usable", memory.total.map(gib).unwrap_or_default()),
        (
            "slots",
            if slots.is_empty() {
                String::new()
            } else {
                format!("{} used, {} empty", used.len(), empty.len())
            },
        ),
    ]);
    let mut table = Table::new(&["SLOT", "SIZE", "TYPE", "SPEED", "MAKER", "PART", "SERIAL"]);
    for slot in &used {
        let cells = [
            "Locator",
            "Size",
            "Type",
            "Speed",
            "Manufacturer",
            "Part Number",
            "Serial Number",
        ];
        table.row(cells.map(|key| said(slot, key)));
    }
    if !used.is_empty() {
        lines.push_str(&table.lines());
    }
    lines
}

/// What the firmware says of each place for a module of main memory, in dmidecode's words.
fn memory_slots(root: &Root) -> Vec<Value> {
    let Some(smbios) = Smbios::read(root) else {
        return Vec::new();
    };
    let others: Vec<String> = smbios
        .other_arrays()
        .iter()
        .map(|handle| format!("0x{handle:04X}"))
        .collect();
    let devices = dmi(&smbios)
        .get_mut("memory")
        .map(|memory| memory["devices"].take());
    let Some(Value::Array(mut devices)) = devices else {
        return Vec::new();
    };
    devices.retain(|device| {
        let array = device["Array Handle"].as_str().unwrap_or_default();
        !others.iter().any(|other| other == array)
    });
    devices
}

/// Empty for all the ways in which firmware says that it does not know.
fn said(slot: &Value, key: &str) -> String {
    const NOTHING: [&str; 7] = [
        "NO DIMM",
        "No Module Installed",
        "None",
        "Not Provided",
        "Not Specified",
        "Other",
        "Unknown",
    ];
    let text = slot[key].as_str().unwrap_or_default().trim();
    if NOTHING.contains(&text) || text.starts_with('<') {
        return String::new();
    }
    text.to_owned()
}

fn disks(disks: &[BlockDevice]) -> String {
    if disks.is_empty() {
        return "  none\n".to_owned();
    }
    let mut table = Table::new(&["NAME", "SIZE", "KIND", "SECTORS", "MODEL", "SERIAL", "PATH"]);
    for disk in disks {
        let path = disk.by_path.as_deref().unwrap_or_default();
        table.row([
            disk.name.clone(),
            decimal_size(disk.size),
            words([
                disk.tran.as_deref().unwrap_or_default(),
                if disk.rotational { "rotating" } else { "solid" },
            ]),
            format!("{}/{}", disk.logical_sectors, disk.physical_sectors),
            disk_model(disk),
            disk.serial.clone().unwrap_or_default(),
            path.strip_prefix(BY_PATH).unwrap_or(path).to_owned(),
        ]);
    }
    table.lines()
}

/// Vendor and model, where the vendor says more than how the disk is attached.
fn disk_model(disk: &BlockDevice) -> String {
    let vendor = disk.vendor.as_deref().unwrap_or_default().trim();
    let model = disk.model.as_deref().unwrap_or_default().trim();
    if vendor == "ATA" || model.starts_with(vendor) {
        return model.to_owned();
    }
    words([vendor, model])
}

/// As disks are sold: in powers of ten.
fn decimal_size(bytes: u64) -> String {
    let bytes = bytes as f64;
    let (divisor, unit) = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB")]
        .into_iter()
        .find(|(divisor, _)| bytes >= *divisor)
        .unwrap_or((1e3, "kB"));
    format!("{:.1} {unit}", bytes / divisor)
}

fn interfaces(interfaces: &[NetworkInterface]) -> String {
    if interfaces.is_empty() {
        return "  none\n".to_owned();
    }
    let mut table = Table::new(&["NAME", "MAC", "LINK", "SPEED", "DRIVER", "PCI", "ADDRESSES"]);
    for interface in interfaces {
        table.row([
            interface.name.clone(),
            interface.mac_address.clone().unwrap_or_default(),
            if interface.has_carrier { "up" } else { "down" }.to_owned(),
            interface.speed_mbps.map(link_speed).unwrap_or_default(),
            interface.driver.clone().unwrap_or_default(),
            interface.pci_address.clone().unwrap_or_default(),
            joined(
                [
                    interface.ipv4_address.as_deref().unwrap_or_default(),
                    interface.ipv6_address.as_deref().unwrap_or_default(),
                ],
                ", ",
            ),
        ]);
    }
    table.lines()
}

fn link_speed(mbps: u64) -> String {
    if mbps >= 1000 {
        // 2.5 Gbit/s exists.
        format!("{} Gbit/s", mbps as f64 / 1000.0)
    } else {
        format!("{mbps} Mbit/s")
    }
}

/// Empty where LLDP was not asked for, or nothing was heard.
fn switch_ports(interfaces: &[NetworkInterface]) -> String {
    let mut table = Table::new(&[
        "NAME",
        "SWITCH",
        "PORT",
        "VLAN",
        "LACP",
        "CHASSIS",
        "MANAGED AT",
        "DESCRIPTION",
    ]);
    let mut heard = false;
    for interface in interfaces {
        let Some(tlvs) = interface.lldp.as_deref().filter(|tlvs| !tlvs.is_empty()) else {
            continue;
        };
        heard = true;
        let neighbour = Neighbour::of_wire(tlvs);
        table.row([
            interface.name.clone(),
            neighbour.system_name.clone().unwrap_or_default(),
            neighbour.port_id.clone().unwrap_or_default(),
            port_vlans(&neighbour),
            if neighbour.is_aggregated { "yes" } else { "" }.to_owned(),
            neighbour.chassis_id.unwrap_or_default(),
            neighbour.management_address.unwrap_or_default(),
            neighbour.port_description.unwrap_or_default(),
        ]);
    }
    if heard { table.lines() } else { String::new() }
}

/// The untagged VLAN, and the tagged ones behind it: `100 +200,201`.
fn port_vlans(neighbour: &Neighbour) -> String {
    let untagged = neighbour.port_vlan;
    let mut ids: Vec<u16> = Vec::new();
    for (id, _) in &neighbour.vlans {
        if Some(*id) != untagged && !ids.contains(id) {
            ids.push(*id);
        }
    }
    let tagged: Vec<String> = ids.iter().map(u16::to_string).collect();
    let tagged = if tagged.is_empty() {
        String::new()
    } else {
        format!("+{}", tagged.join(","))
    };
    let untagged = untagged.map(|id| id.to_string()).unwrap_or_default();
    words([untagged.as_str(), &tagged])
}

/// What a person could do about what is missing.
fn hints(root: &Root, interfaces: &[NetworkInterface]) -> String {
    let silent: Vec<&NetworkInterface> = interfaces
        .iter()
        .filter(|interface| interface.lldp.as_ref().is_some_and(Vec::is_empty))
        // InfiniBand, which has a client id, has no LLDP.
        .filter(|interface| interface.client_id.is_none())
        .collect();
    let known = lldp::hints(root, silent.iter().copied());
    let others: Vec<&str> = silent
        .iter()
        .filter(|interface| interface.has_carrier && interface.pci_address.is_some())
        .map(|interface| interface.name.as_str())
        .filter(|name| {
            !known
                .iter()
                .any(|hint| hint.starts_with(&format!("{name} ")))
        })
        .collect();
    let mut lines: String = known
        .iter()
        .map(|hint| format!("  {}\n", blanked(hint)))
        .collect();
    if !others.is_empty() {
        lines.push_str(&format!(
            "  no LLDP heard on {}: does the switch send it, and more often than it was listened \
             to?\n",
            blanked(&others.join(", "))
        ));
    }
    lines
}

fn not_listened_at(interfaces: &[NetworkInterface]) -> String {
    let deaf: Vec<&str> = interfaces
        .iter()
        .filter(|interface| interface.lldp.is_none())
        .map(|interface| interface.name.as_str())
        .collect();
    if deaf.is_empty() {
        return String::new();
    }
    format!(
        "  LLDP could not be listened for on {}: that needs root (CAP_NET_RAW)\n",
        blanked(&deaf.join(", "))
    )
}
