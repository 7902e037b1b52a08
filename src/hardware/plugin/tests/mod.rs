//! Plugins of a script that behaves as it is told to.

mod calls;
mod choice;
mod conformance;
mod faults;
mod figure;
mod filter;
mod messages;
mod starting;

use std::fs;
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

use super::limits::Deadline;
use super::{Devices, Installed, Limits, PluginManager, check};
use crate::config::{Live, Options};
use crate::hardware::Managers;
use crate::hardware::dispatch::Dispatcher;
use crate::hardware::fake::FakeManager;
use crate::sys::test_program;

/// A plugin directory with the faulty manager in it, told to misbehave like this.
struct Site {
    folder: TempDir,
    options: Options,
    /// For steps.
    grace: Duration,
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
        let site = Self {
            folder,
            options,
            grace: Duration::from_secs(10),
        };
        site.add("faulty", mode);
        site
    }

    fn add(&self, name: &str, mode: &str) {
        let plugin = self.folder.path().join(name);
        fs::create_dir(&plugin).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/plugins/faulty.py");
        test_program::copy(&script, &plugin.join("plugin"));
        fs::write(plugin.join("mode"), mode).unwrap();
    }

    fn installed(&self) -> Installed {
        self.installed_within(self.limits())
    }

    fn installed_within(&self, limits: Limits) -> Installed {
        Installed::start_within(limits, &self.options, &devices())
    }

    /// Those of the protocol, with the options' for steps and hardly a pause before a restart.
    fn limits(&self) -> Limits {
        let step = Duration::from_secs(self.options.hardware_manager_step_timeout);
        Limits {
            pause: Duration::from_millis(20),
            step: Deadline {
                limit: step,
                grace: self.grace,
            },
            ..Limits::new(step)
        }
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

    /// Whether the child that the plugin has started last lives.
    fn has_child(&self) -> bool {
        let file = self.folder.path().join("faulty/child");
        let status = Path::new("/proc")
            .join(fs::read_to_string(file).unwrap())
            .join("status");
        let status = fs::read_to_string(status).unwrap_or_default();
        // A zombie waits for whoever adopted it.
        !status.is_empty() && !status.contains("State:\tZ")
    }

    /// Whether it has ended; one that was killed takes a moment for it.
    fn child_is_gone(&self) -> bool {
        let until = Instant::now() + Duration::from_secs(60);
        while self.has_child() {
            if Instant::now() > until {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        true
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
        started.elapsed() < Duration::from_secs(280),
        "{step} took {:?}",
        started.elapsed()
    );
    // A question: the limit of steps may be too short for a machine that is busy.
    let next = manager.bmc_address().unwrap();
    assert_eq!(next, Some("192.0.2.1".to_owned()), "after {step}");
    error.to_string()
}

#[derive(Default)]
pub(super) struct Watcher {
    pub(super) cancelled: AtomicBool,
    pub(super) asked: AtomicU32,
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

/// The generic manager and what the site's options make of its plugins.
fn managers(site: &Site) -> Managers {
    managers_of(site, site.installed())
}

fn managers_of(site: &Site, installed: Installed) -> Managers {
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
