//! The manager itself: which of its parts answers what.

use std::path::{Path, PathBuf};

use farrier_plugin::protocol::Capabilities;
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

/// The methods of the protocol that this manager has.
pub const METHODS: [&str; 7] = [
    "evaluate_hardware_support",
    "get_clean_steps",
    "get_deploy_steps",
    "get_service_steps",
    "execute_step",
    "erase_block_device",
    "collect_system_logs",
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
                    crate::failures::chain(&error),
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
        let has_card = self
            .machine
            .disks()
            .iter()
            .any(|disk| configuration.card(&disk.model).is_some());
        if !has_card {
            return Ok(support::NONE);
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
    ) -> Result<(), ManagerError> {
        self.erase(context)?.run(device).map(|_| ())
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
