//! Plugins that misbehave: each costs one clear error, and the next call works.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use farrier_plugin::{
    BlockDevice, Context, ErrorKind, HardwareManager, LargeStrings, ManagerError, Node, Progress,
    SilentContext, StepArguments, StepKind, support,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Devices, Installed, PluginManager, check};
use crate::config::{Live, Options};
use crate::hardware::Managers;
use crate::hardware::dispatch::Dispatcher;
use crate::hardware::fake::FakeManager;

/// A plugin directory with the faulty manager in it, told to misbehave like this.
struct Site {
    folder: TempDir,
    options: Options,
}

impl Site {
    fn new(mode: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = Options {
            hardware_manager_directories: vec![folder.path().to_owned()],
            hardware_manager_step_timeout: 30,
            disk_wait_attempts: 0,
            ..Options::default()
        };
        let site = Self { folder, options };
        site.add("faulty", mode);
        site
    }

    fn add(&self, name: &str, mode: &str) {
        let plugin = self.folder.path().join(name);
        fs::create_dir(&plugin).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/plugins/faulty.py");
        fs::copy(script, plugin.join("plugin")).unwrap();
        fs::set_permissions(plugin.join("plugin"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(plugin.join("mode"), mode).unwrap();
    }

    fn installed(&self) -> Installed {
        Installed::start(&self.options, &devices())
    }

    /// The one manager, which must have started.
    fn manager(&self) -> Arc<PluginManager> {
        let installed = self.installed();
        assert!(installed.refused().is_empty(), "{:?}", installed.refused());
        Arc::clone(&installed.running()[0])
    }

    /// Why the one plugin is refused.
    fn refusal(&self) -> String {
        let installed = self.installed();
        assert!(installed.running().is_empty());
        installed.refused()[0].why.clone()
    }

    fn count(&self, file: &str) -> usize {
        fs::read(self.folder.path().join("faulty").join(file)).map_or(0, |text| text.len())
    }
}

pub(super) fn devices() -> Devices {
    Arc::new(|_| {
        Ok(vec![BlockDevice {
            name: "/dev/sda".to_owned(),
            size: 1 << 30,
            serial: Some("S1".to_owned()),
            ..BlockDevice::default()
        }])
    })
}

pub(super) fn execute(manager: &PluginManager, step: &str) -> Result<Value, ManagerError> {
    execute_with(manager, step, &SilentContext)
}

pub(super) fn execute_with(
    manager: &PluginManager,
    step: &str,
    context: &dyn Context,
) -> Result<Value, ManagerError> {
    manager.execute_step(
        context,
        step,
        &Node::default(),
        &[],
        &StepArguments::default(),
    )
}

/// The error of a step that goes wrong; afterwards the manager works.
fn fault(site: &Site, step: &str) -> String {
    let manager = site.manager();
    let started = Instant::now();
    let error = execute(&manager, step).unwrap_err();
    assert!(!error.declines(), "{error}");
    assert!(error.to_string().contains("faulty"), "{error}");
    assert!(
        started.elapsed() < Duration::from_secs(60),
        "{step} took {:?}",
        started.elapsed()
    );
    assert_eq!(
        execute(&manager, "polish").unwrap(),
        json!({ "polished": true }),
        "after {step}"
    );
    error.to_string()
}

#[derive(Default)]
pub(super) struct Watcher {
    pub(super) cancelled: AtomicBool,
    asked: AtomicU32,
    pub(super) heard: Mutex<Vec<Progress>>,
}

impl Context for Watcher {
    fn report_progress(&self, progress: Progress) {
        self.heard.lock().unwrap().push(progress);
    }

    fn is_cancelled(&self) -> bool {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.cancelled.load(Ordering::Relaxed)
    }
}

#[test]
fn a_manager_in_another_process_is_one_like_any_other() {
    let site = Site::new("well");
    let manager = site.manager();
    assert_eq!(manager.class_name(), "FaultyHardwareManager");
    assert_eq!(manager.version().version, "1");
    assert_eq!(
        manager.evaluate_hardware_support().unwrap(),
        support::SERVICE_PROVIDER
    );
    assert_eq!(manager.bmc_address().unwrap().as_deref(), Some("192.0.2.1"));
    let steps = manager
        .steps(StepKind::Clean, &Node::default(), &[])
        .unwrap();
    assert_eq!((steps[0].step.as_str(), steps[0].priority), ("polish", 5));
    assert!(
        manager
            .steps(StepKind::Deploy, &Node::default(), &[])
            .unwrap()
            .is_empty()
    );
    assert!(manager.cpus().unwrap_err().declines());
    assert!(execute(&manager, "unheard_of").unwrap_err().declines());
    let declined = manager
        .erase_block_device(
            &SilentContext,
            &Node::default(),
            &devices()(false).unwrap()[0],
        )
        .unwrap_err();
    assert!(declined.declines());
    assert_eq!(declined.to_string(), "/dev/sda is not mine");
}

#[test]
fn the_agent_lists_disks_and_runs_programs_for_it() {
    let site = Site::new("well");
    let manager = site.manager();
    let disks = execute(&manager, "disks").unwrap();
    assert_eq!(disks[0]["name"], "/dev/sda");
    assert_eq!(disks[0]["serial"], "S1");
    let output = execute(&manager, "program").unwrap();
    assert_eq!(
        output,
        json!({ "exit_code": 0, "stdout": "hello\n", "stderr": "" })
    );
    // The script lets the refusal end it.
    let error = execute(&manager, "relative_program").unwrap_err();
    assert!(error.to_string().contains("exit status 1"), "{error}");
}

#[test]
fn its_progress_is_passed_on_and_unknown_news_are_not() {
    let site = Site::new("well");
    let watcher = Watcher::default();
    execute_with(&site.manager(), "progress", &watcher).unwrap();
    assert_eq!(
        *watcher.heard.lock().unwrap(),
        [Progress {
            what: "polishing".to_owned(),
            done: 1,
            total: Some(2)
        }]
    );
}

#[test]
fn the_config_drive_is_only_for_those_that_need_it() {
    let mut large = LargeStrings::default();
    let drive = "x".repeat(100_000);
    let Value::Object(values) = json!({
        "configdrive": large.intern(&drive), "other": large.intern(&"y".repeat(70_000)),
    }) else {
        unreachable!("an object was written");
    };
    let arguments = StepArguments {
        values,
        large: Arc::new(large),
    };
    let node: Node = serde_json::from_value(
        json!({ "uuid": "1", "instance_info": { "configdrive": "secret", "display": "d" } }),
    )
    .unwrap();
    let shown = |mode: &str| {
        Site::new(mode)
            .manager()
            .execute_step(&SilentContext, "show", &node, &[], &arguments)
            .unwrap()
    };
    let without = shown("well");
    assert_eq!(without["node"]["instance_info"], json!({ "display": "d" }));
    assert_eq!(
        without["arguments"],
        json!({ "other": "<70000 bytes omitted>" })
    );
    let with = shown("needs_config_drive");
    assert_eq!(with["node"]["instance_info"]["configdrive"], "secret");
    assert_eq!(with["arguments"]["configdrive"], drive);
}

#[test]
fn a_crash_in_a_step_names_the_signal() {
    let site = Site::new("well");
    let error = fault(&site, "crash");
    assert!(error.contains("was killed by signal SIGSEGV"), "{error}");
    assert!(error.contains("execute_step"), "{error}");
    assert_eq!(site.count("starts"), 2);
}

#[test]
fn an_exit_in_a_step_names_the_status() {
    let error = fault(&Site::new("well"), "exit");
    assert!(error.contains("exit status 7"), "{error}");
}

#[test]
fn a_step_that_hangs_is_killed_at_its_deadline_with_its_children() {
    let mut site = Site::new("well");
    site.options.hardware_manager_step_timeout = 1;
    let error = fault(&site, "hang");
    assert!(error.contains("within 1 s and was killed"), "{error}");
}

#[test]
fn half_a_line_ends_at_the_deadline() {
    let mut site = Site::new("well");
    site.options.hardware_manager_step_timeout = 1;
    let error = fault(&site, "half_a_line");
    assert!(error.contains("within 1 s"), "{error}");
}

#[test]
fn garbage_is_told_and_ends_it() {
    let error = fault(&Site::new("well"), "garbage");
    assert!(error.contains("not JSON"), "{error}");
}

#[test]
fn a_flood_is_bounded() {
    let error = fault(&Site::new("well"), "flood");
    assert!(error.contains("longer than 16 MiB"), "{error}");
}

#[test]
fn the_answer_to_a_call_that_is_not_open_is_told() {
    let error = fault(&Site::new("well"), "another_id");
    assert!(error.contains("which is not open"), "{error}");
}

#[test]
fn a_closed_output_ends_it() {
    let error = fault(&Site::new("well"), "close_stdout");
    assert!(error.contains("closed its output"), "{error}");
}

#[test]
fn a_closed_input_ends_it_at_the_next_call() {
    let site = Site::new("well");
    let manager = site.manager();
    execute(&manager, "close_stdin").unwrap();
    let error = execute(&manager, "polish").unwrap_err();
    assert!(error.to_string().contains("closed its input"), "{error}");
    execute(&manager, "polish").unwrap();
}

#[test]
fn callbacks_without_end_are_cut_off() {
    let error = fault(&Site::new("well"), "call_back_for_ever");
    assert!(error.contains("called back more than"), "{error}");
}

#[test]
fn a_flood_of_words_stops_nobody() {
    let manager = Site::new("well").manager();
    assert_eq!(execute(&manager, "chatter").unwrap(), json!("told"));
}

#[test]
fn a_cancel_is_heard_and_who_does_not_hear_is_killed() {
    let manager = Site::new("well").manager();
    let watcher = Watcher::default();
    let error = std::thread::scope(|scope| {
        let step = scope.spawn(|| execute_with(&manager, "until_cancelled", &watcher));
        while watcher.asked.load(Ordering::Relaxed) < 3 {
            std::thread::sleep(Duration::from_millis(10));
        }
        watcher.cancelled.store(true, Ordering::Relaxed);
        step.join().unwrap().unwrap_err()
    });
    assert_eq!(error.kind(), ErrorKind::Cleaning);
    assert_eq!(error.to_string(), "faulty: stopped");

    let deaf = Watcher::default();
    deaf.cancelled.store(true, Ordering::Relaxed);
    let error = execute_with(&manager, "hang", &deaf).unwrap_err();
    assert!(error.to_string().contains("of the cancel"), "{error}");
}

#[test]
fn what_does_not_start_is_refused_by_name() {
    for (mode, why) in [
        (
            "exits_at_start",
            "ended with exit status 1 during handshake",
        ),
        ("wants_another_protocol", "it wants version 2"),
    ] {
        let site = Site::new(mode);
        let told = site.refusal();
        assert!(told.contains(why) && told.contains("faulty"), "{told}");
    }
}

#[test]
fn steps_that_cannot_be_are_an_error_by_name() {
    for (mode, why) in [
        ("step_without_priority", "missing field `priority`"),
        ("step_twice", "offers the step polish twice"),
    ] {
        let error = Site::new(mode)
            .manager()
            .steps(StepKind::Clean, &Node::default(), &[])
            .unwrap_err();
        let told = error.to_string();
        assert!(told.contains(why) && told.contains("faulty"), "{told}");
    }
}

#[test]
fn a_method_that_is_declared_and_missing_declines() {
    let manager = Site::new("declares_what_it_lacks").manager();
    assert!(manager.memory().unwrap_err().declines());
}

#[test]
fn one_that_is_initialised_is_initialised_again_after_a_crash() {
    let site = Site::new("well");
    let manager = site.manager();
    manager.initialize(&SilentContext).unwrap();
    execute(&manager, "crash").unwrap_err();
    execute(&manager, "polish").unwrap();
    assert_eq!((site.count("starts"), site.count("initialized")), (2, 2));
}

#[test]
fn one_that_is_another_after_a_crash_is_dropped() {
    let site = Site::new("changes_version");
    let manager = site.manager();
    execute(&manager, "crash").unwrap_err();
    let error = execute(&manager, "polish").unwrap_err();
    assert!(
        error.to_string().contains("another name, version"),
        "{error}"
    );
    assert!(manager.dropped().is_some());
    assert!(execute(&manager, "polish").unwrap_err().declines());
}

/// The generic manager and what the site's options make of its plugins.
fn managers(site: &Site) -> Managers {
    let installed = site.installed();
    let mut all: Vec<Arc<dyn HardwareManager>> = installed.managers().collect();
    all.push(Arc::new(
        FakeManager::new("GenericHardwareManager", 1).offering("erase_devices", 10),
    ));
    Managers::rank(
        Live::new(site.options.clone()),
        Arc::<Dispatcher>::default(),
        installed,
        all,
    )
    .unwrap()
}

fn clean_steps(managers: &Managers) -> Result<Vec<String>, ManagerError> {
    Ok(managers
        .steps(StepKind::Clean, &Node::default(), &[])?
        .into_keys()
        .collect())
}

#[test]
fn a_required_manager_that_is_missing_stops_the_steps_by_name() {
    let required = |mode: &str, name: &str| {
        let mut site = Site::new(mode);
        site.options.required_hardware_managers = vec![name.to_owned()];
        let managers = managers(&site);
        let error = clean_steps(&managers).err().map(|error| error.to_string());
        let step = managers
            .execute_step(
                &SilentContext,
                StepKind::Clean,
                "erase_devices",
                &Node::default(),
                &[],
                &StepArguments::default(),
            )
            .err()
            .map(|error| error.to_string());
        if error.is_some() {
            assert_eq!(step, error);
        }
        error
    };
    for name in ["faulty", "FaultyHardwareManager", "GenericHardwareManager"] {
        assert_eq!(required("well", name), None);
    }
    for (mode, name, why) in [
        (
            "well",
            "flash_card",
            "flash_card: there is no such plugin in",
        ),
        ("exits_at_start", "faulty", "exit status 1"),
        (
            "supports_nothing",
            "faulty",
            "does not support this machine",
        ),
    ] {
        let told = required(mode, name).unwrap();
        assert!(told.contains(why), "{told}");
    }
}

#[test]
fn options_choose_and_order_the_managers() {
    let mut site = Site::new("well");
    site.add("second", "well");
    site.add("third", "well");
    let names = |site: &Site| -> Vec<String> {
        let installed = site.installed();
        installed
            .running()
            .iter()
            .map(|manager| manager.name().to_owned())
            .collect()
    };
    assert_eq!(names(&site), ["faulty", "second", "third"]);
    site.options.disabled_hardware_managers = vec!["second".to_owned()];
    assert_eq!(names(&site), ["faulty", "third"]);
    site.options.enabled_hardware_managers = vec!["third".to_owned(), "faulty".to_owned()];
    assert_eq!(names(&site), ["third", "faulty"]);
    assert_eq!(site.count("starts"), 3);

    let roster = managers(&site).roster();
    let told: Vec<_> = roster
        .iter()
        .map(|entry| (entry.plugin.as_deref(), entry.level))
        .collect();
    assert_eq!(told, [(Some("third"), 3), (Some("faulty"), 3), (None, 1)]);
}

#[test]
fn a_vendor_is_told_what_a_plugin_does_wrong() {
    let faults = |mode: &str| -> Vec<String> {
        let site = Site::new(mode);
        check(&site.folder.path().join("faulty"))
            .into_iter()
            .filter_map(|finding| Some(format!("{}: {}", finding.what, finding.fault?)))
            .collect()
    };
    assert_eq!(faults("well"), Vec::<String>::new());
    for (mode, told) in [
        ("exits_at_start", "it introduces itself: "),
        ("step_without_priority", "missing field `priority`"),
        ("changes_version", "after a restart: name, version"),
    ] {
        let faults = faults(mode);
        assert!(
            faults.iter().any(|fault| fault.contains(told)),
            "{faults:?}"
        );
    }
}
