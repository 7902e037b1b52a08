//! What an inspection collects (contract/control-plane 9.2, 9.3).

use std::io;
use std::panic::{self, AssertUnwindSafe};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use farrier_plugin::{ErrorKind, LldpData, ManagerError, chain};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tracing::{info, warn};

use crate::config::Options;
use crate::hardware::Managers;
use crate::inventory::Collector;
use crate::sys::log::mask;
use crate::sys::root::Root;

/// Where `inspection_collectors` is not set or empty.
const DEFAULT: &str = "default,logs";

/// The most bytes of JSON that one collector may hand in. A server with thousands of devices comes
/// to one MiB and long logs to a few; a conductor keeps all of it in its memory and its database.
const LIMIT: usize = 16 << 20;

/// The data of an inspection, and what went wrong on the way.
#[derive(Debug, Default)]
pub(super) struct Collected {
    data: Map<String, Value>,
    failures: Vec<String>,
}

/// What one collector adds.
type Added = Map<String, Value>;

impl Collected {
    /// Run the collectors that the options name, in their order. One that fails is noted, and the
    /// next one runs. An unknown name ends it before any has run. Blocks.
    pub(super) fn gather(managers: &Managers, options: &Options, root: &Root) -> Self {
        let names = names(options);
        let mut collected = Self::default();
        let unknown: Vec<_> = names.iter().filter(|name| !is_known(name)).collect();
        if !unknown.is_empty() {
            collected
                .failures
                .push(format!("Failed to load collector {unknown:?}"));
            return collected;
        }
        for name in &names {
            info!(collector = name, "collecting");
            let mut added = Added::new();
            // A panic would end the inspection with nothing handed in, and a node of which the
            // conductor never hears again: one wrong line in the reading of one device must not
            // cost all other data. What a collector touches is its own, so that nothing is left
            // half done.
            let run = AssertUnwindSafe(|| collect(name, managers, &names, root, &mut added));
            let result = panic::catch_unwind(run)
                .unwrap_or_else(|_| Err("it panicked; the log says where".to_owned()));
            let result = result.and_then(|()| check_size(&mut added));
            if let Err(reason) = result {
                warn!(collector = name, reason, "a collector failed");
                collected
                    .failures
                    .push(format!("collector {name} failed: {reason}"));
            }
            collected.data.append(&mut added);
        }
        collected
    }

    /// The failures as one text, `None` where there are none.
    pub(super) fn error(&self) -> Option<String> {
        if self.failures.is_empty() {
            return None;
        }
        // The conductor keeps it and shows it to everybody.
        Some(mask(&format!(
            "The following errors were encountered:\n* {}",
            self.failures.join("\n* ")
        )))
    }

    /// What switches have announced, where that was collected.
    pub(super) fn switches(&self) -> LldpData {
        let heard = self.data.get("lldp_raw");
        heard
            .and_then(|heard| LldpData::deserialize(heard).ok())
            .unwrap_or_default()
    }

    /// The body to hand in.
    pub(super) fn into_body(mut self) -> Vec<u8> {
        let error = self.error();
        self.data.insert("error".to_owned(), json!(error));
        // Maps with string keys and JSON values always serialise.
        serde_json::to_vec(&self.data).unwrap_or_default()
    }
}

/// The names in `inspection_collectors`, in their order.
fn names(options: &Options) -> Vec<String> {
    options
        .inspection_collectors
        .as_deref()
        .filter(|names| !names.is_empty())
        .unwrap_or(DEFAULT)
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

fn is_known(name: &str) -> bool {
    matches!(name, "default" | "lldp" | "logs") || Collector::named(name).is_some()
}

/// Run one collector. What it has added before it fails stays.
fn collect(
    name: &str,
    managers: &Managers,
    names: &[String],
    root: &Root,
    added: &mut Added,
) -> Result<(), String> {
    match name {
        "default" => default_data(managers, names, added),
        "lldp" => lldp(managers, added),
        "usb-devices" => {
            let devices = managers.usb_devices().map_err(|error| error.chain())?;
            added.insert("usb_devices".to_owned(), json!(devices));
            Ok(())
        }
        "logs" => {
            logs(managers, added);
            Ok(())
        }
        name => {
            let Some(collector) = Collector::named(name) else {
                return Err("there is no such collector".to_owned());
            };
            let found = collector.collect(root).map_err(|error| chain(&error))?;
            if let Some(value) = found {
                added.insert(collector.key().to_owned(), value);
            }
            Ok(())
        }
    }
}

fn default_data(managers: &Managers, names: &[String], added: &mut Added) -> Result<(), String> {
    let inventory = managers.inventory().map_err(|error| error.chain())?;
    let boot_interface = inventory.boot.pxe_interface.clone();
    let inventory = serde_json::to_value(&*inventory).map_err(|error| error.to_string())?;
    let versions: Vec<_> = managers
        .versions()
        .into_iter()
        .map(|(name, version)| json!({"name": name, "version": version}))
        .collect();
    let configuration = json!({"collectors": names, "managers": versions});
    added.insert("inventory".to_owned(), inventory);
    added.insert("boot_interface".to_owned(), json!(boot_interface));
    added.insert("configuration".to_owned(), configuration);
    root_disk(managers, added)
}

/// Left out where no disk fits, which is no failure.
fn root_disk(managers: &Managers, added: &mut Added) -> Result<(), String> {
    match managers.os_install_device() {
        Ok(disk) => {
            let disk = serde_json::to_value(&disk).map_err(|error| error.to_string())?;
            added.insert("root_disk".to_owned(), disk);
            Ok(())
        }
        Err(error) if no_disk(&error) => {
            info!("no disk fits as root disk");
            Ok(())
        }
        Err(error) => Err(error.chain()),
    }
}

fn no_disk(error: &ManagerError) -> bool {
    error.kind() == ErrorKind::DeviceNotFound
}

fn lldp(managers: &Managers, added: &mut Added) -> Result<(), String> {
    let heard = managers
        .collect_lldp_data()
        .map_err(|error| error.chain())?;
    added.insert("lldp_raw".to_owned(), json!(heard));
    Ok(())
}

/// Never a failure: data without logs are better than none.
fn logs(managers: &Managers, added: &mut Added) {
    match managers.collect_logs() {
        Ok(archive) => {
            added.insert("logs".to_owned(), json!(STANDARD.encode(archive)));
        }
        Err(error) => warn!(error = error.chain(), "the logs could not be collected"),
    }
}

/// Take out what is larger than [`LIMIT`].
fn check_size(added: &mut Added) -> Result<(), String> {
    let mut large = Vec::new();
    added.retain(|key, value| {
        let size = json_size(value);
        if size > LIMIT {
            large.push(format!("{key} has {size} bytes, more than {LIMIT}"));
        }
        size <= LIMIT
    });
    if large.is_empty() {
        return Ok(());
    }
    Err(format!("left out as too large: {}", large.join(", ")))
}

fn json_size(value: &Value) -> usize {
    struct Counter(usize);

    impl io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let mut counter = Counter(0);
    // Neither the counter nor a JSON value can fail; what could would count as too large.
    match serde_json::to_writer(&mut counter, value) {
        Ok(()) => counter.0,
        Err(_) => usize::MAX,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use farrier_plugin::{Inventory, SilentContext};

    use super::*;
    use crate::config::Live;
    use crate::hardware::fake::FakeManager;
    use crate::sys::recording::Recording;

    fn named(text: Option<&str>) -> Vec<String> {
        names(&Options {
            inspection_collectors: text.map(str::to_owned),
            ..Options::default()
        })
    }

    #[test]
    fn collectors_run_in_the_order_of_the_option() {
        assert_eq!(named(None), ["default", "logs"]);
        assert_eq!(named(Some("")), ["default", "logs"]);
        assert_eq!(
            named(Some(" logs,, default ,pci-devices,logs")),
            ["logs", "default", "pci-devices", "logs"]
        );
        assert!(named(Some(" , ")).is_empty());
    }

    #[test]
    fn a_collector_that_panics_stops_no_other() {
        let options = Options {
            inspection_collectors: Some("default,usb-devices".to_owned()),
            ..Options::default()
        };
        // A machine whose disks are beyond its manager.
        let fragile = FakeManager::new("Fragile", 1)
            .knowing(Inventory::default)
            .choosing(|| panic!("a disk without a name"));
        let managers = Managers::from_managers(
            Live::new(options.clone()),
            vec![Arc::new(fragile)],
            &SilentContext,
        )
        .unwrap();
        let recording = Recording::unpack("/sys/");
        let collected = Collected::gather(&managers, &options, &recording.root());
        assert_eq!(
            collected.error().unwrap(),
            "The following errors were encountered:\n\
             * collector default failed: it panicked; the log says where"
        );
        let body: Value = serde_json::from_slice(&collected.into_body()).unwrap();
        assert!(body["inventory"].is_object(), "what was there before stays");
        assert_eq!(body["usb_devices"], json!([]));
    }

    #[test]
    fn what_is_too_large_is_left_out_and_named() {
        let mut added = Added::new();
        added.insert("small".to_owned(), json!("x".repeat(LIMIT - 2)));
        assert_eq!(check_size(&mut added), Ok(()));
        added.insert("large".to_owned(), json!("x".repeat(LIMIT - 1)));
        assert_eq!(
            check_size(&mut added).unwrap_err(),
            "left out as too large: large has 16777217 bytes, more than 16777216"
        );
        assert_eq!(added.keys().collect::<Vec<_>>(), ["small"]);
    }
}
