//! The generic manager's erase steps: which devices, by which rules, and which manager does it.

use farrier_plugin::protocol::Method;
use farrier_plugin::{Context, ManagerError, Node};
use serde_json::Value;
use tracing::info;

use super::CLASS_NAME;
use super::manager::GenericHardwareManager;
use crate::block::skip::Purpose;
use crate::erase::{self, Aim, EraseFlags, EraseStep, Order, Policy, ReadOnly, RecordStore};

/// The step that erases whole devices.
pub(super) const STEP: &str = Method::EraseDevices.as_str();

/// `erase_devices`: all disks and arrays, side by side, each by the first manager that does not
/// decline it (contract/data-plane 7.3).
pub(super) fn devices(
    manager: &GenericHardwareManager,
    context: &dyn Context,
    node: &Node,
) -> Result<Value, ManagerError> {
    let options = manager.options.current();
    let mut flags = EraseFlags::from_node(node)?;
    flags.discard.get_or_insert(options.enable_discard_erase);
    flags
        .scsi_sanitize
        .get_or_insert(options.enable_scsi_sanitize);
    flags
        .scsi_format_unit
        .get_or_insert(options.enable_scsi_format_unit);
    let read_only = if flags.skip_read_only {
        ReadOnly::Skip
    } else {
        ReadOnly::Fail
    };
    let order = order(manager, node, STEP, Aim::Data, flags, read_only)?;
    let list = |_: &[String]| manager.unskipped(node, false, Purpose::WholeDevices);
    let step = EraseStep::begin(order, list, context)?;
    let peers = manager.peers()?;
    let devices = step.devices();
    let names: Vec<String> = devices.iter().map(|device| device.name.clone()).collect();
    info!(
        devices = names.join(", "),
        concurrency = step.concurrency(),
        "erasing"
    );
    erase::in_parallel(&names, step.concurrency(), context, |context, index| {
        let device = &devices[index];
        peers.first(Method::EraseBlockDevice, |peer| {
            if peer.class_name() != CLASS_NAME {
                return step.by_manager(peer, context, node, device);
            }
            let (record, outcome) = step.turn(device, context);
            outcome.map(|()| record.to_json())
        })
    })
    .into_result("Failed to erase the device(s)")
}

/// `erase_devices_metadata`: disks, arrays and partitions (contract/data-plane 7.11).
pub(super) fn devices_metadata(
    manager: &GenericHardwareManager,
    context: &dyn Context,
    node: &Node,
) -> Result<Value, ManagerError> {
    let failure = "Failed to erase the metadata on the device(s)";
    let (name, aim) = ("erase_devices_metadata", Aim::Metadata);
    quickly(manager, context, node, name, aim, failure)
}

/// `erase_devices_express`: the same devices, and NVMe namespaces are formatted (contract/data-plane
/// 7.12).
pub(super) fn devices_express(
    manager: &GenericHardwareManager,
    context: &dyn Context,
    node: &Node,
) -> Result<Value, ManagerError> {
    let failure = "Failed to conduct an express erase on the device(s)";
    let (name, aim) = ("erase_devices_express", Aim::Express);
    quickly(manager, context, node, name, aim, failure)
}

/// Disks, arrays and partitions by plans that take a moment each.
fn quickly(
    manager: &GenericHardwareManager,
    context: &dyn Context,
    node: &Node,
    name: &'static str,
    aim: Aim,
    failure: &str,
) -> Result<Value, ManagerError> {
    let flags = EraseFlags::from_node(node)?;
    let order = order(manager, node, name, aim, flags, ReadOnly::Skip)?;
    let list = |_: &[String]| manager.unskipped(node, true, Purpose::Metadata);
    let step = EraseStep::begin(order, list, context)?;
    step.one_by_one(context, |_| {}).into_result(failure)?;
    Ok(Value::Null)
}

/// What this node wants of a step.
fn order(
    manager: &GenericHardwareManager,
    node: &Node,
    name: &'static str,
    aim: Aim,
    flags: EraseFlags,
    read_only: ReadOnly,
) -> Result<Order, ManagerError> {
    let skipped = manager.skip_list(node, None)?;
    let options = manager.options.current();
    let policy = Policy {
        may_destroy: manager.may_destroy,
        guard_special_filesystems: options.guard_special_filesystems
            && !flags.wipe_special_filesystems,
        read_only,
        keep_idle_members: skipped.volume_names().next().is_some() || has_own_arrays(node),
        keep_arrays: has_own_arrays(node),
    };
    Ok(Order {
        name,
        node: node.uuid().map(str::to_owned),
        aim,
        flags,
        policy,
        skipped,
        all_or_none: false,
        options,
        records: Some(RecordStore::of(&manager.root)),
        root: manager.root.clone(),
    })
}

/// Whether the conductor keeps a configuration of software RAID for this node: it was made by a step,
/// and deployments count on it until a step takes it away.
pub(super) fn has_own_arrays(node: &Node) -> bool {
    node.field("raid_config", "logical_disks")
        .and_then(Value::as_array)
        .is_some_and(|disks| disks.iter().any(|disk| disk["controller"] == "software"))
}

#[cfg(test)]
mod tests;
