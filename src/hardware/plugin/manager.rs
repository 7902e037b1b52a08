//! A plugin as the agent's dispatch sees it: a hardware manager like every other.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use farrier_plugin::protocol::{self, Failure, INVALID_PARAMS, METHOD_NOT_FOUND};
use farrier_plugin::{
    BlockDevice, BootInfo, Context, Cpu, ErrorKind, HardwareManager, Inventory, LldpData,
    ManagerError, ManagerVersion, Memory, NetworkInterface, Node, Port, ProgramOutput,
    ProgramRequest, SilentContext, Step, StepArguments, StepKind, SystemVendor,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tracing::warn;

use super::connection::{Callbacks, Deadline};
use super::keeper::{INITIALIZE, Keeper};
use super::{Found, PluginError};
use crate::sys::log::chain;
use crate::sys::process::Program;

/// Questions are answered from what the machine says at once.
const QUESTION: Deadline = Deadline(Duration::from_secs(60));

/// Longest time limit of a program that a plugin asks for, in seconds: a day.
const PROGRAM_LIMIT: u64 = 86_400;

/// The machine's block devices, with or without partitions, as the agent's own manager lists them.
pub(in crate::hardware) type Devices =
    Arc<dyn Fn(bool) -> Result<Vec<BlockDevice>, ManagerError> + Send + Sync>;

/// A hardware manager in a process of its own.
pub(in crate::hardware) struct PluginManager {
    keeper: Keeper,
    devices: Devices,
    step_limit: Deadline,
    /// Asked for while the managers start side by side, and told when they are ranked.
    level: OnceLock<Result<u32, String>>,
}

impl PluginManager {
    /// Start a plugin, hear who it is, and ask how well it supports this machine.
    pub(in crate::hardware) fn start(
        found: Found,
        devices: Devices,
        step_limit: Duration,
    ) -> Result<Self, PluginError> {
        let manager = Self {
            keeper: Keeper::start(found)?,
            devices,
            step_limit: Deadline(step_limit),
            level: OnceLock::new(),
        };
        let level = manager.question::<u32>("evaluate_hardware_support");
        let _ = manager.level.set(level.map_err(|error| error.chain()));
        Ok(manager)
    }

    /// The plugin's name.
    pub(in crate::hardware) fn name(&self) -> &str {
        self.keeper.name()
    }

    /// The methods that it declared.
    pub(in crate::hardware) fn methods(&self) -> &[String] {
        &self.keeper.introduction().methods
    }

    /// Whether this is one of its names: the plugin's, the manager's or the class's.
    pub(in crate::hardware) fn is_called(&self, name: &str) -> bool {
        let introduction = self.keeper.introduction();
        [
            self.keeper.name(),
            &introduction.name,
            &introduction.class_name,
        ]
        .contains(&name)
    }

    /// Why it is not used any more, where that is so.
    pub(in crate::hardware) fn dropped(&self) -> Option<String> {
        self.keeper.dropped()
    }

    /// Call a method. `fallback` is the class of an error that has none.
    fn call(
        &self,
        method: &str,
        params: Value,
        deadline: Deadline,
        context: &dyn Context,
        fallback: ErrorKind,
    ) -> Result<Value, ManagerError> {
        if !self.keeper.has(method) || self.keeper.dropped().is_some() {
            return Err(ManagerError::unsupported(method));
        }
        let mut callbacks = Answers {
            manager: self.keeper.name(),
            devices: &self.devices,
            snapshots: [const { None }; 2],
        };
        self.keeper
            .call(method, params, deadline, context, &mut callbacks)
            .map_err(|error| match error {
                PluginError::Failed {
                    name,
                    method,
                    failure,
                } => {
                    // The wire's text names the manager; a refusal stays one.
                    let error = failure.into_error(&method, fallback);
                    if error.declines() {
                        error
                    } else {
                        ManagerError::new(error.kind(), format!("{name}: {error}"))
                    }
                }
                error => ManagerError::new(fallback, chain(&error)),
            })
    }

    fn question<T: DeserializeOwned>(&self, method: &str) -> Result<T, ManagerError> {
        self.question_with(method, json!({}))
    }

    fn question_with<T: DeserializeOwned>(
        &self,
        method: &str,
        params: Value,
    ) -> Result<T, ManagerError> {
        let result = self.call(
            method,
            params,
            QUESTION,
            &SilentContext,
            ErrorKind::CommandExecution,
        )?;
        serde_json::from_value(result).map_err(|source| self.strange(method, source))
    }

    fn devices_of(&self, method: &str, params: Value) -> Result<Vec<BlockDevice>, ManagerError> {
        let listed: Vec<Value> = self.question_with(method, params)?;
        listed
            .iter()
            .map(protocol::device_from_wire)
            .collect::<Result<_, _>>()
            .map_err(|source| self.strange(method, source))
    }

    fn strange(&self, method: &str, source: serde_json::Error) -> ManagerError {
        let error = PluginError::Result {
            name: self.keeper.name().to_owned(),
            method: method.to_owned(),
            source,
        };
        ManagerError::new(ErrorKind::CommandExecution, chain(&error))
    }

    /// The node as this manager may see it: without the tenant's config drive, unless it says that
    /// it needs it.
    fn node(&self, node: &Node, arguments: Option<&StepArguments>) -> Value {
        let mut fields = node.0.clone();
        if !self.keeper.introduction().capabilities.config_drive
            && let Some(Value::Object(instance)) = fields.get_mut("instance_info")
        {
            instance.remove("configdrive");
        }
        let fields = Value::Object(fields);
        match arguments {
            Some(arguments) => self.large(&fields, arguments),
            None => fields,
        }
    }

    fn arguments(&self, arguments: &StepArguments) -> Value {
        let mut values = arguments.values.clone();
        if !self.keeper.introduction().capabilities.config_drive {
            values.remove("configdrive");
            if let Some(Value::Object(image)) = values.get_mut("image_info") {
                image.remove("configdrive");
            }
        }
        self.large(&Value::Object(values), arguments)
    }

    fn large(&self, value: &Value, arguments: &StepArguments) -> Value {
        if self.keeper.introduction().capabilities.config_drive {
            arguments.large.restore(value)
        } else {
            arguments.large.elide(value)
        }
    }
}

impl HardwareManager for PluginManager {
    fn class_name(&self) -> &str {
        &self.keeper.introduction().class_name
    }

    fn version(&self) -> ManagerVersion {
        let introduction = self.keeper.introduction();
        ManagerVersion {
            name: introduction.name.clone(),
            version: introduction.version.clone(),
        }
    }

    fn evaluate_hardware_support(&self) -> Result<u32, ManagerError> {
        match self.level.get() {
            Some(Ok(level)) => Ok(*level),
            Some(Err(why)) => Err(ManagerError::new(ErrorKind::CommandExecution, why.clone())),
            None => self.question("evaluate_hardware_support"),
        }
    }

    fn initialize(&self, context: &dyn Context) -> Result<(), ManagerError> {
        if !self.keeper.has("initialize") {
            return Ok(());
        }
        self.call(
            "initialize",
            json!({}),
            INITIALIZE,
            context,
            ErrorKind::HardwareManagerConfiguration,
        )
        .map(|_| ())
    }

    fn list_network_interfaces(&self) -> Result<Vec<NetworkInterface>, ManagerError> {
        self.question("list_network_interfaces")
    }

    fn collect_lldp_data(&self) -> Result<LldpData, ManagerError> {
        self.question("collect_lldp_data")
    }

    fn cpus(&self) -> Result<Cpu, ManagerError> {
        self.question("get_cpus")
    }

    fn memory(&self) -> Result<Memory, ManagerError> {
        self.question("get_memory")
    }

    fn list_block_devices(
        &self,
        include_partitions: bool,
    ) -> Result<Vec<BlockDevice>, ManagerError> {
        self.devices_of(
            "list_block_devices",
            json!({ "include_partitions": include_partitions }),
        )
    }

    fn list_block_devices_check_skip_list(
        &self,
        node: &Node,
        include_partitions: bool,
    ) -> Result<Vec<BlockDevice>, ManagerError> {
        self.devices_of(
            "list_block_devices_check_skip_list",
            json!({ "node": self.node(node, None), "include_partitions": include_partitions }),
        )
    }

    fn os_install_device(&self, node: Option<&Node>) -> Result<BlockDevice, ManagerError> {
        let method = "get_os_install_device";
        let node = node.map(|node| self.node(node, None));
        let device: Value = self.question_with(method, json!({ "node": node }))?;
        protocol::device_from_wire(&device).map_err(|source| self.strange(method, source))
    }

    fn bmc_address(&self) -> Result<Option<String>, ManagerError> {
        self.question("get_bmc_address")
    }

    fn bmc_v6address(&self) -> Result<Option<String>, ManagerError> {
        self.question("get_bmc_v6address")
    }

    fn bmc_mac(&self) -> Result<Option<String>, ManagerError> {
        self.question("get_bmc_mac")
    }

    fn boot_info(&self) -> Result<BootInfo, ManagerError> {
        self.question("get_boot_info")
    }

    fn system_vendor_info(&self) -> Result<SystemVendor, ManagerError> {
        self.question("get_system_vendor_info")
    }

    fn list_hardware_info(&self) -> Result<Inventory, ManagerError> {
        self.question("list_hardware_info")
    }

    fn erase_block_device(
        &self,
        context: &dyn Context,
        node: &Node,
        device: &BlockDevice,
    ) -> Result<Value, ManagerError> {
        self.call(
            "erase_block_device",
            json!({
                "node": self.node(node, None), "block_device": protocol::device_to_wire(device),
            }),
            self.step_limit,
            context,
            ErrorKind::BlockDeviceErase,
        )
    }

    /// A manager without steps of this kind has none; it need not have the method.
    fn steps(
        &self,
        kind: StepKind,
        node: &Node,
        ports: &[Port],
    ) -> Result<Vec<Step>, ManagerError> {
        let method = format!("get_{}_steps", kind.word());
        if !self.keeper.has(&method) {
            return Ok(Vec::new());
        }
        let steps: Vec<Step> = self.question_with(
            &method,
            json!({ "node": self.node(node, None), "ports": ports }),
        )?;
        for (index, step) in steps.iter().enumerate() {
            if steps[..index].iter().any(|other| other.step == step.step) {
                return Err(ManagerError::new(
                    ErrorKind::HardwareManagerConfiguration,
                    format!(
                        "The hardware manager {} offers the step {} twice",
                        self.keeper.name(),
                        step.step
                    ),
                ));
            }
        }
        Ok(steps)
    }

    fn execute_step(
        &self,
        context: &dyn Context,
        step: &str,
        node: &Node,
        ports: &[Port],
        arguments: &StepArguments,
    ) -> Result<Value, ManagerError> {
        if !self.keeper.has("execute_step") {
            return Err(ManagerError::unsupported(step));
        }
        self.call(
            "execute_step",
            json!({
                "step": step, "node": self.node(node, Some(arguments)), "ports": ports,
                "arguments": self.arguments(arguments),
            }),
            self.step_limit,
            context,
            ErrorKind::CommandExecution,
        )
        .map_err(|error| {
            // A plain refusal is told by the step's name, not by the protocol's.
            if error.to_string() == ManagerError::unsupported("execute_step").to_string() {
                ManagerError::unsupported(step)
            } else {
                error
            }
        })
    }

    fn install_bootloader(
        &self,
        context: &dyn Context,
        node: &Node,
        arguments: &StepArguments,
    ) -> Result<(), ManagerError> {
        self.call(
            "install_bootloader",
            json!({
                "node": self.node(node, Some(arguments)), "arguments": self.arguments(arguments),
            }),
            self.step_limit,
            context,
            ErrorKind::CommandExecution,
        )
        .map(|_| ())
    }

    fn collect_system_logs(&self) -> Result<Vec<(String, Vec<u8>)>, ManagerError> {
        #[derive(serde::Deserialize)]
        struct Log {
            name: String,
            text: String,
        }

        let logs: Vec<Log> = self.question("collect_system_logs")?;
        Ok(logs
            .into_iter()
            // A name that could lead out of the archive's folder is made harmless.
            .map(|log| {
                let name = log.name.replace(['/', '\\'], "_");
                (
                    format!("{}-{name}", self.keeper.name()),
                    log.text.into_bytes(),
                )
            })
            .collect())
    }

    fn full_sync(&self) -> Result<(), ManagerError> {
        self.call(
            "full_sync",
            json!({}),
            QUESTION,
            &SilentContext,
            ErrorKind::CommandExecution,
        )
        .map(|_| ())
    }
}

/// What a plugin may ask for in the middle of a call. The disks are listed once for each call: a
/// plugin's loop sees one machine, and dispatch is never entered from below.
struct Answers<'a> {
    manager: &'a str,
    devices: &'a Devices,
    snapshots: [Option<Value>; 2],
}

impl Callbacks for Answers<'_> {
    fn answer(&mut self, method: &str, params: &Value) -> Result<Value, Failure> {
        match method {
            "list_block_devices" => {
                let partitions =
                    params.get("include_partitions").and_then(Value::as_bool) == Some(true);
                let snapshot = &mut self.snapshots[usize::from(partitions)];
                if let Some(devices) = snapshot {
                    return Ok(devices.clone());
                }
                let devices: Value = (self.devices)(partitions)
                    .map_err(Failure::from)?
                    .iter()
                    .map(protocol::device_to_wire)
                    .collect();
                Ok(snapshot.insert(devices).clone())
            }
            "run_program" => run_program(self.manager, params),
            _ => Err(Failure::new(
                METHOD_NOT_FOUND,
                format!("The agent has no method {method}"),
            )),
        }
    }
}

fn run_program(manager: &str, params: &Value) -> Result<Value, Failure> {
    let request: ProgramRequest = serde_json::from_value(params.clone())
        .map_err(|error| Failure::new(INVALID_PARAMS, format!("run_program: {error}")))?;
    if !request.path.starts_with('/') || !(1..=PROGRAM_LIMIT).contains(&request.timeout_seconds) {
        return Err(Failure::new(
            INVALID_PARAMS,
            format!(
                "run_program: the path must be absolute and timeout_seconds 1 to {PROGRAM_LIMIT}"
            ),
        ));
    }
    let mut program =
        Program::new(&request.path).timeout(Duration::from_secs(request.timeout_seconds));
    for argument in request.arguments {
        program = if request.secrets.contains(&argument) {
            program.secret(argument)
        } else {
            program.arg(argument)
        };
    }
    let output = program.output().map_err(|error| {
        warn!(manager, %error, "a program of a hardware manager failed");
        Failure::from(
            ManagerError::new(
                ErrorKind::CommandExecution,
                format!("{} could not be run", request.path),
            )
            .with_source(error),
        )
    })?;
    Ok(json!(ProgramOutput {
        exit_code: output.status.code(),
        stdout: output.stdout,
        stderr: output.stderr,
    }))
}
