//! The flash-card manager: secure erase, firmware and health of LSI/Seagate Nytro WarpDrive cards
//! through the vendor's `ddoemcli`, and checks of disks, cabling and BIOS of the servers that carry
//! them.
//!
//! What belongs to one site (paths, models, firmware, expectations) is in a configuration file
//! beside the program; nothing of it is compiled in. `docs/onmetal.md` is the operator's page.

mod bios;
mod configuration;
mod erase;
mod failures;
mod firmware;
mod health;
mod listing;
mod machine;
mod manager;
mod medium;
mod pci;
mod ports;
mod proof;
mod steps;
mod tool;
mod verify;

#[cfg(test)]
mod stand_in;

pub use manager::{METHODS, OnMetalHardwareManager, capabilities};
