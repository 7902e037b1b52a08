//! The fuzz targets of this room.

/// The records of /dev/kmsg.
pub(crate) fn kernel_log(data: &[u8]) {
    super::kernel_log::format(&String::from_utf8_lossy(data));
}

/// A line of the log in which secrets are hidden. Hiding what was hidden changes nothing, or a
/// second look would show a part that the first one left.
pub(crate) fn secrets(data: &[u8]) {
    let masked = super::mask::mask(&String::from_utf8_lossy(data));
    assert_eq!(super::mask::mask(&masked), masked);
}
