//! The node and its ports as the conductor sends them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A node, as the conductor describes it: every field of the Ironic node object with secrets
/// replaced by `******`, or the four fields of a lookup reply (contract/control-plane 2.3, 7.1).
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Node(pub Map<String, Value>);

impl Node {
    /// The node's UUID, where it has one.
    pub fn uuid(&self) -> Option<&str> {
        self.0.get("uuid").and_then(Value::as_str)
    }

    /// One member of one of the node's dictionaries, for example
    /// `node.field("driver_internal_info", "agent_erase_devices_iterations")`. A null counts as
    /// absent.
    pub fn field(&self, dictionary: &str, name: &str) -> Option<&Value> {
        self.0
            .get(dictionary)?
            .get(name)
            .filter(|value| !value.is_null())
    }
}

/// A network port of the node, as the conductor describes it.
pub type Port = Value;
