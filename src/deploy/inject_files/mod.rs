//! The step `inject_files`: files of an operator's into the system that was deployed (contract/data-plane
//! 9.2, docs/inject-files.md).
//!
//! All of it is checked before the first file is touched. What a file holds is never shown.

mod address;
#[cfg(test)]
mod download;
mod error;
#[cfg(test)]
mod five_partitions;
#[cfg(test)]
mod hostile;
mod item;
mod places;
#[cfg(test)]
mod tests;

use farrier_plugin::{BlockDevice, Context, Node, Port, StepArguments};
use serde_json::Value;
use tracing::info;

use self::address::Facts;
pub(crate) use self::error::InjectError;
use self::item::{Change, Content, Item, Partition};
use self::places::{Places, partition_of};
use super::error::DeployError;
use super::fields::Fields;
use super::image_tree::{Attributes, ImageTree};
use crate::block::hints::is_empty;
use crate::config::Options;
use crate::stream::{DownloadError, copy};

/// Downloads of one file that are begun because its content changed meanwhile.
const ATTEMPTS: u32 = 5;

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
    let mut places = Places::new(context, device);
    for item in &files.0 {
        let outcome = inject(context, device, &mut places, item, options);
        // What came before it is on the medium all the same.
        outcome.inspect_err(|_| drop(places.close()))?;
    }
    let closed = places.close();
    match files.0.last() {
        Some(last) => closed.map_err(|source| last.failed(source.into())),
        None => Ok(()),
    }
}

fn inject(
    context: &dyn Context,
    device: &BlockDevice,
    places: &mut Places<'_>,
    item: &Item,
    options: &Options,
) -> Result<(), DeployError> {
    let partition = match &item.partition {
        Some(Partition::Number(number)) => partition_of(device, *number),
        Some(Partition::Device(path)) => path.clone(),
        None => places.find(item)?,
    };
    places
        .tree(&partition)
        .map_err(InjectError::from)
        .and_then(|tree| item.apply(context, tree, options))
        .map_err(|source| item.failed(source))?;
    let what = match item.change {
        Change::Remove => "file removed",
        Change::Write(..) => "file injected",
    };
    info!(path = item.name, partition, "{what}");
    Ok(())
}

impl Item {
    fn apply(
        &self,
        context: &dyn Context,
        tree: &mut ImageTree<'_>,
        options: &Options,
    ) -> Result<(), InjectError> {
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
                self.write(context, tree, content, attributes, options)?;
            }
        }
        Ok(())
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
