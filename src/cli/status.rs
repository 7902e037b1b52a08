//! `farrier status`: what the agent of this machine is doing, and what is wrong.

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use farrier_plugin::chain;
use serde_json::Value;

use super::terminal::{complain, say, say_json};
use crate::agent::{Question, ask};
use crate::sys::printable;

/// Show what the agent of this machine is doing, how far it is, and what is wrong.
///
/// For root. Ends with 0 where an agent answers.
#[derive(Parser)]
pub(super) struct Arguments {
    /// Answer with JSON.
    #[arg(long)]
    json: bool,
}

/// Ask, and show the answer.
pub(super) fn main(arguments: &Arguments) -> ExitCode {
    match ask(Path::new("/"), Question::Status) {
        Ok(status) if arguments.json => say_json(&format!("{status:#}\n")),
        Ok(status) => say(&for_person(&status)),
        Err(error) => {
            complain(&chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// The words of the console's lines.
fn for_person(status: &Value) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &Value| {
        if let Some(value) = value.as_str().filter(|value| !value.is_empty()) {
            text.push_str(&format!("{name:<10} {}\n", printable::line(value)));
        }
    };
    line("now", &status["doing"]);
    line("progress", &status["command"]["bar"]);
    for name in [
        "node",
        "name",
        "serial",
        "bmc",
        "switch",
        "conductor",
        "addresses",
    ] {
        line(name, &status[name]);
    }
    for trouble in status["troubles"].as_array().into_iter().flatten() {
        line("trouble", &trouble["what"]);
        line("advice", &trouble["advice"]);
    }
    let failure = &status["last_failure"];
    line("failed", &failure["command"]);
    line("because", &failure["details"]);
    line("version", &status["version"]);
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_person_reads_what_is_known_in_lines() {
        let status = json!({
            "version": "13.0.0+farrier.0.1.0",
            "doing": "cleaning: step erase_devices of deploy",
            "command": {"bar": "writing zeros to /dev/sda [######------------------]  25 %, 15 s left"},
            "node": "2564c0a3-dd23-551f-a25c-1af767f45a81",
            "name": null,
            "addresses": "eno1 192.0.2.7",
            "troubles": [{"what": "no link\u{1b}[2J", "advice": "plug in the cable"}],
            "last_failure": {
                "command": "execute_clean_step", "type": "CleaningError", "details": "one\ntwo"
            }
        });
        assert_eq!(
            for_person(&status),
            "now        cleaning: step erase_devices of deploy\n\
             progress   writing zeros to /dev/sda [######------------------]  25 %, 15 s left\n\
             node       2564c0a3-dd23-551f-a25c-1af767f45a81\n\
             addresses  eno1 192.0.2.7\n\
             trouble    no link\\u{1b}[2J\n\
             advice     plug in the cable\n\
             failed     execute_clean_step\n\
             because    one\\ntwo\n\
             version    13.0.0+farrier.0.1.0\n"
        );
        assert_eq!(for_person(&json!({})), "");
    }
}
