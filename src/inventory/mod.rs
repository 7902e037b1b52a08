//! What this machine is: read from sysfs, procfs, SMBIOS and the kernel.
//!
//! Nothing in this room starts a program or changes the machine, and every source may be missing:
//! a fact that cannot be read is null or empty, as in the reference (contract/data-plane 8), and
//! never stops an inspection.

mod arm;
mod bmc;
mod boot;
mod collector;
mod cpu;
mod device_tree;
mod dmi;
mod driverless;
mod extra;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod interfaces;
pub(crate) mod lldp;
mod machine_name;
#[cfg(test)]
mod machines;
pub(crate) mod mask;
mod memory;
mod numa;
mod pci;
mod smbios;
mod system_vendor;
mod usb;

pub(crate) use bmc::{Bmc, bmc};
pub(crate) use boot::{boot_info, hostname};
pub(crate) use collector::Collector;
pub(crate) use cpu::{cpu, processor_names};
pub(crate) use dmi::dmi;
pub(crate) use driverless::{Driverless, Kind as DriverlessKind, driverless};
pub(crate) use extra::extra_hardware;
pub(crate) use interfaces::interfaces;
pub(crate) use machine_name::MachineName;
pub(crate) use memory::memory;
pub(crate) use numa::numa_topology;
pub(crate) use pci::pci_devices;
pub(crate) use smbios::{Smbios, Structure};
pub(crate) use system_vendor::system_vendor;
pub(crate) use usb::usb_devices;

/// Why a part of the inventory could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum InventoryError {
    /// sysfs is not there.
    #[error("Cannot list network interfaces: {path} is not a directory; is sysfs mounted?")]
    NoSysfs {
        /// Where it was looked for.
        path: String,
    },
    /// There is no PCI bus.
    #[error(
        "Cannot list PCI devices: {path} is not a directory; is sysfs mounted, and has this machine PCI?"
    )]
    NoPci {
        /// Where it was looked for.
        path: String,
    },
    /// A file of the kernel cannot be read.
    #[error("Cannot read {path}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A file of the kernel does not hold what it is documented to hold.
    #[error("{path} {what}; the kernel documents otherwise")]
    Malformed {
        /// The file or directory.
        path: String,
        /// What is wrong with it.
        what: &'static str,
    },
}
