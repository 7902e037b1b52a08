//! What the node's flags say about erasing (contract/data-plane 7.2).

use farrier_plugin::Node;
use serde_json::Value;

use crate::erase::error::EraseError;

/// `driver_internal_info` flags that steer the erase steps, with the agent's own defaults for
/// those that the conductor did not send.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct EraseFlags {
    /// Passes of random data, at least 0.
    pub iterations: u32,
    /// A last pass of zeros.
    pub zeroize: bool,
    /// Leave read-only devices out instead of failing on them.
    pub skip_read_only: bool,
    /// How many devices are erased at the same time, at least 1.
    pub concurrency: usize,
    /// Let NVMe drives erase themselves.
    pub nvme_secure_erase: bool,
    /// Let ATA drives erase themselves.
    pub ata_secure_erase: bool,
    /// Overwrite a drive that should erase itself and did not.
    pub continue_if_secure_erase_failed: bool,
    /// Whether a verified discard may stand in for a secure erase that failed; `None` where the
    /// agent's option decides.
    pub discard: Option<bool>,
    /// Let SCSI disks sanitize themselves; `None` where the agent's option decides.
    pub scsi_sanitize: Option<bool>,
    /// Let SCSI disks format themselves; `None` where the agent's option decides.
    pub scsi_format_unit: Option<bool>,
    /// Erase devices although they hold a shared cluster file system.
    pub wipe_special_filesystems: bool,
}

impl EraseFlags {
    /// The flags of this node.
    ///
    /// A flag whose value makes no sense is an error, never a default: an operator who asked for
    /// three passes must not get one because of a typing error.
    pub(crate) fn from_node(node: &Node) -> Result<Self, EraseError> {
        let iterations = count(node, "agent_erase_devices_iterations", 1, 0)?;
        let concurrency = count(node, "disk_erasure_concurrency", 1, 1)?;
        Ok(Self {
            iterations,
            zeroize: switch(node, "agent_erase_devices_zeroize")?.unwrap_or(true),
            skip_read_only: switch(node, "agent_erase_skip_read_only")?.unwrap_or(false),
            concurrency: concurrency as usize,
            nvme_secure_erase: switch(node, "agent_enable_nvme_secure_erase")?.unwrap_or(true),
            ata_secure_erase: switch(node, "agent_enable_ata_secure_erase")?.unwrap_or(true),
            continue_if_secure_erase_failed: match switch(
                node,
                "agent_continue_if_secure_erase_failed",
            )? {
                Some(set) => set,
                None => switch(node, "agent_continue_if_ata_erase_failed")?.unwrap_or(false),
            },
            discard: discard(node)?,
            scsi_sanitize: switch(node, "agent_enable_scsi_sanitize")?,
            scsi_format_unit: switch(node, "agent_enable_scsi_format_unit")?,
            wipe_special_filesystems: may_wipe_special_filesystems(node)?,
        })
    }
}

/// Operators are told to set `driver_info.wipe_special_filesystems` to true to allow it; the
/// reference's code takes a false in `driver_internal_info` for the same wish (contract/data-plane
/// 7.8). Both are understood; everything else keeps the guard.
pub(crate) fn may_wipe_special_filesystems(node: &Node) -> Result<bool, EraseError> {
    const FLAG: &str = "wipe_special_filesystems";
    let documented = boolean(FLAG, node.field("driver_info", FLAG))?;
    let internal = switch(node, FLAG)?;
    Ok(documented == Some(true) || internal == Some(false))
}

/// A flag that is there wins, even where it is null, which is off (contract/data-plane 7.2).
fn discard(node: &Node) -> Result<Option<bool>, EraseError> {
    const FLAG: &str = "agent_enable_discard_erase";
    let internal = node.0.get("driver_internal_info");
    if internal.is_some_and(|internal| internal.get(FLAG).is_some_and(Value::is_null)) {
        return Ok(Some(false));
    }
    switch(node, FLAG)
}

fn switch(node: &Node, flag: &'static str) -> Result<Option<bool>, EraseError> {
    boolean(flag, node.field("driver_internal_info", flag))
}

/// JSON booleans, and the words and numbers that OpenStack's `strutils` takes for one.
fn boolean(flag: &'static str, value: Option<&Value>) -> Result<Option<bool>, EraseError> {
    let Some(value) = value else { return Ok(None) };
    let word = match value {
        Value::Bool(set) => return Ok(Some(*set)),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_ascii_lowercase(),
        _ => String::new(),
    };
    match word.as_str() {
        "1" | "t" | "true" | "on" | "y" | "yes" => Ok(Some(true)),
        "0" | "f" | "false" | "off" | "n" | "no" => Ok(Some(false)),
        _ => Err(EraseError::Flag {
            flag,
            value: value.to_string(),
            expected: "boolean",
        }),
    }
}

fn count(node: &Node, flag: &'static str, default: u32, least: u32) -> Result<u32, EraseError> {
    let Some(value) = node.field("driver_internal_info", flag) else {
        return Ok(default);
    };
    let number = match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number
        .and_then(|number| u32::try_from(number).ok())
        .map(|number| number.max(least))
        .ok_or_else(|| EraseError::Flag {
            flag,
            value: value.to_string(),
            expected: "number",
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn flags(internal: Value) -> Result<EraseFlags, EraseError> {
        let node = json!({"driver_internal_info": internal});
        EraseFlags::from_node(&serde_json::from_value(node).unwrap())
    }

    #[test]
    fn the_defaults_are_the_agents() {
        let expected = EraseFlags {
            iterations: 1,
            zeroize: true,
            skip_read_only: false,
            concurrency: 1,
            nvme_secure_erase: true,
            ata_secure_erase: true,
            continue_if_secure_erase_failed: false,
            discard: None,
            scsi_sanitize: None,
            scsi_format_unit: None,
            wipe_special_filesystems: false,
        };
        assert_eq!(EraseFlags::from_node(&Node::default()).unwrap(), expected);
        assert_eq!(
            flags(json!({"agent_erase_devices_zeroize": null})).unwrap(),
            expected
        );
    }

    #[test]
    fn what_the_conductor_sends_is_taken() {
        let flags = flags(json!({
            "agent_erase_devices_iterations": 3,
            "agent_erase_devices_zeroize": false,
            "agent_erase_skip_read_only": "True",
            "disk_erasure_concurrency": 4,
        }))
        .unwrap();
        assert_eq!(
            (
                flags.iterations,
                flags.zeroize,
                flags.skip_read_only,
                flags.concurrency
            ),
            (3, false, true, 4)
        );
    }

    #[test]
    fn the_newer_name_of_a_flag_wins_and_a_null_discard_is_off() {
        let both = flags(json!({
            "agent_continue_if_secure_erase_failed": false,
            "agent_continue_if_ata_erase_failed": true,
            "agent_enable_discard_erase": null,
        }))
        .unwrap();
        assert!(!both.continue_if_secure_erase_failed);
        assert_eq!(both.discard, Some(false));
        let old = flags(json!({"agent_continue_if_ata_erase_failed": true})).unwrap();
        assert!(old.continue_if_secure_erase_failed);
    }

    #[test]
    fn no_concurrency_is_one_device_at_a_time() {
        let flags = flags(json!({"disk_erasure_concurrency": 0})).unwrap();
        assert_eq!(flags.concurrency, 1);
    }

    #[test]
    fn nonsense_is_an_error_and_no_default() {
        for internal in [
            json!({"agent_erase_devices_iterations": -1}),
            json!({"agent_erase_devices_iterations": "three"}),
            json!({"agent_erase_devices_iterations": 1.5}),
            json!({"agent_erase_devices_zeroize": "maybe"}),
            json!({"agent_erase_skip_read_only": []}),
        ] {
            let error = flags(internal.clone()).unwrap_err();
            assert!(
                matches!(error, EraseError::Flag { .. }),
                "{internal}: {error}"
            );
        }
    }

    #[test]
    fn special_file_systems_are_wiped_only_where_a_reading_allows_it() {
        for (documented, internal, allowed) in [
            (json!(null), json!(null), false),
            (json!(true), json!(null), true),
            (json!("true"), json!(null), true),
            (json!(false), json!(null), false),
            (json!(null), json!(false), true),
            (json!(null), json!(true), false),
        ] {
            let node = json!({
                "driver_info": {"wipe_special_filesystems": documented},
                "driver_internal_info": {"wipe_special_filesystems": internal},
            });
            let flags = EraseFlags::from_node(&serde_json::from_value(node).unwrap()).unwrap();
            assert_eq!(flags.wipe_special_filesystems, allowed);
        }
    }
}
