//! The fuzz targets of this room.

use std::sync::Arc;

use farrier_plugin::{SilentContext, StepArguments};
use serde_json::{Map, Value};

use super::config_drive::{self, ConfigDrive};
use super::error::DeployError;
use super::image_info::{ImageInfo, is_url};
use crate::config::Options;

/// The value of a `Boot####` variable.
pub(crate) fn boot_entry(data: &[u8]) {
    super::boot_entry::LoadOption::parse(data);
}

/// The table for shim's fallback loader on an EFI system partition.
pub(crate) fn loader_table(data: &[u8]) {
    super::loaders::parse_table(data);
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
