//! The methods of a plugin, each a call of the protocol.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::SystemTime;

use farrier_plugin::protocol::answers::{Done, ErasedDevices};
use farrier_plugin::protocol::method as call;
use farrier_plugin::protocol::parameters::{
    Certificate, DeviceErase, DiskWait, Execution, Installation, Interface, Listing, Lldp,
    NodeListing, Nothing, OfNode, OfPorts, RootDevice, SkipList,
};
use farrier_plugin::protocol::{Method, WireDevice};
use farrier_plugin::{
    BlockDevice, BootInfo, Context, Cpu, Device, ErrorKind, HardwareManager, Inventory, LldpData,
    ManagerError, ManagerVersion, Memory, NetworkInterface, Node, Port, SilentContext, Step,
    StepArguments, StepKind, SystemVendor, TlsCertificate, UsbDevice,
};
use serde::de::Error as _;
use serde_json::Value;

use super::PluginManager;

impl HardwareManager for PluginManager {
    fn class_name(&self) -> &str {
        &self.keeper.introduction().class_name
    }

    fn version(&self) -> ManagerVersion {
        let introduction = self.keeper.introduction();
        ManagerVersion {
            name: introduction.name.clone(),
            version: introduction.version.clone(),
        }
    }

    fn evaluate_hardware_support(&self) -> Result<u32, ManagerError> {
        match self.level.get() {
            Some(Ok(level)) => Ok(*level),
            Some(Err(why)) => Err(ManagerError::new(ErrorKind::CommandExecution, why.clone())),
            None => self.question::<call::EvaluateHardwareSupport>(),
        }
    }

    fn initialize(&self, context: &dyn Context) -> Result<(), ManagerError> {
        if !self.keeper.has(Method::Initialize) {
            return Ok(());
        }
        let Done = self.ask::<call::Initialize>(context, || Nothing {})?;
        Ok(())
    }

    fn filter_device(&self, device: &Device) -> Result<Option<Device>, ManagerError> {
        self.filter(device)
    }

    fn list_network_interfaces(&self) -> Result<Vec<NetworkInterface>, ManagerError> {
        self.question::<call::ListNetworkInterfaces>()
    }

    fn interface_info(&self, interface_name: &str) -> Result<NetworkInterface, ManagerError> {
        let interface = self.ask::<call::GetInterfaceInfo>(&SilentContext, || Interface {
            interface_name: interface_name.to_owned(),
        })?;
        if interface.name != interface_name {
            let other = format!("it described {} as {}", interface_name, interface.name);
            let source = serde_json::Error::custom(other);
            return Err(self.strange(Method::GetInterfaceInfo, source));
        }
        Ok(interface)
    }

    fn collect_lldp_data(
        &self,
        interface_names: Option<&[String]>,
    ) -> Result<LldpData, ManagerError> {
        self.ask::<call::CollectLldpData>(&SilentContext, || Lldp {
            interface_names: interface_names.map(<[String]>::to_vec),
        })
    }

    fn cpus(&self) -> Result<Cpu, ManagerError> {
        self.question::<call::GetCpus>()
    }

    fn memory(&self) -> Result<Memory, ManagerError> {
        self.question::<call::GetMemory>()
    }

    fn list_block_devices(
        &self,
        include_partitions: bool,
    ) -> Result<Vec<BlockDevice>, ManagerError> {
        self.ask::<call::ListBlockDevices>(&SilentContext, || Listing { include_partitions })
            .map(devices)
    }

    fn list_block_devices_check_skip_list(
        &self,
        node: &Node,
        include_partitions: bool,
    ) -> Result<Vec<BlockDevice>, ManagerError> {
        self.ask::<call::ListBlockDevicesCheckSkipList>(&SilentContext, || NodeListing {
            node: self.node(node),
            include_partitions,
        })
        .map(devices)
    }

    fn skip_list_for_disks(
        &self,
        node: &Node,
        devices: Option<&[BlockDevice]>,
    ) -> Result<Option<BTreeSet<String>>, ManagerError> {
        self.ask::<call::GetSkipListFromNodeForDisks>(&SilentContext, || SkipList {
            node: self.node(node),
            block_devices: devices.map(|devices| devices.iter().cloned().map(WireDevice).collect()),
        })
    }

    fn skip_list_for_raids(&self, node: &Node) -> Result<Option<BTreeSet<String>>, ManagerError> {
        self.ask::<call::GetSkipListFromNodeForRaids>(&SilentContext, || OfNode {
            node: self.node(node),
        })
    }

    fn os_install_device(
        &self,
        node: Option<&Node>,
        permit_refresh: bool,
    ) -> Result<BlockDevice, ManagerError> {
        let disk = self.ask::<call::GetOsInstallDevice>(&SilentContext, || RootDevice {
            node: node.map(|node| self.node(node)),
            permit_refresh,
        })?;
        self.device_of(disk)
    }

    fn wait_for_disks(&self, node: Option<&Node>) -> Result<(), ManagerError> {
        let Done = self.ask::<call::WaitForDisks>(&SilentContext, || DiskWait {
            node: node.map(|node| self.node(node)),
        })?;
        Ok(())
    }

    fn usb_devices(&self) -> Result<Vec<UsbDevice>, ManagerError> {
        self.question::<call::GetUsbDevices>()
    }

    fn generate_tls_certificate(
        &self,
        ip_address: IpAddr,
        now: SystemTime,
    ) -> Result<TlsCertificate, ManagerError> {
        let now = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        self.ask::<call::GenerateTlsCertificate>(&SilentContext, || Certificate { ip_address, now })
    }

    fn bmc_address(&self) -> Result<Option<String>, ManagerError> {
        self.question::<call::GetBmcAddress>()
    }

    fn bmc_v6address(&self) -> Result<Option<String>, ManagerError> {
        self.question::<call::GetBmcV6address>()
    }

    fn bmc_mac(&self) -> Result<Option<String>, ManagerError> {
        self.question::<call::GetBmcMac>()
    }

    fn boot_info(&self) -> Result<BootInfo, ManagerError> {
        self.question::<call::GetBootInfo>()
    }

    fn system_vendor_info(&self) -> Result<SystemVendor, ManagerError> {
        self.question::<call::GetSystemVendorInfo>()
    }

    fn list_hardware_info(&self) -> Result<Inventory, ManagerError> {
        self.question::<call::ListHardwareInfo>()
    }

    fn erase_block_device(
        &self,
        context: &dyn Context,
        node: &Node,
        device: &BlockDevice,
    ) -> Result<Value, ManagerError> {
        self.ask::<call::EraseBlockDevice>(context, || DeviceErase {
            node: self.node(node),
            block_device: WireDevice(device.clone()),
        })
    }

    fn erase_devices(
        &self,
        context: &dyn Context,
        node: &Node,
        ports: &[Port],
    ) -> Result<Value, ManagerError> {
        let ErasedDevices(devices) =
            self.ask::<call::EraseDevices>(context, || self.of_ports(node, ports))?;
        Ok(devices)
    }

    /// A manager without steps of this kind has none; it need not have the method.
    fn steps(
        &self,
        kind: StepKind,
        node: &Node,
        ports: &[Port],
    ) -> Result<Vec<Step>, ManagerError> {
        if !self.keeper.has(Method::steps_of(kind)) {
            return Ok(Vec::new());
        }
        let (context, arguments) = (&SilentContext, || self.of_ports(node, ports));
        let steps = match kind {
            StepKind::Clean => self.ask::<call::GetCleanSteps>(context, arguments),
            StepKind::Deploy => self.ask::<call::GetDeploySteps>(context, arguments),
            StepKind::Service => self.ask::<call::GetServiceSteps>(context, arguments),
        }?;
        for (index, step) in steps.iter().enumerate() {
            if steps[..index].iter().any(|other| other.step == step.step) {
                return Err(ManagerError::new(
                    ErrorKind::HardwareManagerConfiguration,
                    format!(
                        "The hardware manager {} offers the step {} twice",
                        self.keeper.name(),
                        step.step
                    ),
                ));
            }
        }
        Ok(steps)
    }

    fn execute_step(
        &self,
        context: &dyn Context,
        step: &str,
        node: &Node,
        ports: &[Port],
        arguments: &StepArguments,
    ) -> Result<Value, ManagerError> {
        if step == Method::EraseDevices.as_str() && self.keeper.has(Method::EraseDevices) {
            return self.erase_devices(context, node, ports);
        }
        self.ask::<call::ExecuteStep>(context, || Execution {
            step: step.to_owned(),
            node: self.node_of_step(node, arguments),
            ports: ports.to_vec(),
            arguments: self.arguments(arguments),
        })
        .map_err(|error| {
            // A plain refusal is told by the step's name, not by the protocol's.
            if error.to_string() == ManagerError::unsupported(Method::ExecuteStep).to_string() {
                ManagerError::unsupported(step)
            } else {
                error
            }
        })
    }

    fn install_bootloader(
        &self,
        context: &dyn Context,
        node: &Node,
        arguments: &StepArguments,
    ) -> Result<(), ManagerError> {
        let Done = self.ask::<call::InstallBootloader>(context, || Installation {
            node: self.node_of_step(node, arguments),
            arguments: self.arguments(arguments),
        })?;
        Ok(())
    }

    fn collect_system_logs(&self) -> Result<Vec<(String, Vec<u8>)>, ManagerError> {
        let logs = self.question::<call::CollectSystemLogs>()?;
        Ok(logs
            .into_iter()
            // A name that could lead out of the archive's folder is made harmless.
            .map(|log| {
                let name = log.name.replace(['/', '\\'], "_");
                (
                    format!("{}-{name}", self.keeper.name()),
                    log.text.into_bytes(),
                )
            })
            .collect())
    }

    fn full_sync(&self) -> Result<(), ManagerError> {
        let Done = self.question::<call::FullSync>()?;
        Ok(())
    }
}

impl PluginManager {
    fn of_ports(&self, node: &Node, ports: &[Port]) -> OfPorts {
        OfPorts {
            node: self.node(node),
            ports: ports.to_vec(),
        }
    }
}

fn devices(listed: Vec<WireDevice>) -> Vec<BlockDevice> {
    listed
        .into_iter()
        .map(|WireDevice(device)| device)
        .collect()
}
