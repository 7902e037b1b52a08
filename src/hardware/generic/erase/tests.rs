use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use farrier_plugin::{ErrorKind, HardwareManager, SilentContext};
use serde_json::json;

use super::*;
use crate::config::{Live, Options};
use crate::erase::fake_receiver::{receive, receive_at};
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
        erase_record_url: Some(format!("http://{}/", listener.local_addr().unwrap()).into()),
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
    options.erase_record_url = Some(format!("http://{}/", listener.local_addr().unwrap()).into());
    const PORTAL: &str = "302 Found\r\nLocation: /login?session=secret";
    let receiver = thread::spawn(move || {
        for answer in ["403 Forbidden", PORTAL, "403 Forbidden"] {
            receive(&listener, answer);
        }
    });
    for what in ["403", "302 Found and points to http://127.0.0.1:"] {
        let machine = Machine::with_options(&["sda"], options.clone());
        let error = machine.run("erase_devices", node.clone()).unwrap_err();
        assert!(error.to_string().contains("not delivered"), "{error}");
        assert!(error.chain().contains(what), "{}", error.chain());
        assert!(!error.chain().contains("secret"), "{}", error.chain());
        assert!(machine.is_zero("sda"));
    }
    options.erase_record_required = false;
    let machine = Machine::with_options(&["sda"], options);
    machine.run("erase_devices", node).unwrap();
    receiver.join().unwrap();
}

#[test]
fn the_place_of_a_record_is_made_of_what_is_in_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let options = Options {
        erase_record_url: Some(format!("http://{}/site", listener.local_addr().unwrap()).into()),
        erase_record_method: "PUT".to_owned(),
        erase_record_required: true,
        ..Options::default()
    };
    let receiver = thread::spawn(move || receive_at(&listener, "201 Created"));
    let machine = Machine::with_options(&["sda"], options);
    fs::create_dir_all(machine.path("run/udev/data")).unwrap();
    let udev = "E:ID_SERIAL_SHORT=S 1\n";
    fs::write(machine.path("run/udev/data/b8:0"), udev).unwrap();
    machine.run("erase_devices", json!({"uuid": "n1"})).unwrap();
    let (line, record) = receiver.join().unwrap();
    assert_eq!(record["device"]["serial"], "S 1");
    let started = record["started"].as_str().unwrap().replace(':', "_");
    assert_eq!(line, format!("PUT /site/n1/S_1-{started}.json HTTP/1.1"));
}

#[test]
fn a_record_that_can_go_nowhere_stops_the_erase() {
    let options = Options {
        erase_record_required: true,
        ..Options::default()
    };
    let machine = Machine::with_options(&["sda"], options);
    let error = machine.run("erase_devices", json!({})).unwrap_err();
    assert!(error.to_string().contains("erase_record_url"), "{error}");
    assert!(machine.is_untouched("sda"));
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

/// A tenant's files lie in the mirror of EFI system partitions beside the array of its root volume.
#[test]
fn the_esp_mirror_beside_a_kept_array_is_erased_in_its_own_right() {
    let node = json!({"raid_config": {"logical_disks": [{"controller": "software"}]}});
    for (step, is_whole) in [("erase_devices", true), ("erase_devices_metadata", false)] {
        let machine = Machine::new(&["md0", "md1", "sda", "sdb"], true, no_vendor());
        let put = |path: String, content: &str| {
            let path = machine.path("sys/block").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        };
        for array in [0, 1] {
            put(format!("md{array}/md/level"), "raid1");
            for (disk, base) in [("sda", 32), ("sdb", 48)] {
                let number = array + 1;
                let part = format!("{disk}{number}");
                put(format!("md{array}/slaves/{part}"), "");
                put(format!("{disk}/{part}/partition"), &number.to_string());
                put(
                    format!("{disk}/{part}/dev"),
                    &format!("8:{}", base + number),
                );
                put(format!("{disk}/{part}/size"), &(DISK / 512).to_string());
                fs::write(machine.path("dev").join(&part), vec![0x5a; DISK]).unwrap();
            }
        }
        let result = machine.run(step, node.clone()).unwrap();
        if is_whole {
            assert_eq!(
                results(&result),
                [
                    "/dev/md0 erased",
                    "/dev/md1 erased",
                    "/dev/sda skipped",
                    "/dev/sdb skipped"
                ]
            );
        }
        for array in ["md0", "md1"] {
            assert_eq!(machine.is_zero(array), is_whole, "{step} {array}");
            let beginning = &machine.disk(array)[..4 << 20];
            assert!(beginning.iter().all(|byte| *byte == 0), "{step} {array}");
        }
        // Superblocks of the arrays are there.
        for kept in ["sda", "sdb", "sda1", "sdb1", "sda2", "sdb2"] {
            assert!(machine.is_untouched(kept), "{step} {kept}");
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
fn what_a_vendors_manager_erased_or_not_has_a_record() {
    let record = |machine: &Machine| -> Value {
        let members = machine.generic.collect_system_logs().unwrap();
        let (_, kept) = members
            .iter()
            .find(|(name, _)| name == "erase_devices/sda.json")
            .unwrap();
        serde_json::from_slice(kept).unwrap()
    };
    let vendor = no_vendor()
        .answering(Answer::Text("formatted"))
        .only_erasing();
    let machine = Machine::new(&["sda"], true, vendor);
    machine.run("erase_devices", json!({"uuid": "n1"})).unwrap();
    let kept = record(&machine);
    assert_eq!(kept["result"], "erased");
    assert_eq!(kept["manager"], "vendor 1");
    assert_eq!(kept["told"], "formatted");
    assert_eq!(kept["category"], "none");
    assert_eq!(kept["node"], "n1");

    let fault = Answer::Fail(ErrorKind::BlockDeviceErase, "the card is on fire");
    let machine = Machine::new(&["sda"], true, no_vendor().answering(fault).only_erasing());
    machine.run("erase_devices", json!({})).unwrap_err();
    let kept = record(&machine);
    assert_eq!(kept["result"], "failed");
    assert!(
        kept["error"].as_str().unwrap().contains("on fire"),
        "{kept}"
    );
    assert!(machine.is_untouched("sda"));
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
