//! The generic manager's erase steps: which devices, whether they may, and in which order.

use std::cell::OnceCell;

use farrier_plugin::protocol::Method;
use farrier_plugin::{BlockDevice, Context, ErrorKind, HardwareManager, ManagerError, Node, chain};
use serde_json::Value;
use tracing::{info, warn};

use super::CLASS_NAME;
use super::manager::GenericHardwareManager;
use crate::block::skip::Purpose;
use crate::erase::{
    self, EraseError, EraseFlags, EraseRecord, Failure, Guard, Plan, Policy, ReadOnly, Verdict,
};

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
    if options.erase_record_required && options.erase_record_url.is_none() {
        return Err(EraseError::NoReceiver.into());
    }
    let flags = flags(manager, node)?;
    let (devices, guard, _) = released(manager, context, node, &flags, ReadOnly::Fail, || {
        manager.unskipped(node, false, Purpose::WholeDevices)
    })?;
    let peers = manager.peers()?;
    manager.scopes.begin();
    plan_all(manager, &devices, &guard, &flags);
    let names: Vec<String> = devices.iter().map(|device| device.name.clone()).collect();
    info!(
        devices = names.join(", "),
        concurrency = flags.concurrency,
        "erasing"
    );
    erase::in_parallel(&names, flags.concurrency, context, |context, index| {
        let device = &devices[index];
        let record = EraseRecord::begin(STEP, node.uuid(), Plan::none(device));
        peers.first(Method::EraseBlockDevice, |peer| {
            let answer = peer.erase_block_device(context, node, device);
            if peer.class_name() == CLASS_NAME {
                return answer;
            }
            by_vendor(manager, peer, record.clone(), answer)
        })
    })
    .into_result("Failed to erase the device(s)")
}

/// Before the first device is touched: how each is to be erased, as it is now. One that cannot be
/// planned is planned again at its turn, and fails then alone, if no other manager erases it.
fn plan_all(
    manager: &GenericHardwareManager,
    devices: &[BlockDevice],
    guard: &Guard,
    flags: &EraseFlags,
) {
    let may_erase = |other: &str| {
        devices.iter().any(|device| device.name == other)
            && matches!(guard.verdict(other), Verdict::Erase)
    };
    let plans = devices
        .iter()
        .filter(|device| may_erase(&device.name))
        .filter_map(|device| Plan::for_device(&manager.root, device, flags, &may_erase).ok());
    let plans: Vec<Plan> = plans.collect();
    for plan in &plans {
        info!(
            device = plan.device.name,
            methods = plan.in_words(),
            "is planned to be erased, if no other hardware manager does it"
        );
    }
    manager.plans.begin(plans);
}

/// What another manager did with a device, which has a record like all others.
fn by_vendor(
    manager: &GenericHardwareManager,
    peer: &dyn HardwareManager,
    mut record: EraseRecord,
    answer: Result<Value, ManagerError>,
) -> Result<Value, ManagerError> {
    let told = match answer {
        Err(error) if error.declines() => return Err(error),
        Err(error) => {
            record.fail(&error);
            return ended(manager, &record, Err(error));
        }
        Ok(told) => told,
    };
    record.erased_by(&peer.version(), told.clone());
    ended(manager, &record, Ok(()))?;
    Ok(told)
}

/// `erase_devices_metadata`: disks, arrays and partitions (contract/data-plane 7.11).
pub(super) fn devices_metadata(
    manager: &GenericHardwareManager,
    context: &dyn Context,
    node: &Node,
) -> Result<Value, ManagerError> {
    quickly(
        manager,
        context,
        node,
        "erase_devices_metadata",
        "Failed to erase the metadata on the device(s)",
        |device, _, _| Plan::for_metadata(device),
    )
}

/// `erase_devices_express`: the same devices, and NVMe namespaces are formatted (contract/data-plane
/// 7.12).
pub(super) fn devices_express(
    manager: &GenericHardwareManager,
    context: &dyn Context,
    node: &Node,
) -> Result<Value, ManagerError> {
    quickly(
        manager,
        context,
        node,
        "erase_devices_express",
        "Failed to conduct an express erase on the device(s)",
        |device, flags, may_erase| Plan::for_express(&manager.root, device, flags, may_erase),
    )
}

/// Disks, arrays and partitions by plans that take a moment each.
fn quickly(
    manager: &GenericHardwareManager,
    context: &dyn Context,
    node: &Node,
    step: &'static str,
    failure: &str,
    plan: impl Fn(&BlockDevice, &EraseFlags, &dyn Fn(&str) -> bool) -> Plan,
) -> Result<Value, ManagerError> {
    let flags = EraseFlags::from_node(node)?;
    let (devices, guard, locked) =
        released(manager, context, node, &flags, ReadOnly::Skip, || {
            manager.unskipped(node, true, Purpose::Metadata)
        })?;
    let is_locked =
        |device: &BlockDevice| locked.iter().any(|failure| failure.device == device.name);
    let devices: Vec<BlockDevice> = devices
        .into_iter()
        .filter(|device| !is_locked(device))
        .collect();
    let may_erase = |other: &str| {
        devices.iter().any(|device| device.name == other)
            && matches!(guard.verdict(other), Verdict::Erase)
    };
    manager.scopes.begin();
    let mut outcome = erase::erase_metadata(
        &manager.root,
        &devices,
        &guard,
        &manager.scopes,
        context,
        |device| begin(manager, step, node, plan(device, &flags, &may_erase)),
        |record| {
            manager.records.keep(record);
            info!("{}", record.line());
        },
    );
    outcome.failures.extend(locked);
    outcome.into_result(failure)?;
    Ok(Value::Null)
}

/// `erase_block_device` of this manager: the last in the order, so that it declines nothing.
pub(super) fn block_device(
    manager: &GenericHardwareManager,
    context: &dyn Context,
    node: &Node,
    device: &BlockDevice,
) -> Result<Value, ManagerError> {
    let flags = flags(manager, node)?;
    let read_only = if flags.skip_read_only {
        ReadOnly::Skip
    } else {
        ReadOnly::Fail
    };
    let guard = survey(manager, node, &flags, read_only)?;
    let verdict = guard.verdict(&device.name);
    let plan = match (&verdict, manager.plans.take(&device.name)) {
        (Verdict::Erase, Some(plan)) => plan,
        (Verdict::Erase, None) => {
            // Asked for of an NVMe subsystem's other namespaces only.
            let listed = OnceCell::new();
            let may_erase = |other: &str| {
                let names: &Vec<BlockDevice> = listed.get_or_init(|| {
                    manager
                        .unskipped(node, false, Purpose::WholeDevices)
                        .unwrap_or_default()
                });
                names.iter().any(|device| device.name == other)
                    && matches!(guard.verdict(other), Verdict::Erase)
            };
            Plan::for_device(&manager.root, device, &flags, &may_erase)?
        }
        _ => Plan::none(device),
    };
    let mut record = begin(manager, STEP, node, plan);
    let outcome = match verdict {
        Verdict::Skip(reason) => {
            record.skip(&reason);
            Ok(())
        }
        Verdict::Refuse(error) => {
            let error = ManagerError::from(error);
            record.fail(&error);
            Err(error)
        }
        Verdict::Erase => erase::erase_device(&manager.root, &mut record, &manager.scopes, context)
            .map_err(ManagerError::from),
    };
    ended(manager, &record, outcome)
}

/// The node's flags, and the options where it has none.
fn flags(manager: &GenericHardwareManager, node: &Node) -> Result<EraseFlags, ManagerError> {
    let options = manager.options.current();
    let mut flags = EraseFlags::from_node(node)?;
    flags.discard.get_or_insert(options.enable_discard_erase);
    flags
        .scsi_sanitize
        .get_or_insert(options.enable_scsi_sanitize);
    flags
        .scsi_format_unit
        .get_or_insert(options.enable_scsi_format_unit);
    Ok(flags)
}

/// Take the passwords off that interrupted erases left: whether there was one, and the drives that
/// stay locked as failures.
fn unlock(manager: &GenericHardwareManager, devices: &[BlockDevice]) -> (bool, Vec<Failure>) {
    if !manager.may_destroy {
        return (false, Vec::new());
    }
    let (freed, locked) = erase::take_passwords_off(&manager.root, devices, &manager.scopes);
    let failures = locked.into_iter().map(|(device, error)| Failure {
        device,
        error: EraseError::from(error).into(),
    });
    (freed, failures.collect())
}

/// The record of a device whose turn it is, kept from now on.
fn begin(
    manager: &GenericHardwareManager,
    step: &'static str,
    node: &Node,
    plan: Plan,
) -> EraseRecord {
    let mut record = EraseRecord::begin(step, node.uuid(), plan);
    if let Some(started) = manager.records.unfinished(&record) {
        warn!(
            device = record.device().name,
            started, "an erase of this device was interrupted; it begins anew"
        );
        record.found_interrupted(started);
    } else if manager.scopes.take_freed(&record.device().name) {
        record.found_interrupted("not known: the drive had farrier's password".to_owned());
    }
    manager.records.keep(&record);
    record
}

/// Keep, show and send the record of a device that is done with, whatever came of it; it is the
/// device's value in the step's result.
fn ended(
    manager: &GenericHardwareManager,
    record: &EraseRecord,
    outcome: Result<(), ManagerError>,
) -> Result<Value, ManagerError> {
    manager.records.keep(record);
    info!("{}", record.line());
    let options = manager.options.current();
    let value = record.to_json();
    let delivered = erase::deliver(&options, &value);
    outcome?;
    if let Err(source) = delivered {
        let device = record.device().name.clone();
        if options.erase_record_required {
            return Err(EraseError::Undelivered { device, source }.into());
        }
        warn!(
            device,
            error = chain(&source),
            "the erase record was not delivered"
        );
    }
    Ok(value)
}

fn survey(
    manager: &GenericHardwareManager,
    node: &Node,
    flags: &EraseFlags,
    read_only: ReadOnly,
) -> Result<Guard, ManagerError> {
    let skipped = manager.skip_list(node, None)?;
    let policy = Policy {
        may_destroy: manager.may_destroy,
        guard_special_filesystems: manager.options.current().guard_special_filesystems
            && !flags.wipe_special_filesystems,
        read_only,
        keep_idle_members: skipped.volume_names().next().is_some() || has_own_arrays(node),
        keep_arrays: has_own_arrays(node),
    };
    Guard::survey(&manager.root, policy)?
        .sparing(&skipped)
        .map_err(|error| ManagerError::new(ErrorKind::BlockDevice, error.to_string()))
}

/// Whether the conductor keeps a configuration of software RAID for this node: it was made by a step,
/// and deployments count on it until a step takes it away.
fn has_own_arrays(node: &Node) -> bool {
    node.field("raid_config", "logical_disks")
        .and_then(Value::as_array)
        .is_some_and(|disks| disks.iter().any(|disk| disk["controller"] == "software"))
}

/// The devices, when none of them forbids to touch any, and the arrays and volumes on them are taken
/// apart; the guard, as it is then; and the drives that are locked and stay so.
fn released(
    manager: &GenericHardwareManager,
    context: &dyn Context,
    node: &Node,
    flags: &EraseFlags,
    read_only: ReadOnly,
    list: impl Fn() -> Result<Vec<BlockDevice>, ManagerError>,
) -> Result<(Vec<BlockDevice>, Guard, Vec<Failure>), ManagerError> {
    let mut devices = list()?;
    // A locked drive cannot be searched for what must not be touched.
    let (freed, locked) = unlock(manager, &devices);
    if freed {
        devices = list()?;
    }
    let guard = survey(manager, node, flags, read_only)?;
    check_all(&guard, &devices)?;
    if !erase::release(&manager.root, &guard, &devices, context) {
        return Ok((devices, guard, locked));
    }
    let devices = list()?;
    let guard = survey(manager, node, flags, read_only)?;
    // What was hidden in an array can be seen now.
    check_all(&guard, &devices)?;
    Ok((devices, guard, locked))
}

/// Before anything is touched: whether there is a device on whose account nothing may be. The
/// reference looks at each device when its turn comes, with others being erased already.
fn check_all(guard: &Guard, devices: &[BlockDevice]) -> Result<(), ManagerError> {
    let refusals: Vec<EraseError> = devices
        .iter()
        .filter_map(|device| match guard.verdict(&device.name) {
            Verdict::Refuse(error) if error.stops_all() => Some(error),
            _ => None,
        })
        .collect();
    let Some(first) = refusals.first() else {
        return Ok(());
    };
    let texts: Vec<String> = refusals.iter().map(ToString::to_string).collect();
    Err(ManagerError::new(first.kind(), texts.join("; ")))
}

#[cfg(test)]
mod tests;
