use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use farrier_plugin::{
    BlockDevice, CancelledContext, Context, ErrorKind, ManagerError, Progress, SilentContext, chain,
};

use super::running::{Aim, EraseStep, Order};
use super::turn::check_others;
use crate::block::list;
use crate::erase::method::{Method, Sanitize, Scope};
use crate::erase::plan::Planned;
use crate::erase::record::{EraseRecord, RecordStore};
use crate::sys::root::Root;
use crate::sys::witness::Witness;

const DISK: usize = 10 << 20;

/// A machine whose disks are plain files in a recorded tree.
struct Machine(tempfile::TempDir);

impl Machine {
    fn new(disks: &[&str]) -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        machine.put("proc/self/mountinfo", "");
        for (index, disk) in disks.iter().enumerate() {
            let number = format!("8:{}", index * 16);
            machine.put(&format!("sys/block/{disk}/dev"), &number);
            machine.put(&format!("sys/block/{disk}/ro"), "0");
            let sectors = (DISK / 512).to_string();
            machine.put(&format!("sys/block/{disk}/size"), &sectors);
            machine.put(
                &format!("run/udev/data/b{number}"),
                &format!("E:ID_SERIAL_SHORT=serial of {disk}\n"),
            );
            machine.put(&format!("dev/{disk}"), &"Z".repeat(DISK));
        }
        machine
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn put(&self, path: &str, content: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn root(&self) -> Root {
        Root::at(self.0.path())
    }

    fn order(&self, aim: Aim) -> Order {
        Order::of_tests(self.root(), aim)
    }

    /// A step about these disks.
    fn begin(&self, order: Order, disks: &[&str]) -> Result<EraseStep, ManagerError> {
        let list = |taken_apart: &[String]| Ok(self.devices(disks, taken_apart));
        EraseStep::begin(order, list, &SilentContext)
    }

    fn devices(&self, disks: &[&str], without: &[String]) -> Vec<BlockDevice> {
        let devices = list::list_block_devices(&self.root(), false).unwrap();
        let is_meant = |name: &str| disks.iter().any(|disk| name == format!("/dev/{disk}"));
        devices
            .into_iter()
            .filter(|device| is_meant(&device.name) && !without.contains(&device.name))
            .collect()
    }

    fn is_untouched(&self, disk: &str) -> bool {
        let content = fs::read(self.path("dev").join(disk)).unwrap();
        content.iter().all(|byte| *byte == b'Z')
    }

    /// An array of these disks.
    fn assemble(&self, array: &str, disks: &[&str]) {
        self.put(&format!("sys/block/{array}/dev"), "9:0");
        self.put(&format!("sys/block/{array}/size"), "2048");
        self.put(&format!("sys/block/{array}/md/level"), "raid1");
        for disk in disks {
            self.put(&format!("sys/block/{array}/slaves/{disk}"), "");
        }
    }
}

fn turn(step: &EraseStep, index: usize) -> (EraseRecord, Result<(), ManagerError>) {
    step.turn(&step.devices()[index], &SilentContext)
}

#[test]
fn every_device_is_planned_before_the_first_is_touched() {
    let machine = Machine::new(&["sda", "sdb"]);
    let step = machine
        .begin(machine.order(Aim::Data), &["sda", "sdb"])
        .unwrap();
    assert!(machine.is_untouched("sda") && machine.is_untouched("sdb"));
    // What a disk says from now on changes nothing of its plan.
    machine.put("sys/block/sdb/size", "8");
    for device in step.devices() {
        let plan = step.plan_of(device).unwrap();
        assert_eq!(plan.device.size, DISK as u64);
        assert_eq!(
            plan.in_words(),
            "overwrite with 1 pass(es) of random data and one of zeros"
        );
    }
}

#[test]
fn a_disk_is_looked_at_again_just_before_it_is_touched() {
    type Change = fn(&Machine);
    let changes: [(Change, &str); 5] = [
        (
            |machine| {
                let mount = "22 1 8:16 / /mnt rw - ext4 /dev/sdb rw\n";
                machine.put("proc/self/mountinfo", mount);
            },
            "/dev/sdb is in use as /mnt",
        ),
        (
            |machine| machine.assemble("md0", &["sdb"]),
            "md0 lies on it",
        ),
        (
            |machine| machine.put("run/udev/data/b8:16", "E:ID_SERIAL_SHORT=another\n"),
            "serial number serial of sdb, WWN none, and now it is a device of 10485760 bytes, \
             serial number another",
        ),
        (
            |machine| machine.put("sys/block/sdb/size", "8"),
            "now it is a device of 4096 bytes",
        ),
        (
            |machine| fs::remove_dir_all(machine.path("sys/block/sdb")).unwrap(),
            "now it is no device",
        ),
    ];
    for aim in [Aim::Data, Aim::Metadata] {
        for (change, told) in changes {
            let machine = Machine::new(&["sda", "sdb"]);
            let step = machine.begin(machine.order(aim), &["sda", "sdb"]).unwrap();
            turn(&step, 0).1.unwrap();
            assert!(!machine.is_untouched("sda"));
            change(&machine);
            let (record, outcome) = turn(&step, 1);
            let error = outcome.expect_err(told).chain();
            assert!(error.contains(told), "{error}");
            assert_eq!(record.to_json()["result"], "failed");
            assert!(machine.is_untouched("sdb"), "{error}");
        }
    }
}

#[test]
fn a_disk_whose_serial_number_was_not_read_yet_is_the_same_disk() {
    let machine = Machine::new(&["sda"]);
    fs::remove_file(machine.path("run/udev/data/b8:0")).unwrap();
    let step = machine.begin(machine.order(Aim::Data), &["sda"]).unwrap();
    machine.put("run/udev/data/b8:0", "E:ID_SERIAL_SHORT=late\n");
    let (record, outcome) = turn(&step, 0);
    outcome.unwrap();
    assert!(record.is_erased());
}

#[test]
fn a_method_that_would_reach_a_disk_in_use_by_now_is_not_run() {
    let machine = Machine::new(&["sda", "sdb"]);
    let step = machine
        .begin(machine.order(Aim::Data), &["sda", "sdb"])
        .unwrap();
    let planned = Planned {
        method: Method::NvmeSanitize(Sanitize::Block),
        scope: Scope::Subsystem,
        covers: vec!["/dev/sda".to_owned(), "/dev/sdb".to_owned()],
        reason: String::new(),
    };
    let look = step.look_again("/dev/sda", false).unwrap();
    check_others(&look, "/dev/sda", &planned).unwrap();
    let mount = "22 1 8:16 / /mnt rw - ext4 /dev/sdb rw\n";
    machine.put("proc/self/mountinfo", mount);
    let look = step.look_again("/dev/sda", false).unwrap();
    let error = check_others(&look, "/dev/sda", &planned).unwrap_err();
    let error = chain(&error);
    assert!(error.contains("it would erase /dev/sdb too"), "{error}");
    assert!(error.contains("/mnt"), "{error}");
}

/// What goes with an array is named with it to whoever lists the devices anew: it is not there any more.
#[test]
fn an_array_that_is_taken_apart_takes_its_partitions_along() {
    let machine = Machine::new(&["md0", "sda", "sdb"]);
    machine.assemble("md0", &["sda", "sdb"]);
    machine.put("sys/block/md0/md0p1/partition", "1");
    machine.put("sys/block/md0/md0p1/dev", "259:0");
    machine.put("sys/block/md0/md0p1/size", "1024");
    let all = || {
        let devices = list::all_devices(&machine.root()).unwrap().into_iter();
        devices.map(|listed| listed.device).collect::<Vec<_>>()
    };
    for device in EraseStep::foresee(machine.order(Aim::Data), all()).unwrap() {
        let is_disk = device.plan.device.name.starts_with("/dev/sd");
        assert_eq!(device.not_erased.is_none(), is_disk, "{device:?}");
        assert_eq!(device.taken_apart.is_empty(), !is_disk);
        assert!(is_disk || device.not_erased.unwrap().contains("taken apart"));
    }
    let told = RefCell::new(Vec::new());
    let list = |taken_apart: &[String]| {
        told.borrow_mut().extend_from_slice(taken_apart);
        let is_there = |device: &BlockDevice| !taken_apart.contains(&device.name);
        Ok(all().into_iter().filter(is_there).collect())
    };
    // A recorded array does not stop, so that its disks are refused one by one.
    let step = EraseStep::begin(machine.order(Aim::Data), list, &SilentContext).unwrap();
    assert_eq!(*told.borrow(), ["/dev/md0", "/dev/md0p1"]);
    assert_eq!(step.devices().len(), 2);
    assert_eq!(step.taken_apart(), ["/dev/md0", "/dev/md0p1"]);
    // A partition that nobody named is none of what a person is told.
    let step = machine.begin(machine.order(Aim::Data), &["sda", "sdb"]);
    assert_eq!(step.unwrap().taken_apart(), ["/dev/md0"]);
}

/// A context that changes the machine when it is asked for a cancel: while the first method runs.
struct Meanwhile<'a>(&'a Machine, fn(&Machine));

impl Context for Meanwhile<'_> {
    fn report_progress(&self, _progress: Progress) {}

    fn is_cancelled(&self) -> bool {
        self.1(self.0);
        false
    }
}

#[test]
fn a_disk_that_lost_its_name_while_a_method_failed_is_not_erased_by_the_next() {
    type Change = fn(&Machine);
    let changes: [(Change, &str); 2] = [
        (
            |machine| machine.put("run/udev/data/b8:0", "E:ID_SERIAL_SHORT=another\n"),
            "serial number another",
        ),
        (
            |machine| machine.put("sys/block/sda/ro", "1"),
            "by now it is read-only",
        ),
    ];
    for (change, told) in changes {
        let machine = Machine::new(&["sda"]);
        let mut order = machine.order(Aim::Data);
        order.policy.read_only = crate::erase::ReadOnly::Skip;
        let mut step = machine.begin(order, &["sda"]).unwrap();
        // A plain file takes no discard as devices do.
        let plan = step.plans.get_mut("/dev/sda").unwrap();
        let mut discard = plan.methods[0].clone();
        discard.method = Method::Discard {
            secure: false,
            granularity: 4096,
        };
        plan.methods.insert(0, discard);
        let context = Meanwhile(&machine, change);
        let (record, outcome) = step.turn(&step.devices()[0], &context);
        let error = outcome.expect_err(told).chain();
        assert!(error.contains(told), "{error}");
        // Nor is it forgotten how that one failed.
        assert!(
            error.starts_with("/dev/sda is not erased. First: "),
            "{error}"
        );
        let methods = record.to_json()["methods"].as_array().unwrap().clone();
        assert_eq!(methods.len(), 1);
        let first = methods[0]["error"].as_str().unwrap();
        assert!(error.contains(first), "{error}");
    }
}

#[test]
fn the_error_of_a_device_tells_of_each_method_that_failed() {
    let machine = Machine::new(&["sda"]);
    let mut step = machine.begin(machine.order(Aim::Data), &["sda"]).unwrap();
    let plan = step.plans.get_mut("/dev/sda").unwrap();
    plan.falls_back = true;
    // A plain file takes neither as devices do.
    let secure = [true, false];
    plan.methods = secure
        .map(|secure| Planned {
            method: Method::Discard {
                secure,
                granularity: 4096,
            },
            ..plan.methods[0].clone()
        })
        .to_vec();
    let (record, outcome) = turn(&step, 0);
    let error = outcome.unwrap_err().chain();
    for method in record.to_json()["methods"].as_array().unwrap() {
        assert!(error.contains(method["error"].as_str().unwrap()), "{error}");
    }
    assert!(
        error.starts_with("/dev/sda is not erased. First: "),
        "{error}"
    );
}

/// The disk's own look and that at the others which a method reaches are one: each list is read once.
#[test]
fn a_method_is_preceded_by_one_look_at_all_disks() {
    let machine = Machine::new(&["sda", "sdb", "sdc"]);
    let disks = ["sda", "sdb", "sdc"];
    let witness = Arc::new(Witness::default());
    let mut order = machine.order(Aim::Data);
    order.root = order.root.witnessed(Arc::clone(&witness));
    let mut step = machine.begin(order, &disks).unwrap();
    let plan = step.plans.get_mut("/dev/sda").unwrap();
    plan.methods.truncate(1);
    plan.methods[0].covers = disks.map(|disk| format!("/dev/{disk}")).to_vec();
    let listed = || witness.reads()[Path::new("/sys/block")];
    let before = listed();
    turn(&step, 0).1.unwrap();
    // At the begin of the turn, and before its method.
    assert_eq!(listed() - before, 2);
}

#[test]
fn a_cancel_is_heard_before_the_first_device_and_before_each_turn() {
    let machine = Machine::new(&["sda", "sdb"]);
    let list = |taken_apart: &[String]| Ok(machine.devices(&["sda", "sdb"], taken_apart));
    let error = EraseStep::begin(machine.order(Aim::Metadata), list, &CancelledContext);
    let error = error.err().unwrap().chain();
    assert!(error.starts_with("Nothing is erased"), "{error}");

    let step = machine
        .begin(machine.order(Aim::Metadata), &["sda", "sdb"])
        .unwrap();
    let outcome = step.one_by_one(&CancelledContext, |_| panic!("a turn begins"));
    assert_eq!(outcome.failures.len(), 2);
}

#[test]
fn all_of_the_named_devices_are_erased_or_none() {
    for (skipped, told) in [(false, "flagged read-only"), (true, "it is read-only")] {
        let machine = Machine::new(&["sda", "sdb"]);
        machine.put("sys/block/sdb/ro", "1");
        let mut order = machine.order(Aim::Data);
        order.all_or_none = true;
        if skipped {
            order.policy.read_only = crate::erase::ReadOnly::Skip;
        }
        let error = machine.begin(order, &["sda", "sdb"]).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::BlockDeviceErase);
        assert!(error.to_string().contains(told), "{error}");
        assert!(machine.is_untouched("sda"));
    }
    // An array with a disk that is not named is not taken apart.
    let machine = Machine::new(&["md0", "sda", "sdb"]);
    machine.assemble("md0", &["sda", "sdb"]);
    let mut order = machine.order(Aim::Data);
    order.all_or_none = true;
    let error = machine.begin(order, &["sda"]).err().unwrap();
    assert!(error.to_string().contains("md0 lies on it"), "{error}");
}

#[test]
fn what_would_be_taken_apart_is_foreseen_and_stays() {
    let machine = Machine::new(&["md0", "sda", "sdb"]);
    machine.assemble("md0", &["sda", "sdb"]);
    let foreseen = |disks: &[&str]| {
        let devices = machine.devices(disks, &[]);
        EraseStep::foresee(machine.order(Aim::Data), devices).unwrap()
    };
    let all = foreseen(&["md0", "sda", "sdb"]);
    for device in &all {
        let is_array = device.plan.device.name == "/dev/md0";
        let expected: &[&str] = if is_array { &[] } else { &["/dev/md0"] };
        assert_eq!(device.taken_apart, expected);
        assert_eq!(device.not_erased.is_some(), is_array);
        assert_eq!(device.plan.methods.is_empty(), is_array);
    }
    assert_eq!(all.len(), 3);
    let one = &foreseen(&["sda"])[0];
    assert!(one.taken_apart.is_empty());
    let reason = one.not_erased.as_deref().unwrap();
    assert!(reason.contains("md0 lies on it"), "{reason}");
}

#[test]
fn a_drive_that_had_our_password_is_told_of_once_also_where_the_step_ends_before_its_turn() {
    const NOT_KNOWN: &str = "not known: the drive had farrier's password";
    let machine = Machine::new(&["sda", "sdb"]);
    let mut order = machine.order(Aim::Data);
    order.records = Some(RecordStore::of(&machine.root()));
    let mut step = machine.begin(order, &["sda", "sdb"]).unwrap();
    step.freed = vec!["/dev/sda".to_owned()];
    let kept = || -> serde_json::Value {
        let path = machine.path("run/farrier/erase/erase_devices/sda.json");
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    };
    step.tell_of_freed(&ManagerError::new(
        ErrorKind::BlockDeviceErase,
        "/dev/sdb is mounted",
    ));
    assert_eq!(kept()["interrupted"], NOT_KNOWN);
    assert_eq!(kept()["result"], "failed");
    assert_eq!(kept()["error"], "/dev/sdb is mounted");

    let given_away = step.record(&step.devices()[0]);
    assert_eq!(given_away.to_json()["interrupted"], NOT_KNOWN);

    turn(&step, 0).1.unwrap();
    assert_eq!(kept()["interrupted"], NOT_KNOWN);
    assert_eq!(kept()["result"], "erased");

    let mut order = machine.order(Aim::Data);
    order.records = Some(RecordStore::of(&machine.root()));
    let fails = |_: &[String]| Err(ManagerError::new(ErrorKind::BlockDevice, "no disks"));
    let devices = machine.devices(&["sda"], &[]);
    let freed = (vec!["/dev/sda".to_owned()], Vec::new());
    let begun = EraseStep::after_passwords(order, devices, freed, fails, &SilentContext);
    assert!(begun.is_err());
    assert_eq!(kept()["interrupted"], NOT_KNOWN);
    assert_eq!(kept()["error"], "no disks");
    assert_eq!(
        turn(&step, 1).0.to_json()["interrupted"],
        serde_json::Value::Null
    );
}
