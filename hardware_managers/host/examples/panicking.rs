//! A library that panics in a step, for the agent's tests: they build it with `--crate-type cdylib`.

use farrier_plugin::protocol::{Capabilities, Method};
use farrier_plugin::{
    Context, HardwareManager, ManagerError, ManagerVersion, Node, Port, StepArguments,
    export_hardware_manager, support,
};
use serde_json::{Value, json};

struct Panicking;

impl HardwareManager for Panicking {
    fn class_name(&self) -> &str {
        "PanickingHardwareManager"
    }

    fn version(&self) -> ManagerVersion {
        ManagerVersion {
            name: "panicking".to_owned(),
            version: "1".to_owned(),
        }
    }

    fn evaluate_hardware_support(&self) -> Result<u32, ManagerError> {
        Ok(support::SERVICE_PROVIDER)
    }

    fn execute_step(
        &self,
        _context: &dyn Context,
        step: &str,
        _node: &Node,
        _ports: &[Port],
        _arguments: &StepArguments,
    ) -> Result<Value, ManagerError> {
        match step {
            "panic" => panic!("the card is on fire"),
            "polish" => Ok(json!({ "polished": true })),
            _ => Err(ManagerError::unsupported(step)),
        }
    }
}

export_hardware_manager!(
    Panicking,
    &[Method::EvaluateHardwareSupport, Method::ExecuteStep],
    Capabilities::default(),
);
