//! Plugins that hide devices, and that ought to have.

use super::*;
use crate::hardware::generic::GenericHardwareManager;
use crate::sys::recording::Recording;

/// A machine with two disks and two interfaces, above whose generic manager the plugins are.
struct Machine {
    _recording: Recording,
    dispatcher: Arc<Dispatcher>,
    installed: Installed,
}

impl Machine {
    fn new(site: &Site, limits: Limits) -> Self {
        let recording = Recording::unpack(
            "/sys/block/sda/dev = 8:0\n/sys/block/sda/size = 16777216\n\
             /sys/block/sda/sda1/partition = 1\n/sys/block/sda/sda1/dev = 8:1\n\
             /sys/block/sda/sda1/size = 2048\n\
             /sys/block/sdb/dev = 8:16\n/sys/block/sdb/size = 33554432\n\
             /sys/class/net/eno1/address = 52:54:00:aa:bb:01\n/sys/class/net/eno1/device/\n\
             /sys/class/net/eno2/address = 52:54:00:aa:bb:02\n/sys/class/net/eno2/device/\n",
        );
        let dispatcher = Arc::<Dispatcher>::default();
        let installed = site.installed_within(limits);
        let generic = GenericHardwareManager::new(
            Live::new(site.options.clone()),
            recording.root(),
            Arc::downgrade(&dispatcher),
            false,
        );
        let mut managers: Vec<Arc<dyn HardwareManager>> = installed.managers().collect();
        managers.push(Arc::new(generic));
        dispatcher.rank(managers).unwrap();
        Self {
            _recording: recording,
            dispatcher,
            installed,
        }
    }

    fn disks(&self) -> Result<Vec<String>, ManagerError> {
        let listed = self.dispatcher.first("list_block_devices", |manager| {
            manager.list_block_devices(true)
        })?;
        Ok(listed.into_iter().map(|device| device.name).collect())
    }
}

#[test]
fn what_a_plugin_hides_is_not_there() {
    let site = Site::new("filters");
    let machine = Machine::new(&site, site.limits());
    assert_eq!(machine.disks().unwrap(), ["/dev/sdb"]);
    let hidden: Vec<String> = machine.dispatcher.hidden().into_iter().collect();
    assert_eq!(hidden, ["/dev/sda", "/dev/sda1"]);
    let root = machine
        .dispatcher
        .first("get_os_install_device", |manager| {
            manager.os_install_device(Some(&Node::default()), true)
        });
    let root = root.unwrap();
    assert_eq!(root.name, "/dev/sdb");
    assert_eq!(root.vendor.as_deref(), Some("FAULTY"));
    let interfaces = machine
        .dispatcher
        .first("list_network_interfaces", |manager| {
            manager.list_network_interfaces()
        })
        .unwrap();
    assert_eq!(interfaces.len(), 1);
    assert_eq!(interfaces[0].name, "eno1");
    assert_eq!(interfaces[0].biosdevname.as_deref(), Some("em1"));
}

#[test]
fn a_plugin_that_hangs_in_a_filter_costs_one_listing() {
    let site = Site::new("hangs_in_filter");
    let limits = Limits {
        device: Deadline {
            limit: Duration::from_secs(1),
            grace: Duration::from_secs(1),
        },
        ..site.limits()
    };
    let machine = Machine::new(&site, limits);
    let started = Instant::now();
    let error = machine.disks().unwrap_err();
    // The script hangs for 300 s.
    assert!(started.elapsed() < Duration::from_secs(120));
    assert_eq!(
        error.to_string(),
        "The hardware manager faulty did not answer filter_device within 1 s and was killed"
    );
    // What needs no listing goes on.
    let manager = &machine.installed.running()[0];
    execute(manager, "polish").unwrap();
}

/// A conductor may ask for the inventory in the middle of an erase that takes a day.
#[test]
fn a_listing_in_the_middle_of_a_step_shows_what_the_last_one_did() {
    let site = Site::new("filters");
    let limits = Limits {
        device: Deadline {
            limit: Duration::from_secs(120),
            grace: Duration::from_secs(1),
        },
        ..site.limits()
    };
    let machine = Machine::new(&site, limits);
    assert_eq!(machine.disks().unwrap(), ["/dev/sdb"]);
    let manager = &machine.installed.running()[0];
    let watcher = Watcher::default();
    std::thread::scope(|scope| {
        let step = scope.spawn(|| execute_with(manager, "until_cancelled", &watcher));
        while watcher.asked.load(Ordering::Relaxed) < 3 {
            std::thread::sleep(Duration::from_millis(10));
        }
        let started = Instant::now();
        assert_eq!(machine.disks().unwrap(), ["/dev/sdb"]);
        assert!(started.elapsed() < limits.device.limit / 2);
        watcher.cancelled.store(true, Ordering::Relaxed);
        step.join().unwrap().unwrap_err();
    });
}

#[test]
fn a_device_keeps_its_name() {
    let site = Site::new("renames");
    let error = Machine::new(&site, site.limits()).disks().unwrap_err();
    let told = error.to_string();
    assert!(
        told.contains("faulty") && told.contains("/dev/other was answered for /dev/sdb"),
        "{told}"
    );
}

/// A disk that must not be erased stays so when its protector has crashed once too often.
#[test]
fn what_a_plugin_hid_stays_hidden_when_it_is_dropped() {
    let site = Site::new("filters");
    let machine = Machine::new(&site, site.limits());
    assert_eq!(machine.disks().unwrap(), ["/dev/sdb"]);
    let manager = &machine.installed.running()[0];
    while manager.dropped().is_none() {
        execute(manager, "crash").unwrap_err();
    }
    assert_eq!(machine.disks().unwrap(), ["/dev/sdb"]);
}

#[test]
fn a_plugin_that_waits_for_disks_is_let_wait() {
    let site = Site::new("filters");
    let mut options = site.options.clone();
    options.disk_wait_attempts = 3;
    options.disk_wait_delay = 60;
    let machine = Machine::new(&site, site.limits());
    let started = Instant::now();
    // No disk fits these hints, for which the agent itself would look for 45 s.
    let node = serde_json::from_value(json!({
        "properties": { "root_device": { "serial": "none" } },
    }))
    .unwrap();
    crate::hardware::disk_wait::wait_for_root_disk(
        &machine.dispatcher,
        &options,
        Some(&node),
        crate::hardware::generic::CLASS_NAME,
    );
    assert!(started.elapsed() < Duration::from_secs(30));
}
