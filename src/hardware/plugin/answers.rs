//! What the agent answers a plugin in the middle of a call.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use farrier_plugin::protocol::{self, Callback, Failure, INVALID_PARAMS, METHOD_NOT_FOUND};
use farrier_plugin::{BlockDevice, ErrorKind, ManagerError, ProgramOutput, ProgramRequest};
use serde_json::{Value, json};
use tracing::warn;

use super::callbacks::Callbacks;
use crate::sys::process::Program;

/// The machine's block devices, with or without partitions, as the agent's own manager lists them.
pub(in crate::hardware) type Devices =
    Arc<dyn Fn(bool) -> Result<Vec<BlockDevice>, ManagerError> + Send + Sync>;

/// Longest time limit of a program that a plugin asks for, in seconds: a day.
const PROGRAM_LIMIT: u64 = 86_400;

/// What a plugin may ask for in the middle of a call. The disks are listed once for each call: a
/// plugin's loop sees one machine, and dispatch is never entered from below.
pub(super) struct Answers<'a> {
    manager: &'a str,
    devices: &'a Devices,
    snapshots: [Option<Value>; 2],
}

impl<'a> Answers<'a> {
    /// For one call of the plugin of this name.
    pub(super) fn new(manager: &'a str, devices: &'a Devices) -> Self {
        Self {
            manager,
            devices,
            snapshots: [const { None }; 2],
        }
    }
}

impl Callbacks for Answers<'_> {
    fn answer(
        &mut self,
        method: &str,
        params: &Value,
        stop: &AtomicBool,
    ) -> Result<Value, Failure> {
        match Callback::named(method) {
            Some(Callback::ListBlockDevices) => {
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
            Some(Callback::RunProgram) => run_program(self.manager, params, stop),
            _ => Err(Failure::new(
                METHOD_NOT_FOUND,
                format!("The agent has no method {method}"),
            )),
        }
    }
}

fn run_program(manager: &str, params: &Value, stop: &AtomicBool) -> Result<Value, Failure> {
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
    let ended = program.output_unless(&|| stop.load(Ordering::Relaxed));
    let output = ended.map_err(|error| {
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
