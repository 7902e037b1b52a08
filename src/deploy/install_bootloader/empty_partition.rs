//! The EFI system partition that a partition image's boot files are to go to.

use crate::block::fat::Fat;
use crate::block::partition::Partition;
use crate::deploy::efi_partitions::{EfiPartitions, is_of};
use crate::deploy::error::DeployError;
use crate::deploy::image_boot;
use crate::deploy::image_boot::architecture::Architecture;
use crate::deploy::image_root::ImageRoot;
use crate::deploy::loaders;

/// Where a partition image's boot files are to go.
pub(super) struct EmptyPartition {
    pub(super) esp: Partition,
    /// As the first field of a table of file systems.
    pub(super) esp_name: String,
    pub(super) esp_names: Vec<String>,
    pub(super) root: ImageRoot,
}

impl EmptyPartition {
    /// An empty one, or one that was left unfinished, on the disk that has the root file system with this UUID.
    /// `None` for all others.
    pub(super) fn find(
        esps: &EfiPartitions<'_>,
        root_uuid: Option<&str>,
    ) -> Result<Option<Self>, DeployError> {
        let Some(root_uuid) = root_uuid else {
            return Ok(None);
        };
        let mut empty = None;
        for esp in esps.all()? {
            let Ok(Some(fat)) = Fat::open(esps.medium, esp.offset, esp.length) else {
                continue;
            };
            // One that is damaged is told of where a loader is looked for, if there is no other.
            let Ok(is_filled) = loaders::find(&fat, Architecture::of_this_machine())
                .and_then(|found| Ok(!found.is_empty() && !image_boot::is_unfinished(&fat)?))
            else {
                continue;
            };
            if is_filled {
                return Ok(None);
            }
            empty.get_or_insert((esp, fat));
        }
        let Some((esp, fat)) = empty else {
            return Ok(None);
        };
        let root = ImageRoot::find(esps.medium, esps.table, root_uuid, Some(esp.number))
            .map_err(|source| esps.error(source))?;
        let Some(root) = root else {
            return Ok(None);
        };
        let label = fat.label().map_err(|source| esps.error(source))?;
        let mut esp_names = vec![format!("UUID={}", fat.serial()), format!("LABEL={label}")];
        esp_names.extend(esp.guid.map(|guid| format!("PARTUUID={guid}")));
        // As it was named to the conductor, by the file system where there is a choice.
        let by_partition = esps
            .named
            .filter(|wanted| is_of(&esp, wanted))
            .and(esp.guid)
            .map(|guid| format!("PARTUUID={guid}"));
        Ok(Some(Self {
            esp_name: by_partition.unwrap_or_else(|| esp_names[0].clone()),
            esp_names,
            root,
            esp,
        }))
    }
}
