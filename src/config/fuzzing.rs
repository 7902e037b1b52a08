//! The fuzz targets of this room.

use std::path::Path;

use super::{KernelParameters, SupportKey};

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

/// The key with which a person of support may log in, found on a line and judged. What is taken is one line that is taken
/// again, without options.
pub(crate) fn support_key(data: &[u8]) {
    let text = String::from_utf8_lossy(data).into_owned();
    let value = SupportKey::value_in(std::slice::from_ref(&text));
    for value in [Some(text), value].into_iter().flatten() {
        let Ok(key) = SupportKey::parse(&value) else {
            continue;
        };
        let line = key.authorized();
        assert_eq!(line.lines().count(), 1);
        assert!(line.starts_with(key.kind()));
        let again = SupportKey::parse(line.trim_end()).map(|again| again.blob);
        assert_eq!(again, Ok(key.blob));
    }
}
