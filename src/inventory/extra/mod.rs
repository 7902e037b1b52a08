//! Facts for the collector `extra-hardware`.
//!
//! The reference runs `hardware-detect` of the Python package `hardware`, which runs some thirty
//! programs and prints a list of facts, `[category, item, name, value]`. Here are those of them
//! that the kernel and the firmware tell in files, by the same names; `docs/inspection.md` lists
//! the others with the reason. What is compared was seen with `hardware` 0.33.

mod disks;
mod memory_banks;
mod network;
mod processors;
mod system;

use serde::Serialize;
use serde_json::Value;
use tracing::warn;

use crate::inventory::{InventoryError, Smbios};
use crate::sys::kernel_parameters;
use crate::sys::root::Root;

/// A fact: category, item, name and value, a text or a number.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fact(&'static str, String, String, Value);

/// Facts of one item.
struct Facts<'l> {
    list: &'l mut Vec<Fact>,
    category: &'static str,
    item: String,
}

/// All facts, grouped as the reference's are.
///
/// # Errors
///
/// The network interfaces cannot be listed.
pub fn extra_hardware(root: &Root) -> Result<Vec<Fact>, InventoryError> {
    let parameters = kernel_parameters::all(root);
    if let Some(benchmarks) = parameters.value("ipa-inspection-benchmarks") {
        warn!(
            benchmarks,
            "extra-hardware reports what the machine is; it runs no benchmarks, which are programs \
             of their own"
        );
    }
    let smbios = Smbios::read(root).unwrap_or_else(|| Smbios::new(&[], Vec::new()));
    let mut list = Vec::new();
    disks::add(root, &mut list);
    system::add_machine(&smbios, &mut list);
    memory_banks::add_total(root, &smbios, &mut list);
    memory_banks::add_banks(&smbios, &mut list);
    network::add(root, &mut list)?;
    processors::add(root, &smbios, &mut list);
    system::add_kernel(root, &mut list);
    Ok(list)
}

/// The facts that the firmware's table alone tells.
#[cfg(any(test, fuzzing))]
pub(super) fn firmware_facts(smbios: &Smbios) -> Vec<Fact> {
    let mut list = Vec::new();
    system::add_machine(smbios, &mut list);
    memory_banks::add_banks(smbios, &mut list);
    list
}

impl<'l> Facts<'l> {
    fn of(list: &'l mut Vec<Fact>, category: &'static str, item: impl Into<String>) -> Self {
        Self {
            list,
            category,
            item: item.into(),
        }
    }

    /// Add a fact; nothing where the value is unknown.
    fn add(&mut self, name: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.list.push(Fact(
                self.category,
                self.item.clone(),
                name.to_owned(),
                value.into(),
            ));
        }
    }
}

#[cfg(test)]
mod tests;
