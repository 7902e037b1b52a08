//! Booting from an array of software RAID by UEFI (contract/data-plane 6.6).
//!
//! Firmware reads partitions of disks, and an array is none. So the loaders of what is deployed to it go to a mirror
//! of EFI system partitions outside, one on each disk of the array, and each of these gets a boot entry.
//!
//! No moment leaves a machine that boots something half: from before an image's first byte the mirror is empty,
//! the loaders are the last that is written to it, and the image's own EFI system partition, which they were copied
//! from, goes only when the firmware has its entries. A call that was cut off is made again from the start.

mod deployment;
mod error;
mod esp_copy;
mod file_system_table;
mod filling;
#[cfg(test)]
pub(super) mod fixture;
mod holder;
mod image_edits;
mod kernel_arguments;
mod mirror;
mod root_array;

pub(super) use self::deployment::ArrayDeployment;
pub(super) use self::mirror::HeldMirror;
pub(super) use self::root_array::RootArray;
