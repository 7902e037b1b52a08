//! The methods of a manager by their names, with their parameters and results as JSON.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::parameters::{
    Certificate, DeviceErase, DiskWait, Execution, Filter, Installation, Interface, Listing, Lldp,
    NodeListing, OfNode, OfPorts, RootDevice, SkipList,
};
use super::{Failure, INTERNAL_ERROR, INVALID_PARAMS, METHOD_NOT_FOUND, device};
use crate::{
    BlockDevice, Context, HardwareManager, LargeStrings, ManagerError, StepArguments, StepKind,
};

/// Every method that a manager can have, by its name in the contract (contract/control-plane 8.9).
/// `execute_step` stands for all steps.
pub const METHODS: [&str; 31] = [
    "evaluate_hardware_support",
    "initialize",
    "filter_device",
    "list_network_interfaces",
    "get_interface_info",
    "collect_lldp_data",
    "get_cpus",
    "get_memory",
    "list_block_devices",
    "list_block_devices_check_skip_list",
    "get_skip_list_from_node_for_disks",
    "get_skip_list_from_node_for_raids",
    "get_os_install_device",
    "wait_for_disks",
    "get_usb_devices",
    "get_bmc_address",
    "get_bmc_v6address",
    "get_bmc_mac",
    "get_boot_info",
    "get_system_vendor_info",
    "list_hardware_info",
    "generate_tls_certificate",
    "erase_block_device",
    "erase_devices",
    "get_clean_steps",
    "get_deploy_steps",
    "get_service_steps",
    "execute_step",
    "install_bootloader",
    "collect_system_logs",
    "full_sync",
];

/// The year 9999: what a date in a certificate can hold, and every clock.
const MOST_SECONDS: u64 = 253_402_300_799;

/// Call a method of a manager with the parameters of a request.
pub fn call(
    manager: &dyn HardwareManager,
    context: &dyn Context,
    method: &str,
    params: Value,
) -> Result<Value, Failure> {
    match method {
        "evaluate_hardware_support" => answer(manager.evaluate_hardware_support()),
        "initialize" => answer(manager.initialize(context)),
        "list_network_interfaces" => answer(manager.list_network_interfaces()),
        "filter_device" => {
            let filter: Filter = read(method, params)?;
            let device = device::filter_from_wire(&filter.kind, &filter.device)
                .map_err(|error| unreadable(method, &error))?;
            let kept = manager.filter_device(&device)?;
            Ok(device::filtered_to_wire(kept.as_ref()))
        }
        "get_interface_info" => {
            let Interface { interface_name } = read(method, params)?;
            answer(manager.interface_info(&interface_name))
        }
        "collect_lldp_data" => {
            let Lldp { interface_names } = read(method, params)?;
            answer(manager.collect_lldp_data(interface_names.as_deref()))
        }
        "get_cpus" => answer(manager.cpus()),
        "get_memory" => answer(manager.memory()),
        "list_block_devices" => {
            let Listing { include_partitions } = read(method, params)?;
            devices(manager.list_block_devices(include_partitions))
        }
        "list_block_devices_check_skip_list" => {
            let listing: NodeListing = read(method, params)?;
            devices(
                manager
                    .list_block_devices_check_skip_list(&listing.node, listing.include_partitions),
            )
        }
        "get_skip_list_from_node_for_disks" => {
            let SkipList {
                node,
                block_devices,
            } = read(method, params)?;
            let among = block_devices
                .map(|devices| {
                    devices
                        .iter()
                        .map(|device| block_device(method, device))
                        .collect()
                })
                .transpose()?;
            let among: Option<Vec<BlockDevice>> = among;
            answer(manager.skip_list_for_disks(&node, among.as_deref()))
        }
        "get_skip_list_from_node_for_raids" => {
            let OfNode { node } = read(method, params)?;
            answer(manager.skip_list_for_raids(&node))
        }
        "get_os_install_device" => {
            let RootDevice {
                node,
                permit_refresh,
            } = read(method, params)?;
            let device = manager.os_install_device(node.as_ref(), permit_refresh)?;
            Ok(device::device_to_wire(&device))
        }
        "wait_for_disks" => {
            let DiskWait { node } = read(method, params)?;
            answer(manager.wait_for_disks(node.as_ref()))
        }
        "get_usb_devices" => answer(manager.usb_devices()),
        "get_bmc_address" => answer(manager.bmc_address()),
        "get_bmc_v6address" => answer(manager.bmc_v6address()),
        "get_bmc_mac" => answer(manager.bmc_mac()),
        "get_boot_info" => answer(manager.boot_info()),
        "get_system_vendor_info" => answer(manager.system_vendor_info()),
        "list_hardware_info" => answer(manager.list_hardware_info()),
        "generate_tls_certificate" => {
            let Certificate { ip_address, now } = read(method, params)?;
            let address: IpAddr = ip_address.parse().map_err(|_| {
                Failure::new(INVALID_PARAMS, format!("{ip_address} is no IP address"))
            })?;
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(now.min(MOST_SECONDS));
            answer(manager.generate_tls_certificate(address, now))
        }
        "erase_block_device" => {
            let erase: DeviceErase = read(method, params)?;
            let device = block_device(method, &erase.block_device)?;
            answer(manager.erase_block_device(context, &erase.node, &device))
        }
        "erase_devices" => {
            let OfPorts { node, ports } = read(method, params)?;
            answer(manager.erase_devices(context, &node, &ports))
        }
        "get_clean_steps" => steps(manager, StepKind::Clean, method, params),
        "get_deploy_steps" => steps(manager, StepKind::Deploy, method, params),
        "get_service_steps" => steps(manager, StepKind::Service, method, params),
        "execute_step" => {
            let execution: Execution = read(method, params)?;
            answer(manager.execute_step(
                context,
                &execution.step,
                &execution.node,
                &execution.ports,
                &arguments(execution.arguments),
            ))
        }
        "install_bootloader" => {
            let installation: Installation = read(method, params)?;
            answer(manager.install_bootloader(
                context,
                &installation.node,
                &arguments(installation.arguments),
            ))
        }
        "collect_system_logs" => {
            let logs = manager.collect_system_logs()?;
            Ok(logs
                .into_iter()
                .map(|(name, content)| {
                    json!({ "name": name, "text": String::from_utf8_lossy(&content) })
                })
                .collect())
        }
        "full_sync" => answer(manager.full_sync()),
        _ => Err(Failure::new(
            METHOD_NOT_FOUND,
            format!("There is no method {method}"),
        )),
    }
}

fn steps(
    manager: &dyn HardwareManager,
    kind: StepKind,
    method: &str,
    params: Value,
) -> Result<Value, Failure> {
    let OfPorts { node, ports } = read(method, params)?;
    answer(manager.steps(kind, &node, &ports))
}

fn arguments(values: Map<String, Value>) -> StepArguments {
    StepArguments {
        values,
        large: LargeStrings::default().into(),
    }
}

fn block_device(method: &str, wire: &Value) -> Result<BlockDevice, Failure> {
    device::device_from_wire(wire).map_err(|error| unreadable(method, &error))
}

fn devices(listed: Result<Vec<BlockDevice>, ManagerError>) -> Result<Value, Failure> {
    Ok(listed?.iter().map(device::device_to_wire).collect())
}

/// Parameters that are absent are an empty object.
fn read<T: DeserializeOwned>(method: &str, params: Value) -> Result<T, Failure> {
    let params = match params {
        Value::Null => json!({}),
        params => params,
    };
    serde_json::from_value(params).map_err(|error| unreadable(method, &error))
}

fn unreadable(method: &str, error: &serde_json::Error) -> Failure {
    Failure::new(
        INVALID_PARAMS,
        format!("The parameters of {method} cannot be read: {error}"),
    )
}

fn answer<T: serde::Serialize>(result: Result<T, ManagerError>) -> Result<Value, Failure> {
    serde_json::to_value(result?).map_err(|error| {
        Failure::new(
            INTERNAL_ERROR,
            format!("The result cannot be written as JSON: {error}"),
        )
    })
}
