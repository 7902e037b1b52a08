//! A partition image's GRUB on the disk, for a BIOS to start (contract/data-plane 5.5).

use farrier_plugin::Context;
use tracing::info;

use crate::block::table::Table;
use crate::deploy::bios_boot::{self, BiosBootError, BootFiles, GrubDevice, TableKind};
use crate::deploy::error::DeployError;
use crate::deploy::image_root::ImageRoot;
use crate::deploy::target;

/// Put GRUB of the image whose root file system has this UUID onto the disk that it was deployed to.
pub(super) fn install(
    device: &str,
    root_uuid: &str,
    context: &dyn Context,
) -> Result<(), DeployError> {
    let error = |source: BiosBootError| DeployError::BiosBoot {
        device: device.to_owned(),
        kind: source.kind(),
        source: Box::new(source),
    };
    let disk = target::open(device, context)?;
    let table = Table::read(&*disk).map_err(|source| error(source.into()))?;
    bios_boot::check(&*disk, &table).map_err(error)?;
    let root = ImageRoot::find(&*disk, &table, root_uuid, None)
        .map_err(|source| error(source.into()))?
        .ok_or_else(|| {
            DeployError::NoEsp(format!(
                "No partition with UUID {root_uuid} found on device {device}"
            ))
        })?;
    let grub_device = GrubDevice {
        array: None,
        table: TableKind::of(&table),
        number: root.partition.number,
    };
    let [partition] = disk.let_go(device, &table, [&root.partition])?;
    let files = BootFiles::of_image(&partition, &root, &grub_device, context).map_err(error)?;
    let disk = target::open(device, context)?;
    files.install(&*disk, &table).map_err(error)?;
    info!(
        device,
        root = partition,
        "GRUB is installed from the image's files, none of which was run"
    );
    Ok(())
}
