//! The cases of `tests/fixtures/partition_tables/cases.json`: which partitions Linux sees in a
//! table, and which this does. `tests/partition_tables/kernel.py` wrote them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::table::Table;
use crate::sys::hex;
use crate::sys::memory_medium::MemoryMedium;

#[derive(Deserialize)]
struct Cases {
    reasons: serde_json::Map<String, Value>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    title: String,
    block: u32,
    size: usize,
    /// Offsets and what is there, hexadecimal; all else is zero.
    content: Vec<(usize, String)>,
    kernel: Vec<Seen>,
    why: Option<String>,
}

/// A partition in units of 512 bytes, as sysfs shows it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
struct Seen {
    number: u32,
    start: u64,
    size: u64,
}

#[test]
fn partitions_are_those_of_the_kernel_or_there_is_a_reason() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/partition_tables/cases.json");
    let table: Cases = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let mut used = BTreeSet::new();
    let mut wrong = Vec::new();
    for case in &table.cases {
        let ours = Table::read(&case.medium());
        let seen = ours.as_ref().map_or(Vec::new(), seen);
        if (seen != case.kernel) != case.why.is_some() {
            wrong.push(format!(
                "{}: {ours:.200?}\n    {seen:?}\n    {:?}",
                case.title, case.kernel
            ));
        }
        used.extend(case.why.as_deref());
    }
    assert!(table.cases.len() >= 220, "{}", table.cases.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let known: BTreeSet<&str> = table.reasons.keys().map(String::as_str).collect();
    assert_eq!(used, known);
}

impl Case {
    fn medium(&self) -> MemoryMedium {
        let mut content = vec![0; self.size];
        for (offset, bytes) in &self.content {
            let bytes = hex::decode(bytes).unwrap();
            content[*offset..*offset + bytes.len()].copy_from_slice(&bytes);
        }
        MemoryMedium::of(content, self.block)
    }
}

fn seen(table: &Table) -> Vec<Seen> {
    table
        .partitions()
        .iter()
        .map(|partition| Seen {
            number: partition.number,
            start: partition.offset / 512,
            size: partition.length / 512,
        })
        .collect()
}
