//! The step that reads how worn disks and flash cards are (contract/onmetal 8).

mod card;
mod smart;

use farrier_plugin::{BlockDevice, Context, ErrorKind, LogLevel, ManagerError, ProgramRequest};
use serde_json::{Map, Value, json};

use crate::configuration::{Configuration, fault_of_program};
use crate::erase::card_at;
use crate::failures::{excerpt, together};
use crate::listing::Card;
use crate::machine::Machine;
use crate::tool::{Tool, ToolError, Turns, status};

/// Values of every disk, by device. A disk that has none to give says why; a flash card that has
/// none fails the step, after all others were read.
pub(crate) fn collect(
    configuration: &Configuration,
    machine: &Machine,
    turns: &Turns,
    context: &dyn Context,
) -> Result<Value, ManagerError> {
    let mut disks = Map::new();
    let mut failures = Vec::new();
    let mut tool = None;
    for device in context.block_devices(false)? {
        if context.is_cancelled() {
            failures.push("the command was cancelled".to_owned());
            break;
        }
        let model = device.model.clone().unwrap_or_default().trim().to_owned();
        let values = if configuration.card(&model).is_none() {
            smart_of(configuration, context, &device).unwrap_or_else(|why| {
                context.log(LogLevel::Warning, &format!("{}: {why}", device.name));
                json!({ "error": why })
            })
        } else {
            let opened = match &tool {
                Some(opened) => Ok(opened),
                None => list(configuration, turns, context).map(|opened| &*tool.insert(opened)),
            };
            opened
                .map_err(|error| farrier_plugin::chain(&error))
                .and_then(|(tool, cards)| card_of(machine, tool, cards, &device, &model))
                .unwrap_or_else(|why| {
                    failures.push(format!("{}: {why}", device.name));
                    json!({ "error": why })
                })
        };
        disks.insert(device.name, values);
    }
    let disks = Value::Object(disks);
    // The conductor keeps no result of a step, the log archive does.
    context.log(LogLevel::Info, &format!("disk health: {disks}"));
    match together(
        ErrorKind::Cleaning,
        "The health of flash cards could not be read",
        &failures,
    ) {
        Some(error) => Err(error),
        None => Ok(disks),
    }
}

fn list<'t>(
    configuration: &'t Configuration,
    turns: &'t Turns,
    context: &'t dyn Context,
) -> Result<(Tool<'t>, Vec<Card>), ToolError> {
    let tool = turns.take(configuration, context)?;
    let cards = tool.cards()?;
    Ok((tool, cards))
}

fn card_of(
    machine: &Machine,
    tool: &Tool<'_>,
    cards: &[Card],
    device: &BlockDevice,
    model: &str,
) -> Result<Value, String> {
    let name = device.name.strip_prefix("/dev/").unwrap_or(&device.name);
    let address = machine
        .disk(name)
        .and_then(|disk| disk.address)
        .ok_or("it hangs on no PCI function")?;
    let card = card_at(cards, address, name, model).map_err(|error| error.chain())?;
    let text = tool
        .health(card.id)
        .map_err(|error| farrier_plugin::chain(&error))?;
    let slots = card::parse(&text).map_err(|error| {
        format!(
            "what the tool says about the health of card {} cannot be understood: {error}",
            card.id
        )
    })?;
    let failing = slots.values().any(card::Slot::is_failing);
    Ok(json!({
        "source": "flash_card", "model": model, "serial": device.serial, "card": card.id,
        "pci": address.to_string(), "firmware": card.version, "failing": failing,
        "slots": slots.into_iter().map(|(key, slot)| (key, slot.into_json())).collect::<Map<_, _>>(),
    }))
}

fn smart_of(
    configuration: &Configuration,
    context: &dyn Context,
    device: &BlockDevice,
) -> Result<Value, String> {
    let smartctl = configuration.smartctl();
    if let Some(fault) = fault_of_program(&smartctl) {
        return Err(fault);
    }
    let program = ProgramRequest::new(smartctl.display().to_string())
        .arg("--attributes")
        .arg(&device.name)
        .timeout(configuration.command_timeout());
    let output = context
        .run_program(&program)
        .map_err(|error| error.chain())?;
    let Some(code) = output.exit_code else {
        return Err("smartctl was ended by a signal".to_owned());
    };
    let verdict = smart::Verdict::of_exit_code(code);
    let attributes = smart::parse(&output.stdout);
    if attributes.is_empty() {
        return Err(format!(
            "smartctl ended with {} and shows no attributes; it said: {}",
            status(Some(code)),
            excerpt(&format!("{} {}", output.stdout, output.stderr))
        ));
    }
    Ok(json!({
        "source": "smart", "model": device.model, "serial": device.serial,
        "failing": verdict.is_failing(), "notes": verdict.notes(),
        "attributes": attributes.into_iter()
            .map(|(key, attribute)| (key, attribute.into_json()))
            .collect::<Map<_, _>>(),
    }))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use farrier_plugin::HardwareManager;

    use super::*;
    use crate::stand_in::{Agent, MODEL, Tree, node};
    use crate::steps::COLLECT_HEALTH;

    const SATADOM: &str = "32G MLC SATADOM";

    /// A boot disk and two cards, and a smartctl that ends with this status.
    fn machine(mode: &str, status: u8) -> Tree {
        let tree = Tree::with_two_cards(mode);
        tree.add_disk("sda", "pci0000:00/0000:00:1f.2", SATADOM);
        tree.configure("smartctl = 'smartctl'");
        let script = format!(
            "[ \"$*\" = '--attributes /dev/sda' ] || exit 99\n\
             cat <<'END'\n{}\nEND\nexit {status}",
            smart::tests::OUTPUT
        );
        tree.add_program("smartctl", &script);
        tree
    }

    fn collect(tree: &Tree) -> (Result<Value, ManagerError>, Vec<String>) {
        let agent = Agent::with_disks(&[("sda", SATADOM), ("sdb", MODEL), ("sdc", MODEL)]);
        let arguments = Default::default();
        let result =
            tree.manager()
                .execute_step(&agent, COLLECT_HEALTH, &node(json!({})), &[], &arguments);
        (result, agent.log.into_inner().unwrap())
    }

    #[test]
    fn every_disk_is_read_as_numbers() {
        let tree = machine("", 0);
        let (result, log) = collect(&tree);
        let disks = result.unwrap();
        assert_eq!(
            disks["/dev/sda"]["attributes"]["9-Power_On_Hours"]["raw"],
            4021
        );
        assert_eq!(disks["/dev/sda"]["failing"], false);
        assert_eq!(disks["/dev/sdc"]["card"], 2);
        assert_eq!(
            disks["/dev/sdc"]["slots"]["4_ZZ00AA1B"]["values"]["Power-OnHours"],
            812.3
        );
        assert_eq!(disks["/dev/sdb"]["failing"], true);
        assert_eq!(tree.calls(), ["-listall", "-c 1 -health", "-c 2 -health"]);
        assert!(
            log.iter().any(|line| line.starts_with("disk health: {")),
            "{log:?}"
        );
    }

    #[test]
    fn a_failing_disk_is_a_finding_and_no_failure() {
        let disks = collect(&machine("", 0b1000)).0.unwrap();
        assert_eq!(disks["/dev/sda"]["failing"], true);
        assert_eq!(
            disks["/dev/sda"]["notes"][0],
            "the disk says that it is failing"
        );
    }

    #[test]
    fn a_disk_without_values_says_why() {
        let tree = machine("", 0);
        tree.add_program(
            "smartctl",
            "echo 'Unavailable - device lacks SMART'; exit 4",
        );
        let disks = collect(&tree).0.unwrap();
        let why = disks["/dev/sda"]["error"].as_str().unwrap();
        assert!(
            why.contains("lacks SMART") && why.contains("exit status 4"),
            "{why}"
        );
        assert_eq!(disks["/dev/sdc"]["card"], 2);
        fs::remove_file(tree.path("plugin/smartctl")).unwrap();
        let disks = collect(&tree).0.unwrap();
        assert!(
            disks["/dev/sda"]["error"]
                .as_str()
                .unwrap()
                .contains("smartctl")
        );
    }

    #[test]
    fn a_card_that_does_not_answer_fails_the_step_after_all_others_were_read() {
        for (mode, word) in [("exit:1", "no answer from the SSDs"), ("garbage:1", "slot")] {
            let (result, log) = collect(&machine(mode, 0));
            let text = result.unwrap_err().chain();
            assert!(
                text.contains("/dev/sdb") && text.contains(word),
                "{mode}: {text}"
            );
            assert!(!text.contains("/dev/sdc"), "{mode}: {text}");
            let all = log.concat();
            assert!(all.contains("4_ZZ00AA1B") && all.contains("4021"), "{all}");
        }
    }
}
