//! What the requests of the agent carry. A member that is left out has its default, and a member of
//! a later version is ignored.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{Node, Port};

/// Of `list_block_devices`.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Deserialize)]
pub(super) struct Listing {
    /// Whether partitions are wanted, too.
    #[serde(default)]
    pub(super) include_partitions: bool,
}

/// Of `list_block_devices_check_skip_list`.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Deserialize)]
pub(super) struct NodeListing {
    #[serde(default)]
    pub(super) node: Node,
    /// Whether partitions are wanted, too.
    #[serde(default)]
    pub(super) include_partitions: bool,
}

/// Of `get_os_install_device`.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Deserialize)]
pub(super) struct RootDevice {
    /// Null before the agent knows it.
    #[serde(default)]
    pub(super) node: Option<Node>,
    /// Whether an image is about to be written.
    #[serde(default)]
    pub(super) permit_refresh: bool,
}

/// Of `wait_for_disks`.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Deserialize)]
pub(super) struct DiskWait {
    /// Null before the agent knows it.
    #[serde(default)]
    pub(super) node: Option<Node>,
}

/// Of `get_skip_list_from_node_for_disks`.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Deserialize)]
pub(super) struct SkipList {
    #[serde(default)]
    pub(super) node: Node,
    /// The devices that are being listed; null for all.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "Option<Vec<crate::BlockDevice>>"))]
    pub(super) block_devices: Option<Vec<Value>>,
}

/// Of `get_skip_list_from_node_for_raids`.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Deserialize)]
pub(super) struct OfNode {
    #[serde(default)]
    pub(super) node: Node,
}

/// Of `filter_device`.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Deserialize)]
pub(super) struct Filter {
    /// `block_device`, `network_interface` or `usb_device`.
    pub(super) kind: String,
    /// The device, with the members of its kind.
    pub(super) device: Value,
}

/// Of `get_interface_info`.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Deserialize)]
pub(super) struct Interface {
    /// The kernel's name: `eno1`.
    pub(super) interface_name: String,
}

/// Of `collect_lldp_data`.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Deserialize)]
pub(super) struct Lldp {
    /// The interfaces to listen at; null for all.
    #[serde(default)]
    pub(super) interface_names: Option<Vec<String>>,
}

/// Of `generate_tls_certificate`.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Deserialize)]
pub(super) struct Certificate {
    /// The address of the agent's API.
    pub(super) ip_address: String,
    /// The conductor's time, in seconds since 1970-01-01 UTC.
    pub(super) now: u64,
}

/// Of `erase_block_device`.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Deserialize)]
pub(super) struct DeviceErase {
    #[serde(default)]
    pub(super) node: Node,
    #[cfg_attr(test, schemars(with = "crate::BlockDevice"))]
    pub(super) block_device: Value,
}

/// Of `get_clean_steps`, `get_deploy_steps`, `get_service_steps` and `erase_devices`.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Deserialize)]
pub(super) struct OfPorts {
    #[serde(default)]
    pub(super) node: Node,
    #[serde(default)]
    pub(super) ports: Vec<Port>,
}

/// Of `execute_step`.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Deserialize)]
pub(super) struct Execution {
    /// The step's name.
    pub(super) step: String,
    #[serde(default)]
    pub(super) node: Node,
    #[serde(default)]
    pub(super) ports: Vec<Port>,
    /// By name.
    #[serde(default)]
    pub(super) arguments: Map<String, Value>,
}

/// Of `install_bootloader`.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Deserialize)]
pub(super) struct Installation {
    #[serde(default)]
    pub(super) node: Node,
    /// By name.
    #[serde(default)]
    pub(super) arguments: Map<String, Value>,
}
