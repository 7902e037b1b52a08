//! Every option as a row of the operators' guide (docs/operators/options.md), which `tests/manual.rs`
//! writes and compares.

use super::options::{ENTRIES, READERS};

/// What the guide tells of an option.
pub struct Row {
    /// The group in a configuration file.
    pub group: &'static str,
    /// The name in a configuration file and, in the group DEFAULT, of the flag.
    pub name: &'static str,
    /// The kernel parameter that sets it, where there is one.
    pub kernel: Option<&'static str>,
    /// How its value is read: the reader of `src/config/options.rs` with what it is given, such as
    /// `number(1..=MAX)`.
    pub reader: &'static str,
    /// The default as it could be set; empty where there is none.
    pub default: String,
    /// What it is for.
    pub purpose: String,
    /// Whether its value is kept out of logs, messages and the log archive.
    pub secret: bool,
}

/// All of them, in the contract's order.
pub fn rows() -> Vec<Row> {
    let entries = ENTRIES.iter().zip(READERS);
    let rows = entries.map(|(entry, reader)| Row {
        group: entry.group,
        name: entry.name,
        kernel: entry.kernel,
        reader,
        default: entry.default(),
        purpose: entry.purpose(),
        secret: entry.secret,
    });
    rows.collect()
}
