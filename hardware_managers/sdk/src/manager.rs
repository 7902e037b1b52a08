//! The trait that every hardware manager implements.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    BlockDevice, BootInfo, Context, Cpu, Inventory, LldpData, ManagerError, Memory,
    NetworkInterface, Node, Port, Step, StepArguments, StepKind, SystemVendor,
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

    /// Network interfaces.
    fn list_network_interfaces(&self) -> Result<Vec<NetworkInterface>, ManagerError> {
        Err(ManagerError::unsupported("list_network_interfaces"))
    }

    /// What switches announce by LLDP, as long as the options let it wait for them.
    fn collect_lldp_data(&self) -> Result<LldpData, ManagerError> {
        Err(ManagerError::unsupported("collect_lldp_data"))
    }

    /// Processors.
    fn cpus(&self) -> Result<Cpu, ManagerError> {
        Err(ManagerError::unsupported("get_cpus"))
    }

    /// Memory.
    fn memory(&self) -> Result<Memory, ManagerError> {
        Err(ManagerError::unsupported("get_memory"))
    }

    /// Disks, with their partitions where asked for.
    fn list_block_devices(
        &self,
        _include_partitions: bool,
    ) -> Result<Vec<BlockDevice>, ManagerError> {
        Err(ManagerError::unsupported("list_block_devices"))
    }

    /// Disks without those that the node's `skip_block_devices` names.
    fn list_block_devices_check_skip_list(
        &self,
        _node: &Node,
        _include_partitions: bool,
    ) -> Result<Vec<BlockDevice>, ManagerError> {
        Err(ManagerError::unsupported(
            "list_block_devices_check_skip_list",
        ))
    }

    /// The disk that the image goes to, by the node's root device hints.
    fn os_install_device(&self, _node: Option<&Node>) -> Result<BlockDevice, ManagerError> {
        Err(ManagerError::unsupported("get_os_install_device"))
    }

    /// The management controller's IPv4 address.
    fn bmc_address(&self) -> Result<Option<String>, ManagerError> {
        Err(ManagerError::unsupported("get_bmc_address"))
    }

    /// The management controller's IPv6 address.
    fn bmc_v6address(&self) -> Result<Option<String>, ManagerError> {
        Err(ManagerError::unsupported("get_bmc_v6address"))
    }

    /// The management controller's MAC.
    fn bmc_mac(&self) -> Result<Option<String>, ManagerError> {
        Err(ManagerError::unsupported("get_bmc_mac"))
    }

    /// Boot mode and boot interface.
    fn boot_info(&self) -> Result<BootInfo, ManagerError> {
        Err(ManagerError::unsupported("get_boot_info"))
    }

    /// Maker and firmware.
    fn system_vendor_info(&self) -> Result<SystemVendor, ManagerError> {
        Err(ManagerError::unsupported("get_system_vendor_info"))
    }

    /// The whole inventory.
    fn list_hardware_info(&self) -> Result<Inventory, ManagerError> {
        Err(ManagerError::unsupported("list_hardware_info"))
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
        Err(ManagerError::unsupported("erase_block_device"))
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

    /// Run the step of this name. The result is any JSON; null is a result too.
    fn execute_step(
        &self,
        _context: &dyn Context,
        step: &str,
        _node: &Node,
        _ports: &[Port],
        _arguments: &StepArguments,
    ) -> Result<Value, ManagerError> {
        Err(ManagerError::unsupported(step))
    }

    /// Make the installed system bootable (`image.install_bootloader`, contract/data-plane 5).
    fn install_bootloader(
        &self,
        _context: &dyn Context,
        _node: &Node,
        _arguments: &StepArguments,
    ) -> Result<(), ManagerError> {
        Err(ManagerError::unsupported("install_bootloader"))
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
        Err(ManagerError::unsupported("full_sync"))
    }
}
