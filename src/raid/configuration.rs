//! A node's configuration made true (contract/data-plane 6.3).

use farrier_plugin::{BlockDevice, Context, Node};
use serde_json::Value;
use tracing::info;

use super::array::of_devices;
use super::choice::{Disks, holders};
use super::config::Volume;
use super::create::{Wanted, make};
use super::error::RaidError;
use super::kept::to_make;
use super::layout::{DiskShape, divide, in_order, shape};
use super::machine::System;
use super::validation::{Facts, validate};
use crate::block::boot_mode::{BootMode, DiskLabel};
use crate::block::list::{ListedDevice, all_devices};
use crate::block::skip::SkipList;
use crate::sys::root::Root;

/// What arrays are made of, and for whom.
pub(crate) struct Order<'a> {
    pub(crate) root: &'a Root,
    pub(crate) context: &'a dyn Context,
    pub(crate) node: &'a Node,
    /// The disks that the managers list.
    pub(crate) listed: &'a [BlockDevice],
    /// What the node's owner or a hardware manager wants left alone.
    pub(crate) skipped: &'a SkipList,
    /// Whether shared cluster file systems are left alone.
    pub(crate) guards_shared: bool,
    /// Whether firmware of UEFI started this ramdisk.
    pub(crate) firmware_is_uefi: bool,
}

impl Order<'_> {
    fn node(&self) -> &str {
        self.node.uuid().unwrap_or("a node without UUID")
    }

    fn disks(&self, all: &[ListedDevice]) -> Result<Disks<'_>, RaidError> {
        let spared = self.skipped.protected(all)?;
        Ok(Disks::survey(
            self.root,
            self.listed,
            all,
            &spared,
            self.guards_shared,
        ))
    }

    /// Whether all rules of a configuration are kept, and its volumes.
    ///
    /// # Errors
    /// [`RaidError::NoVolumes`], [`RaidError::Configuration`], and where the disks cannot be listed.
    pub(crate) fn validate(&self, configuration: &Value) -> Result<Vec<Volume>, RaidError> {
        let facts = Facts {
            node: self.node(),
            protects_names: self.skipped.volume_names().next().is_some(),
            disks: self.disks(&all_devices(self.root)?)?.count(),
        };
        validate(configuration, facts)
    }

    /// Make the arrays of this configuration.
    ///
    /// # Errors
    /// Before anything is written: those of [`Self::validate`], of the choice of disks, and where disks are in use or
    /// have partitions. After that those of the disks, the kernel and mdadm.
    pub(crate) fn create(&self, configuration: &Value) -> Result<(), RaidError> {
        let volumes = self.validate(configuration)?;
        let all = all_devices(self.root)?;
        let protected = self.skipped.volume_names().collect();
        let volumes = to_make(volumes, &of_devices(self.root, &all), &protected)?;
        if volumes.is_empty() {
            info!("the arrays of all volumes are there and stay");
            return Ok(());
        }
        let disks = self.disks(&all)?;
        let ordered = in_order(&volumes);
        let chosen: Vec<Vec<DiskShape<'_>>> = disks
            .choose(&ordered)?
            .into_iter()
            .map(|disks| disks.into_iter().map(shape).collect())
            .collect();
        let mode = BootMode::of(self.node, self.firmware_is_uefi);
        let label = DiskLabel::of(self.node, mode);
        let sizes: Vec<_> = ordered.iter().map(|volume| volume.size).collect();
        let divisions = divide(mode, label, &sizes, &chosen)?;
        let names: Vec<&str> = divisions
            .iter()
            .map(|division| division.disk.device)
            .collect();
        if let Some((device, users)) = holders(&all, &names).into_iter().next() {
            return Err(RaidError::InUse { device, users });
        }
        for (volume, disks) in ordered.iter().zip(&chosen) {
            let disks: Vec<&str> = disks.iter().map(|disk| disk.device).collect();
            info!(volume = volume.name, level = %volume.level, disks = disks.join(", "), "to be made");
        }
        let wanted: Vec<Wanted<'_>> = ordered
            .iter()
            .zip(&chosen)
            .map(|(volume, disks)| Wanted { volume, disks })
            .collect();
        let machine = System {
            root: self.root,
            context: self.context,
        };
        make(&machine, &wanted, &divisions)
    }
}
