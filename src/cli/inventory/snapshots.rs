//! The inventory of every recorded machine, compared with the one that is kept beside it.
//!
//! `FARRIER_SNAPSHOTS=write cargo test -p farrier --lib snapshots` writes what the readers give
//! now; `git diff` then shows what changed for whom.

use std::fs;

use super::{Arguments, managers};
use crate::sys::recording::{Recording, machines, place};

/// Set to `write`, the kept inventories are replaced.
const VARIABLE: &str = "FARRIER_SNAPSHOTS";

#[test]
fn every_recorded_machine_has_its_inventory() {
    let write = std::env::var_os(VARIABLE).is_some_and(|value| value == "write");
    let mut differing = Vec::new();
    for machine in machines() {
        let recording = Recording::of(&machine);
        let arguments = Arguments {
            lldp: true,
            ..Arguments::default()
        };
        let inventory = managers(&recording.root(), &arguments)
            .unwrap()
            .inventory()
            .unwrap();
        let text = serde_json::to_string_pretty(&*inventory).unwrap() + "\n";
        let kept = place(&machine).join("inventory.json");
        if write {
            fs::write(kept, text).unwrap();
        } else if fs::read_to_string(&kept).ok().as_deref() != Some(text.as_str()) {
            println!(
                "{}",
                difference(&fs::read_to_string(kept).unwrap_or_default(), &text)
            );
            differing.push(machine);
        }
    }
    assert!(
        differing.is_empty(),
        "the inventories of these machines changed: {differing:?}; if they should, run the test \
         with {VARIABLE}=write"
    );
}

/// The lines that are only in one of them: `-` kept, `+` now.
fn difference(kept: &str, now: &str) -> String {
    let only = |sign: &str, these: &str, others: &str| -> String {
        these
            .lines()
            .filter(|line| !others.lines().any(|other| other == *line))
            .map(|line| format!("{sign}{line}\n"))
            .collect()
    };
    only("-", kept, now) + &only("+", now, kept)
}
