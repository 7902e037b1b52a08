//! Putting an operating system on a disk: image, config drive, boot loader.

mod bios_boot;
mod boot_entries;
mod boot_entry;
mod clean_uefi_nvram;
mod config_drive;
mod config_partition;
mod deployed;
mod device_path;
mod disk_range;
mod efi_partitions;
mod error;
mod fields;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod image_boot;
mod image_info;
mod image_root;
mod image_tree;
mod inject_files;
mod install_bootloader;
mod loader_entries;
mod loaders;
mod partition_image;
mod raid_boot;
mod reach;
mod release;
mod target;
mod write_image;

pub(crate) use clean_uefi_nvram::{DEFAULT_PATTERNS, clean_uefi_nvram};
pub(crate) use image_info::ImageInfo;
#[cfg(test)]
pub(crate) use image_info::schema as image_info_schema;
pub(crate) use image_tree::by_name;
pub(crate) use inject_files::{Files, inject_files, verifies};
pub(crate) use install_bootloader::install_bootloader;
pub(crate) use release::Protected;
pub(crate) use write_image::write_image;
