//! What the generic manager has and knows, on which its methods stand.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use farrier_plugin::protocol::Method;
use farrier_plugin::{BlockDevice, ErrorKind, HardwareManager, LldpData, ManagerError, Node};
use serde_json::Value;

use super::{CLASS_NAME, filter};
use crate::block::skip::{Purpose, SkipList};
use crate::block::{list, settle};
use crate::config::Live;
use crate::hardware::dispatch::Dispatcher;
use crate::inventory::{self, Bmc, Smbios};
use crate::sys::root::Root;

/// What was asked of others longer ago is asked again where an inventory is gathered anew: a machine
/// that waits for its conductor may have been switched on before its switch and before its
/// management controller had an address, or was plugged in elsewhere since.
pub(super) const FRESH: Duration = Duration::from_secs(300);

/// The generic manager (contract/control-plane 7.3, 8.9).
pub(in crate::hardware) struct GenericHardwareManager {
    pub(super) options: Live,
    pub(super) root: Root,
    /// All managers: `erase_devices` asks them about each device.
    pub(super) peers: Weak<Dispatcher>,
    /// Disks may be erased: this machine runs from memory, or a person insists.
    pub(super) may_destroy: bool,
    /// What the management controller said, and how long that is good: it takes seconds to answer.
    pub(super) bmc: Mutex<Option<(Instant, Bmc)>>,
    /// What switches announce, and how long that is good: they speak every 30 s only.
    pub(super) announcements: Mutex<Option<(Instant, LldpData)>>,
    /// The answer to `get_partition_uuids`, once an image was written.
    pub(super) written: Mutex<Option<Value>>,
}

impl GenericHardwareManager {
    pub(in crate::hardware) fn new(
        options: Live,
        root: Root,
        peers: Weak<Dispatcher>,
        may_destroy: bool,
    ) -> Self {
        Self {
            options,
            root,
            peers,
            may_destroy,
            bmc: Mutex::default(),
            announcements: Mutex::default(),
            written: Mutex::default(),
        }
    }

    pub(super) fn bmc(&self) -> Bmc {
        // Held while it is asked: one question at a time is all that it takes.
        let mut kept = self.bmc.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some((until, bmc)) if Instant::now() < *until => bmc.clone(),
            _ => {
                let bmc = inventory::bmc(&self.root);
                *kept = Some((Instant::now() + FRESH, bmc.clone()));
                bmc
            }
        }
    }

    pub(super) fn smbios(&self) -> Option<Smbios> {
        Smbios::read(&self.root)
    }

    /// All managers, for questions that another one may know better.
    pub(super) fn peers(&self) -> Result<Arc<Dispatcher>, ManagerError> {
        self.peers.upgrade().ok_or_else(|| {
            ManagerError::new(
                ErrorKind::HardwareManagerNotFound,
                "The hardware managers are being shut down",
            )
        })
    }

    /// The answer of another manager, where one has any.
    pub(super) fn another<T>(
        &self,
        method: Method,
        call: fn(&dyn HardwareManager) -> Result<T, ManagerError>,
    ) -> Result<Option<T>, ManagerError> {
        self.peers()?.others(CLASS_NAME, method, call)
    }

    /// The block devices that no manager hides.
    pub(super) fn devices(
        &self,
        include_partitions: bool,
    ) -> Result<Vec<BlockDevice>, ManagerError> {
        let devices = self.kernel_devices(include_partitions)?;
        filter::block_devices(&*self.peers()?, &self.root, devices)
    }

    pub(super) fn kernel_devices(
        &self,
        include_partitions: bool,
    ) -> Result<Vec<BlockDevice>, ManagerError> {
        settle::wait(&self.root, settle::LIMIT);
        list::list_block_devices(&self.root, include_partitions).map_err(|source| {
            ManagerError::new(ErrorKind::BlockDevice, "Block devices could not be listed")
                .with_source(source)
        })
    }

    pub(super) fn unskipped(
        &self,
        node: &Node,
        include_partitions: bool,
        purpose: Purpose,
    ) -> Result<Vec<BlockDevice>, ManagerError> {
        let devices = self.devices(include_partitions)?;
        self.skip_list(node, Some(&devices))?
            .retain(&self.root, devices, purpose)
            .map_err(|error| ManagerError::new(ErrorKind::BlockDevice, error.to_string()))
    }

    /// What the node says is to be skipped, and what another manager adds. Whoever answers first
    /// replaces the node's list in the reference; here nobody can take away from it.
    pub(super) fn skip_list(
        &self,
        node: &Node,
        devices: Option<&[BlockDevice]>,
    ) -> Result<SkipList, ManagerError> {
        let mut list = own_skip_list(node)?;
        let peers = self.peers()?;
        let method = Method::GetSkipListFromNodeForDisks;
        let names = peers.others(CLASS_NAME, method, |peer| {
            peer.skip_list_for_disks(node, devices)
        })?;
        list.add_devices(names.flatten().into_iter().flatten());
        let method = Method::GetSkipListFromNodeForRaids;
        let names = peers.others(CLASS_NAME, method, |peer| peer.skip_list_for_raids(node))?;
        list.add_volumes(names.flatten().into_iter().flatten());
        Ok(list)
    }
}

pub(super) fn own_skip_list(node: &Node) -> Result<SkipList, ManagerError> {
    SkipList::from_node(node)
        .map_err(|error| ManagerError::new(ErrorKind::BlockDevice, error.to_string()))
}
