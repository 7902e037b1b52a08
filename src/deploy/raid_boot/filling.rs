//! What is put onto a mirror of EFI system partitions.

use farrier_plugin::Context;
use tracing::warn;
use uuid::Uuid;

use super::super::image_boot::fill;
use super::super::image_tree::{Access, ImageTree};
use super::super::loaders::Loader;
use super::error::RaidBootError;
use super::esp_copy::EspCopy;
use super::mirror::Mirror;
use crate::block::fat::Fat;
use crate::sys::block_device::Medium;
use crate::sys::root::Root;

/// The label of a file system that had none (the reference's), and that of one that is filled from an image.
const DEFAULT_LABEL: &str = "esp";
const IMAGE_LABEL: &str = "efi-part";

impl Mirror {
    /// Have it hold what is on the image's EFI system partition, with the same label and volume id.
    pub(super) fn copy_from(
        &self,
        root: &Root,
        source: &Fat<'_>,
        loaders: &[Loader],
        context: &dyn Context,
    ) -> Result<(), RaidBootError> {
        let copy = EspCopy::of(source, loaders)?;
        let size = self.open(root, context)?.size();
        let needed = copy.size();
        let too_large = || RaidBootError::TooLarge { needed, size };
        if needed > size {
            return Err(too_large());
        }
        let label = label(&source.label()?);
        self.format(&label, &source.serial().replace('-', ""))?;
        let mut esp = ImageTree::open(&self.device, Access::Writable, context)?;
        copy.write(&mut esp)
            .map_err(|source| match fill::is_full(&*source) {
                true => too_large(),
                false => RaidBootError::Copy {
                    device: self.device.clone(),
                    source,
                },
            })?;
        esp.close()?;
        Ok(())
    }

    /// Have it hold an empty file system, to be filled from an image. Returns its volume id, as `1234-ABCD`, and its
    /// label.
    pub(super) fn make_ready(&self) -> Result<(String, &'static str), RaidBootError> {
        let id = Uuid::new_v4().as_fields().0;
        self.format(IMAGE_LABEL, &format!("{id:08X}"))?;
        Ok((format!("{:04X}-{:04X}", id >> 16, id & 0xffff), IMAGE_LABEL))
    }
}

/// A label as mkfs.vfat takes it: another one would be refused.
fn label(label: &str) -> String {
    let is_taken = |letter: char| {
        (letter.is_ascii_graphic() || letter == ' ') && !"\"*+,./:;<=>?[\\]|".contains(letter)
    };
    if label.is_empty() || label.len() > 11 || !label.chars().all(is_taken) {
        if !label.is_empty() {
            warn!(label, "is no label for a file system, which gets another");
        }
        return DEFAULT_LABEL.to_owned();
    }
    label.to_owned()
}
