//! Which step the conductor waits for when an agent starts, read from the lookup's node.
//!
//! Ironic takes an agent that has run nothing yet for one that comes back from a reboot of the step
//! under way, and goes on with the next step (`_freshly_booted` in its `agent_base`). Its own flags say
//! whether somebody asked for that reboot, but they do not decide there. They can be read here.

use farrier_plugin::{Node, StepKind};
use serde_json::{Map, Value};

/// What the lookup says about steps.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum StepUnderWay {
    /// None is under way that this agent would have had to run, or its reboot was asked for.
    None,
    /// The conductor does not show it: its policy keeps `driver_internal_info` from agents.
    Hidden,
    /// An agent was running this step, and nobody asked for a reboot.
    Interrupted {
        /// A clean or a service step.
        kind: StepKind,
        /// Its name.
        step: String,
    },
}

/// Interfaces of a node whose steps an agent runs. Steps of all others are the conductor's own.
const IN_BAND: [&str; 2] = ["deploy", "raid"];

/// A deploy step is never looked for: Ironic sets `deploy_step_index` before the core step, whose
/// first power cycle has no flag, so every normal deployment would look interrupted. And a deployment
/// that was cut off leaves a disk that does not boot, whatever the conductor thinks of it.
const KINDS: [(StepKind, &str); 2] = [
    (StepKind::Clean, "cleaning"),
    (StepKind::Service, "servicing"),
];

/// Read it from the lookup's node.
pub(super) fn read(node: &Node) -> StepUnderWay {
    let information = match node.0.get("driver_internal_info") {
        Some(Value::Object(information)) if !is_redacted(information) => information,
        _ => return StepUnderWay::Hidden,
    };
    KINDS
        .into_iter()
        .find_map(|(kind, process)| {
            interrupted(information, kind.word(), process)
                .map(|step| StepUnderWay::Interrupted { kind, step })
        })
        .unwrap_or(StepUnderWay::None)
}

/// The step of this kind that nobody meant to be interrupted. The names of the fields are those of
/// Ironic's `async_steps` and `conductor/cleaning`, `conductor/servicing`; the index is taken away
/// when the process ends, however it ends.
fn interrupted(information: &Map<String, Value>, word: &str, process: &str) -> Option<String> {
    let index = information.get(&format!("{word}_step_index"))?.as_u64()?;
    let step = information
        .get(&format!("{word}_steps"))?
        .get(usize::try_from(index).ok()?)?;
    let is_set = |name: String| information.get(&name).is_some_and(is_true);
    let in_band = step
        .get("interface")
        .and_then(Value::as_str)
        .is_some_and(|interface| IN_BAND.contains(&interface));
    let elsewhere = step.get("execute_on_child_nodes").is_some_and(is_true);
    // Somebody rebooted it, or looks after the step and its reboots.
    let expected = is_set(format!("{process}_reboot")) || is_set(format!("{process}_polling"));
    // Then the conductor sends the step again: nothing is taken for done.
    let is_repeated =
        information.get(&format!("skip_current_{word}_step")) == Some(&Value::Bool(false));
    if !in_band || elsewhere || expected || is_repeated {
        return None;
    }
    Some(step.get("step")?.as_str()?.to_owned())
}

fn is_true(value: &Value) -> bool {
    value == &Value::Bool(true)
}

/// What Keystone's default policy leaves of the field is one member, `content`.
fn is_redacted(information: &Map<String, Value>) -> bool {
    information.len() == 1 && information.contains_key("content")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What Ironic's own code notes on a node in each flow; `test_steps_under_way.py` lets it do so.
    const FLOWS: &str = include_str!("../../tests/fixtures/steps/under_way.json");

    fn read_of(information: Value) -> StepUnderWay {
        let node = [("driver_internal_info".to_owned(), information)];
        read(&Node(node.into_iter().collect()))
    }

    #[test]
    fn only_a_step_that_nobody_meant_to_interrupt_is_found() {
        let flows: Vec<Value> = serde_json::from_str(FLOWS).unwrap();
        let mut interrupted = 0;
        for flow in &flows {
            let expected = match flow["interrupted"].as_str() {
                Some(step) => {
                    interrupted += 1;
                    StepUnderWay::Interrupted {
                        kind: match flow["kind"].as_str() {
                            Some("clean") => StepKind::Clean,
                            _ => StepKind::Service,
                        },
                        step: step.to_owned(),
                    }
                }
                None => StepUnderWay::None,
            };
            let information = flow["driver_internal_info"].clone();
            assert_eq!(read_of(information), expected, "{}", flow["flow"]);
        }
        assert!(interrupted == 3 && flows.len() > 12);
    }

    #[test]
    fn what_the_conductor_does_not_show_is_told_apart() {
        let redacted = json!({"content": "** Redacted - Requires \
            baremetal:node:get:driver_internal_info permission. **"});
        assert_eq!(read_of(redacted), StepUnderWay::Hidden);
        assert_eq!(read(&Node::default()), StepUnderWay::Hidden);
        assert_eq!(read_of(json!({})), StepUnderWay::None);
    }
}
