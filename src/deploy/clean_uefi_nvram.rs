//! The step `clean_uefi_nvram` (contract/data-plane 5.4): boot entries that match are removed.

use farrier_plugin::StepArguments;
use regex_lite::{Regex, RegexBuilder};
use serde_json::Value;
use tracing::info;

use super::boot_entries::BootEntries;
use super::error::DeployError;
use super::fields::Fields;
use crate::sys::efivars::EfiVariables;
use crate::sys::root::Root;

/// What is removed where no patterns are named: whatever boots from a partition, or is a loader of Linux.
pub(crate) const DEFAULT_PATTERNS: [&str; 3] = [r"^HD\(", r"shim.*\.efi", r"grub.*\.efi"];

const ARGUMENT: &str = "match_patterns";

/// Remove every boot entry whose device path, in efibootmgr's words, matches one of the patterns in the
/// argument `match_patterns`.
///
/// A machine that was not booted by UEFI is an error, as with the reference: its list is out of reach, and nobody
/// knows what is in it.
pub(crate) fn clean_uefi_nvram(arguments: &StepArguments, root: &Root) -> Result<(), DeployError> {
    let patterns = patterns(arguments)?;
    if !EfiVariables::exist(root) {
        return Err(DeployError::NoBootEntries);
    }
    let entries = BootEntries::open(root)?;
    info!(
        patterns = patterns.len(),
        "removing the firmware's boot entries that match"
    );
    entries.remove_matching(|path| patterns.iter().any(|pattern| pattern.is_match(path)))
}

/// The patterns in the arguments; a null is none, as with the reference.
///
/// They run in time that grows with pattern and path alone, whatever the pattern; so there is nothing in them that
/// looks around or back, which Python's have.
fn patterns(arguments: &StepArguments) -> Result<Vec<Regex>, DeployError> {
    let refused = |value: &Value, why: String| {
        let value = arguments.large.elide(value);
        DeployError::Arguments(format!(
            "The {ARGUMENT} must be a list of strings: {value}{why}"
        ))
    };
    let Some(value) = Fields::of_arguments(arguments).value(ARGUMENT) else {
        return DEFAULT_PATTERNS
            .iter()
            .map(|pattern| {
                compile(pattern).map_err(|error| DeployError::Arguments(error.to_string()))
            })
            .collect();
    };
    let Value::Array(items) = value else {
        return Err(refused(value, String::new()));
    };
    items
        .iter()
        .map(|item| {
            let pattern = arguments
                .large
                .resolve(item)
                .ok_or_else(|| refused(value, String::new()))?;
            compile(&pattern).map_err(|error| refused(value, format!(" ({error})")))
        })
        .collect()
}

fn compile(pattern: &str) -> Result<Regex, regex_lite::Error> {
    RegexBuilder::new(pattern).case_insensitive(true).build()
}

#[cfg(test)]
mod tests;
