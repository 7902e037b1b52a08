//! The fuzz targets of this room.

use std::sync::Arc;

use farrier_plugin::{Node, SilentContext, StepArguments};
use serde_json::{Map, Value};

use super::config_drive::{self, ConfigDrive};
use super::error::DeployError;
use super::image_info::{ImageInfo, is_url};
use super::image_tree;
use super::inject_files::Files;
use crate::config::Options;

/// The value of a `Boot####` variable.
pub(crate) fn boot_entry(data: &[u8]) {
    super::boot_entry::LoadOption::parse(data);
}

/// The table for shim's fallback loader on an EFI system partition.
pub(crate) fn loader_table(data: &[u8]) {
    super::loaders::parse_table(data);
}

/// The files of a partition image that are read to make it bootable, one after the other.
pub(crate) fn image_boot_files(data: &[u8]) {
    super::image_boot::fuzzing::files(data);
}

/// GRUB's files in a partition image: the list of its modules, its kernel, a module.
pub(crate) fn grub_files(data: &[u8]) {
    super::bios_boot::fuzzing::files(data);
}

/// A config drive as a server sends it, and as the conductor does, unless that is a URL; then what it
/// holds.
pub(crate) fn config_drive(data: &[u8]) {
    check(ConfigDrive::downloaded(data.to_vec()));
    let text: Arc<str> = String::from_utf8_lossy(data).into();
    if is_url(&text) {
        return;
    }
    check(ConfigDrive::decode(
        &text,
        "node",
        &Options::default(),
        &SilentContext,
        config_drive::LIMIT_MIB,
    ));
}

fn check(drive: Result<ConfigDrive, DeployError>) {
    if let Ok(drive) = drive
        && drive.size() < 1 << 20
    {
        let content = drive.unpacked().expect("it was read before");
        assert_eq!(content.len() as u64, drive.size());
        let _ = drive.files(&content);
    }
}

/// A message of the process that has a tenant's file system mounted, and one to it.
pub(crate) fn image_tree(data: &[u8]) {
    image_tree::fuzz(data);
}

/// A file of the step `inject_files`, on a node and its ports that are in the same list.
pub(crate) fn inject_files(data: &[u8]) {
    let Ok(Value::Array(values)) = serde_json::from_slice(data) else {
        return;
    };
    let node = match values.first() {
        Some(Value::Object(node)) => Node(node.clone()),
        _ => Node::default(),
    };
    let ports = values.clone();
    let mut arguments = StepArguments::default();
    arguments
        .values
        .insert("files".to_owned(), Value::Array(values));
    let _ = Files::parse(&node, &ports, &arguments);
}

/// The arguments of the step `write_image`.
pub(crate) fn image_info(data: &[u8]) {
    let Ok(Value::Object(image_info)) = serde_json::from_slice(data) else {
        return;
    };
    let mut values = Map::new();
    values.insert("image_info".to_owned(), Value::Object(image_info));
    let arguments = StepArguments {
        values,
        large: Arc::default(),
    };
    let options = Options::default();
    if let Ok(info) = ImageInfo::parse(&arguments, &options) {
        info.id();
        info.node();
        info.partitions();
        info.config_drive();
        let _ = info.request(&options, "writing image");
    }
}
