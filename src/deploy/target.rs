//! The disk that a deploy works on.

use std::ops::Deref;

use farrier_plugin::{Context, SilentContext, chain};
use tracing::warn;

use super::error::DeployError;
use crate::block::exclusive::{self, NotOpened};
use crate::block::partition::Partition;
use crate::block::partition_maps::Map;
use crate::block::rescan::{partition_device, take_partitions};
use crate::block::settle::{self, Closing};
use crate::block::table::Table;
use crate::sys::block_device::Disk;
use crate::sys::root::Root;

/// The disk, opened for this process alone. On a multipath map the partitions are away until it is dropped. When that
/// is done, udev has looked at the disk, and its partitions are there.
#[derive(Debug)]
pub(super) struct RootDisk {
    // Closed before udev is waited for, and that before the partitions are made.
    disk: Disk,
    look: Look,
    _partitions: Option<MadeAgain>,
}

impl Deref for RootDisk {
    type Target = Disk;

    fn deref(&self) -> &Disk {
        &self.disk
    }
}

impl RootDisk {
    /// Give the disk up, of which no partition could be mounted as long as it is held, and have these
    /// partitions of its table visible: their paths.
    pub(super) fn let_go<const COUNT: usize>(
        self,
        device: &str,
        table: &Table,
        partitions: [&Partition; COUNT],
    ) -> Result<[String; COUNT], DeployError> {
        let system = Root::system();
        if let Err(error) = take_partitions(&system, &self, table) {
            warn!(device, error = %chain(&error), "not all partitions are visible");
        }
        drop(self);
        settle::wait(&system, settle::LIMIT);
        let mut paths = [const { String::new() }; COUNT];
        for (path, partition) in paths.iter_mut().zip(partitions) {
            *path = partition_device(&system, device, partition).ok_or_else(|| {
                DeployError::NoEsp(format!(
                    "Partition {} of device {device} is not visible",
                    partition.number
                ))
            })?;
        }
        Ok(paths)
    }
}

/// Open the disk for this process alone, waiting for those who have it open for a moment; where
/// they stay, the error names them.
pub(super) fn open(device: &str, context: &dyn Context) -> Result<RootDisk, DeployError> {
    let root = Root::system();
    let map = Map::of(&root, device);
    if let Some(map) = &map {
        map.remove(&root);
    }
    match exclusive::open(&root, device, context) {
        Ok(disk) => Ok(RootDisk {
            disk,
            look: Look(None),
            _partitions: map.map(|map| MadeAgain {
                device: device.to_owned(),
                map,
            }),
        }),
        Err(NotOpened { users, source }) => Err(DeployError::Target {
            device: device.to_owned(),
            holders: match users.as_slice() {
                [] => String::new(),
                users => format!(" because {}", users.join(", ")),
            },
            source,
        }),
    }
}

impl Drop for RootDisk {
    fn drop(&mut self) {
        self.look = Look(Some(Closing::of(&Root::system())));
    }
}

/// Waits for udev's look at the disk when dropped.
#[derive(Debug)]
struct Look(Option<Closing>);

impl Drop for Look {
    fn drop(&mut self) {
        if let Some(closing) = self.0.take() {
            closing.wait(&Root::system());
        }
    }
}

/// Makes the partitions of a multipath map when dropped, by the table that is on it then.
#[derive(Debug)]
struct MadeAgain {
    device: String,
    map: Map,
}

impl Drop for MadeAgain {
    fn drop(&mut self) {
        let device = &self.device;
        let disk = match exclusive::open(&Root::system(), device, &SilentContext) {
            Ok(disk) => disk,
            Err(NotOpened { source, .. }) => {
                warn!(device, error = %chain(&source), "its partitions could not be made");
                return;
            }
        };
        match Table::read(&disk) {
            Ok(table) => {
                drop(disk);
                self.map.make(&table);
            }
            // A deploy that failed leaves none.
            Err(error) => warn!(device, error = %chain(&error), "has no partition table"),
        }
    }
}
