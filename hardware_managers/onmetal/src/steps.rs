//! The steps that this manager offers (contract/onmetal 12.3).

use std::collections::BTreeMap;

use farrier_plugin::{ArgumentInfo, Step, StepKind};

use crate::configuration::Configuration;

pub(crate) const UPDATE_FIRMWARE: &str = "onmetal_update_flash_card_firmware";
pub(crate) const COLLECT_HEALTH: &str = "onmetal_collect_disk_health";
pub(crate) const VERIFY_PORTS: &str = "onmetal_verify_ports";
pub(crate) const VERIFY_HARDWARE: &str = "onmetal_verify_hardware";
pub(crate) const UPDATE_BIOS: &str = "onmetal_update_bios";
pub(crate) const APPLY_PROFILE: &str = "onmetal_apply_bios_profile";

/// Whether a step of this name could be one of these, whatever the configuration says.
pub(crate) fn is_ours(step: &str) -> bool {
    step.starts_with("onmetal_")
}

/// What a step is like.
struct Nature {
    priority: i64,
    abortable: bool,
    reboot: bool,
}

const READS: Nature = Nature {
    priority: 0,
    abortable: true,
    reboot: false,
};

/// The steps of one kind. Only clean steps run by themselves.
pub(crate) fn offered(configuration: &Configuration, kind: StepKind) -> Vec<Step> {
    let is_clean = kind == StepKind::Clean;
    if kind == StepKind::Deploy {
        return Vec::new();
    }
    let by_itself = |priority| if is_clean { priority } else { 0 };
    let reads = |priority| Nature {
        priority: by_itself(priority),
        ..READS
    };
    let mut steps = vec![
        step(
            UPDATE_FIRMWARE,
            // A card that is stopped in the middle of its flashing may never work again.
            Nature {
                priority: by_itself(70),
                abortable: false,
                reboot: false,
            },
            &[],
        ),
        step(COLLECT_HEALTH, reads(40), &[]),
        step(VERIFY_PORTS, reads(20), &[]),
        step(VERIFY_HARDWARE, reads(0), &[]),
    ];
    if is_clean {
        steps.extend(of_bios(configuration));
    }
    steps
}

/// The step of its own that a profile with a priority has.
pub(crate) fn profile_of(step: &str) -> Option<&str> {
    step.strip_prefix(APPLY_PROFILE)?.strip_prefix('_')
}

fn of_bios(configuration: &Configuration) -> Vec<Step> {
    let bios = &configuration.bios;
    let changes = |priority, reboot| Nature {
        priority,
        abortable: false,
        reboot,
    };
    let mut steps = Vec::new();
    if !bios.update.is_empty() {
        let arguments = [
            (
                "url",
                "The BIOS image: a file beside the manager, or file:///path",
                false,
            ),
            ("checksum", "The SHA-256 of the image", false),
            (
                "version",
                "The version that it brings; nothing is flashed where the BIOS has it",
                false,
            ),
        ];
        steps.push(step(UPDATE_BIOS, changes(0, true), &arguments));
    }
    if !bios.profiles.is_empty() {
        // The conductor asks before the step runs whether to reboot after it.
        let reboot = bios.profiles.iter().any(|profile| profile.reboot);
        let argument = (
            "profile",
            "The name of a BIOS profile of the configuration",
            true,
        );
        steps.push(step(APPLY_PROFILE, changes(0, reboot), &[argument]));
    }
    for profile in bios.profiles.iter().filter(|profile| profile.priority > 0) {
        let name = format!("{APPLY_PROFILE}_{}", profile.name);
        let nature = changes(profile.priority.into(), profile.reboot);
        steps.push(step(&name, nature, &[]));
    }
    steps
}

fn step(name: &str, nature: Nature, arguments: &[(&str, &str, bool)]) -> Step {
    let argsinfo: BTreeMap<String, ArgumentInfo> = arguments
        .iter()
        .map(|(name, description, required)| {
            let info = ArgumentInfo {
                description: (*description).to_owned(),
                required: *required,
            };
            ((*name).to_owned(), info)
        })
        .collect();
    Step {
        step: name.to_owned(),
        priority: nature.priority,
        interface: "deploy".to_owned(),
        reboot_requested: nature.reboot,
        abortable: Some(nature.abortable),
        argsinfo: (!argsinfo.is_empty()).then_some(argsinfo),
    }
}
