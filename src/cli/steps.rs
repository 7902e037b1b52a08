//! `farrier steps`: what the agent of this machine would offer to the conductor now.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use farrier_plugin::{StepKind, chain};
use serde::Deserialize;

use super::step_table::{self, Steps, add};
use super::terminal::{complain, say, say_json};
use crate::agent::{Question, ask};

/// Show the steps that the agent of this machine offers, with their arguments.
///
/// As it would answer the conductor, about the node that it knows: with its hardware managers as they are, while
/// `farrier plugins` starts managers of its own. For root. Ends with 0 where all kinds are there.
#[derive(Parser)]
pub(super) struct Arguments {
    /// Answer with JSON.
    #[arg(long)]
    json: bool,
}

/// The steps of one kind, or why there are none.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Offered {
    Steps(Steps),
    Error(String),
}

/// Ask, and show the answer.
pub(super) fn main(arguments: &Arguments) -> ExitCode {
    let answer = match ask(Path::new("/"), Question::Steps) {
        Ok(answer) => answer,
        Err(error) => {
            complain(&chain(&error));
            return ExitCode::FAILURE;
        }
    };
    let offered: BTreeMap<String, Offered> = match serde_json::from_value(answer.clone()) {
        Ok(offered) => offered,
        Err(error) => {
            complain(&format!("The agent's answer makes no sense: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let is_whole = offered
        .values()
        .all(|offered| matches!(offered, Offered::Steps(_)));
    let said = if arguments.json {
        say_json(&format!("{answer:#}\n"))
    } else {
        say(&for_person(&offered))
    };
    if is_whole { said } else { ExitCode::FAILURE }
}

fn for_person(offered: &BTreeMap<String, Offered>) -> String {
    let mut text = String::new();
    for kind in StepKind::ALL.map(StepKind::word) {
        let Some(offered) = offered.get(kind) else {
            continue;
        };
        if !text.is_empty() {
            text.push('\n');
        }
        add(&mut text, format_args!("{kind} steps"));
        match offered {
            Offered::Steps(steps) => step_table::draw(&mut text, steps),
            Offered::Error(error) => add(&mut text, format_args!("    {error}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn steps_stand_by_kind_in_their_order_with_arguments() {
        let answer = json!({
            "service": {"error": "A required manager is missing"},
            "clean": {"steps": {
                "Vendor": [{
                    "step": "scrub", "priority": 7, "interface": "deploy", "reboot_requested": true,
                    "argsinfo": {"passes": {"description": "how often", "required": false}}
                }],
                "GenericHardwareManager": [{
                    "step": "erase_devices", "priority": 10, "interface": "deploy",
                    "reboot_requested": false, "abortable": true
                }]
            }},
            "deploy": {"steps": {}}
        });
        let offered = BTreeMap::deserialize(&answer).unwrap();
        assert_eq!(
            for_person(&offered),
            "\
clean steps
      10  erase_devices                deploy   GenericHardwareManager, abortable
       7  scrub                        deploy   Vendor, then a reboot
              passes (optional): how often

deploy steps

service steps
    A required manager is missing
"
        );
    }
}
