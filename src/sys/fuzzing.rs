//! The fuzz targets of this room.

/// A message to PID 1 with a fact for the page. What comes of it is visible, and short.
pub(crate) fn console_fact(data: &[u8]) {
    if let Some((_, value)) = super::console_fact::parse(&String::from_utf8_lossy(data)) {
        assert!(value.len() <= 1000);
        assert!(value.chars().all(super::printable::is_visible));
    }
}

/// The records of /dev/kmsg.
pub(crate) fn kernel_log(data: &[u8]) {
    super::kernel_log::format(&String::from_utf8_lossy(data));
}

/// Sense data of a SCSI device.
pub(crate) fn sense(data: &[u8]) {
    if let Some(sense) = super::scsi::Sense::parse(data) {
        assert!(sense.key < 16);
        assert!(!sense.to_string().is_empty());
    }
}

/// A line of the log. A secret that is known does not survive.
pub(crate) fn secrets(data: &[u8]) {
    const SECRET: &str = "a secret of the fuzz target";
    super::mask::hide(SECRET);
    let text = String::from_utf8_lossy(data);
    let masked = super::mask::mask(&text.replace('\0', SECRET));
    assert!(!masked.contains(SECRET));
}
