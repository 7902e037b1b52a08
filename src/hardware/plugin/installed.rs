//! All plugins of this machine: which are started, which are refused, which must be there.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use farrier_plugin::{ErrorKind, HardwareManager, ManagerError, chain, panic_text};
use tracing::{error, warn};

use super::{Devices, Found, Limits, PluginError, PluginManager, find};
use crate::config::Options;
use crate::hardware::generic;
use crate::sys::control_group;

/// The plugins that were found, and what became of them.
#[derive(Default)]
pub(in crate::hardware) struct Installed {
    /// Those that run, in the order in which equal support levels are asked.
    managers: Vec<Arc<PluginManager>>,
    /// Those that do not, with the reason.
    refused: Vec<Refused>,
    directories: Vec<PathBuf>,
}

/// A plugin that is not used.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize)]
pub struct Refused {
    /// Its name.
    pub name: String,
    /// Why, as a sentence.
    pub why: String,
}

impl Installed {
    /// Start what lies in the plugin directories, side by side.
    ///
    /// `enabled_hardware_managers` leaves out every other plugin and orders those that it names;
    /// `disabled_hardware_managers` leaves out those that it names. Both go by a plugin's name, that
    /// of its file or folder: what is disabled is not even started.
    pub(in crate::hardware) fn start(options: &Options, devices: &Devices) -> Self {
        let step = Duration::from_secs(options.hardware_manager_step_timeout);
        Self::start_within(Limits::new(step), options, devices)
    }

    /// The same with these time limits.
    pub(super) fn start_within(limits: Limits, options: &Options, devices: &Devices) -> Self {
        control_group::clear_leftovers();
        let mut installed = Self {
            directories: options.hardware_manager_directories.clone(),
            ..Self::default()
        };
        let mut chosen: Vec<Found> = Vec::new();
        for (name, found) in find(&options.hardware_manager_directories) {
            let enabled = &options.enabled_hardware_managers;
            if options.disabled_hardware_managers.contains(&name)
                || !(enabled.is_empty() || enabled.contains(&name))
            {
                installed.refuse(name, "It is not enabled by the options".to_owned());
                continue;
            }
            match found {
                Ok(found) => chosen.push(found),
                Err(error) => installed.refuse(name, chain(&error)),
            }
        }
        chosen.sort_by_key(|found| {
            let place = |name: &String| *name == found.name;
            options.enabled_hardware_managers.iter().position(place)
        });
        for (name, started) in start_all(chosen, devices, limits) {
            match started {
                // Steps are told apart by the class name, versions by the manager's name.
                Ok(manager) if installed.is_taken(&manager) => installed.refuse(
                    name,
                    "Another manager has the same class name or manager name".to_owned(),
                ),
                Ok(manager) => installed.managers.push(Arc::new(manager)),
                Err(error) => installed.refuse(name, chain(&error)),
            }
        }
        installed
    }

    /// The managers that run.
    pub(in crate::hardware) fn managers(&self) -> impl Iterator<Item = Arc<dyn HardwareManager>> {
        self.managers
            .iter()
            .map(|manager| Arc::clone(manager) as Arc<dyn HardwareManager>)
    }

    /// The plugins that run.
    pub(in crate::hardware) fn running(&self) -> &[Arc<PluginManager>] {
        &self.managers
    }

    /// Those that are not used, and why.
    pub(in crate::hardware) fn refused(&self) -> &[Refused] {
        &self.refused
    }

    /// Those that run and are not asked anything, and why.
    pub(in crate::hardware) fn idle(&self) -> impl Iterator<Item = Refused> {
        self.managers.iter().filter_map(|manager| {
            let why = idleness(manager)?;
            Some(Refused {
                name: manager.name().to_owned(),
                why,
            })
        })
    }

    /// Fails where a manager that the site requires is not among those that answer: a step of a
    /// lower one, such as the generic erase, must not silently stand in for its own.
    ///
    /// `ranked` are the class names of the managers that support this machine.
    pub(in crate::hardware) fn require(
        &self,
        required: &[String],
        ranked: &[&str],
    ) -> Result<(), ManagerError> {
        let missing: Vec<String> = required
            .iter()
            .filter_map(|name| Some(format!("{name}: {}", self.missing(name, ranked)?)))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(ManagerError::new(
            ErrorKind::HardwareManagerConfiguration,
            format!(
                "Hardware managers that required_hardware_managers names are missing, so no step is \
                 offered or run in their place. {}",
                missing.join("; ")
            ),
        ))
    }

    /// Why a required manager does not answer; `None` where it does.
    fn missing(&self, name: &str, ranked: &[&str]) -> Option<String> {
        if let Some(manager) = self.managers.iter().find(|manager| manager.is_called(name)) {
            return idleness(manager);
        }
        if let Some(refused) = self.refused.iter().find(|refused| refused.name == name) {
            return Some(refused.why.clone());
        }
        if ranked.contains(&name) {
            return None;
        }
        let places: Vec<_> = self
            .directories
            .iter()
            .map(|directory| directory.display().to_string())
            .collect();
        Some(format!("there is no such plugin in {}", places.join(", ")))
    }

    fn is_taken(&self, manager: &PluginManager) -> bool {
        let own = [generic::CLASS_NAME, generic::NAME];
        own.iter()
            .any(|name| manager.class_name() == *name || manager.version().name == *name)
            || self.managers.iter().any(|other| {
                other.class_name() == manager.class_name()
                    || other.version().name == manager.version().name
            })
    }

    fn refuse(&mut self, name: String, why: String) {
        warn!(plugin = name, why, "a hardware manager is not used");
        self.refused.push(Refused { name, why });
    }
}

/// Why this one is not asked anything; `None` where it is.
fn idleness(manager: &PluginManager) -> Option<String> {
    if let Some(why) = manager.dropped() {
        return Some(why);
    }
    match manager.evaluate_hardware_support() {
        Err(error) => Some(error.chain()),
        Ok(0) => Some("It says that it does not support this machine".to_owned()),
        Ok(_) => None,
    }
}

/// Start each on a thread of its own: a slow one delays nobody but itself and the end.
fn start_all(
    chosen: Vec<Found>,
    devices: &Devices,
    limits: Limits,
) -> Vec<(String, Result<PluginManager, PluginError>)> {
    thread::scope(|scope| {
        let started: Vec<_> = chosen
            .into_iter()
            .map(|found| {
                let name = found.name.clone();
                let devices = Arc::clone(devices);
                let thread = scope.spawn(move || PluginManager::start(found, devices, limits));
                (name, thread)
            })
            .collect();
        started
            .into_iter()
            .filter_map(|(name, thread)| match thread.join() {
                Ok(result) => Some((name, result)),
                Err(panic) => {
                    let error = panic_text(&*panic);
                    error!(plugin = name, error, "starting it ended in a panic");
                    None
                }
            })
            .collect()
    })
}
