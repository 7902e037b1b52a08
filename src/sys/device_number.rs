//! The number of a device as sysfs and proc write it.

/// Major and minor number of a text such as `8:1`.
pub(crate) fn parse(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
