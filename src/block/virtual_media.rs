//! What tells virtual media from disks: the labels that Ironic gives them, a size and a model
//! (contract/control-plane 1.3.1, 1.3.2).

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
