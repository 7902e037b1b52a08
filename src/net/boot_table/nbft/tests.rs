use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// The cases of `tests/boot_tables/cases.py`, with what libnvme shows of each; `tests/boot_tables/reference.py` wrote
/// them.
fn table() -> Value {
    serde_json::from_str(include_str!(
        "../../../../tests/fixtures/boot_tables/nbft.json"
    ))
    .unwrap()
}

fn cases() -> Vec<Value> {
    table()["cases"].as_array().unwrap().clone()
}

fn bytes(case: &Value) -> Vec<u8> {
    hex::decode(case["table"].as_str().unwrap()).unwrap()
}

fn of(name: &str) -> Nbft {
    let cases = cases();
    let case = cases.iter().find(|case| case["name"] == name).unwrap();
    Nbft::parse(&bytes(case)).unwrap()
}

/// As the reference's script writes ways to subsystems.
fn ways(nbft: &Nbft) -> Value {
    let way = |subsystem: &Subsystem| {
        let Interface {
            mac_address, vlan, ..
        } = &subsystem.interface;
        json!([
            subsystem.name,
            subsystem.address.to_string(),
            subsystem.port,
            mac_address,
            vlan.unwrap_or(0)
        ])
    };
    nbft.subsystems.iter().map(way).collect()
}

#[test]
fn each_table_is_read_as_libnvme_reads_it() {
    let table = table();
    let mut used = BTreeSet::new();
    let mut wrong = Vec::new();
    for case in cases() {
        let ours = Nbft::parse(&bytes(&case)).map_or(Value::Null, |nbft| ways(&nbft));
        let why = case.get("why").and_then(Value::as_str);
        if (ours != case["libnvme"]) != why.is_some() {
            wrong.push(format!(
                "{}: {ours}, libnvme {}, {why:?}",
                case["name"], case["libnvme"]
            ));
        }
        used.extend(why.map(str::to_owned));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let known = table["reasons"].as_object().unwrap().keys().cloned();
    assert_eq!(used, known.collect());
}

#[test]
fn a_card_is_read_with_all_that_it_takes_to_bring_it_up() {
    let nbft = of("two cards, IPv6, a VLAN, a second way");
    assert_eq!(nbft.host_id, "8c7e2a5e-0000-4000-8000-000000000001");
    let [first, second, third] = &nbft.subsystems[..] else {
        panic!("{nbft:?}");
    };
    let over_vlan = Interface {
        mac_address: "52:54:00:12:34:57".to_owned(),
        vlan: Some(100),
        address: Some(("2001:db8::10".parse().unwrap(), 64)),
        gateway: None,
        origin: Origin::Dhcp,
    };
    let plain = Interface {
        mac_address: "52:54:00:12:34:56".to_owned(),
        vlan: None,
        address: Some(("192.0.2.10".parse().unwrap(), 24)),
        gateway: Some("192.0.2.254".parse().unwrap()),
        origin: Origin::Manual,
    };
    assert_eq!(first.interface, over_vlan);
    assert_eq!((&second.name, &second.interface), (&first.name, &plain));
    assert_eq!((&*third.port, &third.interface), ("4421", &plain));
}

#[test]
fn digests_and_secrets_are_seen() {
    let digests = of("digests").subsystems;
    assert!(digests[0].header_digest && digests[0].data_digest && !digests[0].is_secured);
    let secured = of("a secret is needed").subsystems;
    assert!(secured[0].is_secured && !secured[0].header_digest);
    let discovery = of("a discovery controller without a name").subsystems;
    assert!(discovery[1].is_discovery && !discovery[0].is_discovery);
    assert_eq!(discovery[1].name, "nqn.2014-08.org.nvmexpress.discovery");
    assert_eq!(of("a word for a port").subsystems[0].port, "4420");
    assert!(of("a comma in a name").subsystems.is_empty());
}

#[test]
fn a_table_that_is_none_is_told_by_its_file() {
    let recording = crate::sys::recording::Recording::unpack(
        "/sys/firmware/acpi/tables/NBFT1 = NBFT\n/sys/firmware/acpi/tables/SLIC = x",
    );
    let [Err(error)] = &Nbft::read_all(&recording.root())[..] else {
        panic!("one table, and that is broken");
    };
    let text = error.to_string();
    assert!(
        text.contains("NBFT1") && text.contains("too short"),
        "{text}"
    );
}

proptest! {
    /// Any byte changed anywhere, the checksum made right: what comes out is fit for the kernel's options.
    #[test]
    fn a_table_with_wrong_bytes_gives_no_wrong_options(
        number in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let cases = cases();
        let mut bytes = bytes(&cases[number.index(cases.len())]);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        crate::net::fuzzing::nbft(&bytes);
    }
}
