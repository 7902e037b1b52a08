//! What the generic manager answers and does, method by method.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::SystemTime;

use farrier_plugin::protocol::Method;
use farrier_plugin::{
    BlockDevice, BootInfo, Context, Cpu, Device, ErrorKind, HardwareManager, Inventory, LldpData,
    ManagerError, ManagerVersion, Memory, NetworkInterface, Node, Port, Step, StepArguments,
    StepKind, SystemVendor, TlsCertificate, UsbDevice, support,
};
use serde_json::Value;
use tracing::{debug, info, warn};

use super::manager::{GenericHardwareManager, own_skip_list};
use super::{
    CLASS_NAME, NAME, deploy, erase, filter, interfaces, logs, pstore, raid, steps, storage,
};
use crate::block::hints::{self, RootDeviceHints};
use crate::block::skip::Purpose;
use crate::erase::RecordStore;
use crate::hardware::disk_wait;
use crate::hardware::steps::StepCall;
use crate::inventory;
use crate::net::certificate::Identity;
use crate::raid::{RootVolume, root_volume};
use crate::sys::page_cache;
use crate::sys::process::Program;

impl GenericHardwareManager {
    /// Run a step of this manager's, with what the image is to be where it writes one.
    pub(in crate::hardware) fn run(
        &self,
        context: &dyn Context,
        step: &StepCall<'_>,
    ) -> Result<Value, ManagerError> {
        let StepCall {
            name,
            node,
            ports,
            arguments,
            image,
        } = *step;
        if steps::is_known(name) {
            steps::check_arguments(name, arguments)?;
        }
        match name {
            erase::STEP => self.erase_devices(context, node, ports),
            "erase_devices_express" => erase::devices_express(self, context, node),
            "erase_devices_metadata" => erase::devices_metadata(self, context, node),
            "clean_uefi_nvram" => deploy::clean_uefi_nvram(self, arguments),
            "create_configuration" => raid::create_configuration(self, context, node),
            "delete_configuration" => raid::delete_configuration(self, context, node),
            "apply_configuration" => raid::apply_configuration(self, context, node, arguments),
            "validate_configuration" => {
                raid::validate_configuration(self, context, node, arguments)
            }
            "erase_pstore" => pstore::erase(&self.root),
            "inject_files" => deploy::inject_files(self, context, node, ports, arguments),
            "write_image" => deploy::write_image(self, context, node, image),
            _ => Err(steps::refusal(name)),
        }
    }
}

impl HardwareManager for GenericHardwareManager {
    fn class_name(&self) -> &str {
        CLASS_NAME
    }

    fn version(&self) -> ManagerVersion {
        // The reference's version: conductors compare it between runs of either agent.
        ManagerVersion {
            name: NAME.to_owned(),
            version: "1.2".to_owned(),
        }
    }

    fn evaluate_hardware_support(&self) -> Result<u32, ManagerError> {
        Ok(support::GENERIC)
    }

    /// Bring up multipath and arrays, load what talks to the management controller, and wait for the
    /// root disk (contract/control-plane 8.8). Only where this machine is ours: looking at the
    /// inventory of a running system changes nothing there.
    fn initialize(&self, _context: &dyn Context) -> Result<(), ManagerError> {
        if self.may_destroy {
            storage::assemble(&self.root);
            let ipmi = Program::new("/sbin/modprobe")
                .arg("-a")
                .arg("ipmi_msghandler")
                .arg("ipmi_devintf")
                .arg("ipmi_si")
                // Beyond the reference: ARM servers lead to theirs by I2C alone.
                .arg("ipmi_ssif");
            // Some machines have no controller.
            if let Err(error) = ipmi.run() {
                debug!(%error, "no management controller at start");
            }
        }
        if let Some(peers) = self.peers.upgrade() {
            disk_wait::wait_for_root_disk(&peers, &self.options.current(), None, CLASS_NAME);
        }
        Ok(())
    }

    /// Everything is kept.
    fn filter_device(&self, device: &Device) -> Result<Option<Device>, ManagerError> {
        Ok(Some(device.clone()))
    }

    fn list_network_interfaces(&self) -> Result<Vec<NetworkInterface>, ManagerError> {
        interfaces::list(self)
    }

    fn interface_info(&self, interface_name: &str) -> Result<NetworkInterface, ManagerError> {
        interfaces::info(self, interface_name)
    }

    fn collect_lldp_data(
        &self,
        interface_names: Option<&[String]>,
    ) -> Result<LldpData, ManagerError> {
        interfaces::lldp(self, interface_names)
    }

    fn cpus(&self) -> Result<Cpu, ManagerError> {
        Ok(inventory::cpu(&self.root, self.smbios().as_ref()))
    }

    fn memory(&self) -> Result<Memory, ManagerError> {
        Ok(inventory::memory(&self.root, self.smbios().as_ref()))
    }

    fn list_block_devices(
        &self,
        include_partitions: bool,
    ) -> Result<Vec<BlockDevice>, ManagerError> {
        self.devices(include_partitions)
    }

    fn list_block_devices_check_skip_list(
        &self,
        node: &Node,
        include_partitions: bool,
    ) -> Result<Vec<BlockDevice>, ManagerError> {
        self.unskipped(node, include_partitions, Purpose::WholeDevices)
    }

    fn skip_list_for_disks(
        &self,
        node: &Node,
        devices: Option<&[BlockDevice]>,
    ) -> Result<Option<BTreeSet<String>>, ManagerError> {
        let list = own_skip_list(node)?;
        if list.is_empty() {
            return Ok(None);
        }
        let devices = match devices {
            Some(devices) => devices.to_vec(),
            None => self.devices(true)?,
        };
        let mut skipped: BTreeSet<String> =
            devices.iter().map(|device| device.name.clone()).collect();
        let kept = list
            .retain(&self.root, devices, Purpose::WholeDevices)
            .map_err(|error| ManagerError::new(ErrorKind::BlockDevice, error.to_string()))?;
        for device in kept {
            skipped.remove(&device.name);
        }
        Ok(Some(skipped))
    }

    fn skip_list_for_raids(&self, node: &Node) -> Result<Option<BTreeSet<String>>, ManagerError> {
        let names: BTreeSet<String> = own_skip_list(node)?
            .volume_names()
            .map(str::to_owned)
            .collect();
        Ok((!names.is_empty()).then_some(names))
    }

    /// The root volume of the node's RAID configuration, else what the hints choose of what that leaves. The node
    /// was looked up again before the step began, where that was wanted.
    fn os_install_device(
        &self,
        node: Option<&Node>,
        _permit_refresh: bool,
    ) -> Result<BlockDevice, ManagerError> {
        let devices = match node {
            None => self.devices(false)?,
            Some(node) => {
                let devices = self.unskipped(node, false, Purpose::WholeDevices)?;
                match root_volume(&self.root, node, devices)? {
                    RootVolume::Is(array) => {
                        if hints::DICTIONARIES
                            .iter()
                            .any(|dictionary| hints::given(node, dictionary).is_some())
                        {
                            warn!(
                                device = array.name,
                                "the root device hints do not count: the node has a root volume"
                            );
                        }
                        return Ok(*array);
                    }
                    RootVolume::Among(devices) => devices,
                }
            }
        };
        let hints = node
            .map(RootDeviceHints::from_node)
            .transpose()
            .map_err(|error| ManagerError::new(ErrorKind::DeviceNotFound, error.to_string()))?
            .flatten();
        hints::select(hints.as_ref(), &devices)
            .cloned()
            .map_err(|error| ManagerError::new(ErrorKind::DeviceNotFound, error.to_string()))
    }

    fn wait_for_disks(&self, node: Option<&Node>) -> Result<(), ManagerError> {
        disk_wait::wait_for_root_disk(&self.peers()?, &self.options.current(), node, CLASS_NAME);
        Ok(())
    }

    fn usb_devices(&self) -> Result<Vec<UsbDevice>, ManagerError> {
        filter::usb_devices(&*self.peers()?, inventory::usb_devices(&self.root))
    }

    /// Self-signed, for this address alone (contract/control-plane 4.2).
    fn generate_tls_certificate(
        &self,
        ip_address: IpAddr,
        now: SystemTime,
    ) -> Result<TlsCertificate, ManagerError> {
        let hostname = inventory::hostname(&self.root);
        let identity = Identity::generate(ip_address, &hostname, &self.options.current(), now)
            .map_err(|source| {
                ManagerError::new(
                    ErrorKind::CommandExecution,
                    "The certificate of the agent's API could not be made",
                )
                .with_source(source)
            })?;
        Ok(TlsCertificate {
            text: identity.certificate,
            private_key: identity.key,
        })
    }

    fn bmc_address(&self) -> Result<Option<String>, ManagerError> {
        Ok(self.bmc().address)
    }

    fn bmc_v6address(&self) -> Result<Option<String>, ManagerError> {
        Ok(self.bmc().v6address)
    }

    fn bmc_mac(&self) -> Result<Option<String>, ManagerError> {
        Ok(self.bmc().mac)
    }

    fn boot_info(&self) -> Result<BootInfo, ManagerError> {
        Ok(inventory::boot_info(&self.root))
    }

    fn system_vendor_info(&self) -> Result<SystemVendor, ManagerError> {
        Ok(inventory::system_vendor(&self.root, self.smbios().as_ref()))
    }

    fn list_hardware_info(&self) -> Result<Inventory, ManagerError> {
        // What another manager knows better is its own; the reference asks itself alone, and such a
        // method of a vendor's manager is never called there.
        let cpu = self.another(Method::GetCpus, |peer| peer.cpus())?;
        let memory = self.another(Method::GetMemory, |peer| peer.memory())?;
        let vendor = self.another(Method::GetSystemVendorInfo, |peer| {
            peer.system_vendor_info()
        })?;
        let boot = self.another(Method::GetBootInfo, |peer| peer.boot_info())?;
        let address = self.another(Method::GetBmcAddress, |peer| peer.bmc_address())?;
        let v6address = self.another(Method::GetBmcV6address, |peer| peer.bmc_v6address())?;
        let mac = self.another(Method::GetBmcMac, |peer| peer.bmc_mac())?;
        // Read once for the three that want it.
        let smbios = self.smbios();
        let smbios = smbios.as_ref();
        Ok(Inventory {
            interfaces: self.list_network_interfaces()?,
            cpu: cpu.unwrap_or_else(|| inventory::cpu(&self.root, smbios)),
            disks: self.devices(false)?,
            memory: memory.unwrap_or_else(|| inventory::memory(&self.root, smbios)),
            bmc_address: address.map_or_else(|| self.bmc_address(), Ok)?,
            bmc_v6address: v6address.map_or_else(|| self.bmc_v6address(), Ok)?,
            system_vendor: vendor.unwrap_or_else(|| inventory::system_vendor(&self.root, smbios)),
            boot: boot.map_or_else(|| self.boot_info(), Ok)?,
            hostname: inventory::hostname(&self.root),
            bmc_mac: mac.map_or_else(|| self.bmc_mac(), Ok)?,
        })
    }

    fn erase_devices(
        &self,
        context: &dyn Context,
        node: &Node,
        _ports: &[Port],
    ) -> Result<Value, ManagerError> {
        erase::devices(self, context, node)
    }

    fn steps(
        &self,
        kind: StepKind,
        _node: &Node,
        _ports: &[Port],
    ) -> Result<Vec<Step>, ManagerError> {
        Ok(steps::offered(kind, &self.options.current()))
    }

    fn execute_step(
        &self,
        context: &dyn Context,
        step: &str,
        node: &Node,
        ports: &[Port],
        arguments: &StepArguments,
    ) -> Result<Value, ManagerError> {
        let step = StepCall {
            name: step,
            node,
            ports,
            arguments,
            image: None,
        };
        self.run(context, &step)
    }

    fn install_bootloader(
        &self,
        context: &dyn Context,
        node: &Node,
        arguments: &StepArguments,
    ) -> Result<(), ManagerError> {
        deploy::install_bootloader(self, context, node, arguments)
    }

    fn partition_uuids(&self) -> Result<Value, ManagerError> {
        deploy::partition_uuids(self)
    }

    fn collect_system_logs(&self) -> Result<Vec<(String, Vec<u8>)>, ManagerError> {
        let mut members = logs::members(&self.root);
        members.extend(RecordStore::of(&self.root).members());
        Ok(members)
    }

    fn full_sync(&self) -> Result<(), ManagerError> {
        page_cache::sync();
        if let Err(error) = page_cache::drop_caches() {
            info!(%error, "caches are not dropped");
        }
        for device in self.kernel_devices(false)? {
            if let Err(error) = page_cache::flush_buffers(&self.root.path(&device.name)) {
                info!(device = device.name, %error, "buffers are not flushed");
            }
        }
        Ok(())
    }
}
