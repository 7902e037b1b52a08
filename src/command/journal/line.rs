//! The lines of the journal: one JSON object each.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::error::JournalError;
use crate::command::outcome::{ErrorObject, Outcome, Status};

/// The form of the lines.
pub(super) const VERSION: u32 = 1;

/// What a line says.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Line {
    /// The first line.
    Journal { version: u32, boot: String },
    /// A command is about to run.
    Started {
        id: Uuid,
        name: String,
        /// It is an erase of disks.
        #[serde(default)]
        erases: bool,
        at: f64,
    },
    /// It has ended.
    Ended {
        id: Uuid,
        status: Status,
        error: Option<ErrorObject>,
        result: Value,
        at: f64,
    },
    /// It was refused for its parameters, which leaves no result (contract/control-plane 5.5).
    Refused { id: Uuid },
}

/// A command as the journal has it.
pub(super) struct Entry {
    /// Its id.
    pub(super) id: Uuid,
    /// Its bare name.
    pub(super) name: String,
    /// Whether it is an erase of disks.
    pub(super) erases: bool,
    /// How it ended, where it did.
    pub(super) outcome: Option<Outcome>,
}

/// The boot and the commands in these complete lines; `None` where there is no line.
pub(super) fn parse(
    path: &Path,
    text: &[u8],
) -> Result<Option<(String, Vec<Entry>)>, JournalError> {
    let Some(lines) = text.strip_suffix(b"\n") else {
        return Ok(None);
    };
    let mut of_boot = String::new();
    let mut entries: Vec<Entry> = Vec::new();
    for (index, line) in lines.split(|byte| *byte == b'\n').enumerate() {
        let damaged = |reason: String| JournalError::Damaged {
            path: path.to_owned(),
            line: index + 1,
            reason,
        };
        let line = serde_json::from_slice(line).map_err(|error| damaged(error.to_string()))?;
        let position = |id: Uuid| {
            entries
                .iter()
                .rposition(|entry| entry.id == id && entry.outcome.is_none())
                .ok_or_else(|| damaged(format!("{id} ends without having started")))
        };
        match line {
            Line::Journal {
                version: VERSION,
                boot,
            } if index == 0 => of_boot = boot,
            Line::Journal { version, .. } => {
                return Err(damaged(format!("unexpected version {version}")));
            }
            _ if index == 0 => return Err(damaged("no version".to_owned())),
            Line::Started {
                id, name, erases, ..
            } => entries.push(Entry {
                id,
                name,
                erases,
                outcome: None,
            }),
            Line::Ended {
                id,
                status,
                error,
                result,
                ..
            } => {
                let position = position(id)?;
                entries[position].outcome = Some(Outcome {
                    status,
                    error,
                    result,
                });
            }
            Line::Refused { id } => {
                let position = position(id)?;
                entries.remove(position);
            }
        }
    }
    Ok(Some((of_boot, entries)))
}
