//! The methods of a manager by their names, with their parameters and results as JSON.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::{Failure, INTERNAL_ERROR, INVALID_PARAMS, METHOD_NOT_FOUND, device};
use crate::{
    Context, HardwareManager, LargeStrings, ManagerError, Node, Port, StepArguments, StepKind,
};

/// Every method that a manager can have, by its name in the contract (contract/control-plane 8.9).
/// `execute_step` stands for all steps.
pub const METHODS: [&str; 23] = [
    "evaluate_hardware_support",
    "initialize",
    "list_network_interfaces",
    "collect_lldp_data",
    "get_cpus",
    "get_memory",
    "list_block_devices",
    "list_block_devices_check_skip_list",
    "get_os_install_device",
    "get_bmc_address",
    "get_bmc_v6address",
    "get_bmc_mac",
    "get_boot_info",
    "get_system_vendor_info",
    "list_hardware_info",
    "erase_block_device",
    "get_clean_steps",
    "get_deploy_steps",
    "get_service_steps",
    "execute_step",
    "install_bootloader",
    "collect_system_logs",
    "full_sync",
];

/// Call a method of a manager with the parameters of a request.
pub fn call(
    manager: &dyn HardwareManager,
    context: &dyn Context,
    method: &str,
    params: Value,
) -> Result<Value, Failure> {
    let partitions =
        |params: &Value| params.get("include_partitions").and_then(Value::as_bool) == Some(true);
    match method {
        "evaluate_hardware_support" => answer(manager.evaluate_hardware_support()),
        "initialize" => answer(manager.initialize(context)),
        "list_network_interfaces" => answer(manager.list_network_interfaces()),
        "collect_lldp_data" => answer(manager.collect_lldp_data()),
        "get_cpus" => answer(manager.cpus()),
        "get_memory" => answer(manager.memory()),
        "list_block_devices" => devices(manager.list_block_devices(partitions(&params))),
        "list_block_devices_check_skip_list" => {
            let include_partitions = partitions(&params);
            let OfNode { node } = read(method, params)?;
            devices(manager.list_block_devices_check_skip_list(&node, include_partitions))
        }
        "get_os_install_device" => {
            let OfAnyNode { node } = read(method, params)?;
            let device = manager.os_install_device(node.as_ref())?;
            Ok(device::device_to_wire(&device))
        }
        "get_bmc_address" => answer(manager.bmc_address()),
        "get_bmc_v6address" => answer(manager.bmc_v6address()),
        "get_bmc_mac" => answer(manager.bmc_mac()),
        "get_boot_info" => answer(manager.boot_info()),
        "get_system_vendor_info" => answer(manager.system_vendor_info()),
        "list_hardware_info" => answer(manager.list_hardware_info()),
        "erase_block_device" => {
            let OfDevice { node, block_device } = read(method, params)?;
            let device = device::device_from_wire(&block_device)
                .map_err(|error| unreadable(method, &error))?;
            answer(manager.erase_block_device(context, &node, &device))
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

#[derive(Deserialize)]
struct OfNode {
    #[serde(default)]
    node: Node,
}

#[derive(Deserialize)]
struct OfAnyNode {
    #[serde(default)]
    node: Option<Node>,
}

#[derive(Deserialize)]
struct OfDevice {
    #[serde(default)]
    node: Node,
    block_device: Value,
}

#[derive(Deserialize)]
struct OfSteps {
    #[serde(default)]
    node: Node,
    #[serde(default)]
    ports: Vec<Port>,
}

#[derive(Deserialize)]
struct Execution {
    step: String,
    #[serde(default)]
    node: Node,
    #[serde(default)]
    ports: Vec<Port>,
    #[serde(default)]
    arguments: Map<String, Value>,
}

#[derive(Deserialize)]
struct Installation {
    #[serde(default)]
    node: Node,
    #[serde(default)]
    arguments: Map<String, Value>,
}

fn steps(
    manager: &dyn HardwareManager,
    kind: StepKind,
    method: &str,
    params: Value,
) -> Result<Value, Failure> {
    let OfSteps { node, ports } = read(method, params)?;
    answer(manager.steps(kind, &node, &ports))
}

fn arguments(values: Map<String, Value>) -> StepArguments {
    StepArguments {
        values,
        large: LargeStrings::default().into(),
    }
}

fn devices(listed: Result<Vec<crate::BlockDevice>, ManagerError>) -> Result<Value, Failure> {
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
