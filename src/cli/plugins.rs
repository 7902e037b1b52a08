//! `farrier plugins`: which hardware managers this machine has, and what they offer.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use farrier_plugin::{ManagerError, Node, StepKind};
use serde_json::{Map, Value, json};
use tracing::level_filters::LevelFilter;

use super::machine::options_of_machine;
use super::step_table::{self, Steps, add};
use super::terminal::{complain, say, say_json};
use crate::config::Live;
use crate::hardware::{Finding, Managers, Refused, RosterEntry, check_plugin};
use crate::sys::log;

/// What there is to show.
struct Overview {
    roster: Vec<RosterEntry>,
    refused: Vec<Refused>,
    /// By kind; a kind's steps can be refused by a manager that is required and missing.
    steps: Vec<(StepKind, Result<Steps, ManagerError>)>,
}

/// Show the hardware managers of this machine and their steps.
///
/// Nothing is initialised.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Arguments {
    /// Answer with JSON.
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Check a plugin against the protocol.
    Test {
        /// The plugin, a program.
        path: PathBuf,
    },
}

/// Show the managers, or check one plugin.
pub(super) fn main(arguments: Arguments) -> ExitCode {
    if let Some(Command::Test { path }) = arguments.command {
        return test_plugin(&path);
    }
    let options = options_of_machine();
    let managers = match Managers::survey(Live::new(options)) {
        Ok(managers) => managers,
        Err(error) => {
            complain(&error.chain());
            return ExitCode::FAILURE;
        }
    };
    let overview = Overview {
        roster: managers.roster(),
        refused: managers.refused(),
        steps: StepKind::ALL
            .into_iter()
            .map(|kind| (kind, managers.steps(kind, &Node::default(), &[])))
            .collect(),
    };
    let is_whole = overview.steps.iter().all(|(_, steps)| steps.is_ok());
    let said = if arguments.json {
        say_json(&format!("{:#}\n", overview.to_json()))
    } else {
        say(&overview.for_person())
    };
    if is_whole { said } else { ExitCode::FAILURE }
}

/// Check the plugin at this path; fails where something is wrong with it.
fn test_plugin(path: &Path) -> ExitCode {
    // Where it lies below the working directory it is still started by an absolute path.
    let path = match std::path::absolute(path) {
        Ok(path) => path,
        Err(error) => {
            complain(&format!("{}: {error}", path.display()));
            return ExitCode::FAILURE;
        }
    };
    // What the plugin writes to stderr, and the agent says of it.
    log::start_on_terminal(LevelFilter::INFO);
    let findings = check_plugin(&path);
    let said = say(&findings_for_person(&findings));
    if findings.iter().all(|finding| finding.fault.is_none()) {
        said
    } else {
        ExitCode::FAILURE
    }
}

fn findings_for_person(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let took = finding
            .milliseconds
            .map_or_else(String::new, |milliseconds| format!(" ({milliseconds} ms)"));
        match &finding.fault {
            None => add(&mut text, format_args!("ok     {}{took}", finding.what)),
            Some(fault) => add(
                &mut text,
                format_args!("FAULT  {}{took}: {fault}", finding.what),
            ),
        }
    }
    let faults = findings
        .iter()
        .filter(|finding| finding.fault.is_some())
        .count();
    let all = findings.len();
    match faults {
        0 => add(
            &mut text,
            format_args!("it keeps the protocol: {all} checks"),
        ),
        _ => add(
            &mut text,
            format_args!("{faults} of {all} checks found a fault"),
        ),
    }
    text
}

impl Overview {
    fn to_json(&self) -> Value {
        let steps: Map<String, Value> = self
            .steps
            .iter()
            .map(|(kind, steps)| {
                let told = match steps {
                    Ok(steps) => json!(steps),
                    Err(error) => json!({ "error": error.chain() }),
                };
                (kind.word().to_owned(), told)
            })
            .collect();
        json!({ "managers": self.roster, "refused": self.refused, "steps": steps })
    }

    fn for_person(&self) -> String {
        let mut text = String::new();
        for entry in &self.roster {
            let from = entry.plugin.as_ref().map_or_else(
                || "built in".to_owned(),
                |plugin| format!("plugin {plugin}"),
            );
            add(
                &mut text,
                format_args!(
                    "{:<36} {} {}, level {}, {from}",
                    entry.class_name, entry.name, entry.version, entry.level,
                ),
            );
            for line in wrapped(&entry.methods) {
                add(&mut text, format_args!("    {line}"));
            }
        }
        for refused in &self.refused {
            add(
                &mut text,
                format_args!("{:<36} not used: {}", refused.name, refused.why),
            );
        }
        for (kind, steps) in &self.steps {
            text.push('\n');
            add(&mut text, format_args!("{} steps", kind.word()));
            match steps {
                Ok(steps) => step_table::draw(&mut text, steps),
                Err(error) => add(&mut text, format_args!("    {}", error.chain())),
            }
        }
        text
    }
}

/// These words in lines that a terminal of 100 columns shows.
fn wrapped(words: &[String]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if line.len() + word.len() < 94 => {
                line.push_str(", ");
                line.push_str(word);
            }
            _ => lines.push(word.clone()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use farrier_plugin::{ErrorKind, Step};

    use super::*;

    #[test]
    fn a_person_sees_who_answers_who_does_not_and_the_steps_in_order() {
        let step = |step: &str, priority| Step {
            step: step.to_owned(),
            priority,
            interface: "deploy".to_owned(),
            reboot_requested: false,
            abortable: (priority == 99).then_some(true),
            argsinfo: None,
        };
        let overview = Overview {
            roster: vec![RosterEntry {
                class_name: "FlashCardHardwareManager".to_owned(),
                name: "flash_card".to_owned(),
                version: "1.4".to_owned(),
                level: 3,
                plugin: Some("flash".to_owned()),
                methods: vec!["evaluate_hardware_support".to_owned()],
            }],
            refused: vec![Refused {
                name: "other".to_owned(),
                why: "it is not executable".to_owned(),
            }],
            steps: vec![
                (
                    StepKind::Clean,
                    Ok(BTreeMap::from([
                        ("A".to_owned(), vec![step("late", 1)]),
                        ("B".to_owned(), vec![step("early", 99)]),
                    ])),
                ),
                (
                    StepKind::Deploy,
                    Err(ManagerError::new(
                        ErrorKind::HardwareManagerConfiguration,
                        "missing",
                    )),
                ),
            ],
        };
        assert_eq!(
            overview.for_person(),
            "\
FlashCardHardwareManager             flash_card 1.4, level 3, plugin flash
    evaluate_hardware_support
other                                not used: it is not executable

clean steps
      99  early                        deploy   B, abortable
       1  late                         deploy   A

deploy steps
    missing
"
        );
        let findings = [
            Finding {
                what: "it introduces itself".to_owned(),
                milliseconds: Some(12),
                fault: None,
            },
            Finding {
                what: "the method get_cpus".to_owned(),
                milliseconds: None,
                fault: Some("no".to_owned()),
            },
        ];
        assert_eq!(
            findings_for_person(&findings),
            "ok     it introduces itself (12 ms)\nFAULT  the method get_cpus: no\n\
             1 of 2 checks found a fault\n"
        );
        let forged = [Finding {
            what: "it says\nok     it keeps the protocol\u{1b}[2J".to_owned(),
            milliseconds: None,
            fault: Some("no".to_owned()),
        }];
        let told = findings_for_person(&forged);
        assert!(told.starts_with("FAULT  it says\\nok "), "{told}");
        assert!(!told.contains('\u{1b}'), "{told}");
        let many = wrapped(&vec!["evaluate_hardware_support".to_owned(); 7]);
        assert!(many.len() == 3 && many.iter().all(|line| line.len() < 96));

        let json = overview.to_json();
        assert_eq!(json["refused"][0]["name"], "other");
        assert_eq!(json["steps"]["clean"]["B"][0]["priority"], 99);
        assert_eq!(json["steps"]["deploy"]["error"], "missing");
    }
}
