//! `farrier inventory --record`: what the inventory is made of, saved so that it can be replayed.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use farrier_plugin::{Inventory, SilentContext};
use serde_json::{Value, json};

use crate::block::list;
use crate::config::{Live, Options};
use crate::erase;
use crate::hardware::Managers;
use crate::inventory::Collector;
use crate::inventory::mask::masked;
use crate::sys::kernel_parameters::COMMAND_LINE;
use crate::sys::log::mask_bytes;
use crate::sys::root::Root;
use crate::sys::run_files;
use crate::sys::witness::{Entry, Seen, Witness, make_empty};

/// The inventory of the recording, as a replay shows it.
const INVENTORY_FILE: &str = "inventory.json";

/// Read the machine of this root into a directory, which is new or empty, and say what was done.
///
/// Secrets among the kernel's parameters are masked in any case: nothing of the inventory needs them.
///
/// A recording is a tree of the files that were read (`sys`, `proc`, `run`, `dev`), the kernel's
/// answers under `recorded`, and `inventory.json`: the inventory that a replay shows. Without a
/// mask that is the machine's own, which is compared, so that a recording that cannot stand for its
/// machine is never handed on.
pub(super) fn record(
    root: &Root,
    directory: &Path,
    mask: bool,
    lldp: bool,
) -> Result<String, String> {
    let place = directory.display();
    make_empty(directory).map_err(|error| {
        format!("The directory {place} must be new or empty, and writable: {error}")
    })?;
    let (seen, live, _) = read(root, lldp)?;
    let seen = if mask {
        masked(seen)
    } else {
        without_secrets(seen)
    };
    seen.write(directory)
        .map_err(|error| format!("Cannot write to {place}: {error}"))?;
    let (_, replayed, inventory) = read(&Root::at(directory), lldp)?;
    if !mask && replayed != live {
        return Err(format!(
            "The recording in {place} does not give what the machine gave, first at {}; did the \
             machine change while it was read?",
            first_difference(&live, &replayed)
        ));
    }
    let text = serde_json::to_string_pretty(&*inventory).map_err(|error| error.to_string())?;
    fs::write(directory.join(INVENTORY_FILE), text + "\n")
        .map_err(|error| format!("Cannot write {INVENTORY_FILE} to {place}: {error}"))?;
    Ok(format!(
        "recorded {} files, links and directories and the answers of {} kernel interfaces in \
         {place}\n",
        seen.entries.len(),
        seen.answers.len(),
    ))
}

/// The recording without the token and its like on the kernel's command line.
fn without_secrets(mut seen: Seen) -> Seen {
    for path in [COMMAND_LINE, run_files::PARAMETERS] {
        if let Some(Entry::File(content)) = seen.entries.get_mut(Path::new(path)) {
            *content = mask_bytes(content);
        }
    }
    seen
}

/// Where two facts differ: `/inventory/interfaces/0/has_carrier (true, false)`.
fn first_difference(one: &Value, other: &Value) -> String {
    let inner = match (one, other) {
        (Value::Object(one), Value::Object(other)) => one
            .iter()
            .find(|(name, value)| other.get(*name) != Some(value))
            .and_then(|(name, value)| Some((name.clone(), value, other.get(name)?))),
        (Value::Array(one), Value::Array(other)) => (0..)
            .zip(one.iter().zip(other))
            .find(|(_, (one, other))| one != other)
            .map(|(index, (one, other))| (index.to_string(), one, other)),
        _ => None,
    };
    match inner {
        Some((name, one, other)) => format!("/{name}{}", first_difference(one, other)),
        None => format!(" ({one}, {other})"),
    }
}

/// Everything that is ever asked of a machine, in its wire form, and what was read for it.
fn read(root: &Root, lldp: bool) -> Result<(Seen, Value, Arc<Inventory>), String> {
    let witness = Arc::<Witness>::default();
    let root = root.witnessed(Arc::clone(&witness));
    let options = Options {
        disk_wait_attempts: 0,
        collect_lldp: lldp,
        ..Options::default()
    };
    // Only the generic manager: what a plugin reads cannot be recorded.
    let managers = Managers::discover_at(Live::new(options), root.clone(), false, &SilentContext)
        .map_err(|error| error.chain())?;
    let inventory = managers.inventory().map_err(|error| error.chain())?;
    // Partitions are not in the inventory, but hints and skip lists match them.
    let devices = list::all_devices(&root).map_err(|error| error.to_string())?;
    // So that `farrier erase --plan` can be replayed.
    for device in &devices {
        erase::read_capabilities(&root, &device.device.name);
    }
    let mut facts = json!({ "inventory": &*inventory });
    // Inspections read more. A collector that finds nothing here finds nothing in the replay.
    for collector in Collector::ALL {
        facts[collector.key()] = json!(collector.collect(&root).ok().flatten());
    }
    Ok((witness.seen(), facts, inventory))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::inventory::mask::planted::{Planted, everything};
    use crate::sys::recording::{Recording, machines, scratch};

    #[test]
    fn no_recording_has_a_secret_of_the_parameters() {
        for mask in [false, true] {
            let recording = Recording::unpack(
                "/proc/cmdline = boot_method=vmedia ipa-agent-token=planted-Wk1 quiet\n\
                 /run/farrier/parameters.txt = ipa-erase-record-url=http://h/?a=1&b=planted-Wk2 \
                 BOOTIF=01-52-54-00-00-00-01\n\
                 /sys/block/\n/sys/class/net/\n/sys/devices/system/node/\n/proc/meminfo = \n",
            );
            let directory = scratch();
            record(&recording.root(), directory.path(), mask, false).unwrap();
            let read = |path: &str| fs::read_to_string(directory.path().join(path)).unwrap();
            let parameters = read("proc/cmdline") + &read("run/farrier/parameters.txt");
            assert!(!parameters.contains("planted"), "{parameters}");
            let inventory: Value = serde_json::from_str(&read(INVENTORY_FILE)).unwrap();
            assert_eq!(
                inventory["boot"]["pxe_interface"], "01-52-54-00-00-00-01",
                "{inventory}"
            );
        }
    }

    #[test]
    fn no_recording_with_a_mask_has_anything_that_was_planted() {
        let planted = Planted::machine();
        let [plain, masked] = [false, true].map(|mask| {
            let directory = scratch();
            record(&planted.recording.root(), directory.path(), mask, true).unwrap();
            directory
        });
        let there = planted.secrets.left_in(&everything(plain.path()));
        assert!(there.len() > 400, "{}: {there:#?}", there.len());
        let left = planted.secrets.left_in(&everything(masked.path()));
        assert!(left.is_empty(), "{left:#?}");

        // It is still the same kind of machine.
        let [plain, masked] = [plain, masked].map(|directory| {
            let root = Root::at(directory.path());
            let (_, _, inventory) = read(&root, true).unwrap();
            (list::all_devices(&root).unwrap(), inventory)
        });
        let knames = |devices: &[list::ListedDevice]| -> Vec<(String, String, usize, usize)> {
            let of = |d: &list::ListedDevice| {
                let (serials, wwns) = (&d.device.all_serials, &d.device.all_wwns);
                (d.kname.clone(), d.kind.clone(), serials.len(), wwns.len())
            };
            devices.iter().map(of).collect()
        };
        assert_eq!(knames(&plain.0), knames(&masked.0));
        let macs = |inventory: &Inventory| -> BTreeSet<String> {
            let macs = inventory.interfaces.iter();
            macs.filter_map(|i| i.mac_address.clone()).collect()
        };
        assert_eq!(macs(&plain.1).len(), 3);
        assert_eq!(macs(&masked.1).len(), 3, "each has its own mask");
    }

    #[test]
    fn a_recording_of_any_machine_replays_the_same() {
        for machine in machines() {
            let recording = Recording::of(&machine);
            let root = recording.root();
            let directory = scratch();
            record(&root, directory.path(), false, true).unwrap();
            let replayed = Root::at(directory.path());
            assert_eq!(
                list::all_devices(&replayed).unwrap(),
                list::all_devices(&root).unwrap(),
                "{machine}"
            );
            let (again, facts, _) = read(&replayed, true).unwrap();
            let (seen, live, _) = read(&root, true).unwrap();
            assert_eq!(facts, live, "{machine}");
            assert_eq!(again, seen, "{machine}");
        }
    }

    #[test]
    fn this_machine_can_be_recorded() {
        let directory = scratch();
        record(&Root::system(), directory.path(), false, false).unwrap();
        assert!(directory.path().join("proc/cpuinfo").is_file());
        assert!(directory.path().join("recorded/ethtool.json").is_file());
    }

    #[test]
    fn a_difference_is_named() {
        assert_eq!(
            first_difference(
                &json!({"a": 1, "b": [{"c": 1}, {"c": true}]}),
                &json!({"a": 1, "b": [{"c": 1}, {"c": false}]})
            ),
            "/b/1/c (true, false)"
        );
    }

    #[test]
    fn nothing_is_overwritten() {
        let directory = scratch();
        fs::write(directory.path().join("mine"), "").unwrap();
        let error = record(&Root::system(), directory.path(), false, false).unwrap_err();
        assert!(error.contains("must be new or empty"), "{error}");
    }
}
