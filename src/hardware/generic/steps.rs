//! The steps that the generic manager offers (contract/control-plane 7.3). A step that this agent
//! does not have is not offered, and declined by name when it is called all the same.

use std::collections::BTreeMap;

use farrier_plugin::{ArgumentInfo, ErrorKind, ManagerError, Step, StepArguments, StepKind};
use serde_json::json;

use crate::config::Options;
use crate::deploy::DEFAULT_PATTERNS;

/// Steps of the reference's generic manager that are not here yet.
const MISSING: [&str; 6] = [
    "burnin_cpu",
    "burnin_disk",
    "burnin_gpu",
    "burnin_memory",
    "burnin_network",
    "execute_bootc_install",
];

/// The steps of one kind.
pub(super) fn offered(kind: StepKind, options: &Options) -> Vec<Step> {
    match kind {
        StepKind::Clean => vec![
            step("erase_devices", 10, Some(true)),
            step("erase_devices_express", 0, Some(true)),
            step("erase_devices_metadata", 99, Some(true)),
            step("erase_pstore", 0, Some(true)),
            clean_uefi_nvram(Some(true)),
            raid("delete_configuration", Some(true)),
            raid("create_configuration", Some(true)),
        ],
        StepKind::Deploy => vec![
            clean_uefi_nvram(None),
            step("erase_devices_metadata", 0, None),
            step("write_image", 0, None),
            inject_files(options),
            apply_configuration(),
        ],
        StepKind::Service => vec![
            step("write_image", 0, None),
            inject_files(options),
            raid("delete_configuration", Some(true)),
            apply_configuration(),
            raid("create_configuration", Some(true)),
        ],
    }
}

/// A step of software RAID, which never runs by itself.
fn raid(name: &str, abortable: Option<bool>) -> Step {
    Step {
        interface: "raid".to_owned(),
        ..step(name, 0, abortable)
    }
}

fn apply_configuration() -> Step {
    Step {
        argsinfo: Some(BTreeMap::from([
            (
                "raid_config".to_owned(),
                ArgumentInfo {
                    description: "The RAID configuration to apply.".to_owned(),
                    required: true,
                },
            ),
            (
                "delete_existing".to_owned(),
                ArgumentInfo {
                    description: "Setting this to 'True' indicates to delete existing RAID configuration prior \
                                  to creating the new configuration. Default value is 'True'."
                        .to_owned(),
                    required: false,
                },
            ),
        ])),
        ..raid("apply_configuration", None)
    }
}

/// With the priority that the operator wants; 0, as it is unless he says otherwise, never runs by itself.
fn inject_files(options: &Options) -> Step {
    let argument = |name: &str, description: &str| {
        let argument = ArgumentInfo {
            description: description.to_owned(),
            required: false,
        };
        (name.to_owned(), argument)
    };
    let mut step = step("inject_files", options.inject_files_priority.into(), None);
    step.argsinfo = Some(BTreeMap::from([
        argument(
            "files",
            "Files to inject, a list of file structures with keys: 'path' (path to the file), \
             'partition' (partition specifier), 'content' (base64 encoded string), 'mode' (new file \
             mode) and 'dirmode' (mode for the leaf directory, if created). Merged with the values \
             from node.properties[inject_files].",
        ),
        argument(
            "verify_ca",
            "Whether to verify TLS certificates. Global agent options are used by default.",
        ),
    ]));
    step
}

/// What is called by the name of a step and offered as none (contract/control-plane 8.9).
const CALLED: &str = "validate_configuration";

/// Whether there is a step of this name, of any kind, or what is called like one.
pub(super) fn is_known(step: &str) -> bool {
    let kinds = [StepKind::Clean, StepKind::Deploy, StepKind::Service];
    let is_in = |kind| {
        let steps = offered(kind, &Options::default());
        steps.iter().any(|offered| offered.step == step)
    };
    step == CALLED || kinds.into_iter().any(is_in)
}

/// What a step takes beside the node and its ports.
const ARGUMENTS: [(&str, &[&str]); 5] = [
    ("apply_configuration", &["raid_config", "delete_existing"]),
    ("clean_uefi_nvram", &["match_patterns"]),
    ("inject_files", &["files", "verify_ca"]),
    (CALLED, &["raid_config"]),
    ("write_image", &["image_info", "configdrive"]),
];

/// The names of what a step takes.
fn taken(step: &str) -> &'static [&'static str] {
    ARGUMENTS
        .iter()
        .find(|(name, _)| *name == step)
        .map_or(&[], |(_, taken)| taken)
}

/// The steps of one kind by name, and what each takes: for docs/openapi.json.
#[cfg(test)]
pub(crate) fn described(kind: StepKind) -> Vec<(String, &'static [&'static str])> {
    offered(kind, &Options::default())
        .into_iter()
        .map(|step| (step.step.clone(), taken(&step.step)))
        .collect()
}

/// Whether the arguments are those of the step, as in the reference: one that nobody reads, such as
/// `config_drive`, would be a wish that a green step has left out.
pub(super) fn check_arguments(step: &str, arguments: &StepArguments) -> Result<(), ManagerError> {
    let taken = taken(step);
    let Some(unknown) = arguments
        .values
        .keys()
        .find(|name| !taken.contains(&name.as_str()))
    else {
        return Ok(());
    };
    let taken = match taken {
        [] => "none".to_owned(),
        taken => taken.join(" and "),
    };
    Err(ManagerError::new(
        ErrorKind::InvalidCommandParams,
        format!("The step {step} has no argument '{unknown}'; it takes {taken}"),
    ))
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

fn clean_uefi_nvram(abortable: Option<bool>) -> Step {
    let patterns = ArgumentInfo {
        description: format!(
            "A list of regular expressions. Every UEFI boot entry is deleted whose device path, as \
             efibootmgr shows it, contains a match of one of them, in upper or lower case; by default {}",
            json!(DEFAULT_PATTERNS)
        ),
        required: false,
    };
    Step {
        argsinfo: Some([("match_patterns".to_owned(), patterns)].into()),
        ..step("clean_uefi_nvram", 0, abortable)
    }
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn clean_steps_have_the_contracts_wire_form() {
        assert_eq!(
            serde_json::to_value(offered(StepKind::Clean, &Options::default())).unwrap(),
            json!([
                {"step": "erase_devices", "priority": 10, "interface": "deploy",
                 "reboot_requested": false, "abortable": true},
                {"step": "erase_devices_express", "priority": 0, "interface": "deploy",
                 "reboot_requested": false, "abortable": true},
                {"step": "erase_devices_metadata", "priority": 99, "interface": "deploy",
                 "reboot_requested": false, "abortable": true},
                {"step": "erase_pstore", "priority": 0, "interface": "deploy",
                 "reboot_requested": false, "abortable": true},
                {"step": "clean_uefi_nvram", "priority": 0, "interface": "deploy",
                 "reboot_requested": false, "abortable": true, "argsinfo": {"match_patterns": {
                     "description": "A list of regular expressions. Every UEFI boot entry is deleted whose \
                                     device path, as efibootmgr shows it, contains a match of one of them, \
                                     in upper or lower case; by default \
                                     [\"^HD\\\\(\",\"shim.*\\\\.efi\",\"grub.*\\\\.efi\"]",
                     "required": false}}},
                {"step": "delete_configuration", "priority": 0, "interface": "raid",
                 "reboot_requested": false, "abortable": true},
                {"step": "create_configuration", "priority": 0, "interface": "raid",
                 "reboot_requested": false, "abortable": true},
            ])
        );
    }

    #[test]
    fn deploy_and_service_steps_run_by_themselves_only_where_the_operator_wants() {
        for kind in [StepKind::Deploy, StepKind::Service] {
            for step in offered(kind, &Options::default()) {
                assert_eq!(step.priority, 0, "{step:?}");
                let can_be = ["create_configuration", "delete_configuration"];
                let can_be = can_be.contains(&step.step.as_str());
                assert_eq!(step.abortable, can_be.then_some(true), "{step:?}");
            }
            let options = Options {
                inject_files_priority: 50,
                ..Options::default()
            };
            for step in offered(kind, &options) {
                let expected = if step.step == "inject_files" { 50 } else { 0 };
                assert_eq!(step.priority, expected, "{step:?}");
            }
        }
    }

    #[test]
    fn arguments_are_told_as_the_reference_tells_them() {
        let steps = offered(StepKind::Deploy, &Options::default());
        let step = |name: &str| steps.iter().find(|step| step.step == name).unwrap();
        // Without a list of arguments only the conductor's own step may pass any.
        assert_eq!(step("write_image").argsinfo, None);
        let transcript = include_str!("../../../tests/fixtures/transcripts/deploy-raw.jsonl");
        for name in ["inject_files", "apply_configuration"] {
            let argsinfo = serde_json::to_string(&step(name).argsinfo).unwrap();
            let told: serde_json::Value = serde_json::from_str(&argsinfo).unwrap();
            let is_told = transcript.lines().any(|line| {
                let line: serde_json::Value = serde_json::from_str(line).unwrap();
                let steps = &line["response"]["commands"][0]["command_result"]["deploy_steps"];
                steps["GenericHardwareManager"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .any(|step| step["step"] == name && step["argsinfo"] == told)
            });
            assert!(is_told, "{argsinfo}");
        }
    }

    #[test]
    fn an_argument_that_nobody_reads_is_refused() {
        let arguments = |values: serde_json::Value| StepArguments {
            values: values.as_object().unwrap().clone(),
            ..StepArguments::default()
        };
        for (step, values, expected) in [
            (
                "write_image",
                json!({"image_info": {}, "configdrive": null}),
                None,
            ),
            ("erase_devices", json!({}), None),
            ("clean_uefi_nvram", json!({}), None),
            ("clean_uefi_nvram", json!({"match_patterns": ["^HD"]}), None),
            (
                "clean_uefi_nvram",
                json!({"patterns": ["^HD"]}),
                Some(
                    "The step clean_uefi_nvram has no argument 'patterns'; it takes match_patterns",
                ),
            ),
            (
                "write_image",
                json!({"image_info": {}, "config_drive": "H4sI"}),
                Some(
                    "The step write_image has no argument 'config_drive'; it takes image_info and \
                     configdrive",
                ),
            ),
            (
                "erase_devices",
                json!({"devices": ["/dev/sda"]}),
                Some("The step erase_devices has no argument 'devices'; it takes none"),
            ),
        ] {
            let outcome = check_arguments(step, &arguments(values));
            let error = outcome.err().map(|error| error.to_string());
            assert_eq!(error.as_deref(), expected);
        }
        assert!(ARGUMENTS.iter().all(|(step, _)| is_known(step)));
    }

    #[test]
    fn no_step_is_both_offered_and_missing() {
        for kind in [StepKind::Clean, StepKind::Deploy, StepKind::Service] {
            for step in offered(kind, &Options::default()) {
                assert!(!MISSING.contains(&step.step.as_str()), "{step:?}");
            }
        }
        assert!(refusal("burnin_cpu").to_string().contains("yet"));
    }
}
