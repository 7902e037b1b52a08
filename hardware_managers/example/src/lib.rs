//! A hardware manager to copy. It offers a clean step with an argument and progress, a deploy step,
//! and an erase of disks of its own vendor; everything else it leaves to the agent's own manager.
//!
//! As a shared library (`libfarrier_example_manager.so`) the agent loads it into a process of its
//! own; `main.rs` makes an executable of the same manager. One of the two is enough. `farrier
//! plugins` shows what it offers; `docs/plugin-protocol.md` is what it speaks.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::Duration;

use farrier_plugin::protocol::{Capabilities, Method};
use farrier_plugin::{
    ArgumentInfo, BlockDevice, Context, ErrorKind, HardwareManager, LogLevel, ManagerError,
    ManagerVersion, Node, Port, Progress, Step, StepArguments, StepKind, export_hardware_manager,
    support,
};
use serde_json::{Value, json};

/// The vendor of the disks that this manager erases.
const VENDOR: &str = "EXAMPLE";

/// How often a surface is polished where nobody says otherwise, and at most.
const PASSES: u64 = 3;
const MOST_PASSES: u64 = 100;

/// What this manager has; the agent never calls anything else.
pub const METHODS: &[Method] = &[
    Method::EvaluateHardwareSupport,
    Method::GetCleanSteps,
    Method::GetDeploySteps,
    Method::ExecuteStep,
    Method::EraseBlockDevice,
];

export_hardware_manager!(ExampleHardwareManager, METHODS, Capabilities::default());

/// The manager.
pub struct ExampleHardwareManager;

impl HardwareManager for ExampleHardwareManager {
    fn class_name(&self) -> &str {
        "ExampleHardwareManager"
    }

    /// Whoever changes what the steps do gives a new version: the conductor then asks for the steps
    /// again.
    fn version(&self) -> ManagerVersion {
        ManagerVersion {
            name: "example".to_owned(),
            version: "1.0".to_owned(),
        }
    }

    /// A real manager looks for its hardware here and answers [`support::NONE`] without it.
    fn evaluate_hardware_support(&self) -> Result<u32, ManagerError> {
        Ok(support::SERVICE_PROVIDER)
    }

    fn steps(
        &self,
        kind: StepKind,
        _node: &Node,
        _ports: &[Port],
    ) -> Result<Vec<Step>, ManagerError> {
        let step = |name: &str, argument: Option<(&str, &str)>| Step {
            step: name.to_owned(),
            // Only when somebody asks for it.
            priority: 0,
            interface: "deploy".to_owned(),
            reboot_requested: false,
            abortable: Some(kind == StepKind::Clean),
            argsinfo: argument.map(|(name, description)| {
                BTreeMap::from([(
                    name.to_owned(),
                    ArgumentInfo {
                        description: description.to_owned(),
                        required: false,
                    },
                )])
            }),
        };
        Ok(match kind {
            StepKind::Clean => vec![step(
                "example_polish",
                Some(("passes", "How often to polish, 1 to 100; 3 by default")),
            )],
            StepKind::Deploy => vec![step("example_greet", None)],
            StepKind::Service => Vec::new(),
        })
    }

    fn execute_step(
        &self,
        context: &dyn Context,
        step: &str,
        node: &Node,
        _ports: &[Port],
        arguments: &StepArguments,
    ) -> Result<Value, ManagerError> {
        match step {
            "example_polish" => polish(context, arguments.values.get("passes")),
            "example_greet" => {
                let uuid = node.uuid().unwrap_or("without a name");
                context.log(LogLevel::Info, &format!("greetings, node {uuid}"));
                Ok(json!({ "greeted": uuid }))
            }
            // Another manager may have it.
            _ => Err(ManagerError::unsupported(step)),
        }
    }

    /// Disks of other vendors are declined, so that the agent erases them itself.
    fn erase_block_device(
        &self,
        _context: &dyn Context,
        _node: &Node,
        device: &BlockDevice,
    ) -> Result<Value, ManagerError> {
        if device.vendor.as_deref() != Some(VENDOR) {
            return Err(ManagerError::new(
                ErrorKind::IncompatibleHardwareMethod,
                format!("{} is not a disk of the vendor {VENDOR}", device.name),
            ));
        }
        // Nobody makes such disks. A real manager erases here, and reports success only once it
        // knows of it.
        Err(ManagerError::new(
            ErrorKind::BlockDeviceErase,
            format!(
                "{} cannot be erased: this manager is an example",
                device.name
            ),
        ))
    }
}

/// A long step: it tells how far it is, and looks whether it was cancelled.
fn polish(context: &dyn Context, passes: Option<&Value>) -> Result<Value, ManagerError> {
    let passes = match passes {
        None | Some(Value::Null) => PASSES,
        Some(given) => given
            .as_u64()
            .filter(|passes| (1..=MOST_PASSES).contains(passes))
            .ok_or_else(|| {
                ManagerError::new(
                    ErrorKind::InvalidCommandParams,
                    format!("passes must be 1 to {MOST_PASSES}, and is {given}"),
                )
            })?,
    };
    for pass in 0..passes {
        if context.is_cancelled() {
            return Err(ManagerError::new(
                ErrorKind::Cleaning,
                format!("example_polish was cancelled after {pass} of {passes} passes"),
            ));
        }
        context.report_progress(Progress {
            what: "polishing".to_owned(),
            done: pass,
            total: Some(passes),
        });
        sleep(Duration::from_millis(100));
    }
    let disks = context.block_devices(false)?.len();
    Ok(json!({ "passes": passes, "disks": disks }))
}
