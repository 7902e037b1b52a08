//! The generic manager's erase steps: which devices, whether they may, and in which order.

use std::cell::OnceCell;

use farrier_plugin::{BlockDevice, Context, ErrorKind, HardwareManager, ManagerError, Node};
use serde_json::Value;
use tracing::{info, warn};

use super::GenericHardwareManager;
use crate::block::skip::Purpose;
use crate::erase::{
    self, EraseError, EraseFlags, EraseRecord, Failure, Guard, Plan, Policy, ReadOnly, Verdict,
};
use crate::sys::log::chain;

/// `erase_devices`: all disks and arrays, side by side, each by the first manager that does not
/// decline it (contract/data-plane 7.3).
pub(super) fn devices(
    manager: &GenericHardwareManager,
    context: &dyn Context,
    node: &Node,
) -> Result<Value, ManagerError> {
    let flags = EraseFlags::from_node(node)?;
    let (devices, ..) = released(manager, context, node, &flags, ReadOnly::Fail, || {
        manager.list_block_devices_check_skip_list(node, false)
    })?;
    let peers = manager.peers()?;
    manager.scopes.begin();
    let names: Vec<String> = devices.iter().map(|device| device.name.clone()).collect();
    info!(
        devices = names.join(", "),
        concurrency = flags.concurrency,
        "erasing"
    );
    erase::in_parallel(&names, flags.concurrency, context, |context, index| {
        peers.first("erase_block_device", |manager| {
            manager.erase_block_device(context, node, &devices[index])
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
    let mut flags = EraseFlags::from_node(node)?;
    flags
        .discard
        .get_or_insert(manager.options.current().enable_discard_erase);
    flags
        .scsi_sanitize
        .get_or_insert(manager.options.current().enable_scsi_sanitize);
    flags
        .scsi_format_unit
        .get_or_insert(manager.options.current().enable_scsi_format_unit);
    let read_only = if flags.skip_read_only {
        ReadOnly::Skip
    } else {
        ReadOnly::Fail
    };
    let guard = survey(manager, node, &flags, read_only)?;
    let verdict = guard.verdict(&device.name);
    let plan = match verdict {
        Verdict::Erase => {
            // Asked for of an NVMe subsystem's other namespaces only.
            let listed = OnceCell::new();
            let may_erase = |other: &str| {
                let names: &Vec<BlockDevice> = listed.get_or_init(|| {
                    manager
                        .list_block_devices_check_skip_list(node, false)
                        .unwrap_or_default()
                });
                names.iter().any(|device| device.name == other)
                    && matches!(guard.verdict(other), Verdict::Erase)
            };
            Plan::for_device(&manager.root, device, &flags, &may_erase)?
        }
        _ => Plan::none(device),
    };
    let mut record = begin(manager, "erase_devices", node, plan);
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
mod tests {
    use std::fs;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::thread;

    use farrier_plugin::SilentContext;
    use serde_json::json;

    use super::*;
    use crate::config::{Live, Options};
    use crate::hardware::dispatch::Dispatcher;
    use crate::hardware::fake::{Answer, FakeManager};
    use crate::sys::root::Root;

    /// A machine whose disks are plain files in a recorded tree.
    struct Machine {
        tree: tempfile::TempDir,
        dispatcher: Arc<Dispatcher>,
        generic: Arc<GenericHardwareManager>,
        vendor: Arc<FakeManager>,
    }

    const DISK: usize = 10 << 20;

    impl Machine {
        fn with_options(disks: &[&str], options: Options) -> Self {
            Self::made(disks, true, no_vendor(), options)
        }

        fn new(disks: &[&str], may_destroy: bool, vendor: FakeManager) -> Self {
            Self::made(disks, may_destroy, vendor, Options::default())
        }

        fn made(disks: &[&str], may_destroy: bool, vendor: FakeManager, options: Options) -> Self {
            let tree = tempfile::tempdir().unwrap();
            let put = |path: String, content: &[u8]| {
                let path = tree.path().join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, content).unwrap();
            };
            put("proc/self/mountinfo".to_owned(), b"");
            for (index, disk) in disks.iter().enumerate() {
                let number = format!("8:{}", index * 16);
                put(format!("sys/block/{disk}/dev"), number.as_bytes());
                put(format!("sys/block/{disk}/ro"), b"0");
                let sectors = (DISK / 512).to_string();
                put(format!("sys/block/{disk}/size"), sectors.as_bytes());
                put(format!("dev/{disk}"), &[0x5a; DISK]);
            }
            let dispatcher = Arc::<Dispatcher>::default();
            let generic = Arc::new(GenericHardwareManager::new(
                Live::new(options),
                Root::at(tree.path()),
                Arc::downgrade(&dispatcher),
                may_destroy,
            ));
            let vendor = Arc::new(vendor);
            dispatcher
                .rank(vec![Arc::clone(&generic) as _, Arc::clone(&vendor) as _])
                .unwrap();
            Self {
                tree,
                dispatcher,
                generic,
                vendor,
            }
        }

        fn run(&self, step: &str, node: Value) -> Result<Value, ManagerError> {
            let node = serde_json::from_value(node).unwrap();
            self.dispatcher.first(step, |manager| {
                manager.execute_step(&SilentContext, step, &node, &[], &Default::default())
            })
        }

        fn path(&self, path: &str) -> PathBuf {
            self.tree.path().join(path)
        }

        fn disk(&self, name: &str) -> Vec<u8> {
            fs::read(self.path("dev").join(name)).unwrap()
        }

        fn is_zero(&self, name: &str) -> bool {
            self.disk(name).iter().all(|byte| *byte == 0)
        }

        fn is_untouched(&self, name: &str) -> bool {
            self.disk(name).iter().all(|byte| *byte == 0x5a)
        }
    }

    fn no_vendor() -> FakeManager {
        FakeManager::new("Vendor", 2)
    }

    /// Each device with what became of it.
    fn results(result: &Value) -> Vec<String> {
        let devices = result.as_object().unwrap();
        devices
            .iter()
            .map(|(name, record)| format!("{name} {}", record["result"].as_str().unwrap()))
            .collect()
    }

    /// Take one request, give this answer, and return the request's JSON.
    fn receive(listener: &TcpListener, status: &str) -> Value {
        let (mut stream, _) = listener.accept().unwrap();
        let mut got = Vec::new();
        let mut part = [0; 65_536];
        loop {
            let count = stream.read(&mut part).unwrap();
            got.extend_from_slice(&part[..count]);
            let start = got.windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(start) = start
                && let Ok(json) = serde_json::from_slice(&got[start + 4..])
            {
                let answer =
                    format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                stream.write_all(answer.as_bytes()).unwrap();
                return json;
            }
            assert!(count > 0, "the request is cut short");
        }
    }

    #[test]
    fn all_disks_are_erased_and_named() {
        let machine = Machine::new(&["sda", "sdb"], true, no_vendor());
        let result = machine
            .run(
                "erase_devices",
                json!({"driver_internal_info": {"disk_erasure_concurrency": 4}}),
            )
            .unwrap();
        assert_eq!(results(&result), ["/dev/sda erased", "/dev/sdb erased"]);
        assert!(machine.is_zero("sda") && machine.is_zero("sdb"));
    }

    #[test]
    fn a_record_is_in_the_result_in_the_archive_and_at_the_sites_receiver() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut options = Options {
            erase_record_url: Some(format!("http://{}/", listener.local_addr().unwrap())),
            erase_record_required: true,
            ..Options::default()
        };
        let receiver = thread::spawn(move || receive(&listener, "201 Created"));
        let machine = Machine::with_options(&["sda"], options.clone());
        let node = json!({"uuid": "n1"});
        let result = machine.run("erase_devices", node.clone()).unwrap();
        let record = &result["/dev/sda"];
        assert_eq!(record["node"], "n1");
        assert_eq!(record["device"]["size"], DISK);
        assert_eq!(record["methods"].as_array().unwrap().len(), 1);
        assert!(record["verification"]["samples"].as_array().unwrap().len() > 5);
        assert_eq!(receiver.join().unwrap(), *record);
        let members = machine.generic.collect_system_logs().unwrap();
        let (_, kept) = members
            .iter()
            .find(|(name, _)| name == "erase_devices/sda.json")
            .unwrap();
        assert_eq!(serde_json::from_slice::<Value>(kept).unwrap(), *record);

        // Where nobody takes it, the step fails only if it must not.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        options.erase_record_url = Some(format!("http://{}/", listener.local_addr().unwrap()));
        let receiver = thread::spawn(move || {
            receive(&listener, "403 Forbidden");
            receive(&listener, "403 Forbidden")
        });
        let machine = Machine::with_options(&["sda"], options.clone());
        let error = machine.run("erase_devices", node.clone()).unwrap_err();
        assert!(error.to_string().contains("not delivered"), "{error}");
        assert!(error.chain().contains("403"), "{}", error.chain());
        assert!(machine.is_zero("sda"));
        options.erase_record_required = false;
        let machine = Machine::with_options(&["sda"], options);
        machine.run("erase_devices", node).unwrap();
        receiver.join().unwrap();
    }

    #[test]
    fn an_erase_that_a_restart_cut_short_is_told() {
        let machine = Machine::new(&["sda"], true, no_vendor());
        let left = machine.path("run/farrier/erase/erase_devices/sda.json");
        fs::create_dir_all(left.parent().unwrap()).unwrap();
        fs::write(&left, r#"{"result": "running", "started": "2026-01-02"}"#).unwrap();
        let result = machine.run("erase_devices", json!({})).unwrap();
        assert_eq!(result["/dev/sda"]["interrupted"], "2026-01-02");
        let result = machine.run("erase_devices", json!({})).unwrap();
        assert_eq!(result["/dev/sda"]["interrupted"], Value::Null);
    }

    #[test]
    fn members_of_an_array_are_left_out_only_where_the_node_counts_on_it() {
        let own = json!({"raid_config": {"logical_disks": [{"controller": "software"}]}});
        let hardware = json!({"raid_config": {"logical_disks": [{"controller": "raid.0"}]}});
        for (node, stays) in [(own, true), (hardware, false), (json!({}), false)] {
            let machine = Machine::new(&["md0", "sda", "sdb"], true, no_vendor());
            for (path, content) in [
                ("md/level", "raid1"),
                ("slaves/sda", ""),
                ("slaves/sdb", ""),
            ] {
                let path = machine.path("sys/block/md0").join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, content).unwrap();
            }
            let outcome = machine.run("erase_devices", node);
            assert!(machine.is_untouched("sda") && machine.is_untouched("sdb"));
            if stays {
                assert_eq!(
                    results(&outcome.unwrap()),
                    ["/dev/md0 erased", "/dev/sda skipped", "/dev/sdb skipped"]
                );
            } else {
                // The plain file in the tree is no array that could be stopped.
                let error = outcome.unwrap_err().to_string();
                assert!(
                    error.contains("/dev/sda is not erased: md0 lies on it"),
                    "{error}"
                );
                assert!(
                    error.contains("/dev/sdb is not erased: md0 lies on it"),
                    "{error}"
                );
            }
        }
    }

    #[test]
    fn a_vendors_manager_is_asked_first() {
        let vendor = no_vendor().answering(Answer::Null).only_erasing();
        let machine = Machine::new(&["sda"], true, vendor);
        machine.run("erase_devices", json!({})).unwrap();
        assert_eq!(*machine.vendor.erased.lock().unwrap(), ["/dev/sda"]);
        assert!(machine.is_untouched("sda"));
    }

    #[test]
    fn what_a_vendors_manager_answers_is_the_devices_value() {
        let vendor = no_vendor().answering(Answer::Text("purged")).only_erasing();
        let machine = Machine::new(&["sda"], true, vendor);
        assert_eq!(
            machine.run("erase_devices", json!({})).unwrap(),
            json!({"/dev/sda": "purged"})
        );
    }

    #[test]
    fn nothing_is_touched_outside_a_ramdisk() {
        let machine = Machine::new(&["sda"], false, no_vendor());
        for step in ["erase_devices", "erase_devices_metadata"] {
            let error = machine.run(step, json!({})).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BlockDeviceErase);
            assert!(error.to_string().contains("ramdisk"), "{error}");
        }
        assert!(machine.is_untouched("sda"));
    }

    #[test]
    fn one_mounted_disk_keeps_every_disk_from_being_erased() {
        let machine = Machine::new(&["sda", "sdb"], true, no_vendor());
        fs::write(
            machine.path("proc/self/mountinfo"),
            "22 1 8:16 / /mnt rw - ext4 /dev/sdb rw\n",
        )
        .unwrap();
        for step in ["erase_devices", "erase_devices_metadata"] {
            let error = machine.run(step, json!({})).unwrap_err();
            assert!(error.to_string().contains("/dev/sdb"), "{error}");
            assert!(error.to_string().contains("/mnt"), "{error}");
        }
        assert!(machine.is_untouched("sda") && machine.is_untouched("sdb"));
    }

    #[test]
    fn a_skipped_disk_is_untouched_and_not_reported() {
        let machine = Machine::new(&["sda", "sdb"], true, no_vendor());
        let node = json!({"properties": {"skip_block_devices": [{"name": "/dev/sda"}]}});
        let result = machine.run("erase_devices", node.clone()).unwrap();
        assert_eq!(results(&result), ["/dev/sdb erased"]);
        machine.run("erase_devices_metadata", node).unwrap();
        assert!(machine.is_untouched("sda") && machine.is_zero("sdb"));
    }

    #[test]
    fn a_read_only_disk_fails_alone_or_is_skipped_where_the_node_says_so() {
        let machine = Machine::new(&["sda", "sdb"], true, no_vendor());
        fs::write(machine.path("sys/block/sda/ro"), "1").unwrap();
        let error = machine.run("erase_devices", json!({})).unwrap_err();
        assert!(error.to_string().contains("flagged read-only"), "{error}");
        assert!(error.to_string().ends_with("Erased: /dev/sdb"), "{error}");
        assert!(machine.is_untouched("sda") && machine.is_zero("sdb"));

        let node = json!({"driver_internal_info": {"agent_erase_skip_read_only": true}});
        let result = machine.run("erase_devices", node).unwrap();
        assert_eq!(results(&result), ["/dev/sda skipped", "/dev/sdb erased"]);
        assert!(machine.is_untouched("sda"));
        // The metadata step leaves it out in silence.
        machine.run("erase_devices_metadata", json!({})).unwrap();
        assert!(machine.is_untouched("sda"));
    }

    #[test]
    fn one_disk_that_fails_does_not_stop_the_others() {
        let machine = Machine::new(&["sda", "sdb", "sdc"], true, no_vendor());
        fs::remove_file(machine.path("dev/sdb")).unwrap();
        for step in ["erase_devices_metadata", "erase_devices"] {
            let error = machine.run(step, json!({})).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BlockDeviceErase);
            assert!(error.to_string().contains("\"/dev/sdb\": "), "{error}");
        }
        assert!(machine.is_zero("sda") && machine.is_zero("sdc"));
    }

    #[test]
    fn metadata_leaves_the_middle_and_answers_null() {
        let machine = Machine::new(&["sda"], true, no_vendor());
        assert_eq!(
            machine.run("erase_devices_metadata", json!({})).unwrap(),
            Value::Null
        );
        let bytes = machine.disk("sda");
        assert!(bytes[..4 << 20].iter().all(|byte| *byte == 0));
        assert!(bytes[6 << 20..].iter().all(|byte| *byte == 0));
        assert!(bytes[4 << 20..6 << 20].iter().all(|byte| *byte == 0x5a));
    }

    #[test]
    fn an_express_erase_of_disks_that_are_no_nvme_is_one_of_metadata() {
        let machine = Machine::new(&["sda"], true, no_vendor());
        assert_eq!(
            machine.run("erase_devices_express", json!({})).unwrap(),
            Value::Null
        );
        let bytes = machine.disk("sda");
        assert!(bytes[..4 << 20].iter().all(|byte| *byte == 0));
        assert!(bytes[4 << 20..6 << 20].iter().all(|byte| *byte == 0x5a));
        fs::remove_file(machine.path("dev/sda")).unwrap();
        let error = machine
            .run("erase_devices_express", json!({}))
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("Failed to conduct an express erase on the device(s): \"/dev/sda\""),
            "{error}"
        );
    }

    #[test]
    fn nonsense_in_the_flags_or_the_skip_list_erases_nothing() {
        let machine = Machine::new(&["sda"], true, no_vendor());
        for node in [
            json!({"driver_internal_info": {"agent_erase_devices_iterations": "many"}}),
            json!({"driver_internal_info": {"agent_erase_devices_iterations": 0,
                                            "agent_erase_devices_zeroize": false}}),
            json!({"properties": {"skip_block_devices": "sda"}}),
            json!({"properties": {"skip_block_devices": [{"nmae": "/dev/sda"}]}}),
        ] {
            assert!(
                machine.run("erase_devices", node.clone()).is_err(),
                "{node}"
            );
        }
        assert!(machine.is_untouched("sda"));
    }

    #[test]
    fn a_machine_without_disks_has_nothing_to_erase() {
        let machine = Machine::new(&[], true, no_vendor());
        fs::create_dir_all(machine.path("sys/block")).unwrap();
        assert_eq!(machine.run("erase_devices", json!({})).unwrap(), json!({}));
        assert_eq!(
            machine.run("erase_devices_metadata", json!({})).unwrap(),
            Value::Null
        );
    }

    #[test]
    fn the_generic_manager_is_the_last_in_order() {
        let machine = Machine::new(&[], true, no_vendor());
        assert_eq!(machine.generic.evaluate_hardware_support().unwrap(), 1);
        assert_eq!(
            machine.dispatcher.ranked()[1].manager.class_name(),
            "GenericHardwareManager"
        );
    }
}
