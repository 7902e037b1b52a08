//! What the requests of the agent carry. A member that is left out has its default, and a member of
//! a later version is ignored.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::device::{WireDevice, device_to_value, kind_of, of_kind};
use crate::{Device, Node, Port};

/// Of a method without parameters.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Nothing {}

/// Of `list_block_devices`.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Listing {
    /// Whether partitions are wanted, too.
    #[serde(default)]
    pub include_partitions: bool,
}

/// Of `list_block_devices_check_skip_list`.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct NodeListing {
    /// As the conductor describes it.
    #[serde(default)]
    pub node: Node,
    /// Whether partitions are wanted, too.
    #[serde(default)]
    pub include_partitions: bool,
}

/// Of `get_os_install_device`.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct RootDevice {
    /// Null before the agent knows it.
    #[serde(default)]
    pub node: Option<Node>,
    /// Whether an image is about to be written.
    #[serde(default)]
    pub permit_refresh: bool,
}

/// Of `wait_for_disks`.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct DiskWait {
    /// Null before the agent knows it.
    #[serde(default)]
    pub node: Option<Node>,
}

/// Of `get_skip_list_from_node_for_disks`.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SkipList {
    /// As the conductor describes it.
    #[serde(default)]
    pub node: Node,
    /// The devices that are being listed; null for all.
    #[serde(default)]
    pub block_devices: Option<Vec<WireDevice>>,
}

/// Of `get_skip_list_from_node_for_raids`.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct OfNode {
    /// As the conductor describes it.
    #[serde(default)]
    pub node: Node,
}

/// Of `filter_device`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(into = "KindAndDevice", try_from = "KindAndDevice")]
pub struct Filter(pub Device);

/// Of `filter_device`.
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Filter"))]
#[derive(Deserialize, Serialize)]
pub(super) struct KindAndDevice {
    /// `block_device`, `network_interface` or `usb_device`.
    kind: String,
    /// The device, with the members of its kind.
    device: Value,
}

impl From<Filter> for KindAndDevice {
    fn from(Filter(device): Filter) -> Self {
        Self {
            kind: kind_of(&device).to_owned(),
            device: device_to_value(&device),
        }
    }
}

impl TryFrom<KindAndDevice> for Filter {
    type Error = serde_json::Error;

    fn try_from(wire: KindAndDevice) -> Result<Self, Self::Error> {
        of_kind(&wire.kind, &wire.device).map(Self)
    }
}

/// Of `get_interface_info`.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Interface {
    /// The kernel's name: `eno1`.
    pub interface_name: String,
}

/// Of `collect_lldp_data`.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Lldp {
    /// The interfaces to listen at; null for all.
    #[serde(default)]
    pub interface_names: Option<Vec<String>>,
}

/// Of `generate_tls_certificate`.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Certificate {
    /// The address of the agent's API.
    #[cfg_attr(test, schemars(with = "String"))]
    pub ip_address: IpAddr,
    /// The conductor's time, in seconds since 1970-01-01 UTC.
    pub now: u64,
}

/// Of `erase_block_device`.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct DeviceErase {
    /// As the conductor describes it.
    #[serde(default)]
    pub node: Node,
    /// What to erase.
    pub block_device: WireDevice,
}

/// Of `get_clean_steps`, `get_deploy_steps`, `get_service_steps` and `erase_devices`.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct OfPorts {
    /// As the conductor describes it.
    #[serde(default)]
    pub node: Node,
    /// The node's ports, as the conductor describes them.
    #[serde(default)]
    pub ports: Vec<Port>,
}

/// Of `execute_step`.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Execution {
    /// The step's name.
    pub step: String,
    /// As the conductor describes it.
    #[serde(default)]
    pub node: Node,
    /// The node's ports, as the conductor describes them.
    #[serde(default)]
    pub ports: Vec<Port>,
    /// By name.
    #[serde(default)]
    pub arguments: Map<String, Value>,
}

/// Of `install_bootloader`.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Installation {
    /// As the conductor describes it.
    #[serde(default)]
    pub node: Node,
    /// By name.
    #[serde(default)]
    pub arguments: Map<String, Value>,
}
