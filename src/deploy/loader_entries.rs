//! The boot entries of loaders that were found (contract/data-plane 5.4).

use tracing::info;

use super::boot_entries::BootEntries;
use super::boot_entry::{BootEntry, BootPartition};
use super::error::DeployError;
use super::loaders::Loader;

/// Make an entry for each loader on this partition, and put it first; the last is booted first. `suffix` is added to
/// the labels of loaders that lie on several partitions.
pub(super) fn put_first(
    entries: &BootEntries,
    device: &str,
    loaders: &[Loader],
    partition: BootPartition,
    suffix: &str,
) -> Result<(), DeployError> {
    for (index, loader) in loaders.iter().enumerate() {
        let label = loader.label.clone();
        let entry = BootEntry {
            label: label.unwrap_or_else(|| format!("ironic{}", index + 1)) + suffix,
            path: loader.path.clone(),
            arguments: loader.arguments.clone(),
            partition,
        };
        let number = entries.put_first(&entry)?;
        info!(
            device,
            label = entry.label,
            path = entry.path,
            "boot entry Boot{number:04X} made and put first"
        );
    }
    Ok(())
}
