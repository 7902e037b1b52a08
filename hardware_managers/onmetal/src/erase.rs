//! Secure erase of a flash card: find the card of a disk, let it format itself, prove it.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use farrier_plugin::{BlockDevice, Context, ErrorKind, LogLevel, ManagerError};
use serde_json::{Value, json};

use crate::configuration::Configuration;
use crate::failures::failed;
use crate::listing::Card;
use crate::machine::{Disk, Machine};
use crate::pci::PciAddress;
use crate::proof::{self, ProofError};
use crate::tool::{ToolError, Turns};

/// How often it is looked whether the disk is back.
const POLL: Duration = Duration::from_millis(500);

/// What the erases of this run did, for the log archive that the conductor collects.
#[derive(Debug, Default)]
pub(crate) struct Records(Mutex<Vec<Value>>);

impl Records {
    /// One for each erase that began, as JSON; `None` before the first.
    pub(crate) fn to_text(&self) -> Option<String> {
        let records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (!records.is_empty()).then(|| format!("{:#}\n", Value::from(records.clone())))
    }

    fn add(&self, record: Value) {
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        records.push(record);
    }
}

/// What an erase needs to know.
pub(crate) struct Erase<'e> {
    pub(crate) configuration: &'e Configuration,
    pub(crate) machine: &'e Machine,
    pub(crate) turns: &'e Turns,
    pub(crate) records: &'e Records,
    pub(crate) context: &'e dyn Context,
}

impl Erase<'_> {
    /// Erase the flash card that this disk is; decline every other disk.
    ///
    /// Whether the disk may be erased at all (a ramdisk, the node's skip list, file systems of
    /// several machines) is decided by the agent before it asks anybody, for all disks of the step
    /// (`src/hardware/generic/erase.rs`). What is checked here is what the agent does not know: the
    /// unit that a format touches is the card, not the disk.
    pub(crate) fn run(&self, device: &BlockDevice) -> Result<Value, ManagerError> {
        let model = device.model.as_deref().unwrap_or_default().trim();
        if self.configuration.card(model).is_none() {
            return Err(failed(
                ErrorKind::IncompatibleHardwareMethod,
                format!(
                    "{} is \"{model}\", no flash card that is configured",
                    device.name
                ),
            ));
        }
        let (disk, address) = self.disk(device)?;
        if disk.is_read_only {
            // The agent's own manager skips such a disk or fails, as the node's flags say.
            return Err(failed(
                ErrorKind::IncompatibleHardwareMethod,
                format!("{} is read-only, so its card is not formatted", device.name),
            ));
        }
        self.check_neighbours(&disk, address)?;
        let start = Instant::now();
        let result = self.format_and_prove(&disk, address, model);
        let mut record = json!({
            "device": device.name, "model": model, "serial": device.serial,
            "pci": address.to_string(), "method": "warpdrive-format",
            "duration_s": start.elapsed().as_secs(),
        });
        match &result {
            Ok((card, proof)) => {
                record["card"] = json!(card.id);
                record["firmware"] = json!(card.version);
                record["proof"] = proof.clone();
                record["result"] = json!("erased");
            }
            Err(error) => record["result"] = json!(error.chain()),
        }
        self.records.add(record.clone());
        let level = match result {
            Ok(_) => LogLevel::Info,
            Err(_) => LogLevel::Error,
        };
        self.context.log(level, &format!("erase record: {record}"));
        result.map(|_| record)
    }

    fn disk(&self, device: &BlockDevice) -> Result<(Disk, PciAddress), ManagerError> {
        let name = device.name.strip_prefix("/dev/").unwrap_or(&device.name);
        let disk = self.machine.disk(name).ok_or_else(|| {
            failed(
                ErrorKind::Cleaning,
                format!("{} is not in /sys/block: is it gone?", device.name),
            )
        })?;
        let address = disk.address.ok_or_else(|| {
            failed(
                ErrorKind::Cleaning,
                format!(
                    "{} hangs on no PCI function, so no card is its own",
                    device.name
                ),
            )
        })?;
        Ok((disk, address))
    }

    /// A format erases everything behind the card, so nothing else may be there; and the tool's
    /// address must mean one card only: it shows the low byte of the PCI domain.
    fn check_neighbours(&self, disk: &Disk, address: PciAddress) -> Result<(), ManagerError> {
        for other in self.machine.disks() {
            let Some(elsewhere) = other.address.filter(|_| other.name != disk.name) else {
                continue;
            };
            if elsewhere == address {
                return Err(failed(
                    ErrorKind::ProtectedDevice,
                    format!(
                        "/dev/{} shares the PCI function {address} with /dev/{}, which a format \
                         of the card would erase too",
                        disk.name, other.name
                    ),
                ));
            }
            let is_card = self.configuration.card(&other.model).is_some();
            if is_card && elsewhere.for_tool() == address.for_tool() {
                return Err(failed(
                    ErrorKind::Cleaning,
                    format!(
                        "The flash-card tool shows the PCI addresses {address} of /dev/{} and \
                         {elsewhere} of /dev/{} as the same {}, so it cannot be said which card \
                         is which",
                        disk.name,
                        other.name,
                        address.for_tool()
                    ),
                ));
            }
        }
        Ok(())
    }

    fn format_and_prove(
        &self,
        disk: &Disk,
        address: PciAddress,
        model: &str,
    ) -> Result<(Card, Value), ManagerError> {
        let name = &disk.name;
        let not_erased = |what: &str, error: ToolError| {
            failed(
                ErrorKind::BlockDeviceErase,
                format!("/dev/{name} must be taken for not erased: {what}"),
            )
            .with_source(error)
        };
        let tool = self
            .turns
            .take(self.configuration, self.context)
            .map_err(|error| not_erased("nothing was done", error))?;
        let cards = tool.cards().map_err(|error| {
            failed(
                ErrorKind::Cleaning,
                format!("The card of /dev/{name} could not be looked for"),
            )
            .with_source(error)
        })?;
        let card = card_at(&cards, address, name, model)?;
        let marked = proof::mark(&self.machine.node(name))
            .map_err(|error| unproven(name, "before its format", error))?;
        let what = format!("formatting flash card {} (/dev/{name})", card.id);
        tool.format(card.id, &what).map_err(|error| {
            not_erased(&format!("the format of card {} failed", card.id), error)
        })?;
        drop(tool);
        let node = self.wait_for(address, name, model)?;
        let proof = marked
            .prove(&node)
            .map_err(|error| unproven(name, "after its format", error))?;
        Ok((card, proof.to_json()))
    }

    /// The disk after the format, which may have come back under another name.
    fn wait_for(
        &self,
        address: PciAddress,
        name: &str,
        model: &str,
    ) -> Result<PathBuf, ManagerError> {
        let until = Instant::now() + self.configuration.settle_timeout();
        loop {
            let disks = self.machine.disks();
            let mut here = disks
                .iter()
                .filter(|disk| disk.address == Some(address) && disk.model == model);
            if let (Some(disk), None) = (here.next(), here.next()) {
                let node = self.machine.node(&disk.name);
                if node.exists() {
                    return Ok(node);
                }
            }
            if Instant::now() >= until {
                return Err(failed(
                    ErrorKind::BlockDeviceErase,
                    format!(
                        "/dev/{name} must be taken for not erased: {} s after its format there \
                         is no disk at the PCI address {address}",
                        self.configuration.settle_timeout().as_secs()
                    ),
                ));
            }
            sleep(POLL);
        }
    }
}

/// The one card at this address. An error here means that nothing was touched, which is why it is
/// none of erasing (contract/onmetal 5).
pub(crate) fn card_at(
    cards: &[Card],
    address: PciAddress,
    name: &str,
    model: &str,
) -> Result<Card, ManagerError> {
    let wrong = |details: String| Err(failed(ErrorKind::Cleaning, details));
    let mut there = cards
        .iter()
        .filter(|card| card.address == address.for_tool());
    match (there.next(), there.next()) {
        (Some(card), None) if card.model == model => Ok(card.clone()),
        (Some(card), None) => wrong(format!(
            "At the PCI address {address} the flash-card tool lists a \"{}\", and /dev/{name} is \
             a \"{model}\"",
            card.model
        )),
        (None, _) => wrong(format!(
            "Unable to locate a flash card with a PCI address matching {address} for block device \
             /dev/{name}; the tool lists {}",
            listed(cards)
        )),
        (Some(_), Some(_)) => wrong(format!(
            "Found multiple flash cards with a PCI address matching {address} for block device \
             /dev/{name}; the tool lists {}",
            listed(cards)
        )),
    }
}

fn listed(cards: &[Card]) -> String {
    let texts: Vec<String> = cards
        .iter()
        .map(|card| format!("card {} at {}", card.id, card.address))
        .collect();
    if texts.is_empty() {
        "none".to_owned()
    } else {
        texts.join(", ")
    }
}

fn unproven(name: &str, when: &str, error: ProofError) -> ManagerError {
    let kind = match error {
        ProofError::InUse => ErrorKind::ProtectedDevice,
        _ => ErrorKind::BlockDeviceErase,
    };
    failed(
        kind,
        format!("/dev/{name} must be taken for not erased: {when}"),
    )
    .with_source(error)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::atomic::Ordering;
    use std::thread;

    use farrier_plugin::HardwareManager;
    use serde_json::json;

    use super::*;
    use crate::OnMetalHardwareManager;
    use crate::stand_in::{Agent, MODEL, Tree, device, node};

    const FORMAT: &str = "-c 1 -format -op -level nom -s";

    fn erase(manager: &OnMetalHardwareManager, name: &str) -> Result<Value, ManagerError> {
        manager.erase_block_device(&Agent::default(), &node(json!({})), &device(name, MODEL))
    }

    fn refusal(tree: &Tree, name: &str) -> ManagerError {
        erase(&tree.manager(), name).unwrap_err()
    }

    #[test]
    fn a_card_formats_itself_once_and_is_proven_erased() {
        let tree = Tree::with_two_cards("");
        let manager = tree.manager();
        let agent = Agent::default();
        let record = manager
            .erase(&agent)
            .unwrap()
            .run(&device("sdb", MODEL))
            .unwrap();
        assert_eq!(tree.calls(), ["-listall", FORMAT]);
        assert!(tree.is_zero("sdb") && tree.is_untouched("sdc"));
        assert_eq!(record["method"], "warpdrive-format");
        assert_eq!(
            (&record["card"], &record["result"]),
            (&json!(1), &json!("erased"))
        );
        assert_eq!(record["proof"]["erased_byte"], "0x00");
        let progress = agent.progress.lock().unwrap();
        assert!(
            progress[0].starts_with("formatting flash card 1 (/dev/sdb)"),
            "{progress:?}"
        );
        let logs = manager.collect_system_logs().unwrap();
        assert!(String::from_utf8_lossy(&logs[0].1).contains("warpdrive-format"));
    }

    #[test]
    fn other_disks_are_declined_with_the_reason() {
        let tree = Tree::with_two_cards("");
        tree.add_disk("sda", "pci0000:00/0000:00:1f.2", "32G MLC SATADOM");
        let error = tree
            .manager()
            .erase_block_device(
                &Agent::default(),
                &node(json!({})),
                &device("sda", "32G MLC SATADOM"),
            )
            .unwrap_err();
        assert!(error.declines());
        assert!(error.to_string().contains("32G MLC SATADOM"), "{error}");
        assert_eq!(tree.calls(), [""; 0]);
    }

    #[test]
    fn a_read_only_card_is_left_to_the_agents_own_rules() {
        let tree = Tree::with_two_cards("");
        fs::write(tree.path("sys/block/sdb/ro"), "1").unwrap();
        assert!(refusal(&tree, "sdb").declines());
        assert_eq!(tree.calls(), [""; 0]);
    }

    /// Nothing is formatted, and nothing is written to the disk.
    fn is_refused(tree: &Tree, name: &str, kind: ErrorKind, words: &[&str]) {
        let error = refusal(tree, name);
        assert_eq!(error.kind(), kind, "{error}");
        let text = error.chain();
        for word in words {
            assert!(text.contains(word), "no {word:?}: {text}");
        }
        assert_eq!(tree.changes(), [""; 0]);
        assert!(tree.is_untouched(name));
    }

    #[test]
    fn without_one_card_at_the_address_nothing_is_formatted() {
        let tree = Tree::with_two_cards("");
        for (cards, words) in [
            (
                json!([]),
                vec!["Unable to locate", "0000:05:00.0", "lists none"],
            ),
            (
                json!([[2, "12.22.00.00", "00:05:00:01", "sdc"]]),
                vec!["Unable to locate", "card 2 at 00:05:00:01"],
            ),
            (
                json!([
                    [1, "12.22.00.00", "00:05:00:00", "sdb"],
                    [2, "12.22.00.00", "00:05:00:00", "sdc"],
                ]),
                vec!["Found multiple", "/dev/sdb"],
            ),
            (
                json!([[1, "12.22.00.00", "05:00.0", "sdb"]]),
                vec!["could not be looked for", "four parts"],
            ),
        ] {
            tree.set_cards(&cards, "");
            is_refused(&tree, "sdb", ErrorKind::Cleaning, &words);
        }
        tree.set_cards(&json!([[1, "1.0", "00:05:00:00", "sdb"]]), "garbage");
        is_refused(
            &tree,
            "sdb",
            ErrorKind::Cleaning,
            &["could not be looked for"],
        );
        fs::remove_file(tree.path("plugin/state.json")).unwrap();
        is_refused(
            &tree,
            "sdb",
            ErrorKind::Cleaning,
            &["-listall", "exit status 1"],
        );
    }

    #[test]
    fn a_card_that_carries_another_disk_is_protected() {
        let tree = Tree::with_two_cards("");
        tree.add_disk("sddd", "pci0000:00/0000:00:02.0/0000:05:00.0", "OTHER");
        is_refused(
            &tree,
            "sdb",
            ErrorKind::ProtectedDevice,
            &["/dev/sddd", "0000:05:00.0"],
        );
    }

    #[test]
    fn a_second_card_of_the_same_shown_address_is_no_guess() {
        let tree = Tree::with_two_cards("");
        tree.add_disk("sdd", "pci10000:00/10000:00:02.0/10000:05:00.0", MODEL);
        is_refused(
            &tree,
            "sdb",
            ErrorKind::Cleaning,
            &["10000:05:00.0", "/dev/sdd"],
        );
    }

    #[test]
    fn a_disk_that_is_not_there_is_named() {
        let tree = Tree::with_two_cards("");
        assert!(refusal(&tree, "sdx").to_string().contains("/dev/sdx"));
        fs::remove_file(tree.path("dev/sdb")).unwrap();
        let error = refusal(&tree, "sdb");
        assert_eq!(error.kind(), ErrorKind::BlockDeviceErase);
        assert_eq!(tree.changes(), [""; 0]);
    }

    #[test]
    fn a_format_that_does_not_say_that_it_succeeded_failed() {
        for (mode, words) in [
            (
                "no-sentence",
                ["without the sentence", "Execution completed successfully."],
            ),
            ("exit", ["exit status 3", "firmware fault 0x5854"]),
            ("garbage:1", ["without the sentence", "}}}"]),
        ] {
            let tree = Tree::with_two_cards(mode);
            let error = refusal(&tree, "sdb");
            assert_eq!(error.kind(), ErrorKind::BlockDeviceErase, "{mode}");
            let text = error.chain();
            for word in ["/dev/sdb", "not erased", "card 1"].iter().chain(&words) {
                assert!(text.contains(word), "{mode}: no {word:?}: {text}");
            }
            assert_eq!(tree.changes(), [FORMAT], "{mode}");
        }
    }

    #[test]
    fn a_format_that_lied_is_found_out() {
        for (mode, word) in [("keeps-data", "byte 0 "), ("keeps-end", "byte 3145728 ")] {
            let tree = Tree::with_two_cards(mode);
            let text = refusal(&tree, "sdb").chain();
            assert!(
                text.contains(word) && text.contains("still there"),
                "{mode}: {text}"
            );
        }
    }

    #[test]
    fn a_card_that_goes_in_the_middle_is_not_erased() {
        let tree = Tree::with_two_cards("vanish");
        let error = refusal(&tree, "sdb");
        assert_eq!(error.kind(), ErrorKind::BlockDeviceErase);
        assert!(
            error
                .chain()
                .contains("no disk at the PCI address 0000:05:00.0"),
            "{error}"
        );
    }

    #[test]
    fn a_disk_may_come_back_under_another_name() {
        let tree = Tree::with_two_cards("");
        let script = "python3 \"${0%/*}/ddoemcli\" \"$@\" || exit $?\n\
                      case \"$3\" in -format) cd \"${0%/*}/..\";\n\
                      mv sys/block/sdb sys/block/sde; mv dev/sdb dev/sde;; esac";
        tree.add_program("renaming", script);
        let configuration = fs::read_to_string(tree.path("plugin/onmetal.toml")).unwrap();
        fs::write(
            tree.path("plugin/onmetal.toml"),
            configuration.replace("'ddoemcli'", "'renaming'"),
        )
        .unwrap();
        erase(&tree.manager(), "sdb").unwrap();
        assert!(tree.is_zero("sde"));
    }

    #[test]
    fn a_format_that_hangs_ends_at_its_limit() {
        let tree = Tree::with_two_cards("hang");
        tree.configure("format_timeout_s = 1");
        let text = refusal(&tree, "sdb").chain();
        assert!(text.contains("did not end within 1 s"), "{text}");
    }

    #[test]
    fn two_cards_take_turns() {
        let tree = Tree::with_two_cards("");
        let state = fs::read_to_string(tree.path("plugin/state.json")).unwrap();
        let mut state: Value = serde_json::from_str(&state).unwrap();
        state["format_seconds"] = json!(0.5);
        fs::write(tree.path("plugin/state.json"), state.to_string()).unwrap();
        let manager = tree.manager();
        thread::scope(|scope| {
            let second = scope.spawn(|| erase(&manager, "sdc"));
            erase(&manager, "sdb").unwrap();
            second.join().unwrap().unwrap();
        });
        assert!(tree.is_zero("sdb") && tree.is_zero("sdc"));
        let calls = tree.calls();
        assert_eq!(calls.len(), 4);
        assert!(
            calls[0] == "-listall" && calls[1].contains("-format"),
            "{calls:?}"
        );
        assert!(
            calls[2] == "-listall" && calls[3].contains("-format"),
            "{calls:?}"
        );
    }

    #[test]
    fn one_that_waits_for_its_turn_can_be_cancelled() {
        let tree = Tree::with_two_cards("");
        let manager = tree.manager();
        let turns = &manager.turns;
        let configuration = manager.configuration().unwrap();
        let silent = Agent::default();
        let taken = turns.take(configuration, &silent).unwrap();
        let agent = Agent::default();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                manager.erase_block_device(&agent, &node(json!({})), &device("sdb", MODEL))
            });
            while agent.progress.lock().unwrap().is_empty() {
                sleep(Duration::from_millis(5));
            }
            agent.cancelled.store(true, Ordering::Relaxed);
            let error = waiting.join().unwrap().unwrap_err();
            assert!(error.chain().contains("nothing was done"), "{error}");
        });
        drop(taken);
        assert_eq!(tree.calls(), [""; 0]);
        assert!(tree.is_untouched("sdb"));
    }
}
