//! The steps that the generic manager offers (contract/control-plane 7.3). A step that this agent
//! does not have is not offered, and declined by name when it is called all the same.

use farrier_plugin::{ErrorKind, ManagerError, Step, StepKind};

/// Steps of the reference's generic manager that are not here yet.
const MISSING: [&str; 11] = [
    "apply_configuration",
    "burnin_cpu",
    "burnin_disk",
    "burnin_gpu",
    "burnin_memory",
    "burnin_network",
    "clean_uefi_nvram",
    "create_configuration",
    "delete_configuration",
    "execute_bootc_install",
    "inject_files",
];

/// The steps of one kind.
pub(super) fn offered(kind: StepKind) -> Vec<Step> {
    match kind {
        StepKind::Clean => vec![
            step("erase_devices", 10, Some(true)),
            step("erase_devices_express", 0, Some(true)),
            step("erase_devices_metadata", 99, Some(true)),
            step("erase_pstore", 0, Some(true)),
        ],
        StepKind::Deploy => vec![
            step("erase_devices_metadata", 0, None),
            step("write_image", 0, None),
        ],
        StepKind::Service => vec![step("write_image", 0, None)],
    }
}

/// The answer to a step that is not offered.
pub(super) fn refusal(step: &str) -> ManagerError {
    if MISSING.contains(&step) {
        return ManagerError::new(
            ErrorKind::IncompatibleHardwareMethod,
            format!("This agent does not have the step {step} yet"),
        );
    }
    ManagerError::unsupported(step)
}

fn step(name: &str, priority: i64, abortable: Option<bool>) -> Step {
    Step {
        step: name.to_owned(),
        priority,
        interface: "deploy".to_owned(),
        reboot_requested: false,
        abortable,
        argsinfo: None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn clean_steps_have_the_contracts_wire_form() {
        assert_eq!(
            serde_json::to_value(offered(StepKind::Clean)).unwrap(),
            json!([
                {"step": "erase_devices", "priority": 10, "interface": "deploy",
                 "reboot_requested": false, "abortable": true},
                {"step": "erase_devices_express", "priority": 0, "interface": "deploy",
                 "reboot_requested": false, "abortable": true},
                {"step": "erase_devices_metadata", "priority": 99, "interface": "deploy",
                 "reboot_requested": false, "abortable": true},
                {"step": "erase_pstore", "priority": 0, "interface": "deploy",
                 "reboot_requested": false, "abortable": true},
            ])
        );
    }

    #[test]
    fn deploy_and_service_steps_never_run_by_themselves() {
        for kind in [StepKind::Deploy, StepKind::Service] {
            for step in offered(kind) {
                assert_eq!(step.priority, 0, "{step:?}");
                assert_eq!(step.abortable, None, "{step:?}");
                // Without a list of arguments only the conductor's own step may pass any.
                assert_eq!(step.argsinfo, None, "{step:?}");
            }
        }
    }

    #[test]
    fn no_step_is_both_offered_and_missing() {
        for kind in [StepKind::Clean, StepKind::Deploy, StepKind::Service] {
            for step in offered(kind) {
                assert!(!MISSING.contains(&step.step.as_str()), "{step:?}");
            }
        }
        assert!(refusal("create_configuration").to_string().contains("yet"));
    }
}
