//! A hardware manager and an environment for tests.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use farrier_plugin::{
    Context, ErrorKind, HardwareManager, Inventory, ManagerError, ManagerVersion, Node, Port,
    Progress, SilentContext, Step, StepArguments, StepKind, support,
};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::environment::{Environment, Shutdown, Signal};
use crate::config::{Live, Options};
use crate::hardware::Managers;
use crate::sys::power::{PowerError, Transition};

/// What a step was called with.
pub(crate) struct Call {
    /// The step.
    pub(crate) step: String,
    /// The node.
    pub(crate) node: Node,
    /// Its arguments.
    pub(crate) arguments: StepArguments,
}

/// Knows the steps `erase_devices_metadata` (which ends at once), `gate` (which reports progress
/// and ends when the test lets it), `fail`, `decline`, `panic` and `write_image`.
pub(crate) struct FakeManager {
    gate: Mutex<Receiver<Result<Value, ManagerError>>>,
    /// While a test holds it, no step begins.
    pub(crate) pause: Mutex<()>,
    /// Every step that was executed.
    pub(crate) calls: Mutex<Vec<Call>>,
    /// Whether `full_sync` works.
    pub(crate) flushes: AtomicBool,
    /// How often it was called.
    pub(crate) synced: AtomicU32,
}

impl FakeManager {
    /// The manager, and the end of its step `gate`.
    pub(crate) fn new() -> (Arc<Self>, Sender<Result<Value, ManagerError>>) {
        let (open, gate) = channel();
        let manager = Self {
            gate: Mutex::new(gate),
            pause: Mutex::default(),
            calls: Mutex::default(),
            flushes: AtomicBool::new(true),
            synced: AtomicU32::default(),
        };
        (Arc::new(manager), open)
    }
}

impl HardwareManager for FakeManager {
    fn class_name(&self) -> &str {
        "GenericHardwareManager"
    }

    fn version(&self) -> ManagerVersion {
        ManagerVersion {
            name: "generic_hardware_manager".to_owned(),
            version: "1.2".to_owned(),
        }
    }

    fn evaluate_hardware_support(&self) -> Result<u32, ManagerError> {
        Ok(support::GENERIC)
    }

    fn steps(&self, kind: StepKind, _: &Node, _: &[Port]) -> Result<Vec<Step>, ManagerError> {
        let step = |name: &str, priority| Step {
            step: name.to_owned(),
            priority,
            interface: "deploy".to_owned(),
            reboot_requested: false,
            abortable: (kind == StepKind::Clean).then_some(true),
            argsinfo: None,
        };
        Ok(match kind {
            StepKind::Clean => vec![
                step("erase_devices", 10),
                step("erase_devices_metadata", 99),
            ],
            StepKind::Deploy => vec![step("write_image", 0)],
            StepKind::Service => panic!("service steps are broken"),
        })
    }

    fn execute_step(
        &self,
        context: &dyn Context,
        step: &str,
        node: &Node,
        _: &[Port],
        arguments: &StepArguments,
    ) -> Result<Value, ManagerError> {
        drop(self.pause.lock().unwrap_or_else(PoisonError::into_inner));
        self.calls.lock().unwrap().push(Call {
            step: step.to_owned(),
            node: node.clone(),
            arguments: arguments.clone(),
        });
        match step {
            "erase_devices_metadata" => Ok(Value::Null),
            "erase_devices" => Ok(json!({"/dev/sda": null})),
            "write_image" => {
                let image = &arguments.values["image_info"]["id"];
                let id = image
                    .as_str()
                    .map_or_else(|| image.to_string(), str::to_owned);
                Ok(json!({"result": format!(
                    "prepare_image: image ({id}) written to device /dev/vda root_uuid=0x00000000"
                )}))
            }
            "gate" => {
                context.report_progress(Progress {
                    what: "waiting".to_owned(),
                    done: 1,
                    total: Some(2),
                });
                self.gate.lock().unwrap().recv().unwrap()
            }
            "fail" => Err(ManagerError::new(
                ErrorKind::BlockDeviceErase,
                "/dev/sda: 3 sectors could not be written",
            )),
            "panic" => panic!("index out of bounds"),
            other => Err(ManagerError::unsupported(other)),
        }
    }

    fn list_hardware_info(&self) -> Result<Inventory, ManagerError> {
        Ok(Inventory::default())
    }

    fn partition_uuids(&self) -> Result<Value, ManagerError> {
        Ok(json!({"root uuid": "0x00000000"}))
    }

    fn install_bootloader(
        &self,
        _: &dyn Context,
        _: &Node,
        arguments: &StepArguments,
    ) -> Result<(), ManagerError> {
        match arguments.text("root_uuid").as_deref() {
            None | Some("0x00000000") => Ok(()),
            other => Err(ManagerError::new(
                ErrorKind::DeviceNotFound,
                format!("No partition has the UUID {other:?}"),
            )),
        }
    }

    fn collect_system_logs(&self) -> Result<Vec<(String, Vec<u8>)>, ManagerError> {
        Ok(vec![("journal".to_owned(), b"log".to_vec())])
    }

    fn full_sync(&self) -> Result<(), ManagerError> {
        self.synced.fetch_add(1, Ordering::Relaxed);
        if self.flushes.load(Ordering::Relaxed) {
            return Ok(());
        }
        Err(ManagerError::new(
            ErrorKind::CommandExecution,
            "Flushing file system buffers failed: /dev/sda: input/output error",
        ))
    }
}

/// An environment with these managers (one that does nothing where there are none), and its
/// signals. The machine refuses to end.
pub(crate) fn environment(
    managers: Vec<Arc<dyn HardwareManager>>,
    state_directory: &Path,
) -> (Environment, UnboundedReceiver<Signal>) {
    let managers = if managers.is_empty() {
        vec![FakeManager::new().0 as Arc<dyn HardwareManager>]
    } else {
        managers
    };
    let options = Live::new(Options {
        disk_wait_attempts: 0,
        ..Options::default()
    });
    let managers = Managers::from_managers(options.clone(), managers, &SilentContext).unwrap();
    environment_of(managers, options, state_directory)
}

/// The same with managers that were found.
pub(crate) fn environment_of(
    managers: Managers,
    options: Live,
    state_directory: &Path,
) -> (Environment, UnboundedReceiver<Signal>) {
    let (signals, received) = unbounded_channel();
    let environment = Environment {
        managers: Arc::new(managers),
        options,
        signals,
        state_directory: state_directory.to_owned(),
        relookup: Box::new(|| None),
        shutdown: Shutdown {
            set_clock: Box::new(|| Ok(())),
            request: Box::new(|transition: Transition| Err(PowerError::NotInMemory { transition })),
        },
        open_rescue: Box::new(|_| {
            Err(ManagerError::new(
                ErrorKind::CommandExecution,
                "no SSH server",
            ))
        }),
        left_behind: None,
    };
    (environment, received)
}

/// The signals that are there.
pub(crate) fn drain(signals: &mut UnboundedReceiver<Signal>) -> Vec<Signal> {
    let mut all = Vec::new();
    while let Ok(signal) = signals.try_recv() {
        all.push(signal);
    }
    all
}
