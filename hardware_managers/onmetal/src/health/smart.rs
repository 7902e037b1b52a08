//! `smartctl --attributes` (contract/onmetal 8.1, smartctl(8)).

use serde_json::{Value, json};

/// One line of the table.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Attribute {
    value: Option<i64>,
    worst: Option<i64>,
    threshold: Option<i64>,
    raw: Value,
    when_failed: Option<String>,
}

/// What smartctl's exit status says beyond the table: each bit is a finding of its own, and a
/// failing disk is no failure of the program (smartctl(8), EXIT STATUS).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verdict(i32);

const BITS: [(i32, &str); 8] = [
    (0, "smartctl did not understand its arguments"),
    (1, "the disk could not be opened"),
    (2, "a SMART command failed"),
    (3, "the disk says that it is failing"),
    (4, "an attribute that foretells failure is at its threshold"),
    (5, "an attribute was at its threshold in the past"),
    (6, "the error log has entries"),
    (7, "the self-test log has errors"),
];

impl Verdict {
    /// The verdict of an exit status.
    pub(crate) fn of_exit_code(code: i32) -> Self {
        Self(code)
    }

    /// Whether the disk fails, or is about to.
    pub(crate) fn is_failing(self) -> bool {
        self.0 & (1 << 3 | 1 << 4) != 0
    }

    /// All findings, in words.
    pub(crate) fn notes(self) -> Vec<&'static str> {
        BITS.iter()
            .filter(|(bit, _)| self.0 & (1 << bit) != 0)
            .map(|(_, note)| *note)
            .collect()
    }
}

impl Attribute {
    /// Numbers, or null where there is none.
    pub(crate) fn into_json(self) -> Value {
        let mut told = json!({
            "value": self.value, "worst": self.worst, "threshold": self.threshold, "raw": self.raw,
        });
        if let Some(when_failed) = self.when_failed {
            told["when_failed"] = json!(when_failed);
        }
        told
    }
}

/// The attributes by `<id>-<name>`, in the order of the table; empty where there is no table.
///
/// The words of a line are paired with the words of the table's head; surplus ones are dropped, so
/// that `38 (Min/Max 21/55)` has the raw value 38.
pub(crate) fn parse(output: &str) -> Vec<(String, Attribute)> {
    let mut lines = output.lines().skip_while(|line| !line.starts_with("ID#"));
    let Some(head) = lines.next() else {
        return Vec::new();
    };
    let columns: Vec<&str> = head.split_whitespace().skip(2).collect();
    lines.map_while(|line| attribute(line, &columns)).collect()
}

/// `None` ends the table.
fn attribute(line: &str, columns: &[&str]) -> Option<(String, Attribute)> {
    let mut words = line.split_whitespace();
    let id = words.next().filter(|id| id.parse::<u8>().is_ok())?;
    let key = format!("{id}-{}", words.next()?);
    let mut attribute = Attribute::default();
    for (column, word) in columns.iter().zip(words) {
        match *column {
            "VALUE" => attribute.value = word.parse().ok(),
            "WORST" => attribute.worst = word.parse().ok(),
            "THRESH" => attribute.threshold = word.parse().ok(),
            "RAW_VALUE" => attribute.raw = number(word),
            "WHEN_FAILED" if word != "-" => attribute.when_failed = Some(word.to_owned()),
            _ => {}
        }
    }
    Some((key, attribute))
}

/// A whole number where it is one, else one with a fraction, else the digits that it begins with:
/// `12345h+30m+12.345s` are hours. Null for what is no number at all.
pub(crate) fn number(word: &str) -> Value {
    if let Ok(whole) = word.parse::<i64>() {
        return json!(whole);
    }
    if let Ok(fraction) = word.parse::<f64>()
        && fraction.is_finite()
    {
        return json!(fraction);
    }
    let digits = word.len() - word.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    word[..digits]
        .parse::<i64>()
        .map_or(Value::Null, Value::from)
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::proptest;

    use super::*;

    /// The table of contract/onmetal 8.1, and two lines that are odd.
    pub(in crate::health) const OUTPUT: &str = "\
smartctl 7.3 2022-02-28 r5338 [x86_64-linux-6.1.0] (local build)

=== START OF READ SMART DATA SECTION ===
SMART Attributes Data Structure revision number: 16
Vendor Specific SMART Attributes with Thresholds:
ID# ATTRIBUTE_NAME          FLAG     VALUE WORST THRESH TYPE      UPDATED  WHEN_FAILED RAW_VALUE
  1 Raw_Read_Error_Rate     0x000a   100   100   000    Old_age   Always       -       0
  9 Power_On_Hours          0x0012   100   100   000    Old_age   Always       -       4021
167 Unknown_Attribute       0x0022   100   100   000    Old_age   Always       -       12h+30m
194 Temperature_Celsius     0x0023   100   100   030    Pre-fail  Always   FAILING_NOW 38 (Min/Max 21/55)

";

    #[test]
    fn the_table_becomes_numbers() {
        let attributes = parse(OUTPUT);
        let keys: Vec<&str> = attributes.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(
            keys,
            [
                "1-Raw_Read_Error_Rate",
                "9-Power_On_Hours",
                "167-Unknown_Attribute",
                "194-Temperature_Celsius"
            ]
        );
        let told: Vec<Value> = attributes
            .into_iter()
            .map(|(_, attribute)| attribute.into_json())
            .collect();
        assert_eq!(told[0]["raw"], 0, "a zero is a value");
        assert_eq!(
            told[1],
            json!({ "value": 100, "worst": 100, "threshold": 0, "raw": 4021 })
        );
        assert_eq!(told[2]["raw"], 12);
        assert_eq!(told[3]["raw"], 38);
        assert_eq!(told[3]["when_failed"], "FAILING_NOW");
    }

    #[test]
    fn what_has_no_table_has_no_attributes() {
        for text in ["", "SMART support is: Unavailable", "ID#", "ID# NAME\n"] {
            assert_eq!(parse(text), []);
        }
    }

    #[test]
    fn every_bit_of_the_exit_status_is_a_finding() {
        assert!(Verdict::of_exit_code(0).notes().is_empty());
        let failing = Verdict::of_exit_code(0b1000 | 0b0100_0000);
        assert!(failing.is_failing());
        assert_eq!(
            failing.notes(),
            [
                "the disk says that it is failing",
                "the error log has entries"
            ]
        );
        assert!(!Verdict::of_exit_code(0b1110_0100).is_failing());
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "(.|\n)*") {
            for (_, attribute) in parse(&text).into_iter().chain(parse(&format!("{OUTPUT}{text}"))) {
                let told = attribute.into_json();
                assert!(told["raw"].is_number() || told["raw"].is_null(), "{told}");
            }
        }

        #[test]
        fn any_word_is_a_number_or_null(word in "\\PC*") {
            let number = number(&word);
            assert!(number.is_number() || number.is_null());
        }
    }
}
