//! Booting from an array of software RAID (contract/data-plane 6.6).
//!
//! Firmware reads partitions of disks, and an array is none. So for UEFI the loaders of what is deployed to it go to a
//! mirror of EFI system partitions outside, one on each disk of the array, and each of these gets a boot entry. A BIOS
//! starts the boot code of a disk: GRUB goes onto each of them ([`by_bios`]), which reads arrays itself.
//!
//! No moment leaves a machine that boots something half: from before an image's first byte the mirror is empty,
//! the loaders are the last that is written to it, and the image's own EFI system partition, which they were copied
//! from, goes only when the firmware has its entries. A call that was cut off is made again from the start.

mod by_bios;
mod deployment;
mod error;
mod esp_copy;
mod file_system_table;
mod filling;
#[cfg(test)]
pub(super) mod fixture;
mod grub_place;
mod held_loaders;
mod holder;
mod image_edits;
mod image_partitions;
mod kernel_arguments;
mod mirror;
mod root_array;

pub(super) use self::by_bios::BiosDeployment;
pub(super) use self::deployment::ArrayDeployment;
pub(super) use self::held_loaders::HeldLoaders;
pub(super) use self::root_array::RootArray;
