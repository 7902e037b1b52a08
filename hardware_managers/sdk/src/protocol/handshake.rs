//! The first exchange: the agent greets, the manager introduces itself.

use serde::{Deserialize, Serialize};

use super::Method;

/// The name of the first request. It is no method of a manager: it comes before there is one.
pub const HANDSHAKE: &str = "handshake";

/// Parameters of the agent's first request, `handshake`.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Greeting {
    /// The versions of the protocol that the agent speaks.
    pub protocol: Vec<u32>,
    /// Bytes of one message, at most.
    pub message_limit: u64,
    /// The agent's name and version, for the manager's log: `farrier 0.1.0`.
    pub agent: String,
}

/// The manager's answer to it. The same at every start of one installation.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Introduction {
    /// The version of the protocol that the manager chose.
    pub protocol: u32,
    /// The key of its steps on the wire, a class name: `FlashCardHardwareManager`.
    pub class_name: String,
    /// Its stable name.
    pub name: String,
    /// Its version; the conductor compares it for equality.
    pub version: String,
    /// The methods that it has, by their names; others are never called.
    pub methods: Vec<String>,
    /// What else the agent should know of it.
    #[serde(default)]
    pub capabilities: Capabilities,
}

impl Introduction {
    /// Whether the manager has this method.
    pub fn has(&self, method: Method) -> bool {
        self.methods.iter().any(|own| own == method.as_str())
    }
}

/// What a manager can do, and what it needs.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Capabilities {
    /// How many calls it takes at once, at least 1; the agent lets further ones wait.
    pub concurrent_calls: u32,
    /// Whether it needs the node's config drive, which is left out otherwise: it holds the
    /// tenant's secrets, and can be many MiB.
    pub config_drive: bool,
}

impl Default for Capabilities {
    fn default() -> Self {
        Self {
            concurrent_calls: 1,
            config_drive: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_has_its_default() {
        let introduction: Introduction = serde_json::from_str(
            r#"{"protocol": 1, "class_name": "A", "name": "a", "version": "1", "methods": [],
                "future": true}"#,
        )
        .unwrap();
        assert_eq!(introduction.capabilities, Capabilities::default());
        let partly: Capabilities = serde_json::from_str(r#"{"config_drive": true}"#).unwrap();
        assert_eq!((partly.concurrent_calls, partly.config_drive), (1, true));
    }
}
