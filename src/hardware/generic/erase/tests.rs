use std::fs;
use std::net::TcpListener;
use std::ops::Range;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use farrier_plugin::{ErrorKind, HardwareManager, SilentContext};
use serde_json::json;

use super::*;
use crate::block::mbr::{self, Mbr};
use crate::block::raid_superblock::Metadata;
use crate::block::raid_superblock::tests::laid_out;
use crate::config::{Live, Options};
use crate::erase::fake_receiver::{receive, receive_at};
use crate::hardware::dispatch::Dispatcher;
use crate::hardware::fake::{Answer, FakeManager};
use crate::sys::block_device::{Disk, Medium};
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

/// What the kernel shows of an array of these members, which are whole disks or partitions.
fn assemble(machine: &Machine, array: &str, members: &[&str]) {
    let put = |path: String, content: &str| {
        let path = machine.path("sys/block").join(array).join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    };
    put("md/level".to_owned(), "raid1");
    put("md/metadata_version".to_owned(), "1.2");
    put("md/array_state".to_owned(), "clean");
    for member in members {
        put(format!("slaves/{member}"), "");
        put(format!("md/dev-{member}/state"), "in_sync");
    }
}

/// Makes a range of a disk a member: its superblock, and the array's content from 1 MiB on.
fn make_member(machine: &Machine, disk: &str, place: Range<u64>) {
    let size = place.end - place.start;
    let superblock = laid_out(Metadata::V1_2, size, &((1 << 20)..size));
    let disk = Disk::open_exclusive(machine.path("dev").join(disk)).unwrap();
    disk.write_at(place.start + 4096, &superblock).unwrap();
}

#[test]
fn a_disk_is_erased_beside_an_array_only_where_the_node_counts_on_it() {
    let own = json!({"raid_config": {"logical_disks": [{"controller": "software"}]}});
    let hardware = json!({"raid_config": {"logical_disks": [{"controller": "raid.0"}]}});
    for (node, stays) in [(own, true), (hardware, false), (json!({}), false)] {
        let machine = Machine::new(&["md0", "sda", "sdb"], true, no_vendor());
        assemble(&machine, "md0", &["sda", "sdb"]);
        for disk in ["sda", "sdb"] {
            make_member(&machine, disk, 0..DISK as u64);
        }
        let before = ["sda", "sdb"].map(|disk| machine.disk(disk));
        let outcome = machine.run("erase_devices", node);
        let after = ["sda", "sdb"].map(|disk| machine.disk(disk));
        if stays {
            let result = outcome.unwrap();
            assert_eq!(
                results(&result),
                ["/dev/md0 erased", "/dev/sda erased", "/dev/sdb erased"]
            );
            assert_eq!(result["/dev/sda"]["category"], "none");
            for (before, after) in before.iter().zip(&after) {
                // The superblock with what the kernel reserves behind it, and the array's content.
                for (place, is_kept) in [
                    (0..4096, false),
                    (4096..40960, true),
                    (40960..1 << 20, false),
                    (1 << 20..DISK, true),
                ] {
                    let kept = after[place.clone()] == before[place.clone()];
                    let is_zero = after[place.clone()].iter().all(|byte| *byte == 0);
                    assert_eq!((kept, is_zero), (is_kept, !is_kept), "{place:?}");
                }
            }
        } else {
            assert!(before == after);
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
    let places: [Range<u64>; 2] = [2 << 20..5 << 20, 6 << 20..9 << 20];
    for (step, is_whole) in [("erase_devices", true), ("erase_devices_metadata", false)] {
        let machine = Machine::new(&["md0", "md1", "sda", "sdb"], true, no_vendor());
        for (index, disk) in ["sda", "sdb"].into_iter().enumerate() {
            let medium = Disk::open_exclusive(machine.path("dev").join(disk)).unwrap();
            let mut table = Mbr::new(&medium, 7);
            for (number, place) in [1, 2].into_iter().zip(&places) {
                let length = place.end - place.start;
                table
                    .add(number, place.start, length, mbr::LINUX, false)
                    .unwrap();
                let put = |name: &str, content: u64| {
                    let directory = machine.path(&format!("sys/block/{disk}/{disk}{number}"));
                    fs::create_dir_all(&directory).unwrap();
                    fs::write(directory.join(name), content.to_string()).unwrap();
                };
                put("partition", u64::from(number));
                put("start", place.start / 512);
                put("size", length / 512);
                let device = format!("8:{}", 32 + 16 * index + number as usize);
                let directory = machine.path(&format!("sys/block/{disk}/{disk}{number}"));
                fs::write(directory.join("dev"), device).unwrap();
                let links = machine.path("sys/class/block");
                fs::create_dir_all(&links).unwrap();
                let target = format!("../../block/{disk}/{disk}{number}");
                symlink(target, links.join(format!("{disk}{number}"))).unwrap();
                let content = vec![0x5a; length as usize];
                fs::write(machine.path("dev").join(format!("{disk}{number}")), content).unwrap();
            }
            table.write(&medium).unwrap();
            drop(medium);
            for place in &places {
                make_member(&machine, disk, place.clone());
            }
        }
        assemble(&machine, "md0", &["sda1", "sdb1"]);
        assemble(&machine, "md1", &["sda2", "sdb2"]);
        let before = machine.disk("sda");
        let result = machine.run(step, node.clone()).unwrap();
        if is_whole {
            assert_eq!(
                results(&result),
                [
                    "/dev/md0 erased",
                    "/dev/md1 erased",
                    "/dev/sda erased",
                    "/dev/sdb erased"
                ]
            );
        }
        for array in ["md0", "md1"] {
            assert_eq!(machine.is_zero(array), is_whole, "{step} {array}");
            let beginning = &machine.disk(array)[..4 << 20];
            assert!(beginning.iter().all(|byte| *byte == 0), "{step} {array}");
        }
        // Superblocks of the arrays are there, and the table that leads to them; between the partitions nothing is.
        let after = machine.disk("sda");
        for place in &places {
            let superblock = place.start as usize + 4096..place.start as usize + 40960;
            assert!(after[superblock.clone()] == before[superblock]);
        }
        assert!(after[..512] == before[..512]);
        let between = &after[5 << 20..6 << 20];
        assert_eq!(between.iter().all(|byte| *byte == 0), is_whole, "{step}");
        for kept in ["sda1", "sdb1", "sda2", "sdb2"] {
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
