//! Lists of suites: what OpenSSL makes of them, and what this does. `tests/cipher_lists/reference.py`
//! asked it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::Value;

use super::*;

#[test]
fn each_list_selects_what_openssl_selects() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cipher_lists/cases.json");
    let table: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let names: Vec<&str> = SUITES.iter().map(|suite| suite.name).collect();
    assert_eq!(table["offered"], serde_json::json!(names));
    let cases = table["cases"].as_array().unwrap();
    assert!(cases.len() > 900, "{}", cases.len());
    let mut wrong = Vec::new();
    let mut used = BTreeSet::new();
    for case in cases {
        let list = case["list"].as_str().unwrap();
        let selection = Selection::of(Some(list));
        let ours = match &selection.refused {
            Some(_) => None,
            None => Some(
                selection
                    .places
                    .iter()
                    .map(usize::to_string)
                    .collect::<String>(),
            ),
        };
        let theirs = case
            .get("offers")
            .map(|offers| offers.as_str().unwrap().to_owned());
        let expected = match case.get("farrier") {
            Some(farrier) => {
                used.insert(case["why"].as_str().unwrap().to_owned());
                let expected = farrier["offers"].as_str().map(str::to_owned);
                assert_ne!(expected, theirs, "{list:?} needs no reason");
                expected
            }
            None => theirs,
        };
        if ours != expected {
            wrong.push(format!("{list:?}: {ours:?}, not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let reasons = table["reasons"].as_object().unwrap();
    assert_eq!(used, reasons.keys().cloned().collect());
}

#[test]
fn words_that_name_nothing_here_are_told() {
    let unknown = |list| Selection::of(Some(list)).unknown;
    assert!(unknown("ECDHE+AESGCM:!aNULL:!MD5:DHE:@STRENGTH").is_empty());
    assert_eq!(
        unknown("AES128-SHA:HIGH:!TYPO:AES+FOO+BAR;RC4-MD5"),
        ["AES128-SHA", "TYPO", "AES+FOO+BAR", "RC4-MD5"]
    );
    // At another place than the beginning it is no word.
    assert_eq!(unknown("HIGH:DEFAULT"), ["DEFAULT"]);
    assert!(unknown("DEFAULT:HIGH").is_empty());
}

#[test]
fn what_a_list_is_refused_for_is_told() {
    let refused = |list| Selection::of(Some(list)).refused.unwrap();
    assert_eq!(refused("HIGH:*:!MD5"), "there is no word at \"*:!MD5\"");
    assert_eq!(refused("HIGH:@FOO"), "there is no command @FOO");
    assert_eq!(refused("@SECLEVEL=6"), "there is no command @SECLEVEL=6");
}

#[test]
fn a_list_of_a_megabyte_is_read_at_once() {
    let started = Instant::now();
    for part in [
        "+",
        "A+",
        "ALL:-ALL:",
        "@",
        "!",
        "FOO+",
        "ä",
        "AES128+ALL!",
        ":",
    ] {
        Selection::of(Some(&part.repeat((1 << 20) / part.len())));
    }
    // All nine take a second without optimisation.
    assert!(
        started.elapsed() < Duration::from_secs(60),
        "{:?}",
        started.elapsed()
    );
}

proptest! {
    /// Rules in any order: a suite is there once at most, one that was killed never, and what is
    /// refused selects nothing.
    #[test]
    fn rules_hold_in_any_order(
        rules in prop::collection::vec(
            "[-+!@]?(ALL|AES128|AES256|CHACHA20|aRSA|aECDSA|DEFAULT|STRENGTH|SECLEVEL=[0-9]|FOO|\\PC)\
             (\\+(AES|aRSA|FOO|ECDHE))?[:,; ]?",
            0..20,
        )
    ) {
        let list = rules.concat();
        let selection = Selection::of(Some(&list));
        let places: BTreeSet<usize> = selection.places.iter().copied().collect();
        prop_assert_eq!(places.len(), selection.places.len());
        prop_assert!(selection.refused.is_none() || selection.is_empty());
        let killed = Selection::of(Some(&format!("{list}:!AES128:ALL")));
        prop_assert!(killed.suites().all(|suite| suite.bits == 256));
        if killed.refused.is_none() {
            let all = Selection::of(Some(&format!("{list}:ALL:!ALL")));
            prop_assert!(all.is_empty());
        }
    }
}
