//! What tells virtual media from disks: the labels that Ironic gives them, a size and a model
//! (contract/control-plane 1.3.1, 1.3.2).

use super::list::ListedDevice;

/// The label of the virtual floppy that Ironic makes, with parameters.
pub(crate) const FLOPPY: &str = "ir-vfd-dev";

/// The labels of the boot image that Ironic makes, with configuration files; some controllers show it
/// as a disk. Config drives have such a label too.
pub(crate) const BOOT_IMAGES: [&str; 2] = ["config-2", "vmedia_boot_iso"];

/// A USB disk of fewer bytes than this can be a medium.
pub(crate) const SIZE_LIMIT: u64 = 4 << 30;

/// Whether a file system's label is one of these, as the reference compares them.
pub(crate) fn is_one_of(label: &str, labels: &[&str]) -> bool {
    labels
        .iter()
        .any(|known| label.trim().eq_ignore_ascii_case(known))
}

/// Whether a device of this model is what a management controller shows for virtual media.
pub(crate) fn is_model(model: &str) -> bool {
    model.to_ascii_lowercase().contains("virtual media")
}

/// Whether this device is what Ironic or a management controller put in: only small USB disks are, whatever
/// their label says, since a former tenant can label any disk (the reference believes the label alone,
/// contract/data-plane 7.9).
///
/// `labels` are those of the device and of what lies on it. `from_virtual_media` says that this ramdisk was
/// booted from such media.
pub(crate) fn is_medium(
    device: &ListedDevice,
    from_virtual_media: bool,
    labels: impl FnOnce() -> Vec<String>,
) -> bool {
    let can_be = device.device.tran.as_deref() == Some("usb")
        && device.kind == "disk"
        && device.device.size < SIZE_LIMIT;
    if !can_be {
        return false;
    }
    let mut known = vec![FLOPPY];
    // The label of config drives too: it counts only where this ramdisk came from such media.
    if from_virtual_media {
        known.extend(BOOT_IMAGES);
    }
    let model = device.device.model.as_deref().unwrap_or_default();
    is_model(model) || labels().iter().any(|label| is_one_of(label, &known))
}
