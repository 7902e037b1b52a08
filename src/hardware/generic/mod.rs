//! The manager that works on any hardware, through the kernel alone.

mod deploy;
mod erase;
mod filter;
mod interfaces;
mod logs;
mod manager;
mod methods;
mod pstore;
mod raid;
pub(super) mod san;
mod steps;
mod storage;

pub(super) use self::manager::GenericHardwareManager;
#[cfg(test)]
pub(crate) use self::steps::described as described_steps;

/// The key of this manager's steps on the wire.
pub(super) const CLASS_NAME: &str = "GenericHardwareManager";

/// The name whose version the conductor compares.
pub(super) const NAME: &str = "generic_hardware_manager";
