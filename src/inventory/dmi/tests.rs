//! Tables with what the reference makes of them; see `tests/fixtures/dmi/README.md`.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use serde_json::Value;

use super::dmi;
use crate::inventory::Smbios;

/// A dump as `dmidecode --dump-bin` writes it: the entry point in 32 bytes, then the table.
fn read(dump: &Path) -> Smbios {
    let bytes = fs::read(dump).unwrap();
    Smbios::new(&bytes[..32], bytes[32..].to_vec())
}

/// Compares key by key, for a message that a person can read.
fn compare(place: &str, ours: &Value, reference: &Value, differences: &mut Vec<String>) {
    match (ours, reference) {
        (Value::Object(one), Value::Object(other)) => {
            for key in one
                .keys()
                .chain(other.keys().filter(|key| !one.contains_key(*key)))
            {
                let at = |side: &serde_json::Map<String, Value>| {
                    side.get(key).cloned().unwrap_or(Value::Null)
                };
                compare(&format!("{place}/{key}"), &at(one), &at(other), differences);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (index, (ours, reference)) in one.iter().zip(other).enumerate() {
                compare(&format!("{place}/{index}"), ours, reference, differences);
            }
        }
        _ if ours == reference => {}
        _ => differences.push(format!("{place}: ours {ours}, the reference's {reference}")),
    }
}

#[test]
fn every_table_is_described_as_the_reference_does() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dmi");
    let mut seen = 0;
    for file in fs::read_dir(folder).unwrap() {
        let dump = file.unwrap().path();
        if dump.extension().is_none_or(|extension| extension != "bin") {
            continue;
        }
        let reference: Value =
            serde_json::from_slice(&fs::read(dump.with_extension("json")).unwrap()).unwrap();
        let mut differences = Vec::new();
        compare(
            "",
            &Value::Object(dmi(&read(&dump))),
            &reference,
            &mut differences,
        );
        assert!(
            differences.is_empty(),
            "{}:\n{}",
            dump.display(),
            differences.join("\n")
        );
        seen += 1;
    }
    assert!(seen >= 8, "only {seen} tables");
}

proptest! {
    #[test]
    fn any_table_is_described(entry in prop::collection::vec(any::<u8>(), 0..32), table in prop::collection::vec(any::<u8>(), 0..2048)) {
        dmi(&Smbios::new(&entry, table));
    }

    /// Random bytes are rarely a structure that is long enough.
    #[test]
    fn any_structure_is_described(kind in prop::sample::select(vec![0u8, 4, 16, 17]), mut area in prop::collection::vec(any::<u8>(), 4..128), strings in "[ -~]{0,40}") {
        area[0] = kind;
        area[1] = area.len().try_into().unwrap();
        let table = [&area[..], strings.as_bytes(), b"\0\0"].concat();
        let described = dmi(&Smbios::new(b"_SM3_\0\0\x03\x07", table));
        let text = serde_json::to_string(&described).unwrap();
        prop_assert!(text.contains("DMI type") || kind == 16);
    }
}
