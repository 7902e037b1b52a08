//! Putting an operating system on a disk: image, config drive, boot loader.

mod boot_entry;
mod config_drive;
mod config_partition;
mod error;
mod fields;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod image_info;
mod install_bootloader;
mod loaders;
mod reach;
mod target;
mod write_image;

pub(crate) use image_info::ImageInfo;
pub(crate) use install_bootloader::install_bootloader;
pub(crate) use write_image::write_image;
