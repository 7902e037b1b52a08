//! Facts for the collector `extra-hardware`.
//!
//! The reference runs `hardware-detect` of the Python package `hardware`, which runs some thirty
//! programs and prints a list of facts, `[category, item, name, value]`. Here are those of them
//! that the kernel and the firmware tell in files, by the same names; `docs/inspection.md` lists
//! the others with the reason. What is compared was seen with `hardware` 0.33.

mod disks;
mod fact;
mod memory_banks;
mod network;
mod processors;
mod system;

use tracing::warn;

pub(super) use self::fact::Fact;
use crate::inventory::{InventoryError, Smbios};
use crate::sys::kernel_parameters;
use crate::sys::root::Root;

/// All facts, grouped as the reference's are.
///
/// # Errors
///
/// The network interfaces cannot be listed.
pub(crate) fn extra_hardware(root: &Root) -> Result<Vec<Fact>, InventoryError> {
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

#[cfg(test)]
mod tests;
