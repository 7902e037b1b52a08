//! What a command does, in words for the person at the console: `cleaning: step erase_devices of deploy`.

use serde_json::{Map, Value};

/// The most letters of a step's name. Names come from the conductor.
const LONGEST: usize = 60;

/// The command of this name, with these parameters. A name that is not known here is its own words.
pub(super) fn of_command(name: &str, parameters: &Map<String, Value>) -> String {
    let doing = match name {
        "execute_clean_step" => "cleaning",
        "execute_deploy_step" => "deploying",
        "execute_service_step" => "servicing",
        "prepare_image" | "write_image" => return "writing the image".to_owned(),
        "execute_bootc_install" => return "installing a bootc image".to_owned(),
        "install_bootloader" => return "installing the boot loader".to_owned(),
        "run_image" => return "starting the installed system".to_owned(),
        "power_off" => return "switching the machine off".to_owned(),
        "sync" => return "writing out what disks have not got yet".to_owned(),
        "finalize_rescue" => return "handing the machine over for rescue".to_owned(),
        "start_flow" => return "running a flow of commands".to_owned(),
        "collect_system_logs" => return "collecting logs".to_owned(),
        name => return name.replace('_', " "),
    };
    let step = parameters.get("step");
    let text = |key: &str| step?.get(key)?.as_str().filter(|text| !text.is_empty());
    let Some(step) = text("step") else {
        return doing.to_owned();
    };
    let step: String = step.chars().take(LONGEST).collect();
    match text("interface") {
        Some(interface) => {
            let interface: String = interface.chars().take(LONGEST).collect();
            format!("{doing}: step {step} of {interface}")
        }
        None => format!("{doing}: step {step}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn kind_step_and_interface_are_named() {
        for (name, parameters, words) in [
            (
                "execute_clean_step",
                json!({"step": {"step": "erase_devices", "interface": "deploy"}}),
                "cleaning: step erase_devices of deploy",
            ),
            (
                "execute_deploy_step",
                json!({"step": {"step": "write_image", "interface": 7}}),
                "deploying: step write_image",
            ),
            (
                "execute_service_step",
                json!({"step": "burnin_cpu"}),
                "servicing",
            ),
            ("execute_clean_step", json!({}), "cleaning"),
            (
                "prepare_image",
                json!({"step": {"step": "x"}}),
                "writing the image",
            ),
            ("a_new_one", json!({}), "a new one"),
        ] {
            let parameters = parameters.as_object().unwrap();
            assert_eq!(of_command(name, parameters), words);
        }
    }

    #[test]
    fn no_name_fills_the_line() {
        let long = "x".repeat(1000);
        let parameters = json!({"step": {"step": long, "interface": long}});
        let words = of_command("execute_clean_step", parameters.as_object().unwrap());
        assert!(words.len() < 3 * LONGEST, "{words}");
    }
}
