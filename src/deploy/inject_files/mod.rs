//! The step `inject_files`: files of an operator's into the system that was deployed (contract/data-plane
//! 9.2, docs/inject-files.md).
//!
//! All of it is checked before the first file is touched. What a file holds is never shown.

mod address;
#[cfg(test)]
mod download;
#[cfg(test)]
mod five_partitions;
#[cfg(test)]
mod hostile;
mod item;
#[cfg(test)]
mod tests;

use std::path::Path;

use farrier_plugin::{BlockDevice, Context, Node, Port, StepArguments};
use serde_json::Value;
use tracing::info;
use uuid::{Uuid, uuid};

use self::address::Facts;
use self::item::{Change, Content, Item, Partition};
use super::error::DeployError;
use super::fields::Fields;
use super::image_tree::{Access, Attributes, EntryKind, ImageTree, ImageTreeError};
use super::target;
use crate::block::hints::is_empty;
use crate::block::partition::PartitionKind;
use crate::block::rescan::{numbered_device, partition_name};
use crate::block::settle;
use crate::block::table::Table;
use crate::config::Options;
use crate::stream::{DownloadError, copy};
use crate::sys::root::Root;

/// Types of partitions that hold volumes of LVM, which the reference passes over, too.
const LVM_OF_GPT: Uuid = uuid!("e6d6d379-f507-44c2-a23c-238f2a3df928");
const LVM_OF_MBR: u8 = 0x8e;

/// Downloads of one file that are begun because its content changed meanwhile.
const ATTEMPTS: u32 = 5;

/// Why a file could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InjectError {
    /// The file system.
    #[error(transparent)]
    Tree(#[from] ImageTreeError),
    /// A partition that may be the one to look for.
    #[error(
        "The search for its partition ended at one that could not be looked into; name the partition, by \
         its number"
    )]
    Search(#[source] ImageTreeError),
    /// Its content.
    #[error("Unable to read data from {location}")]
    Download {
        /// The address, without its secrets.
        location: String,
        /// Why not.
        #[source]
        source: DownloadError,
    },
    /// Its content, which was readable before.
    #[error("Its content could not be read")]
    Content(#[source] std::io::Error),
}

/// Files to inject, checked.
pub(crate) struct Files(Vec<Item>);

impl Files {
    /// Those of the node's properties, and behind them those of the step's argument.
    ///
    /// # Errors
    /// [`DeployError::Arguments`] with all that is wrong with them.
    pub(crate) fn parse(
        node: &Node,
        ports: &[Port],
        arguments: &StepArguments,
    ) -> Result<Self, DeployError> {
        let of_node = node.field("properties", "inject_files");
        let of_step = arguments.values.get("files");
        let mut values = Vec::new();
        for (what, value) in [
            ("The `inject_files` node property", of_node),
            ("The `files` argument", of_step),
        ] {
            match value {
                None => {}
                Some(value) if is_empty(value) => {}
                Some(Value::Array(items)) => values.extend(items),
                Some(_) => {
                    return Err(DeployError::Arguments(format!("{what} must be a list")));
                }
            }
        }
        let facts = Facts {
            node: &node.0,
            ports,
        };
        let mut failures = Vec::new();
        let items = values
            .into_iter()
            .filter_map(|value| Item::parse(value, &arguments.large, facts, &mut failures))
            .collect();
        if failures.is_empty() {
            Ok(Self(items))
        } else {
            Err(DeployError::Arguments(format!(
                "Validation of files failed: {}",
                failures.join("; ")
            )))
        }
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Whether certificates of servers are to be checked; where the options say no, nobody asks.
///
/// # Errors
/// The argument is neither true nor false.
pub(crate) fn verifies(arguments: &StepArguments) -> Result<bool, DeployError> {
    Ok(Fields::of_arguments(arguments)
        .flag("verify_ca")?
        .unwrap_or(true))
}

/// Write, and remove, these files, one after the other, on the disk that holds the system or on the device
/// that one of them names.
pub(crate) fn inject_files(
    context: &dyn Context,
    device: &BlockDevice,
    files: &Files,
    options: &Options,
) -> Result<(), DeployError> {
    for item in &files.0 {
        let partition = match &item.partition {
            Some(Partition::Number(number)) => partition_of(device, *number),
            Some(Partition::Device(path)) => path.clone(),
            None => find(context, device, item)?,
        };
        item.apply(context, &partition, options)
            .map_err(|source| item.failed(source))?;
        let what = match item.change {
            Change::Remove => "file removed",
            Change::Write(..) => "file injected",
        };
        info!(path = item.name, partition, "{what}");
    }
    Ok(())
}

/// The first partition that has the path's first part as a directory. One without a file system that is
/// reached here is passed over, as in the reference. One that has such a file system and cannot be looked
/// into ends the search, which the reference passes over, too: it may be the one that was meant, and the
/// file would come into the wrong one behind it.
fn find(context: &dyn Context, device: &BlockDevice, item: &Item) -> Result<String, DeployError> {
    let first = item.path.iter().next().unwrap_or_default();
    let partitions = {
        let disk = target::open(&device.name, context)?;
        let table = Table::read(&*disk).map_err(DeployError::PartitionTable)?;
        table.partitions()
    };
    // udev looks at a disk that was unlocked, and takes its partitions away for a moment.
    settle::wait(&Root::system(), settle::LIMIT);
    let mut scanned = Vec::new();
    for partition in partitions {
        let name = partition_of(device, partition.number);
        let is_lvm = matches!(
            partition.kind,
            PartitionKind::Gpt(LVM_OF_GPT) | PartitionKind::Mbr(LVM_OF_MBR)
        );
        if is_lvm {
            scanned.push(format!("{name} (LVM, passed over)"));
            continue;
        }
        match has_directory(context, &name, Path::new(first)) {
            Ok(true) => return Ok(name),
            Ok(false) => scanned.push(name),
            Err(ImageTreeError::NoFileSystem { what, .. }) => {
                info!(partition = name, what, "partition passed over");
                scanned.push(format!("{name} ({what})"));
            }
            Err(source) => return Err(item.failed(InjectError::Search(source))),
        }
    }
    Err(DeployError::NoPartitionWithPath {
        path: first.to_string_lossy().into_owned(),
        scanned: scanned.join(", "),
    })
}

/// A partition of the disk: one of a multipath map is a volume of its own. One that is not visible has the name
/// that it would have, for the error.
fn partition_of(device: &BlockDevice, number: u32) -> String {
    numbered_device(&Root::system(), &device.name, number)
        .unwrap_or_else(|| partition_name(&device.name, number))
}

fn has_directory(
    context: &dyn Context,
    partition: &str,
    path: &Path,
) -> Result<bool, ImageTreeError> {
    let mut tree = ImageTree::open(partition, Access::ReadOnly, context)?;
    let found = tree.metadata(path)?;
    tree.close()?;
    Ok(found.is_some_and(|found| found.kind == EntryKind::Directory))
}

impl Item {
    fn failed(&self, source: InjectError) -> DeployError {
        DeployError::Inject {
            path: self.name.clone(),
            source: Box::new(source),
        }
    }

    fn apply(
        &self,
        context: &dyn Context,
        partition: &str,
        options: &Options,
    ) -> Result<(), InjectError> {
        let mut tree = ImageTree::open(partition, Access::Writable, context)?;
        match &self.change {
            Change::Remove => {
                if !tree.remove(&self.path)? {
                    info!(path = self.name, "a file to remove was not there");
                }
            }
            Change::Write(content, attributes) => {
                if let Some(folder) = self.path.parent().filter(|path| path.iter().count() > 0) {
                    tree.make_directory(folder, self.folder_mode)?;
                }
                self.write(context, &mut tree, content, attributes, options)?;
            }
        }
        Ok(tree.close()?)
    }

    fn write(
        &self,
        context: &dyn Context,
        tree: &mut ImageTree<'_>,
        content: &Content,
        attributes: &Attributes,
        options: &Options,
    ) -> Result<(), InjectError> {
        let location = match content {
            Content::Address(location) => location,
            Content::Base64(_) => {
                let mut reader = content.base64().map_err(InjectError::Content)?;
                return Ok(tree.write(&self.path, &mut reader, attributes)?);
            }
        };
        let mut left = ATTEMPTS;
        loop {
            left -= 1;
            let copied = tree.write_by(&self.path, attributes, |file| {
                copy(location, options, context, file)
            })?;
            match copied {
                Ok(()) => return Ok(()),
                Err(DownloadError::Changed { .. }) if left > 0 => {}
                Err(source) => {
                    return Err(InjectError::Download {
                        location: location.to_string(),
                        source,
                    });
                }
            }
        }
    }
}
