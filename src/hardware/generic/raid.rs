//! The generic manager's steps of software RAID (contract/data-plane 6, contract/control-plane 7.3).

use farrier_plugin::{Context, ErrorKind, ManagerError, Node, StepArguments};
use serde_json::{Value, json};
use tracing::info;

use super::deploy::not_in_ramdisk;
use super::manager::GenericHardwareManager;
use crate::block::hints;
use crate::erase::may_wipe_special_filesystems;
use crate::raid::{self, Deletion, Order};

/// Where a node says what it wants of the step `create_configuration`.
const WANTED: &str = "target_raid_config";

/// `create_configuration`: the arrays that the node wants. The result is what it wants, unchanged; an empty object where
/// that is no software RAID.
pub(super) fn create_configuration(
    manager: &GenericHardwareManager,
    context: &dyn Context,
    node: &Node,
) -> Result<Value, ManagerError> {
    let wanted = node.0.get(WANTED).unwrap_or(&Value::Null);
    if raid::config::is_none(wanted) {
        info!("the node's {WANTED} has no software RAID; nothing is made");
        return Ok(json!({}));
    }
    with_order(manager, context, node, |order| {
        may_write(manager)?;
        Ok(order.create(wanted)?)
    })?;
    Ok(wanted.clone())
}

/// `delete_configuration`: all arrays but those that the node's owner keeps.
pub(super) fn delete_configuration(
    manager: &GenericHardwareManager,
    context: &dyn Context,
    node: &Node,
) -> Result<Value, ManagerError> {
    may_write(manager)?;
    let skipped = manager.skip_list(node, None)?;
    let deletion = Deletion {
        may_destroy: manager.may_destroy,
        skipped: &skipped,
        shared_file_systems: guards_shared(manager, node)?,
    };
    raid::delete(&manager.root, &deletion, context)?;
    Ok(Value::Null)
}

/// `apply_configuration`: the arrays of its argument, in the place of those that there are. The rules are asked
/// before anything is deleted. The result is the argument, unchanged.
pub(super) fn apply_configuration(
    manager: &GenericHardwareManager,
    context: &dyn Context,
    node: &Node,
    arguments: &StepArguments,
) -> Result<Value, ManagerError> {
    let wanted = configuration(arguments, "apply_configuration")?;
    let deletes = delete_existing(arguments)?;
    with_order(manager, context, node, |order| {
        order.validate(wanted)?;
        may_write(manager)
    })?;
    if deletes {
        delete_configuration(manager, context, node)?;
    }
    // What was an array may be a disk again.
    with_order(manager, context, node, |order| Ok(order.create(wanted)?))?;
    Ok(wanted.clone())
}

/// `validate_configuration`: whether the rules are kept. False where there is nothing to ask them of.
pub(super) fn validate_configuration(
    manager: &GenericHardwareManager,
    context: &dyn Context,
    node: &Node,
    arguments: &StepArguments,
) -> Result<Value, ManagerError> {
    let wanted = configuration(arguments, "validate_configuration")?;
    if hints::is_empty(wanted) {
        return Ok(Value::Bool(false));
    }
    with_order(manager, context, node, |order| {
        order.validate(wanted)?;
        Ok(())
    })?;
    Ok(Value::Null)
}

fn with_order(
    manager: &GenericHardwareManager,
    context: &dyn Context,
    node: &Node,
    run: impl FnOnce(&Order<'_>) -> Result<(), ManagerError>,
) -> Result<(), ManagerError> {
    let listed = manager.devices(false)?;
    let skipped = manager.skip_list(node, Some(&listed))?;
    run(&Order {
        root: &manager.root,
        context,
        node,
        listed: &listed,
        skipped: &skipped,
        guards_shared: guards_shared(manager, node)?,
        firmware_is_uefi: manager.root.exists("/sys/firmware/efi"),
    })
}

/// Whether shared cluster file systems are left alone.
fn guards_shared(manager: &GenericHardwareManager, node: &Node) -> Result<bool, ManagerError> {
    let guards = manager.options.current().guard_special_filesystems;
    Ok(guards && !may_wipe_special_filesystems(node)?)
}

/// Whether the disks of this machine are ours: the devices of a recorded tree are not those of their names here.
fn may_write(manager: &GenericHardwareManager) -> Result<(), ManagerError> {
    match manager.may_destroy && manager.root.is_system() {
        true => Ok(()),
        false => Err(not_in_ramdisk("The disks")),
    }
}

fn configuration<'a>(arguments: &'a StepArguments, step: &str) -> Result<&'a Value, ManagerError> {
    arguments.values.get("raid_config").ok_or_else(|| {
        invalid(format!(
            "The step {step} needs the argument 'raid_config', an object with logical_disks"
        ))
    })
}

/// The argument `delete_existing`, true where it is not given. It is told to operators in Python's spelling, so that a
/// text is taken, too.
fn delete_existing(arguments: &StepArguments) -> Result<bool, ManagerError> {
    let Some(value) = arguments.values.get("delete_existing") else {
        return Ok(true);
    };
    let word = match value {
        Value::Null => return Ok(true),
        Value::Bool(flag) => return Ok(*flag),
        Value::String(text) => text.to_ascii_lowercase(),
        _ => String::new(),
    };
    match word.as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(invalid(format!(
            "The argument 'delete_existing' has to be true or false, and is {value}"
        ))),
    }
}

fn invalid(text: String) -> ManagerError {
    ManagerError::new(ErrorKind::InvalidCommandParams, text)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use farrier_plugin::{HardwareManager, SilentContext};

    use super::*;
    use crate::config::{Live, Options};
    use crate::hardware::dispatch::Dispatcher;
    use crate::sys::recording::Recording;

    /// Runs a step on a recorded machine with two disks.
    fn run(step: &str, node: &Value, arguments: &Value) -> Result<Value, ManagerError> {
        let recording = Recording::unpack(
            "/sys/block/sda/dev = 8:0\n/sys/block/sda/size = 40000000\n\
             /sys/block/nvme0n1/dev = 259:0\n/sys/block/nvme0n1/size = 40000000\n",
        );
        let dispatcher = Arc::<Dispatcher>::default();
        let manager = Arc::new(GenericHardwareManager::new(
            Live::new(Options::default()),
            recording.root(),
            Arc::downgrade(&dispatcher),
            true,
        ));
        dispatcher.rank(vec![Arc::clone(&manager) as _]).unwrap();
        let node: Node = serde_json::from_value(node.clone()).unwrap();
        let arguments = StepArguments {
            values: arguments.as_object().unwrap().clone(),
            ..StepArguments::default()
        };
        manager.execute_step(&SilentContext, step, &node, &[], &arguments)
    }

    fn mirror() -> Value {
        json!({"logical_disks": [{"controller": "software", "raid_level": "1", "size_gb": 4}]})
    }

    #[test]
    fn where_nothing_is_wanted_nothing_is_made_and_the_result_is_empty() {
        for wanted in [
            json!(null),
            json!({}),
            json!({"logical_disks": []}),
            json!({"logical_disks": [{"controller": "megaraid", "raid_level": "1", "size_gb": 4}]}),
        ] {
            let node = json!({"target_raid_config": wanted});
            let made = run("create_configuration", &node, &json!({})).unwrap();
            assert_eq!(made, json!({}), "{wanted}");
        }
        assert_eq!(
            run("create_configuration", &json!({}), &json!({})).unwrap(),
            json!({})
        );
    }

    #[test]
    fn no_disk_of_another_machine_is_written() {
        let node = json!({"target_raid_config": mirror()});
        for (step, arguments) in [
            ("create_configuration", json!({})),
            ("delete_configuration", json!({})),
            ("apply_configuration", json!({"raid_config": mirror()})),
        ] {
            let error = run(step, &node, &arguments).unwrap_err();
            assert!(error.to_string().contains("ramdisk"), "{step}: {error}");
        }
    }

    #[test]
    fn rules_are_asked_before_anything_else() {
        let mut wrong = mirror();
        wrong["logical_disks"][0]["raid_level"] = json!("5");
        for (step, arguments) in [
            ("apply_configuration", json!({"raid_config": wrong})),
            ("validate_configuration", json!({"raid_config": wrong})),
        ] {
            let error = run(step, &json!({"uuid": "n1"}), &arguments).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::SoftwareRaid);
            assert_eq!(
                error.to_string(),
                "Could not validate Software RAID config for n1: Software RAID Configuration requires RAID-1 for the \
                 first logical disk; Software RAID configuration is not possible for RAID level 5 with only 2 block \
                 devices found.",
                "{step}"
            );
        }
        let empty = json!({"raid_config": {}});
        let error = run("apply_configuration", &json!({}), &empty).unwrap_err();
        assert_eq!(error.to_string(), "RAID config contains no logical disks");
    }

    #[test]
    fn a_configuration_can_be_validated_alone() {
        let validated = |config: Value| {
            run(
                "validate_configuration",
                &json!({}),
                &json!({"raid_config": config}),
            )
        };
        assert_eq!(validated(mirror()).unwrap(), Value::Null);
        assert_eq!(validated(json!({})).unwrap(), json!(false));
    }

    #[test]
    fn arguments_are_checked() {
        for (arguments, part) in [
            (json!({}), "needs the argument 'raid_config'"),
            (
                json!({"raid_config": mirror(), "delete_existing": 1}),
                "'delete_existing' has to be true or false, and is 1",
            ),
            (
                json!({"raid_config": mirror(), "delete": true}),
                "it takes raid_config and delete_existing",
            ),
        ] {
            let error = run("apply_configuration", &json!({}), &arguments).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidCommandParams);
            assert!(error.to_string().contains(part), "{error}");
        }
        let given = |value: Value| {
            delete_existing(&StepArguments {
                values: [("delete_existing".to_owned(), value)]
                    .into_iter()
                    .collect(),
                ..StepArguments::default()
            })
        };
        assert!(given(json!("True")).unwrap() && given(json!(null)).unwrap());
        assert!(!given(json!("false")).unwrap() && !given(json!(false)).unwrap());
    }
}
