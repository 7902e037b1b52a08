//! The disks of this machine, and its kernel, for making arrays.

use farrier_plugin::{Context, chain};
use tracing::debug;

use super::create::{Machine, OpenDisk};
use super::error::RaidError;
use super::mdadm::{self, Creation};
use super::number::free_device;
use crate::block::exclusive;
use crate::block::partition::Partition;
use crate::block::rescan::{partition_device, shows_partitions, take_partitions};
use crate::block::settle::{self, Closing};
use crate::block::table::Table;
use crate::sys::block_device::{Disk, DiskError, Medium};
use crate::sys::root::Root;

/// This machine.
pub(super) struct System<'a> {
    pub(super) root: &'a Root,
    pub(super) context: &'a dyn Context,
}

impl Machine for System<'_> {
    fn open(&self, device: &str) -> Result<Box<dyn OpenDisk + '_>, RaidError> {
        let disk = exclusive::open(self.root, device, self.context).map_err(|refused| {
            let device = device.to_owned();
            match refused.users.is_empty() {
                true => RaidError::Disk {
                    device,
                    source: refused.source,
                },
                false => RaidError::InUse {
                    device,
                    users: refused.users.join(", "),
                },
            }
        })?;
        Ok(Box::new(SystemDisk {
            root: self.root,
            disk,
            look: Look {
                root: self.root,
                closing: None,
            },
        }))
    }

    fn partition(&self, device: &str, partition: &Partition) -> Option<String> {
        // A node that udev has not come to can go again.
        settle::wait(self.root, settle::LIMIT);
        partition_device(self.root, device, partition).filter(|device| self.root.exists(device))
    }

    fn free_array(&self, number: usize) -> Result<String, RaidError> {
        free_device(self.root, number)
    }

    fn create(&self, creation: &Creation<'_>) -> Result<(), RaidError> {
        mdadm::create(self.root, creation)
    }

    fn is_cancelled(&self) -> bool {
        self.context.is_cancelled()
    }
}

/// A disk that is held. When it is dropped, udev has looked at it, and its partitions are there for good.
struct SystemDisk<'a> {
    root: &'a Root,
    disk: Disk,
    // Closed before udev is waited for.
    look: Look<'a>,
}

impl Drop for SystemDisk<'_> {
    fn drop(&mut self) {
        self.look.closing = Some(Closing::of(self.root));
    }
}

/// Waits for udev's look at the disk when dropped.
struct Look<'a> {
    root: &'a Root,
    closing: Option<Closing>,
}

impl Drop for Look<'_> {
    fn drop(&mut self) {
        if let Some(closing) = self.closing.take() {
            closing.wait(self.root);
        }
    }
}

impl OpenDisk for SystemDisk<'_> {
    fn medium(&self) -> &dyn Medium {
        &self.disk
    }

    fn shows_partitions(&self) -> bool {
        // It may still have those of a table that was erased.
        if let Err(error) = self.disk.reread_partitions() {
            debug!(error = %chain(&error), "the partition table is not read again");
        }
        shows_partitions(self.root, &self.disk.path().to_string_lossy())
    }

    fn take(&self, table: &Table) -> Result<(), DiskError> {
        take_partitions(self.root, &self.disk, table)
    }
}
