//! The cases of `tests/fixtures/hints/cases.json`: what the reference answered, and what this
//! answers. `tests/hints/reference.py` wrote them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use farrier_plugin::{BlockDevice, Node};
use serde_json::{Value, json};

use crate::block::hints::{InvalidHints, RootDeviceHints, select};
use crate::block::list::list_block_devices;
use crate::block::skip::{Purpose, SkipError, SkipList};
use crate::sys::recording::Recording;
use crate::sys::root::Root;

#[test]
fn each_case_is_answered_as_the_table_says() {
    let table = Table::read();
    let wrong: Vec<String> = table
        .cases()
        .iter()
        .map(|case| (case, table.answer(case)))
        .filter(|(case, answer)| *answer != case["farrier"])
        .map(|(case, answer)| format!("{case}\n    answered {answer}"))
        .collect();
    assert!(table.cases().len() >= 100);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_reference_is_left_only_for_a_reason() {
    let table = Table::read();
    let mut used = BTreeSet::new();
    for case in table.cases() {
        assert!(case["farrier"].get("crashes").is_none(), "{case}");
        assert_eq!(
            case["farrier"] != case["reference"],
            case.get("why").is_some(),
            "{case}"
        );
        used.extend(case.get("why").and_then(Value::as_str));
    }
    let known = table.content["reasons"].as_object().unwrap();
    let known: BTreeSet<&str> = known.keys().map(String::as_str).collect();
    assert_eq!(used, known);
}

#[test]
fn the_reference_saw_the_machines_that_are_recorded() {
    let table = Table::read();
    let seen = |device: &BlockDevice| {
        let serials: BTreeSet<String> = device.all_serials.iter().cloned().collect();
        (device.name.clone(), device.size, device.rotational, serials)
    };
    for (name, machine) in table.content["machines"].as_object().unwrap() {
        let listed = list_block_devices(&Recording::of(name).root(), false).unwrap();
        let described = machine["devices"].as_array().unwrap().iter().map(device);
        assert_eq!(
            listed.iter().map(seen).collect::<Vec<_>>(),
            described.map(|device| seen(&device)).collect::<Vec<_>>(),
            "{name}"
        );
    }
}

#[test]
fn the_page_shows_the_cases() {
    let path = place("docs/root-device-hints.md");
    let page = fs::read_to_string(&path).unwrap();
    let (introduction, _) = page.split_once(BEGIN).unwrap();
    let wanted = format!("{introduction}{BEGIN}\n{}", Table::read().page());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(path, &wanted).unwrap();
        return;
    }
    assert!(
        page == wanted,
        "docs/root-device-hints.md is out of date; run this test with UPDATE_DOCS=1"
    );
}

/// What follows this line of the page is written by a test.
const BEGIN: &str = "<!-- From here on written from tests/fixtures/hints/cases.json. -->";

struct Table {
    content: Value,
    machines: RefCell<BTreeMap<String, Recording>>,
}

impl Table {
    fn read() -> Self {
        let content = fs::read_to_string(place("tests/fixtures/hints/cases.json")).unwrap();
        Self {
            content: serde_json::from_str(&content).unwrap(),
            machines: RefCell::default(),
        }
    }

    fn cases(&self) -> &[Value] {
        self.content["cases"].as_array().unwrap()
    }

    fn answer(&self, case: &Value) -> Value {
        let answered = match case.get("hints") {
            Some(hints) => self.matching(case, hints),
            None => self.for_node(case),
        };
        answered.unwrap_or_else(|refused| json!({ "refuses": refused.reason.to_string() }))
    }

    fn devices(&self, case: &Value) -> Vec<BlockDevice> {
        let names = case["devices"].as_array().unwrap();
        let named = |name: &Value| device(&self.content["devices"][name.as_str().unwrap()]);
        names.iter().map(named).collect()
    }

    /// The machine of the case, or one without anything.
    fn root(&self, case: &Value) -> Root {
        let machine = case
            .get("machine")
            .map_or("", |name| name.as_str().unwrap());
        let mut machines = self.machines.borrow_mut();
        let recording = machines
            .entry(machine.to_owned())
            .or_insert_with(|| match machine {
                "" => Recording::unpack("/sys/block/"),
                machine => Recording::of(machine),
            });
        recording.root()
    }

    fn matching(&self, case: &Value, hints: &Value) -> Result<Value, InvalidHints> {
        let hints = RootDeviceHints::parse(hints)?;
        let devices = self.devices(case);
        let matching = devices.iter().filter(|device| hints.matches(device));
        let names: Vec<&str> = matching.map(|device| device.name.as_str()).collect();
        Ok(json!({ "matches": names }))
    }

    /// What is chosen for a node, or left when devices are listed for erasing.
    fn for_node(&self, case: &Value) -> Result<Value, InvalidHints> {
        let node = Node(case["node"].as_object().unwrap().clone());
        let root = self.root(case);
        let devices = match case.get("machine") {
            Some(_) => list_block_devices(&root, false).unwrap(),
            None => self.devices(case),
        };
        let purpose = match case.get("purpose").and_then(Value::as_str) {
            Some("metadata") => Purpose::Metadata,
            _ => Purpose::WholeDevices,
        };
        let skip = SkipList::from_node(&node).map_err(|error| match error {
            SkipError::Invalid(error) => error,
            other => panic!("{case}: {other}"),
        })?;
        let left = skip.retain(&root, devices, purpose).unwrap();
        if case.get("purpose").is_some() {
            let names: Vec<&str> = left.iter().map(|device| device.name.as_str()).collect();
            return Ok(json!({ "leaves": names }));
        }
        let hints = RootDeviceHints::from_node(&node)?;
        let chosen = select(hints.as_ref(), &left).ok();
        Ok(json!({ "chooses": chosen.map(|device| &device.name) }))
    }

    /// The part of the page that shows the cases.
    fn page(&self) -> String {
        let differing = |case: &&Value| case.get("why").is_some();
        let mut page = format!(
            "\n{} cases, answered by {}. farrier answers {} of them otherwise:\n\n",
            self.cases().len(),
            self.content["reference"].as_str().unwrap(),
            self.cases().iter().filter(differing).count(),
        );
        for (name, reason) in self.content["reasons"].as_object().unwrap() {
            // No element of HTML.
            let reason = reason.as_str().unwrap().replace('<', "\\<");
            page += &format!("- *{name}*: {reason}\n");
        }
        page += "\n## The disks\n\n| Disk | GiB | Turns | Model | Vendor | Serial numbers | WWNs | \
                 Transport |\n|---|---|---|---|---|---|---|---|\n";
        for device in self.content["devices"].as_object().unwrap().values() {
            page += &disk_row(device);
        }
        let mut group = "";
        for case in self.cases() {
            if case["group"] != group {
                group = case["group"].as_str().unwrap();
                page += &format!(
                    "\n## {group}\n\n| Hints | Reference | farrier | Why |\n|---|---|---|---|\n"
                );
            }
            page += &self.case_row(case);
        }
        page
    }

    fn case_row(&self, case: &Value) -> String {
        let subject = match case.get("hints") {
            Some(hints) => hints.to_string(),
            None => {
                let mut node = case["node"].as_object().unwrap().clone();
                node.retain(|_, dictionary| *dictionary != json!({}));
                Value::Object(node).to_string()
            }
        };
        let fleet = self.cases()[0]["devices"].clone();
        let among = match (case.get("machine"), case.get("devices")) {
            (Some(machine), _) => format!(" on {}", machine.as_str().unwrap()),
            (None, Some(devices)) if *devices != fleet => format!(" among {}", names(devices)),
            _ => String::new(),
        };
        let purpose = match case.get("purpose").and_then(Value::as_str) {
            Some("metadata") => ", to erase metadata",
            Some(_) => ", to erase",
            None => "",
        };
        let (ours, why) = match case.get("why").and_then(Value::as_str) {
            Some(why) => (shown(&case["farrier"]), why),
            None => ("the same".to_owned(), ""),
        };
        let reference = shown(&case["reference"]);
        format!("| `{subject}`{among}{purpose} | {reference} | {ours} | {why} |\n")
    }
}

fn place(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A device of the table. Its serial numbers and WWNs are lists with nulls, as in the reference.
fn device(described: &Value) -> BlockDevice {
    let text = |name: &str| described[name].as_str().map(str::to_owned);
    let list = |name: &str| -> Vec<String> {
        let values = described[name].as_array().unwrap().iter();
        values
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    };
    BlockDevice {
        name: text("name").unwrap(),
        size: described["size"].as_u64().unwrap(),
        rotational: described["rotational"].as_bool().unwrap(),
        model: text("model"),
        vendor: text("vendor"),
        serial: list("serial").first().cloned(),
        wwn: list("wwn").first().cloned(),
        all_serials: list("serial"),
        all_wwns: list("wwn"),
        wwn_with_extension: text("wwn_with_extension"),
        wwn_vendor_extension: text("wwn_vendor_extension"),
        hctl: text("hctl"),
        by_path: text("by_path"),
        tran: text("tran"),
        extra: json!({ "by_paths": described["by_paths"] }),
        ..BlockDevice::default()
    }
}

fn disk_row(device: &Value) -> String {
    let cell = |name: &str| match &device[name] {
        Value::Array(values) => {
            let values: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
            let mut values: Vec<String> = values.iter().map(|text| format!("`{text}`")).collect();
            values.dedup();
            values.join(" ")
        }
        Value::String(text) => format!("`{text}`"),
        Value::Bool(true) => "yes".to_owned(),
        _ => String::new(),
    };
    let size = device["size"].as_u64().unwrap() as f64 / f64::from(1 << 30);
    let size = format!("{size:.9}");
    format!(
        "| {} | {} | {} | {} | {} | {} | {} | {} |\n",
        names(&json!([device["name"]])),
        size.trim_end_matches('0').trim_end_matches('.'),
        cell("rotational"),
        cell("model"),
        cell("vendor"),
        cell("serial"),
        cell("wwn"),
        cell("tran"),
    )
}

/// Devices without the directory that all are in.
fn names(devices: &Value) -> String {
    let names = devices.as_array().unwrap().iter();
    let names: Vec<&str> = names
        .filter_map(Value::as_str)
        .map(|name| name.trim_start_matches("/dev/"))
        .collect();
    if names.is_empty() {
        return "nothing".to_owned();
    }
    names.join(", ")
}

/// An answer for the page, without what the row says already.
fn shown(answer: &Value) -> String {
    let (kind, content) = answer.as_object().unwrap().iter().next().unwrap();
    match (kind.as_str(), content) {
        ("chooses", Value::Null) => "nothing".to_owned(),
        ("chooses", name) => names(&json!([name])),
        ("refuses" | "crashes", text) => {
            let text = text.as_str().unwrap();
            let text = text.split(" Valid hints").next().unwrap();
            let text = text.trim_start_matches("Root device hint ");
            let length = if kind == "crashes" { 60 } else { 200 };
            let shown: String = text.chars().take(length).collect();
            let more = if shown.len() < text.len() { "…" } else { "" };
            let shown = shown.replace('|', "\\|").replace('<', "\\<");
            format!("{kind}: {shown}{more}")
        }
        ("leaves", devices) => format!("leaves {}", names(devices)),
        (_, devices) => names(devices),
    }
}
