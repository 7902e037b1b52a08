//! Putting an operating system on a disk: image, config drive, boot loader.

mod config_drive;
mod config_partition;
mod error;
mod image_info;
mod write_image;

pub use error::DeployError;
pub use write_image::{Deployed, write_image};
