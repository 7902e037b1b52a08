//! The step that brings flash cards to the configured firmware (contract 6).

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
                crate::failures::chain(&error)
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
    if context.is_cancelled() {
        return Err(FirmwareError::Cancelled);
    }
    let (preflash, package) = wanted.files();
    // Both are looked at before the first is flashed: a card with a new flasher and no package for
    // it would be between two versions.
    let checked =
        |file: Option<FirmwareFile>| file.map(|file| check(configuration, &file)).transpose();
    let (preflash, package) = (checked(preflash)?, checked(package)?);
    let what = format!("flashing card {} to {wanted_text}", card.id);
    if let Some(file) = preflash {
        tool.preflash(card.id, &file, &what)
            .map_err(FirmwareError::Flash)?;
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
    use proptest::prelude::proptest;

    use super::*;

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
