//! The manager itself: which of its parts answers what.

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use farrier_plugin::protocol::{Capabilities, Method};
use farrier_plugin::{
    BlockDevice, Context, ErrorKind, HardwareManager, ManagerError, ManagerVersion, Node, Port,
    Step, StepArguments, StepKind, support,
};
use serde_json::Value;

use crate::configuration::{Configuration, fault_of_program};
use crate::erase::{Erase, Records};
use crate::failures::failed;
use crate::machine::Machine;
use crate::tool::Turns;
use crate::{bios, firmware, health, ports, steps, verify};

/// To be raised when what steps do changes: the conductor then asks for them again. 4 was the last
/// of the 2015 module.
const VERSION: &str = "5";

/// How often it is looked whether a card has appeared.
const POLL: Duration = Duration::from_millis(200);

/// The methods of the protocol that this manager has.
pub const METHODS: [Method; 7] = [
    Method::EvaluateHardwareSupport,
    Method::GetCleanSteps,
    Method::GetDeploySteps,
    Method::GetServiceSteps,
    Method::ExecuteStep,
    Method::EraseBlockDevice,
    Method::CollectSystemLogs,
];

/// Several cards may be erased in one step: their calls come at once and wait for the tool here,
/// where a question is answered meanwhile and a cancel is heard.
pub fn capabilities() -> Capabilities {
    Capabilities {
        concurrent_calls: 8,
        config_drive: false,
    }
}

/// The flash-card manager.
#[derive(Debug)]
pub struct OnMetalHardwareManager {
    configuration: Result<Configuration, ManagerError>,
    machine: Machine,
    pub(crate) turns: Turns,
    records: Records,
}

impl OnMetalHardwareManager {
    /// The manager of this machine, with the configuration file in the folder of this program.
    pub fn beside_the_program() -> Self {
        let program = std::env::current_exe().unwrap_or_default();
        let folder = program.parent().map_or_else(PathBuf::new, Path::to_owned);
        Self::new(&folder, Machine::at("/"))
    }

    pub(crate) fn new(folder: &Path, machine: Machine) -> Self {
        Self {
            configuration: Configuration::in_folder(folder).map_err(|error| {
                // Displayed once and for all: whoever asks later gets the same text.
                failed(
                    ErrorKind::HardwareManagerConfiguration,
                    farrier_plugin::chain(&error),
                )
            }),
            machine,
            turns: Turns::default(),
            records: Records::default(),
        }
    }

    pub(crate) fn configuration(&self) -> Result<&Configuration, ManagerError> {
        self.configuration
            .as_ref()
            .map_err(|error| failed(error.kind(), error.to_string()))
    }

    fn has_card(&self, configuration: &Configuration) -> bool {
        self.machine
            .disks()
            .iter()
            .any(|disk| configuration.card(&disk.model).is_some())
    }

    pub(crate) fn erase<'e>(&'e self, context: &'e dyn Context) -> Result<Erase<'e>, ManagerError> {
        Ok(Erase {
            configuration: self.configuration()?,
            machine: &self.machine,
            turns: &self.turns,
            records: &self.records,
            context,
        })
    }
}

impl HardwareManager for OnMetalHardwareManager {
    fn class_name(&self) -> &str {
        "OnMetalHardwareManager"
    }

    fn version(&self) -> ManagerVersion {
        ManagerVersion {
            name: "onmetal_hardware_manager".to_owned(),
            version: match &self.configuration {
                Ok(configuration) => format!("{VERSION}+{}", configuration.digest()),
                Err(_) => VERSION.to_owned(),
            },
        }
    }

    /// Only where there is a known card and the tool for it. A machine with a card and no tool is
    /// left to the generic manager, which the log says; a site that does not want that requires this
    /// manager (`required_hardware_managers`).
    fn evaluate_hardware_support(&self) -> Result<u32, ManagerError> {
        let configuration = self.configuration()?;
        let until = Instant::now() + configuration.wait_for_cards();
        while !self.has_card(configuration) {
            if Instant::now() >= until {
                return Ok(support::NONE);
            }
            sleep(POLL);
        }
        match fault_of_program(&configuration.tool()) {
            None => Ok(support::SERVICE_PROVIDER),
            Some(fault) => {
                eprintln!("this machine has a flash card, but \"tool\" is of no use: {fault}");
                Ok(support::NONE)
            }
        }
    }

    fn erase_block_device(
        &self,
        context: &dyn Context,
        _node: &Node,
        device: &BlockDevice,
    ) -> Result<Value, ManagerError> {
        self.erase(context)?.run(device)
    }

    fn steps(
        &self,
        kind: StepKind,
        _node: &Node,
        _ports: &[Port],
    ) -> Result<Vec<Step>, ManagerError> {
        Ok(steps::offered(self.configuration()?, kind))
    }

    fn execute_step(
        &self,
        context: &dyn Context,
        step: &str,
        node: &Node,
        ports: &[Port],
        arguments: &StepArguments,
    ) -> Result<Value, ManagerError> {
        if !steps::is_ours(step) {
            return Err(ManagerError::unsupported(step));
        }
        let configuration = self.configuration()?;
        let (machine, turns) = (&self.machine, &self.turns);
        match step {
            steps::UPDATE_FIRMWARE => firmware::update(configuration, machine, turns, context),
            steps::COLLECT_HEALTH => health::collect(configuration, machine, turns, context),
            steps::VERIFY_PORTS => ports::verify(configuration, context, node, ports),
            steps::VERIFY_HARDWARE => verify::verify(configuration, machine, context, node),
            steps::UPDATE_BIOS if !configuration.bios.update.is_empty() => {
                bios::update(configuration, machine, context, arguments)
            }
            steps::APPLY_PROFILE => {
                let profile = bios::profile(configuration, arguments)?;
                bios::apply(configuration, context, profile)
            }
            _ => {
                let profile = steps::profile_of(step).and_then(|name| {
                    let mut profiles = configuration.bios.profiles.iter();
                    profiles.find(|profile| profile.name == name)
                });
                match profile {
                    Some(profile) => bios::apply(configuration, context, profile),
                    None => Err(ManagerError::unsupported(step)),
                }
            }
        }
    }

    /// What the erases did, for the archive: the conductor keeps no result of a step.
    fn collect_system_logs(&self) -> Result<Vec<(String, Vec<u8>)>, ManagerError> {
        Ok(self
            .records
            .to_text()
            .map(|text| ("erase-records.json".to_owned(), text.into_bytes()))
            .into_iter()
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use serde_json::json;

    use super::*;
    use crate::stand_in::{Agent, Tree, node};

    #[test]
    fn it_is_there_where_a_card_and_its_tool_are() {
        let tree = Tree::new();
        tree.add_disk("sda", "pci0000:00/0000:00:1f.2", "32G MLC SATADOM");
        assert_eq!(
            tree.manager().evaluate_hardware_support().unwrap(),
            support::NONE
        );
        tree.add_card("sdb", "05:00.0");
        let level = tree.manager().evaluate_hardware_support().unwrap();
        assert_eq!(level, support::SERVICE_PROVIDER);
        let tool = tree.path("plugin/ddoemcli");
        for mode in [0o644, 0o775, 0o757] {
            fs::set_permissions(&tool, fs::Permissions::from_mode(mode)).unwrap();
            let level = tree.manager().evaluate_hardware_support().unwrap();
            assert_eq!(level, support::NONE, "{mode:o}");
        }
        fs::remove_file(&tool).unwrap();
        assert_eq!(
            tree.manager().evaluate_hardware_support().unwrap(),
            support::NONE
        );
    }

    #[test]
    fn a_card_that_appears_late_is_waited_for() {
        let tree = Tree::new();
        tree.configure("wait_for_cards_s = 45");
        let manager = tree.manager();
        std::thread::scope(|scope| {
            let level = scope.spawn(|| manager.evaluate_hardware_support());
            sleep(2 * POLL);
            assert!(!level.is_finished());
            tree.add_card("sdb", "05:00.0");
            assert_eq!(level.join().unwrap().unwrap(), support::SERVICE_PROVIDER);
        });
    }

    #[test]
    fn a_broken_configuration_is_an_error_of_every_method() {
        let tree = Tree::with_two_cards("");
        tree.configure("toool = 1");
        let manager = tree.manager();
        let error = manager.evaluate_hardware_support().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::HardwareManagerConfiguration);
        let text = error.chain();
        assert!(
            text.contains("onmetal.toml") && text.contains("toool"),
            "{text}"
        );
        let node = node(json!({}));
        let error = manager.steps(StepKind::Clean, &node, &[]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::HardwareManagerConfiguration);
        let device = crate::stand_in::device("sdb", crate::stand_in::MODEL);
        let error = manager
            .erase_block_device(&Agent::default(), &node, &device)
            .unwrap_err();
        assert!(
            !error.declines(),
            "the card would be left to the generic manager"
        );
        for (step, declines) in [(steps::VERIFY_PORTS, false), ("other", true)] {
            let error = manager
                .execute_step(&Agent::default(), step, &node, &[], &Default::default())
                .unwrap_err();
            assert_eq!(error.declines(), declines, "{step}");
        }
    }

    #[test]
    fn its_steps_are_those_of_the_contract() {
        let tree = Tree::new();
        let manager = tree.manager();
        let told = |kind| -> Vec<(String, i64, Option<bool>)> {
            manager
                .steps(kind, &node(json!({})), &[])
                .unwrap()
                .into_iter()
                .inspect(|step| assert!(step.interface == "deploy" && !step.reboot_requested))
                .map(|step| (step.step, step.priority, step.abortable))
                .collect()
        };
        let step = |name: &str, priority, abortable| (name.to_owned(), priority, Some(abortable));
        assert_eq!(
            told(StepKind::Clean),
            [
                step("onmetal_update_flash_card_firmware", 70, false),
                step("onmetal_collect_disk_health", 40, true),
                step("onmetal_verify_ports", 20, true),
                step("onmetal_verify_hardware", 0, true),
            ]
        );
        assert_eq!(told(StepKind::Deploy), []);
        assert_eq!(
            told(StepKind::Service)[0],
            step("onmetal_update_flash_card_firmware", 0, false)
        );
        assert_eq!(told(StepKind::Service).len(), 4);
        let error = manager
            .execute_step(
                &Agent::default(),
                "other",
                &node(json!({})),
                &[],
                &Default::default(),
            )
            .unwrap_err();
        assert!(error.declines());
    }

    #[test]
    fn its_version_follows_its_configuration() {
        let tree = Tree::new();
        let first = tree.manager().version();
        assert_eq!(first.name, "onmetal_hardware_manager");
        assert!(first.version.starts_with("5+"), "{}", first.version);
        assert_eq!(tree.manager().version(), first);
        tree.configure("format_timeout_s = 1");
        assert_ne!(tree.manager().version(), first);
    }
}
