//! What this machine is: read from sysfs, procfs, SMBIOS and the kernel.
//!
//! Nothing in this room starts a program or changes the machine, and every source may be missing:
//! a fact that cannot be read is null or empty, as in the reference (contract/data-plane 8), and
//! never stops an inspection.

mod bmc;
mod boot;
mod cpu;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod interfaces;
pub mod lldp;
#[cfg(test)]
mod machines;
mod memory;
mod memory_modules;
mod smbios;
mod system_vendor;

pub use bmc::{Bmc, bmc};
pub use boot::{boot_info, hostname};
pub use cpu::cpu;
pub use interfaces::interfaces;
pub use memory::memory;
pub use memory_modules::{MemoryModule, memory_modules};
pub use smbios::{Smbios, Structure};
pub use system_vendor::system_vendor;

/// Why a part of the inventory could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InventoryError {
    /// sysfs is not there.
    #[error("Cannot list network interfaces: {path} is not a directory; is sysfs mounted?")]
    NoSysfs {
        /// Where it was looked for.
        path: String,
    },
}
