//! What an inspection collects (contract/control-plane 9.2, 9.3).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use farrier_plugin::{ErrorKind, ManagerError};
use serde_json::{Map, Value, json};
use tracing::{info, warn};

use crate::config::Options;
use crate::hardware::Managers;

/// Where `inspection_collectors` is not set.
const DEFAULT: &str = "default,logs";

/// Collectors of the reference that are not offered yet.
const NOT_YET: [&str; 5] = [
    "dmi-decode",
    "extra-hardware",
    "numa-topology",
    "pci-devices",
    "usb-devices",
];

/// The data of an inspection, and what went wrong on the way.
#[derive(Debug, Default)]
pub(super) struct Collected {
    data: Map<String, Value>,
    failures: Vec<String>,
}

impl Collected {
    /// Run the collectors that the options name, in their order. One that fails is noted, and the
    /// next one runs. An unknown name ends it before any has run. Blocks.
    pub(super) fn gather(managers: &Managers, options: &Options) -> Self {
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
            let result = match name.as_str() {
                "default" => collected.default_data(managers, &names),
                "lldp" => collected.lldp(managers),
                "logs" => {
                    collected.logs(managers);
                    Ok(())
                }
                _ => Err("farrier does not offer this collector yet".to_owned()),
            };
            if let Err(reason) = result {
                warn!(collector = name, reason, "a collector failed");
                collected
                    .failures
                    .push(format!("collector {name} failed: {reason}"));
            }
        }
        collected
    }

    /// The failures as one text, `None` where there are none.
    pub(super) fn error(&self) -> Option<String> {
        if self.failures.is_empty() {
            return None;
        }
        Some(format!(
            "The following errors were encountered:\n* {}",
            self.failures.join("\n* ")
        ))
    }

    /// The body to hand in.
    pub(super) fn into_body(mut self) -> Vec<u8> {
        let error = self.error();
        self.data.insert("error".to_owned(), json!(error));
        // Maps with string keys and JSON values always serialise.
        serde_json::to_vec(&self.data).unwrap_or_default()
    }

    fn default_data(&mut self, managers: &Managers, names: &[String]) -> Result<(), String> {
        let inventory = managers.inventory().map_err(|error| error.chain())?;
        let boot_interface = inventory.boot.pxe_interface.clone();
        let inventory = serde_json::to_value(&*inventory).map_err(|error| error.to_string())?;
        self.data.insert("inventory".to_owned(), inventory);
        self.data
            .insert("boot_interface".to_owned(), json!(boot_interface));
        let versions: Vec<_> = managers
            .versions()
            .into_iter()
            .map(|(name, version)| json!({"name": name, "version": version}))
            .collect();
        self.data.insert(
            "configuration".to_owned(),
            json!({"collectors": names, "managers": versions}),
        );
        self.root_disk(managers)
    }

    /// Left out where no disk fits, which is no failure.
    fn root_disk(&mut self, managers: &Managers) -> Result<(), String> {
        match managers.os_install_device() {
            Ok(disk) => {
                let disk = serde_json::to_value(&disk).map_err(|error| error.to_string())?;
                self.data.insert("root_disk".to_owned(), disk);
                Ok(())
            }
            Err(error) if no_disk(&error) => {
                info!("no disk fits as root disk");
                Ok(())
            }
            Err(error) => Err(error.chain()),
        }
    }

    fn lldp(&mut self, managers: &Managers) -> Result<(), String> {
        let heard = managers
            .collect_lldp_data()
            .map_err(|error| error.chain())?;
        self.data.insert("lldp_raw".to_owned(), json!(heard));
        Ok(())
    }

    /// Never a failure: data without logs are better than none.
    fn logs(&mut self, managers: &Managers) {
        match managers.collect_logs() {
            Ok(archive) => {
                self.data
                    .insert("logs".to_owned(), json!(STANDARD.encode(archive)));
            }
            Err(error) => warn!(error = error.chain(), "the logs could not be collected"),
        }
    }
}

fn no_disk(error: &ManagerError) -> bool {
    error.kind() == ErrorKind::DeviceNotFound
}

fn names(options: &Options) -> Vec<String> {
    options
        .inspection_collectors
        .as_deref()
        .unwrap_or(DEFAULT)
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

fn is_known(name: &str) -> bool {
    matches!(name, "default" | "lldp" | "logs") || NOT_YET.contains(&name)
}
