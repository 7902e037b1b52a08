//! The methods of a plugin, each a call of the protocol.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::SystemTime;

use farrier_plugin::{
    BlockDevice, BootInfo, Context, Cpu, Device, ErrorKind, HardwareManager, Inventory, LldpData,
    ManagerError, ManagerVersion, Memory, NetworkInterface, Node, Port, SilentContext, Step,
    StepArguments, StepKind, SystemVendor, TlsCertificate, UsbDevice, protocol,
};
use serde::de::Error as _;
use serde_json::{Value, json};

use super::PluginManager;
use super::manager::Log;

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
            None => self.question("evaluate_hardware_support"),
        }
    }

    fn initialize(&self, context: &dyn Context) -> Result<(), ManagerError> {
        if !self.keeper.has("initialize") {
            return Ok(());
        }
        self.call(
            "initialize",
            json!({}),
            context,
            ErrorKind::HardwareManagerConfiguration,
        )
        .map(|_| ())
    }

    fn filter_device(&self, device: &Device) -> Result<Option<Device>, ManagerError> {
        self.filter(device)
    }

    fn list_network_interfaces(&self) -> Result<Vec<NetworkInterface>, ManagerError> {
        self.question("list_network_interfaces")
    }

    fn interface_info(&self, interface_name: &str) -> Result<NetworkInterface, ManagerError> {
        const METHOD: &str = "get_interface_info";
        let answer = self.call(
            METHOD,
            json!({ "interface_name": interface_name }),
            &SilentContext,
            ErrorKind::CommandExecution,
        )?;
        let interface: NetworkInterface =
            serde_json::from_value(answer).map_err(|source| self.strange(METHOD, source))?;
        if interface.name != interface_name {
            let other = format!("it described {} as {}", interface_name, interface.name);
            return Err(self.strange(METHOD, serde_json::Error::custom(other)));
        }
        Ok(interface)
    }

    fn collect_lldp_data(
        &self,
        interface_names: Option<&[String]>,
    ) -> Result<LldpData, ManagerError> {
        self.question_with(
            "collect_lldp_data",
            json!({ "interface_names": interface_names }),
        )
    }

    fn cpus(&self) -> Result<Cpu, ManagerError> {
        self.question("get_cpus")
    }

    fn memory(&self) -> Result<Memory, ManagerError> {
        self.question("get_memory")
    }

    fn list_block_devices(
        &self,
        include_partitions: bool,
    ) -> Result<Vec<BlockDevice>, ManagerError> {
        self.devices_of(
            "list_block_devices",
            json!({ "include_partitions": include_partitions }),
        )
    }

    fn list_block_devices_check_skip_list(
        &self,
        node: &Node,
        include_partitions: bool,
    ) -> Result<Vec<BlockDevice>, ManagerError> {
        self.devices_of(
            "list_block_devices_check_skip_list",
            json!({ "node": self.node(node, None), "include_partitions": include_partitions }),
        )
    }

    fn skip_list_for_disks(
        &self,
        node: &Node,
        devices: Option<&[BlockDevice]>,
    ) -> Result<Option<BTreeSet<String>>, ManagerError> {
        const METHOD: &str = "get_skip_list_from_node_for_disks";
        if !self.keeper.has(METHOD) {
            return Err(ManagerError::unsupported(METHOD));
        }
        let devices: Option<Vec<Value>> =
            devices.map(|devices| devices.iter().map(protocol::device_to_wire).collect());
        self.question_with(
            METHOD,
            json!({ "node": self.node(node, None), "block_devices": devices }),
        )
    }

    fn skip_list_for_raids(&self, node: &Node) -> Result<Option<BTreeSet<String>>, ManagerError> {
        self.question_with(
            "get_skip_list_from_node_for_raids",
            json!({ "node": self.node(node, None) }),
        )
    }

    fn os_install_device(
        &self,
        node: Option<&Node>,
        permit_refresh: bool,
    ) -> Result<BlockDevice, ManagerError> {
        const METHOD: &str = "get_os_install_device";
        let node = node.map(|node| self.node(node, None));
        let answer: Value = self.question_with(
            METHOD,
            json!({ "node": node, "permit_refresh": permit_refresh }),
        )?;
        self.device_of(METHOD, &answer)
    }

    fn wait_for_disks(&self, node: Option<&Node>) -> Result<(), ManagerError> {
        let node = node.map(|node| self.node(node, None));
        self.call(
            "wait_for_disks",
            json!({ "node": node }),
            &SilentContext,
            ErrorKind::DeviceNotFound,
        )
        .map(|_| ())
    }

    fn usb_devices(&self) -> Result<Vec<UsbDevice>, ManagerError> {
        self.question("get_usb_devices")
    }

    fn generate_tls_certificate(
        &self,
        ip_address: IpAddr,
        now: SystemTime,
    ) -> Result<TlsCertificate, ManagerError> {
        let now = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        self.question_with(
            "generate_tls_certificate",
            json!({ "ip_address": ip_address, "now": now.as_secs() }),
        )
    }

    fn bmc_address(&self) -> Result<Option<String>, ManagerError> {
        self.question("get_bmc_address")
    }

    fn bmc_v6address(&self) -> Result<Option<String>, ManagerError> {
        self.question("get_bmc_v6address")
    }

    fn bmc_mac(&self) -> Result<Option<String>, ManagerError> {
        self.question("get_bmc_mac")
    }

    fn boot_info(&self) -> Result<BootInfo, ManagerError> {
        self.question("get_boot_info")
    }

    fn system_vendor_info(&self) -> Result<SystemVendor, ManagerError> {
        self.question("get_system_vendor_info")
    }

    fn list_hardware_info(&self) -> Result<Inventory, ManagerError> {
        self.question("list_hardware_info")
    }

    fn erase_block_device(
        &self,
        context: &dyn Context,
        node: &Node,
        device: &BlockDevice,
    ) -> Result<Value, ManagerError> {
        self.call(
            "erase_block_device",
            json!({
                "node": self.node(node, None), "block_device": protocol::device_to_wire(device),
            }),
            context,
            ErrorKind::BlockDeviceErase,
        )
    }

    fn erase_devices(
        &self,
        context: &dyn Context,
        node: &Node,
        ports: &[Port],
    ) -> Result<Value, ManagerError> {
        self.call(
            "erase_devices",
            json!({ "node": self.node(node, None), "ports": ports }),
            context,
            ErrorKind::BlockDeviceErase,
        )
    }

    /// A manager without steps of this kind has none; it need not have the method.
    fn steps(
        &self,
        kind: StepKind,
        node: &Node,
        ports: &[Port],
    ) -> Result<Vec<Step>, ManagerError> {
        let method = format!("get_{}_steps", kind.word());
        if !self.keeper.has(&method) {
            return Ok(Vec::new());
        }
        let steps: Vec<Step> = self.question_with(
            &method,
            json!({ "node": self.node(node, None), "ports": ports }),
        )?;
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
        if step == "erase_devices" && self.keeper.has(step) {
            return self.erase_devices(context, node, ports);
        }
        if !self.keeper.has("execute_step") {
            return Err(ManagerError::unsupported(step));
        }
        self.call(
            "execute_step",
            json!({
                "step": step, "node": self.node(node, Some(arguments)), "ports": ports,
                "arguments": self.arguments(arguments),
            }),
            context,
            ErrorKind::CommandExecution,
        )
        .map_err(|error| {
            // A plain refusal is told by the step's name, not by the protocol's.
            if error.to_string() == ManagerError::unsupported("execute_step").to_string() {
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
        self.call(
            "install_bootloader",
            json!({
                "node": self.node(node, Some(arguments)), "arguments": self.arguments(arguments),
            }),
            context,
            ErrorKind::CommandExecution,
        )
        .map(|_| ())
    }

    fn collect_system_logs(&self) -> Result<Vec<(String, Vec<u8>)>, ManagerError> {
        let logs: Vec<Log> = self.question("collect_system_logs")?;
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
        self.call(
            "full_sync",
            json!({}),
            &SilentContext,
            ErrorKind::CommandExecution,
        )
        .map(|_| ())
    }
}
