//! The generic manager's erase steps: which devices, whether they may, and in which order.

use farrier_plugin::{BlockDevice, Context, ErrorKind, HardwareManager, ManagerError, Node};
use serde_json::Value;
use tracing::info;

use super::GenericHardwareManager;
use crate::block::skip::{Purpose, SkipList};
use crate::erase::{self, EraseError, EraseFlags, Guard, Plan, Policy, ReadOnly, Verdict};

/// `erase_devices`: all disks and arrays, side by side, each by the first manager that does not
/// decline it (contract/data-plane 7.3).
pub(super) fn devices(
    manager: &GenericHardwareManager,
    context: &dyn Context,
    node: &Node,
) -> Result<Value, ManagerError> {
    let flags = EraseFlags::from_node(node)?;
    let devices = manager.list_block_devices_check_skip_list(node, false)?;
    let guard = survey(manager, node, &flags, ReadOnly::Fail)?;
    check_all(&guard, &devices)?;
    let peers = manager.peers()?;
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
    let flags = EraseFlags::from_node(node)?;
    let devices = manager.unskipped(node, true, Purpose::Metadata)?;
    let guard = survey(manager, node, &flags, ReadOnly::Skip)?;
    check_all(&guard, &devices)?;
    erase::erase_metadata(&manager.root, &devices, &guard, context)
        .into_result("Failed to erase the metadata on the device(s)")?;
    Ok(Value::Null)
}

/// `erase_block_device` of this manager: the last in the order, so that it declines nothing.
pub(super) fn block_device(
    manager: &GenericHardwareManager,
    context: &dyn Context,
    node: &Node,
    device: &BlockDevice,
) -> Result<Value, ManagerError> {
    let flags = EraseFlags::from_node(node)?;
    let read_only = if flags.skip_read_only {
        ReadOnly::Skip
    } else {
        ReadOnly::Fail
    };
    match survey(manager, node, &flags, read_only)?.verdict(&device.name) {
        Verdict::Skip(reason) => {
            info!(device = device.name, reason, "left out");
            Ok(Value::Null)
        }
        Verdict::Refuse(error) => Err(error.into()),
        Verdict::Erase => {
            let plan = Plan::for_device(&device.name, &flags)?;
            erase::erase_device(&manager.root, &plan, context)?;
            Ok(Value::Null)
        }
    }
}

fn survey(
    manager: &GenericHardwareManager,
    node: &Node,
    flags: &EraseFlags,
    read_only: ReadOnly,
) -> Result<Guard, ManagerError> {
    let skipped = SkipList::from_node(node)
        .map_err(|error| ManagerError::new(ErrorKind::BlockDevice, error.to_string()))?;
    let policy = Policy {
        may_destroy: manager.may_destroy,
        guard_special_filesystems: manager.options.current().guard_special_filesystems
            && !flags.wipe_special_filesystems,
        read_only,
        keep_idle_members: skipped.volume_names().next().is_some(),
    };
    Ok(Guard::survey(&manager.root, policy)?)
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
    use std::path::PathBuf;
    use std::sync::Arc;

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
        fn new(disks: &[&str], may_destroy: bool, vendor: FakeManager) -> Self {
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
                Live::new(Options::default()),
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

    #[test]
    fn all_disks_are_erased_and_named() {
        let machine = Machine::new(&["sda", "sdb"], true, no_vendor());
        let result = machine
            .run(
                "erase_devices",
                json!({"driver_internal_info": {"disk_erasure_concurrency": 4}}),
            )
            .unwrap();
        assert_eq!(result, json!({"/dev/sda": null, "/dev/sdb": null}));
        assert!(machine.is_zero("sda") && machine.is_zero("sdb"));
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
        assert_eq!(result, json!({"/dev/sdb": null}));
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
        assert_eq!(result, json!({"/dev/sda": null, "/dev/sdb": null}));
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
