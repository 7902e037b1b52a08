//! The lines of `tests/fixtures/dracut_lines/cases.json`: what dracut makes of them, and what this does.
//! `tests/dracut_lines/reference.py` asked it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};

use crate::net::plan::draft::Reading;
use crate::net::plan::{Addressing, Bond, Card, Interface, Kind, Route, bond_option};

/// Cards of the machine that dracut saw.
const CARDS: [&str; 4] = ["eth0", "eth1", "eth2", "eth3"];

/// A plan in the words of the table: what each interface of that machine does.
fn answer(reading: &Reading) -> Value {
    if !reading.problems.is_empty() {
        return json!({"refuses": true});
    }
    let plan = &reading.plan;
    let mut interfaces = BTreeMap::new();
    let mut bonds = BTreeMap::new();
    let mut vlans = BTreeMap::new();
    let mut names = BTreeMap::new();
    let mut routes: BTreeSet<String> = plan.routes.iter().map(|route| shown(route, "")).collect();
    let mut free: BTreeSet<&str> = CARDS.into();
    for interface in &plan.interfaces {
        let name = place(interface);
        free.remove(name.as_str());
        match &interface.kind {
            Kind::Card(Card::Address {
                address,
                renamed: true,
            }) => {
                names.insert(address.to_string(), name.clone());
                // It is that one, under another name.
                let card = address.0[5].to_string();
                free.retain(|free| !free.ends_with(&card));
            }
            Kind::Card(Card::AnyOther) => {
                for card in &free {
                    interfaces.insert((*card).to_owned(), said(interface));
                }
                continue;
            }
            Kind::Card(_) => {}
            Kind::Bond(bond) => {
                bonds.insert(name.clone(), bond);
            }
            Kind::Vlan { below, id } => {
                vlans.insert(name.clone(), json!([below, id]));
            }
        }
        routes.extend(interface.routes.iter().map(|route| shown(route, &name)));
        interfaces.insert(name, said(interface));
    }
    interfaces.retain(|_, said| *said != json!({"addresses": [], "asks": []}));
    let bonds: BTreeMap<String, Value> = bonds
        .into_iter()
        .map(|(name, bond)| (name, json!(format!("{bond}"))))
        .collect();
    let mut answer = json!({
        "interfaces": interfaces,
        "bonds": bonds,
        "vlans": vlans,
        "routes": routes,
        "names": names,
        "name_servers": plan.name_servers,
    });
    answer.as_object_mut().unwrap().retain(|_, value| {
        value.as_object().is_none_or(|object| !object.is_empty())
            && value.as_array().is_none_or(|array| !array.is_empty())
    });
    answer
}

/// The interface of dracut's machine that this is.
fn place(interface: &Interface) -> String {
    match &interface.kind {
        Kind::Card(Card::Address {
            address,
            renamed: false,
        }) => format!("eth{}", address.0[5]),
        Kind::Card(Card::First) => "eth0".to_owned(),
        _ => interface.name.clone(),
    }
}

fn said(interface: &Interface) -> Value {
    let mut addresses = Vec::new();
    let mut asks = BTreeSet::new();
    for way in &interface.addressing {
        match way {
            Addressing::Static(address) => addresses.push(address.to_string()),
            Addressing::Dhcp4 => drop(asks.insert("dhcp4")),
            Addressing::Dhcp6 => drop(asks.insert("dhcp6")),
            Addressing::Advertised => drop(asks.insert("advertised")),
            Addressing::Automatic => drop(asks.insert("automatic")),
        }
    }
    let mut said = json!({"addresses": addresses, "asks": asks});
    if let Some(mtu) = interface.mtu {
        said["mtu"] = json!(mtu);
    }
    if let Some(address) = interface.hardware_address {
        said["mac"] = json!(address.to_string());
    }
    said
}

fn shown(route: &Route, name: &str) -> String {
    let destination = match route.destination.prefix_len() {
        0 => "default".to_owned(),
        _ => route.destination.to_string(),
    };
    match route.gateway {
        Some(gateway) => format!("{destination} via {gateway}"),
        None => format!("{destination} dev {name}"),
    }
}

/// dracut's answer with its bonds as this sets them: their options go to the kernel word by word.
fn bonds_set(mut theirs: Value) -> Value {
    for bond in theirs["bonds"]
        .as_object_mut()
        .into_iter()
        .flat_map(|bonds| bonds.values_mut())
    {
        if bond.is_string() {
            continue;
        }
        let texts =
            |name: &str| -> Vec<String> { serde_json::from_value(bond[name].clone()).unwrap() };
        let mut set = Bond {
            members: texts("members"),
            ..Bond::default()
        };
        for option in texts("options") {
            let (name, value) = option.split_once('=').unwrap();
            bond_option::set(&mut set, name, value).unwrap();
        }
        bond_option::complete(&mut set);
        *bond = json!(set.to_string());
    }
    theirs
}

/// Without `first`, which [`first_is_that_of_dracut`] holds against the plan's.
fn without_first(mut answer: Value) -> Value {
    if let Some(answer) = answer.as_object_mut() {
        answer.remove("first");
    }
    if answer["bonds"].is_null() {
        answer
    } else {
        bonds_set(answer)
    }
}

fn table() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dracut_lines/cases.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn each_line_is_what_dracut_makes_of_it() {
    let table = table();
    let cases = table["cases"].as_array().unwrap();
    assert!(cases.len() >= 60, "{}", cases.len());
    let mut wrong = Vec::new();
    let mut used = BTreeSet::new();
    for case in cases {
        let line = case["line"].as_str().unwrap();
        let theirs = without_first(case["dracut"].clone());
        let ours = answer(&super::read(line));
        let expected = match case.get("farrier") {
            Some(farrier) => {
                used.insert(case["why"].as_str().unwrap().to_owned());
                let expected = without_first(farrier.clone());
                assert_ne!(expected, theirs, "{line} needs no reason");
                expected
            }
            None => theirs,
        };
        if ours != expected {
            wrong.push(format!("{line}\n    {ours}\n  not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let reasons = table["reasons"].as_object().unwrap();
    assert_eq!(used, reasons.keys().cloned().collect());
}

/// Where several interfaces have an `ip=` dracut names one; where the boot loader names it the plan leaves that to
/// whoever knows `BOOTIF`.
#[test]
fn first_is_that_of_dracut() {
    let table = table();
    let mut count = 0;
    for case in table["cases"].as_array().unwrap() {
        let line = case["line"].as_str().unwrap();
        let reading = super::read(line);
        let theirs = case["dracut"].get("first").and_then(Value::as_str);
        if let Some(theirs) = theirs.filter(|theirs| !theirs.contains(':')) {
            assert_eq!(reading.plan.first.as_deref(), Some(theirs), "{line}");
            count += 1;
        } else if theirs.is_some() {
            assert_eq!(reading.plan.first, None, "{line}");
        }
    }
    assert!(count >= 5, "{count}");
}
