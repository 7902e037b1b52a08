//! What an image that was deployed to an array lacks to find it: two changes in its own files, without running any of
//! them.

use farrier_plugin::{Context, chain};
use tracing::{info, warn};

use super::super::image_boot::file_tree::{Failure, FileTree};
use super::super::image_tree::{Access, ImageTree};
use super::{file_system_table, kernel_arguments};

/// The file systems that hold a system's files.
const KINDS: [&str; 3] = ["ext4", "xfs", "btrfs"];

/// The changes.
pub(super) struct ImageEdits {
    /// What the tables of file systems call the EFI system partition inside of the array, and what it is called now.
    pub(super) esp: Option<(String, String)>,
    /// The UUID of the array, as mdadm writes it.
    pub(super) array: Option<String>,
}

impl ImageEdits {
    /// Make them on this partition, where it holds files to be changed. Where that fails, it is told: the system may
    /// boot without.
    pub(super) fn make_on(&self, partition: &str, context: &dyn Context) {
        if let Err(error) = self.try_on(partition, context) {
            warn!(
                device = partition,
                error = %chain(&*error),
                "the files of the image may not lead it to its array, or to its EFI system partition"
            );
        }
    }

    fn try_on(&self, partition: &str, context: &dyn Context) -> Result<(), Failure> {
        // Swap, LVM and what else a partition can hold have no files.
        let Ok(mut tree) = ImageTree::open(partition, Access::ReadOnly, context) else {
            return Ok(());
        };
        if !KINDS.contains(&tree.kind()) || self.of(&mut tree)?.is_empty() {
            // No byte of a file system changes that has nothing to be changed.
            return Ok(());
        }
        tree.close()?;
        let mut tree = ImageTree::open(partition, Access::Writable, context)?;
        // Looked at again: its journal was replayed.
        for (path, content) in self.of(&mut tree)? {
            FileTree::write(&mut tree, &path, &mut content.as_slice())?;
            info!(
                device = partition,
                "{path} of the image is changed to fit the array"
            );
        }
        tree.close()?;
        Ok(())
    }

    /// The files to change, with what they are to hold.
    fn of(&self, tree: &mut dyn FileTree) -> Result<Vec<(String, Vec<u8>)>, Failure> {
        let mut edits = Vec::new();
        if let Some((old, new)) = &self.esp {
            edits.extend(file_system_table::renamed(tree, old, new)?);
        }
        if let Some(uuid) = &self.array {
            edits.extend(kernel_arguments::with(tree, &format!("rd.md.uuid={uuid}"))?);
        }
        Ok(edits)
    }
}
