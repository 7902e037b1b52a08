//! Where files belong, and the file system there, mounted once for all that follow each other in it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use farrier_plugin::{BlockDevice, Context};
use tracing::info;
use uuid::{Uuid, uuid};

use super::error::InjectError;
use super::item::Item;
use crate::block::partition::{Partition, PartitionKind};
use crate::block::rescan::{numbered_device, partition_name};
use crate::block::table::Table;
use crate::block::table_error::TableError;
use crate::deploy::error::DeployError;
use crate::deploy::image_tree::{Access, EntryKind, ImageTree, ImageTreeError};
use crate::sys::block_device::SharedDisk;
use crate::sys::root::Root;

/// Types of partitions that hold volumes of LVM, which the reference passes over, too.
const LVM_OF_GPT: Uuid = uuid!("e6d6d379-f507-44c2-a23c-238f2a3df928");
const LVM_OF_MBR: u8 = 0x8e;

/// The partitions of a disk, one of them mounted to be written to.
pub(super) struct Places<'c> {
    context: &'c dyn Context,
    device: &'c BlockDevice,
    /// The partition whose files are changed.
    mounted: Option<(String, ImageTree<'c>)>,
    /// Whether a partition has a directory of this name in its root, of those that were looked into and not
    /// changed since.
    looked: BTreeMap<(String, OsString), Found>,
}

/// What a look into a partition told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Found {
    /// The directory.
    Directory,
    /// Files, and no such directory among them.
    Others,
    /// No file system that is reached here, but this.
    NoFiles(&'static str),
}

impl<'c> Places<'c> {
    pub(super) fn new(context: &'c dyn Context, device: &'c BlockDevice) -> Self {
        Self {
            context,
            device,
            mounted: None,
            looked: BTreeMap::new(),
        }
    }

    /// The files of this partition, to be changed. The one that was mounted before is unmounted, all of it on
    /// the medium.
    pub(super) fn tree(&mut self, partition: &str) -> Result<&mut ImageTree<'c>, ImageTreeError> {
        let mounted = match self.mounted.take() {
            Some(mounted) if mounted.0 == partition => mounted,
            other => {
                self.mounted = other;
                self.close()?;
                let tree = ImageTree::open(partition, Access::Writable, self.context)?;
                // It may be one of the disk's by another name.
                self.looked.clear();
                (partition.to_owned(), tree)
            }
        };
        Ok(&mut self.mounted.insert(mounted).1)
    }

    /// Unmount what is mounted, all of it on the medium.
    pub(super) fn close(&mut self) -> Result<(), ImageTreeError> {
        match self.mounted.take() {
            Some((_, tree)) => tree.close(),
            None => Ok(()),
        }
    }

    /// The first partition that has the path's first part as a directory. One without a file system that is
    /// reached here is passed over, as in the reference. One that has such a file system and cannot be looked
    /// into ends the search, which the reference passes over, too: it may be the one that was meant, and the
    /// file would come into the wrong one behind it.
    ///
    /// The disk is only read beside whoever has it open: whoever opened it for himself would take the partitions
    /// of a multipath map away, and have udev look at all of them again.
    pub(super) fn find(&mut self, item: &Item) -> Result<String, DeployError> {
        let first = item.path.iter().next().unwrap_or_default();
        let partitions = self.partitions()?;
        let names: Vec<String> = partitions
            .iter()
            .map(|partition| partition_of(self.device, partition.number))
            .collect();
        let is_of_disk = |mounted: &(String, ImageTree<'_>)| names.contains(&mounted.0);
        if !self.mounted.as_ref().is_some_and(is_of_disk) {
            // It may be one of them by another name, and nobody else could look into it then.
            self.close()
                .map_err(|source| item.failed(InjectError::Search(source)))?;
        }
        let mut scanned = Vec::new();
        for (partition, name) in partitions.iter().zip(names) {
            let is_lvm = matches!(
                partition.kind,
                PartitionKind::Gpt(LVM_OF_GPT) | PartitionKind::Mbr(LVM_OF_MBR)
            );
            if is_lvm {
                scanned.push(format!("{name} (LVM, passed over)"));
                continue;
            }
            match self.look(&name, first) {
                Ok(Found::Directory) => return Ok(name),
                Ok(Found::Others) => scanned.push(name),
                Ok(Found::NoFiles(what)) => scanned.push(format!("{name} ({what})")),
                Err(source) => return Err(item.failed(InjectError::Search(source))),
            }
        }
        Err(DeployError::NoPartitionWithPath {
            path: first.to_string_lossy().into_owned(),
            scanned: scanned.join(", "),
        })
    }

    fn partitions(&self) -> Result<Vec<Partition>, DeployError> {
        let path = Root::system().path(&self.device.name);
        let read = SharedDisk::open(path)
            .map_err(TableError::from)
            .and_then(|disk| Table::read(&disk));
        Ok(read.map_err(DeployError::PartitionTable)?.partitions())
    }

    /// Whether a partition has this directory in its root.
    fn look(&mut self, partition: &str, directory: &OsStr) -> Result<Found, ImageTreeError> {
        if let Some((mounted, tree)) = &mut self.mounted
            && mounted.as_str() == partition
        {
            return has_directory(tree, directory);
        }
        let key = (partition.to_owned(), directory.to_owned());
        if let Some(found) = self.looked.get(&key) {
            return Ok(*found);
        }
        let found = match ImageTree::open(partition, Access::ReadOnly, self.context) {
            Ok(mut tree) => {
                let found = has_directory(&mut tree, directory)?;
                tree.close()?;
                found
            }
            Err(ImageTreeError::NoFileSystem { what, .. }) => {
                info!(partition, what, "partition passed over");
                Found::NoFiles(what)
            }
            Err(error) => return Err(error),
        };
        self.looked.insert(key, found);
        Ok(found)
    }
}

/// A partition of the disk: one of a multipath map is a volume of its own. One that is not visible has the name
/// that it would have, for the error.
pub(super) fn partition_of(device: &BlockDevice, number: u32) -> String {
    numbered_device(&Root::system(), &device.name, number)
        .unwrap_or_else(|| partition_name(&device.name, number))
}

fn has_directory(tree: &mut ImageTree<'_>, directory: &OsStr) -> Result<Found, ImageTreeError> {
    let found = tree.metadata(Path::new(directory))?;
    let is_directory = found.is_some_and(|found| found.kind == EntryKind::Directory);
    Ok(if is_directory {
        Found::Directory
    } else {
        Found::Others
    })
}
