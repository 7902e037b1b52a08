//! The trait that every hardware manager implements.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::protocol::Method;
use crate::{
    BlockDevice, BootInfo, Context, Cpu, Device, Inventory, LldpData, ManagerError, Memory,
    NetworkInterface, Node, Port, Step, StepArguments, StepKind, SystemVendor, TlsCertificate,
    UsbDevice,
};

/// Support levels (contract/control-plane 8.1). Any larger number is allowed too.
pub mod support {
    /// The manager is dropped.
    pub const NONE: u32 = 0;
    /// Works on any hardware, knows nothing special.
    pub const GENERIC: u32 = 1;
    /// Knows a kind of hardware.
    pub const MAINLINE: u32 = 2;
    /// A site's own manager, before all others.
    pub const SERVICE_PROVIDER: u32 = 3;
}

/// Name and version of a manager, which the conductor compares between runs.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ManagerVersion {
    /// Stable name: `generic_hardware_manager`.
    pub name: String,
    /// Version; compared for equality only.
    pub version: String,
}

/// Knows one kind of hardware (contract/control-plane 8.9).
///
/// Every default body declines with [`ManagerError::unsupported`] unless it says otherwise.
/// Methods may be called from several threads at once.
pub trait HardwareManager: Send + Sync {
    /// The class name, which is the key of this manager's steps on the wire:
    /// `GenericHardwareManager`.
    fn class_name(&self) -> &str;

    /// Name and version.
    fn version(&self) -> ManagerVersion;

    /// How well this manager supports the machine it runs on; see [`support`]. Asked once.
    fn evaluate_hardware_support(&self) -> Result<u32, ManagerError>;

    /// Called once after all managers were evaluated, in support order. Does nothing by default.
    fn initialize(&self, _context: &dyn Context) -> Result<(), ManagerError> {
        Ok(())
    }

    /// Whether a device is shown at all: the device to keep, with whatever this manager knows
    /// better, or `None` to hide it from everything, cleaning and the choice of the root device
    /// included. A manager without an opinion declines; the first opinion counts.
    ///
    /// Asked for every disk, network interface and USB device at every listing, so it has to be
    /// quick. A device is what its name says: the name has to stay.
    fn filter_device(&self, _device: &Device) -> Result<Option<Device>, ManagerError> {
        Err(ManagerError::unsupported(Method::FilterDevice))
    }

    /// Network interfaces.
    fn list_network_interfaces(&self) -> Result<Vec<NetworkInterface>, ManagerError> {
        Err(ManagerError::unsupported(Method::ListNetworkInterfaces))
    }

    /// One network interface, described better than the kernel does it: asked for each that is
    /// listed.
    fn interface_info(&self, _interface_name: &str) -> Result<NetworkInterface, ManagerError> {
        Err(ManagerError::unsupported(Method::GetInterfaceInfo))
    }

    /// What switches announce by LLDP on these interfaces, or on all, as long as the options let
    /// it wait for them.
    fn collect_lldp_data(
        &self,
        _interface_names: Option<&[String]>,
    ) -> Result<LldpData, ManagerError> {
        Err(ManagerError::unsupported(Method::CollectLldpData))
    }

    /// Processors.
    fn cpus(&self) -> Result<Cpu, ManagerError> {
        Err(ManagerError::unsupported(Method::GetCpus))
    }

    /// Memory.
    fn memory(&self) -> Result<Memory, ManagerError> {
        Err(ManagerError::unsupported(Method::GetMemory))
    }

    /// Disks, with their partitions where asked for.
    fn list_block_devices(
        &self,
        _include_partitions: bool,
    ) -> Result<Vec<BlockDevice>, ManagerError> {
        Err(ManagerError::unsupported(Method::ListBlockDevices))
    }

    /// Disks without those that the node's `skip_block_devices` names.
    fn list_block_devices_check_skip_list(
        &self,
        _node: &Node,
        _include_partitions: bool,
    ) -> Result<Vec<BlockDevice>, ManagerError> {
        Err(ManagerError::unsupported(
            Method::ListBlockDevicesCheckSkipList,
        ))
    }

    /// The names of the devices that must be left alone for this node, among these devices or all;
    /// `None` where there are none. They are skipped beside those that the node's
    /// `skip_block_devices` names: a manager can protect more, and never less.
    fn skip_list_for_disks(
        &self,
        _node: &Node,
        _devices: Option<&[BlockDevice]>,
    ) -> Result<Option<BTreeSet<String>>, ManagerError> {
        Err(ManagerError::unsupported(
            Method::GetSkipListFromNodeForDisks,
        ))
    }

    /// The names of the software RAID volumes that must be left alone for this node; `None` where
    /// there are none. They too are only ever added.
    fn skip_list_for_raids(&self, _node: &Node) -> Result<Option<BTreeSet<String>>, ManagerError> {
        Err(ManagerError::unsupported(
            Method::GetSkipListFromNodeForRaids,
        ))
    }

    /// The disk that the image goes to, by the node's root device hints.
    ///
    /// With `permit_refresh` an image is about to be written, and a node without hints has just
    /// been looked up again at the conductor (contract/data-plane 2.1); otherwise it is only
    /// looked for.
    fn os_install_device(
        &self,
        _node: Option<&Node>,
        _permit_refresh: bool,
    ) -> Result<BlockDevice, ManagerError> {
        Err(ManagerError::unsupported(Method::GetOsInstallDevice))
    }

    /// Wait until the disks of this node are there. Where all managers decline, the agent looks for
    /// the root disk as often as its options say (contract/control-plane 8.7).
    fn wait_for_disks(&self, _node: Option<&Node>) -> Result<(), ManagerError> {
        Err(ManagerError::unsupported(Method::WaitForDisks))
    }

    /// USB devices of no common kind.
    fn usb_devices(&self) -> Result<Vec<UsbDevice>, ManagerError> {
        Err(ManagerError::unsupported(Method::GetUsbDevices))
    }

    /// The certificate of the agent's API, with its key, for this address. It has to be valid
    /// `now`, which is the conductor's time: this machine's clock may be wrong.
    fn generate_tls_certificate(
        &self,
        _ip_address: IpAddr,
        _now: SystemTime,
    ) -> Result<TlsCertificate, ManagerError> {
        Err(ManagerError::unsupported(Method::GenerateTlsCertificate))
    }

    /// The management controller's IPv4 address.
    fn bmc_address(&self) -> Result<Option<String>, ManagerError> {
        Err(ManagerError::unsupported(Method::GetBmcAddress))
    }

    /// The management controller's IPv6 address.
    fn bmc_v6address(&self) -> Result<Option<String>, ManagerError> {
        Err(ManagerError::unsupported(Method::GetBmcV6address))
    }

    /// The management controller's MAC.
    fn bmc_mac(&self) -> Result<Option<String>, ManagerError> {
        Err(ManagerError::unsupported(Method::GetBmcMac))
    }

    /// Boot mode and boot interface.
    fn boot_info(&self) -> Result<BootInfo, ManagerError> {
        Err(ManagerError::unsupported(Method::GetBootInfo))
    }

    /// Maker and firmware.
    fn system_vendor_info(&self) -> Result<SystemVendor, ManagerError> {
        Err(ManagerError::unsupported(Method::GetSystemVendorInfo))
    }

    /// The whole inventory.
    fn list_hardware_info(&self) -> Result<Inventory, ManagerError> {
        Err(ManagerError::unsupported(Method::ListHardwareInfo))
    }

    /// Erase one device. May run for several devices at once.
    ///
    /// What is given back becomes the device's value in the result of `erase_devices`: null, or a
    /// record of what was done and how it was proven.
    fn erase_block_device(
        &self,
        _context: &dyn Context,
        _node: &Node,
        _device: &BlockDevice,
    ) -> Result<Value, ManagerError> {
        Err(ManagerError::unsupported(Method::EraseBlockDevice))
    }

    /// Erase all devices that are not to be skipped: the step of this name, in a manager's own way.
    /// The result names each device, with null or a record of what was done. The generic manager
    /// asks all managers to [`HardwareManager::erase_block_device`] of each.
    fn erase_devices(
        &self,
        _context: &dyn Context,
        _node: &Node,
        _ports: &[Port],
    ) -> Result<Value, ManagerError> {
        Err(ManagerError::unsupported(Method::EraseDevices))
    }

    /// The steps of one kind that this manager offers. None by default.
    fn steps(
        &self,
        _kind: StepKind,
        _node: &Node,
        _ports: &[Port],
    ) -> Result<Vec<Step>, ManagerError> {
        Ok(Vec::new())
    }

    /// Run the step of this name. The result is any JSON; null is a result too. By default there is
    /// [`HardwareManager::erase_devices`] and nothing else.
    fn execute_step(
        &self,
        context: &dyn Context,
        step: &str,
        node: &Node,
        ports: &[Port],
        _arguments: &StepArguments,
    ) -> Result<Value, ManagerError> {
        match step {
            _ if step == Method::EraseDevices.as_str() => self.erase_devices(context, node, ports),
            _ => Err(ManagerError::unsupported(step)),
        }
    }

    /// Make the installed system bootable (`image.install_bootloader`, contract/data-plane 5).
    fn install_bootloader(
        &self,
        _context: &dyn Context,
        _node: &Node,
        _arguments: &StepArguments,
    ) -> Result<(), ManagerError> {
        Err(ManagerError::unsupported(Method::InstallBootloader))
    }

    /// What was written in this run of the agent (`standby.get_partition_uuids`,
    /// contract/data-plane 1.1).
    fn partition_uuids(&self) -> Result<Value, ManagerError> {
        Err(ManagerError::unsupported("get_partition_uuids"))
    }

    /// Further members for the log archive: name and content. None by default.
    fn collect_system_logs(&self) -> Result<Vec<(String, Vec<u8>)>, ManagerError> {
        Ok(Vec::new())
    }

    /// Bring everything written onto the media. Called on all managers.
    fn full_sync(&self) -> Result<(), ManagerError> {
        Err(ManagerError::unsupported(Method::FullSync))
    }
}
