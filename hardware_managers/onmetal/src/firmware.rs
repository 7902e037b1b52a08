//! The step that brings flash cards to the configured firmware (contract/onmetal 6).

use std::cmp::Ordering;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use farrier_plugin::{Context, ErrorKind, ManagerError};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::configuration::{Configuration, FirmwareFile, hexadecimal};
use crate::erase::card_at;
use crate::failures::{failed, together};
use crate::listing::Card;
use crate::machine::Machine;
use crate::tool::{Tool, ToolError, Turns};

/// Numbers with dots, compared number by number; `12.22` is `12.22.0.0`.
#[derive(Clone, Debug)]
pub(crate) struct Version(Vec<u64>);

impl Version {
    /// Reads `12.22.00.00`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        text.split('.')
            .map(|part| part.parse().ok().filter(|_| digits(part)))
            .collect::<Option<Vec<u64>>>()
            .map(Self)
    }

    /// Which of two is newer.
    pub(crate) fn compare(&self, other: &Self) -> Ordering {
        let places = self.0.len().max(other.0.len());
        let part = |version: &Self, place| version.0.get(place).copied().unwrap_or(0);
        (0..places)
            .map(|place| part(self, place).cmp(&part(other, place)))
            .find(|ordering| ordering.is_ne())
            .unwrap_or(Ordering::Equal)
    }
}

/// Why a card was not brought to its firmware.
#[derive(Debug, thiserror::Error)]
enum FirmwareError {
    #[error("its version \"{0}\" is no number with dots, so it cannot be said which is newer")]
    Version(String),
    #[error("the firmware file {} cannot be read", .path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(
        "the firmware file {} is not the one that is configured: its SHA-256 is {found}, and \
         should be {wanted}",
        .path.display()
    )]
    Digest {
        path: PathBuf,
        found: String,
        wanted: String,
    },
    #[error("flashing failed")]
    Flash(#[source] ToolError),
    #[error("after flashing the cards could not be listed")]
    List(#[source] ToolError),
    #[error("after flashing the tool does not list it any more")]
    Gone,
    #[error("after flashing it has version {found}, and should have {wanted}")]
    Unchanged { found: String, wanted: String },
    #[error("not begun: the command was cancelled")]
    Cancelled,
    #[error(
        "the command was cancelled after the new flasher and before the package, which was not \
         begun; the next run flashes both"
    )]
    BetweenFiles,
}

/// Flash every card whose firmware is older than configured. A newer one is left alone, one card's
/// failure does not keep the others from their turn, and every failure is told.
pub(crate) fn update(
    configuration: &Configuration,
    machine: &Machine,
    turns: &Turns,
    context: &dyn Context,
) -> Result<Value, ManagerError> {
    let unusable = |error: ToolError| {
        failed(
            ErrorKind::CommandExecution,
            "The flash cards could not be listed",
        )
        .with_source(error)
    };
    let tool = turns.take(configuration, context).map_err(unusable)?;
    let cards = tool.cards().map_err(unusable)?;
    let mut failures = missing(configuration, machine, &cards);
    let mut results = Vec::new();
    for card in &cards {
        let mut result = json!({
            "card": card.id, "model": card.model, "pci": card.address.to_string(),
            "before": card.version,
        });
        match update_card(configuration, &tool, context, card) {
            Ok((action, after)) => {
                result["action"] = json!(action);
                result["after"] = json!(after);
                results.push(result);
            }
            Err(error) => failures.push(format!(
                "card {} at {}: {}",
                card.id,
                card.address,
                farrier_plugin::chain(&error)
            )),
        }
    }
    let what = match results.len() {
        0 => "No flash card has the firmware that it should".to_owned(),
        _ => format!(
            "Not every flash card has the firmware that it should (as it should be: {})",
            Value::from(results.clone())
        ),
    };
    match together(ErrorKind::CommandExecution, &what, &failures) {
        Some(error) => Err(error),
        None => Ok(json!({ "cards": results })),
    }
}

/// Disks of this machine that are cards, and that the tool does not list.
fn missing(configuration: &Configuration, machine: &Machine, cards: &[Card]) -> Vec<String> {
    machine
        .disks()
        .iter()
        .filter(|disk| configuration.card(&disk.model).is_some())
        .filter_map(|disk| {
            let Some(address) = disk.address else {
                return Some(format!("/dev/{} hangs on no PCI function", disk.name));
            };
            card_at(cards, address, &disk.name, &disk.model)
                .err()
                .map(|error| error.chain())
        })
        .collect()
}

/// What was done, and the version afterwards.
fn update_card(
    configuration: &Configuration,
    tool: &Tool<'_>,
    context: &dyn Context,
    card: &Card,
) -> Result<(&'static str, String), FirmwareError> {
    let Some(wanted) = configuration
        .card(&card.model)
        .filter(|model| model.firmware.is_some())
    else {
        return Ok(("no firmware is configured", card.version.clone()));
    };
    let wanted_text = wanted.firmware.clone().unwrap_or_default();
    let parsed =
        |text: &str| Version::parse(text).ok_or_else(|| FirmwareError::Version(text.to_owned()));
    match parsed(&card.version)?.compare(&parsed(&wanted_text)?) {
        Ordering::Equal => return Ok(("current", card.version.clone())),
        Ordering::Greater => return Ok(("newer, left alone", card.version.clone())),
        Ordering::Less => {}
    }
    let (preflash, package) = wanted.files();
    // Both are looked at before the first is flashed: a card with a new flasher and no package for
    // it would be between two versions.
    let checked =
        |file: Option<FirmwareFile>| file.map(|file| check(configuration, &file)).transpose();
    let (preflash, package) = (checked(preflash)?, checked(package)?);
    let what = format!("flashing card {} to {wanted_text}", card.id);
    // A flash that began now would be killed in the middle: a plugin has ten seconds after a cancel.
    if context.is_cancelled() {
        return Err(FirmwareError::Cancelled);
    }
    if let Some(file) = preflash {
        tool.preflash(card.id, &file, &what)
            .map_err(FirmwareError::Flash)?;
        if package.is_some() && context.is_cancelled() {
            return Err(FirmwareError::BetweenFiles);
        }
    }
    if let Some(file) = package {
        tool.update_package(card.id, &file, &what)
            .map_err(FirmwareError::Flash)?;
    }
    let now = tool.cards().map_err(FirmwareError::List)?;
    let now = now
        .iter()
        .find(|now| now.address == card.address)
        .ok_or(FirmwareError::Gone)?;
    if parsed(&now.version)?.compare(&parsed(&wanted_text)?) != Ordering::Equal {
        return Err(FirmwareError::Unchanged {
            found: now.version.clone(),
            wanted: wanted_text,
        });
    }
    Ok(("updated", now.version.clone()))
}

/// The path of a file whose content is what is configured.
fn check(configuration: &Configuration, file: &FirmwareFile) -> Result<PathBuf, FirmwareError> {
    let path = configuration.path(&file.path);
    match sha256(&path) {
        Ok(found) if found == file.sha256 => Ok(path),
        Ok(found) => Err(FirmwareError::Digest {
            path,
            found,
            wanted: file.sha256.clone(),
        }),
        Err(source) => Err(FirmwareError::File { path, source }),
    }
}

/// A file's digest as small hexadecimal digits.
pub(crate) fn sha256(path: &std::path::Path) -> io::Result<String> {
    let mut digest = Sha256::new();
    let mut file = File::open(path)?;
    let mut chunk = vec![0; 64 << 10];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return Ok(hexadecimal(&digest.finalize())),
            Ok(count) => digest.update(&chunk[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::atomic::Ordering as Atomic;

    use farrier_plugin::{HardwareManager, ProgramOutput, ProgramRequest, Progress};
    use proptest::prelude::proptest;

    use super::*;
    use crate::stand_in::{Agent, Tree, node};
    use crate::steps::UPDATE_FIRMWARE;

    const FLASH: [&str; 4] = [
        "-c 1 -f /plugin/flasher.fw",
        "-c 1 -updatepkg /plugin/package.bin",
        "-c 2 -f /plugin/flasher.fw",
        "-c 2 -updatepkg /plugin/package.bin",
    ];

    /// Two cards of these versions.
    fn machine(versions: [&str; 2], mode: &str) -> Tree {
        let tree = Tree::with_two_cards("");
        tree.set_cards(
            &json!([
                [1, versions[0], "00:05:00:00", "sdb"],
                [2, versions[1], "00:81:00:00", "sdc"],
            ]),
            mode,
        );
        let mut text = fs::read_to_string(tree.path("plugin/onmetal.toml")).unwrap();
        text.push_str("firmware = '12.22.00.00'\n");
        text.push_str("preflash = 'flasher.fw'\npackage = 'package.bin'\n[cards.sha256]\n");
        for (key, file) in [("preflash", "flasher.fw"), ("package", "package.bin")] {
            let path = tree.path("plugin").join(file);
            fs::write(&path, file).unwrap();
            text.push_str(&format!("{key} = '{}'\n", sha256(&path).unwrap()));
        }
        fs::write(tree.path("plugin/onmetal.toml"), text).unwrap();
        tree
    }

    fn update(tree: &Tree, agent: &dyn Context) -> Result<Value, ManagerError> {
        let arguments = Default::default();
        tree.manager()
            .execute_step(agent, UPDATE_FIRMWARE, &node(json!({})), &[], &arguments)
    }

    #[test]
    fn old_cards_are_flashed_in_order_and_looked_at_again() {
        let tree = machine(["9.99.00.00", "11.00.00.00"], "");
        let agent = Agent::default();
        let result = update(&tree, &agent).unwrap();
        assert_eq!(tree.changes(), FLASH);
        assert_eq!(tree.calls().len(), 7, "listed before, and after each card");
        for card in result["cards"].as_array().unwrap() {
            assert_eq!(
                (&card["action"], &card["after"]),
                (&json!("updated"), &json!("12.22.00.00"))
            );
        }
        assert_eq!(result["cards"][0]["before"], "9.99.00.00");
        let progress = agent.progress.lock().unwrap();
        assert!(
            progress[0].starts_with("flashing card 1 to 12.22.00.00"),
            "{progress:?}"
        );
    }

    #[test]
    fn only_what_is_old_is_flashed_and_nothing_is_downgraded() {
        for (versions, calls) in [
            (["12.22.00.00", "11.00.00.00"], &FLASH[2..]),
            (["11.00.00.00", "12.22.00.00"], &FLASH[..2]),
            (["12.22", "12.22.00.00"], &[]),
            (["12.22.00.01", "112.0.0.0"], &[]),
        ] {
            let tree = machine(versions, "");
            update(&tree, &Agent::default()).unwrap();
            assert_eq!(tree.changes(), calls, "{versions:?}");
        }
        let result = update(&machine(["12.22", "13.0"], ""), &Agent::default()).unwrap();
        assert_eq!(result["cards"][0]["action"], "current");
        assert_eq!(result["cards"][1]["action"], "newer, left alone");
    }

    #[test]
    fn without_a_configured_firmware_nothing_is_flashed() {
        let tree = Tree::with_two_cards("");
        let result = update(&tree, &Agent::default()).unwrap();
        assert_eq!(result["cards"][1]["action"], "no firmware is configured");
        assert_eq!(tree.changes(), [""; 0]);
    }

    #[test]
    fn one_cards_failure_leaves_the_other_its_turn() {
        for (mode, words) in [
            ("exit:1", ["card 1 at 00:05:00:00", "flashing failed"]),
            (
                "stays-old:1",
                ["after flashing it has version 9.99.00.00", "12.22.00.00"],
            ),
            ("odd-version:1", ["version \"unknown\"", "card 1"]),
        ] {
            let tree = machine(["9.99.00.00", "11.00.00.00"], mode);
            let error = update(&tree, &Agent::default()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::CommandExecution);
            let text = error.chain();
            for word in words
                .iter()
                .chain(&["\"action\":\"updated\"", "\"card\":2"])
            {
                assert!(text.contains(word), "{mode}: no {word:?}: {text}");
            }
            let changes = tree.changes();
            assert_eq!(changes[changes.len() - 2..], FLASH[2..], "{mode}");
        }
    }

    #[test]
    fn a_file_that_is_not_the_configured_one_is_never_flashed() {
        for file in ["flasher.fw", "package.bin"] {
            let tree = machine(["11.00.00.00", "12.22.00.00"], "");
            fs::write(tree.path("plugin").join(file), "other").unwrap();
            let text = update(&tree, &Agent::default()).unwrap_err().chain();
            assert!(text.contains(file) && text.contains("SHA-256"), "{text}");
            fs::remove_file(tree.path("plugin").join(file)).unwrap();
            let text = update(&tree, &Agent::default()).unwrap_err().chain();
            assert!(
                text.contains(file) && text.contains("cannot be read"),
                "{text}"
            );
            assert_eq!(tree.changes(), [""; 0]);
        }
    }

    #[test]
    fn a_card_that_the_tool_does_not_list_is_missed() {
        let tree = machine(["12.22.00.00", "12.22.00.00"], "");
        tree.set_cards(&json!([[1, "12.22.00.00", "00:05:00:00", "sdb"]]), "");
        let text = update(&tree, &Agent::default()).unwrap_err().chain();
        assert!(
            text.contains("/dev/sdc") && text.contains("\"card\":1"),
            "{text}"
        );
        tree.set_cards(&json!([]), "garbage");
        let text = update(&tree, &Agent::default()).unwrap_err().chain();
        assert!(text.contains("could not be listed"), "{text}");
    }

    #[test]
    fn after_a_cancel_no_further_card_is_begun() {
        let tree = machine(["11.00.00.00", "11.00.00.00"], "");
        let agent = Agent::default();
        agent.cancelled.store(true, Atomic::Relaxed);
        let text = update(&tree, &agent).unwrap_err().chain();
        assert!(text.contains("cancelled"), "{text}");
        assert_eq!(tree.changes(), [""; 0]);
    }

    #[test]
    fn after_a_cancel_no_further_file_is_flashed() {
        struct Cancelled(Agent);
        impl Context for Cancelled {
            fn report_progress(&self, _: Progress) {}

            fn is_cancelled(&self) -> bool {
                self.0.is_cancelled()
            }

            fn run_program(&self, program: &ProgramRequest) -> Result<ProgramOutput, ManagerError> {
                let flashes = program.arguments.contains(&"-f".to_owned());
                self.0.cancelled.fetch_or(flashes, Atomic::Relaxed);
                self.0.run_program(program)
            }
        }
        let tree = machine(["11.00.00.00", "11.00.00.00"], "");
        let text = update(&tree, &Cancelled(Agent::default()))
            .unwrap_err()
            .chain();
        assert!(text.contains("before the package"), "{text}");
        assert!(text.contains("not begun"), "{text}");
        assert_eq!(tree.changes(), FLASH[..1]);
    }

    fn compare(one: &str, other: &str) -> Ordering {
        Version::parse(one)
            .unwrap()
            .compare(&Version::parse(other).unwrap())
    }

    #[test]
    fn versions_are_compared_by_number() {
        assert_eq!(compare("12.22.00.00", "12.22"), Ordering::Equal);
        assert_eq!(compare("9.99.00.00", "12.22.00.00"), Ordering::Less);
        assert_eq!(compare("12.22.00.01", "12.22.00.00"), Ordering::Greater);
        assert_eq!(compare("112.00.09.01", "12.22.00.00"), Ordering::Greater);
        for text in ["", ".", "12.", "12.x", "+1.2", "v1", "1 .2"] {
            assert!(Version::parse(text).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_order_is_one(one in "[0-9]{1,3}(\\.[0-9]{1,3}){0,4}", other in "[0-9]{1,3}(\\.[0-9]{1,3}){0,4}") {
            assert_eq!(compare(&one, &other), compare(&other, &one).reverse());
            assert_eq!(compare(&one, &one), Ordering::Equal);
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in ".*") {
            let _ = Version::parse(&text);
        }
    }
}
