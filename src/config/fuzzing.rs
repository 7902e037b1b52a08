//! The fuzz targets of this room.

use std::path::Path;

use super::KernelParameters;

/// A configuration file.
pub(crate) fn config_file(data: &[u8]) {
    let _ = super::ini::parse(Path::new("agent.conf"), &String::from_utf8_lossy(data));
}

/// The kernel's command line.
pub(crate) fn kernel_parameters(data: &[u8]) {
    let parameters = KernelParameters::parse(&String::from_utf8_lossy(data));
    parameters.is_virtual_media_boot();
    parameters.value("ipa-api-url");
}
