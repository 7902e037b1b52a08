//! How the machine will boot and which kind of partition table that takes (contract/data-plane 3.1).

use farrier_plugin::Node;
use serde_json::Value;
use tracing::warn;

/// What firmware starts the system.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum BootMode {
    Bios,
    Uefi,
}

/// The kind of a partition table, in parted's words.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum DiskLabel {
    Gpt,
    Msdos,
}

impl BootMode {
    /// As the node says it: Secure Boot, which only UEFI has; the instance's own wish; the node's
    /// capability; what the conductor noted. Whatever else is named there, and where nothing is, the
    /// running firmware decides.
    pub(crate) fn of(node: &Node, firmware_is_uefi: bool) -> Self {
        let secure = ["instance_info", "properties"]
            .iter()
            .any(|owner| capability(node, owner, "secure_boot").as_deref() == Some("true"));
        if secure {
            return Self::Uefi;
        }
        let named = text(node, "instance_info", "deploy_boot_mode")
            .or_else(|| capability(node, "properties", "boot_mode"))
            .or_else(|| text(node, "driver_internal_info", "deploy_boot_mode"));
        match named.as_deref() {
            Some("uefi") => return Self::Uefi,
            Some("bios") => return Self::Bios,
            Some(other) => warn!(
                mode = other,
                "the node names a boot mode that is neither uefi nor bios; the running firmware decides"
            ),
            None => {}
        }
        if firmware_is_uefi {
            Self::Uefi
        } else {
            Self::Bios
        }
    }
}

impl DiskLabel {
    /// UEFI takes a GPT; for BIOS it is one where the capability `disk_label` says exactly that.
    pub(crate) fn of(node: &Node, mode: BootMode) -> Self {
        let wished = || {
            capability(node, "instance_info", "disk_label")
                .or_else(|| capability(node, "properties", "disk_label"))
        };
        match mode {
            BootMode::Uefi => Self::Gpt,
            BootMode::Bios if wished().as_deref() == Some("gpt") => Self::Gpt,
            BootMode::Bios => Self::Msdos,
        }
    }

    /// Its name in messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gpt => "gpt",
            Self::Msdos => "msdos",
        }
    }
}

fn text(node: &Node, owner: &str, name: &str) -> Option<String> {
    let value = node.field(owner, name)?.as_str()?.trim();
    (!value.is_empty()).then(|| value.to_ascii_lowercase())
}

/// One of the capabilities in this dictionary of the node: an object, the JSON text of one, or
/// `name:value,…`.
fn capability(node: &Node, owner: &str, name: &str) -> Option<String> {
    match node.field(owner, "capabilities")? {
        Value::Object(members) => word(members.get(name)?),
        Value::String(text) => match serde_json::from_str(text) {
            Ok(Value::Object(members)) => word(members.get(name)?),
            _ => listed(text, name),
        },
        _ => None,
    }
}

fn listed(text: &str, name: &str) -> Option<String> {
    let mut found = None;
    for item in text
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
    {
        match item.split_once(':') {
            Some((key, value)) if key.trim() == name => {
                found = Some(value.trim().to_ascii_lowercase());
            }
            Some(_) => {}
            None => warn!("a capability of the node has no colon and is ignored"),
        }
    }
    found.filter(|value| !value.is_empty())
}

fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => {
            Some(text.trim().to_ascii_lowercase()).filter(|word| !word.is_empty())
        }
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn decide(node: Value, firmware_is_uefi: bool) -> (BootMode, DiskLabel) {
        let node: Node = serde_json::from_value(node).unwrap();
        let mode = BootMode::of(&node, firmware_is_uefi);
        (mode, DiskLabel::of(&node, mode))
    }

    #[test]
    fn the_order_of_sources() {
        use BootMode::{Bios, Uefi};
        use DiskLabel::{Gpt, Msdos};
        let uefi = (Uefi, Gpt);
        for (node, firmware_is_uefi, expected) in [
            (json!({}), true, uefi),
            (json!({}), false, (Bios, Msdos)),
            // Each source alone, against the firmware.
            (
                json!({"instance_info": {"deploy_boot_mode": "uefi"}}),
                false,
                uefi,
            ),
            (
                json!({"properties": {"capabilities": "boot_mode:uefi"}}),
                false,
                uefi,
            ),
            (
                json!({"driver_internal_info": {"deploy_boot_mode": "uefi"}}),
                false,
                uefi,
            ),
            (
                json!({"driver_internal_info": {"deploy_boot_mode": "bios"}}),
                true,
                (Bios, Msdos),
            ),
            // Capabilities as object, as the text of one, and as a list with rubbish in it.
            (
                json!({"properties": {"capabilities": {"boot_mode": "uefi"}}}),
                false,
                uefi,
            ),
            (
                json!({"properties": {"capabilities": "{\"boot_mode\": \"uefi\"}"}}),
                false,
                uefi,
            ),
            (
                json!({"properties": {"capabilities": "raid,boot_mode:uefi,,x:y:z"}}),
                false,
                uefi,
            ),
            // The earlier source wins.
            (
                json!({
                    "instance_info": {"deploy_boot_mode": "bios"},
                    "properties": {"capabilities": "boot_mode:uefi"},
                    "driver_internal_info": {"deploy_boot_mode": "uefi"}
                }),
                true,
                (Bios, Msdos),
            ),
            (
                json!({
                    "properties": {"capabilities": "boot_mode:bios"},
                    "driver_internal_info": {"deploy_boot_mode": "uefi"}
                }),
                true,
                (Bios, Msdos),
            ),
            // Secure Boot before all of them, wherever it stands.
            (
                json!({"instance_info": {"deploy_boot_mode": "bios",
                                         "capabilities": {"secure_boot": "True"}}}),
                false,
                uefi,
            ),
            (
                json!({"instance_info": {"deploy_boot_mode": "bios",
                                         "capabilities": {"secure_boot": "false"}},
                       "properties": {"capabilities": "secure_boot:true"}}),
                false,
                uefi,
            ),
            // What is neither is the firmware's to decide, not the next source's.
            (
                json!({"instance_info": {"deploy_boot_mode": "openfirmware"},
                       "properties": {"capabilities": "boot_mode:bios"}}),
                true,
                uefi,
            ),
            // A label is for BIOS alone, and only exactly gpt is one.
            (
                json!({"properties": {"capabilities": "boot_mode:bios,disk_label:gpt"}}),
                true,
                (Bios, Gpt),
            ),
            (
                json!({"instance_info": {"capabilities": "{\"disk_label\": \"msdos\"}"},
                       "properties": {"capabilities": "boot_mode:bios,disk_label:gpt"}}),
                true,
                (Bios, Msdos),
            ),
            (
                json!({"properties": {"capabilities": "boot_mode:uefi,disk_label:msdos"}}),
                false,
                uefi,
            ),
            (
                json!({"properties": {"capabilities": "disk_label:gpt2"}}),
                false,
                (Bios, Msdos),
            ),
            // A conductor behind Keystone hides this dictionary.
            (
                json!({"driver_internal_info": "** Redacted **"}),
                true,
                uefi,
            ),
        ] {
            assert_eq!(decide(node.clone(), firmware_is_uefi), expected, "{node}");
        }
    }

    proptest! {
        #[test]
        fn no_capabilities_break_it(text in ".{0,60}", uefi in any::<bool>()) {
            let (mode, label) = decide(
                json!({"instance_info": {"capabilities": text}, "properties": {"capabilities": text}}),
                uefi,
            );
            prop_assert!(mode == BootMode::Bios || label == DiskLabel::Gpt);
        }
    }
}
