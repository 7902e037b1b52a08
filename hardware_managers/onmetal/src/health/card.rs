//! `ddoemcli -c <id> -health` (contract/onmetal 8.2).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::smart::number;

/// Between the blocks of two SSDs.
const BLOCK: &str = "SSD Drive SMART";

/// What one SSD of a card says.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Slot {
    values: Map<String, Value>,
    overall: Option<String>,
    warranty_percent: Value,
}

/// Why a health report cannot be relied on.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum HealthError {
    /// It reports on no SSD.
    #[error("it has no block \"{BLOCK}\"")]
    NoBlock,
    /// A block does not say which SSD it is about.
    #[error("the block \"{0}\" does not begin with a slot and a serial number")]
    Head(String),
    /// A block has no values.
    #[error("the block of {0} has no cumulative values")]
    NoValues(String),
    /// Two blocks are about one SSD.
    #[error("there are two blocks of {0}")]
    Twice(String),
}

impl Slot {
    /// Whether the card says anything but "GOOD" of it.
    pub(crate) fn is_failing(&self) -> bool {
        self.overall
            .as_deref()
            .is_some_and(|overall| !overall.eq_ignore_ascii_case("GOOD"))
    }

    /// Numbers by name.
    pub(crate) fn into_json(self) -> Value {
        json!({
            "values": self.values, "overall_health": self.overall,
            "warranty_remaining_percent": self.warranty_percent,
        })
    }
}

/// The SSDs of a card by `<slot>_<serial>`. Values are cumulative ones: the block before them covers
/// only the time since the last power cycle.
pub(crate) fn parse(report: &str) -> Result<BTreeMap<String, Slot>, HealthError> {
    let mut slots = BTreeMap::new();
    for block in report.split(BLOCK).skip(1) {
        let (key, slot) = parse_block(block)?;
        if slot.values.is_empty() {
            return Err(HealthError::NoValues(key));
        }
        if slots.insert(key.clone(), slot).is_some() {
            return Err(HealthError::Twice(key));
        }
    }
    if slots.is_empty() {
        return Err(HealthError::NoBlock);
    }
    Ok(slots)
}

fn parse_block(block: &str) -> Result<(String, Slot), HealthError> {
    let mut lines = block.lines().map(str::trim);
    let head = lines.next().unwrap_or_default();
    let key = key(head).ok_or_else(|| HealthError::Head(head.chars().take(200).collect()))?;
    let mut slot = Slot::default();
    let mut is_cumulative = false;
    for line in lines {
        if line.starts_with("--------------") {
            is_cumulative = line.contains(" Cumulative");
        } else if let Some(rest) = line.strip_prefix("Warranty Remaining") {
            is_cumulative = false;
            slot.warranty_percent = after_colon(rest).map_or(Value::Null, number);
        } else if let Some(rest) = line.strip_prefix("Overall Health") {
            slot.overall = after_colon(rest).map(str::to_owned);
        } else if is_cumulative && let Some((name, value)) = value(line) {
            slot.values.insert(name, value);
        }
    }
    Ok((key, slot))
}

/// `Data Slot #: 4: Drive Serial Number  ZZ00AA1B` is `4_ZZ00AA1B`; the whole number counts, of
/// which the 2015 module took one digit.
fn key(head: &str) -> Option<String> {
    let rest = head.strip_prefix("Data Slot #:")?;
    let (slot, rest) = rest.split_once(':')?;
    let slot: u32 = slot.trim().parse().ok()?;
    let serial = rest.trim().strip_prefix("Drive Serial Number")?.trim();
    let is_word = !serial.is_empty() && !serial.contains(char::is_whitespace);
    is_word.then(|| format!("{slot}_{serial}"))
}

fn after_colon(text: &str) -> Option<&str> {
    text.split_once(':')?.1.split_whitespace().next()
}

/// Name and value of a line; `None` for an empty one, and for an age in hours and minutes.
fn value(line: &str) -> Option<(String, Value)> {
    let mut words: Vec<&str> = line.split_whitespace().collect();
    if line.ends_with("(Hours:Minutes:Seconds)") {
        return None;
    }
    let unit = if line.ends_with("(degree C)") {
        2
    } else if line.ends_with("(Gigabytes)") || line.ends_with("(%)") {
        1
    } else {
        0
    };
    words.truncate(words.len().saturating_sub(unit));
    let value = number(words.pop()?);
    if words.is_empty() {
        return None;
    }
    Some((words.concat().replace(['(', ')', '/', '\\'], "_"), value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::proptest;

    use super::*;

    const REPORT: &str = include_str!("../../../../tests/fixtures/onmetal/health.txt");

    #[test]
    fn four_ssds_have_seventeen_values_each() {
        let slots = parse(REPORT).unwrap();
        let keys: Vec<&str> = slots.keys().map(String::as_str).collect();
        assert_eq!(
            keys,
            ["12_ZZ00AA1E", "4_ZZ00AA1B", "5_ZZ00AA1C", "6_ZZ00AA1D"]
        );
        for (key, slot) in &slots {
            assert_eq!(slot.values.len(), 17, "{key}: {:?}", slot.values);
            assert!(slot.values.values().all(Value::is_number), "{key}");
        }
        let told = &slots["4_ZZ00AA1B"];
        for (name, value) in [
            ("RetiredBlockCount", json!(0)),
            ("Power-OnHours", json!(812.3)),
            ("GigabytesErased", json!(412)),
            ("Reserved_over-provisioned_Blocks", json!(31744)),
            ("I_OErrorDetectionCodeRate", json!(0)),
            ("MaximumLifetimeTemperature", json!(77)),
            ("SSDLifeLeft_PECycles_", json!(99)),
            ("WriteAmplification", json!(1.11)),
        ] {
            assert_eq!(told.values[name], value, "{name}");
        }
        assert!(
            !told.values.contains_key("CurrentTemperature"),
            "of the last power cycle"
        );
        assert!(!told.values.contains_key("CachedSMARTDataAge"));
        assert!(!told.is_failing());
        assert!(slots["12_ZZ00AA1E"].is_failing());
        assert_eq!(told.warranty_percent, 100);
    }

    #[test]
    fn a_report_that_lacks_something_is_refused() {
        for (report, wrong) in [
            (String::new(), HealthError::NoBlock),
            (
                REPORT.replace("Slot #: 5:", "Slot #: five:"),
                HealthError::Head(
                    "Data Slot #: five: Drive Serial Number             ZZ00AA1C".to_owned(),
                ),
            ),
            (
                REPORT.replace("Cumulative", "Other"),
                HealthError::NoValues("4_ZZ00AA1B".to_owned()),
            ),
            (
                REPORT
                    .replace("Slot #: 5:", "Slot #: 4:")
                    .replace("AA1C", "AA1B"),
                HealthError::Twice("4_ZZ00AA1B".to_owned()),
            ),
        ] {
            assert_eq!(parse(&report), Err(wrong));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "(.|\n)*", at in 0_usize..4000) {
            let _ = parse(&text);
            let at = at.min(REPORT.len());
            let _ = parse(&format!("{}{text}{}", &REPORT[..at], &REPORT[at..]));
        }
    }
}
