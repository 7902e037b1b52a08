use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::table::CONTROL;
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
    let invalid = of("digests that are not valid").subsystems;
    assert!(!invalid[0].header_digest && !invalid[0].data_digest);
    let secured = of("a secret is needed").subsystems;
    assert!(secured[0].is_secured && !secured[0].header_digest);
    let discovery = of("a discovery controller without a name").subsystems;
    assert!(discovery[1].is_discovery && !discovery[0].is_discovery);
    assert_eq!(discovery[1].name, "nqn.2014-08.org.nvmexpress.discovery");
    assert_eq!(of("a word for a port").subsystems[0].port, "4420");
    assert!(of("a comma in a name").subsystems.is_empty());
}

#[test]
fn what_firmware_did_not_reach_is_known() {
    assert!(of("what firmware did not reach").subsystems[0].is_unavailable);
    assert!(!of("what firmware reached").subsystems[0].is_unavailable);
    assert!(!of("one namespace").subsystems[0].is_unavailable);
    // One connection serves both namespaces, so that it is enough to have reached one.
    let mut nbft = of("what firmware did not reach");
    let reached = of("what firmware reached").subsystems[0].clone();
    nbft.add(String::new, [Ok(reached.clone())]).unwrap();
    assert_eq!(nbft.subsystems, [reached]);
}

#[test]
fn what_is_valid_and_cannot_be_reached_is_named() {
    for (case, what, reason) in [
        ("no card at all", "namespace 1", "network card"),
        ("a second way over no card", "namespace 1", "network card"),
        ("a card that is not valid", "namespace 1", "network card"),
        ("a comma in a name", "namespace 1", "name is unusable"),
        (
            "a name of the namespace beyond the heap",
            "namespace 1",
            "name is unusable",
        ),
        (
            "an address of the namespace in the header",
            "namespace 1",
            "address",
        ),
        (
            "a list of further cards beyond the heap",
            "namespace 1",
            "list of network cards",
        ),
        (
            "more further cards than cards",
            "namespace 1",
            "more network cards than",
        ),
        (
            "a discovery controller by name",
            "discovery controller 1",
            "address",
        ),
        (
            "a discovery controller over no card",
            "discovery controller 1",
            "network card",
        ),
    ] {
        let [unusable] = &of(case).unusable[..] else {
            panic!("{case}: {:?}", of(case));
        };
        assert!(
            unusable.what == what && unusable.reason.contains(reason),
            "{case}: {unusable:?}"
        );
    }
    // What is not valid, or of another transport, is nobody's mistake.
    for case in [
        "one namespace",
        "a namespace that is not valid",
        "another transport",
        "no namespace",
    ] {
        assert_eq!(of(case).unusable, [], "{case}");
    }
    // A list of further cards that is 0 throughout.
    let cases = cases();
    let mut bytes = bytes(&cases[0]);
    let list = HEADER + CONTROL + HOST + FABRIC_INTERFACE + 48;
    let at = u32::from_le_bytes(bytes[list..list + 4].try_into().unwrap()) as usize;
    bytes[9] = bytes[9].wrapping_add(bytes[at]);
    bytes[at] = 0;
    let nbft = Nbft::parse(&bytes).unwrap();
    assert_eq!((nbft.subsystems.len(), nbft.unusable.len()), (1, 0));
}

/// A table of 255 cards, of which so many are different, and of 255 namespaces that refer to the same list of further
/// cards, which has this length and begins anew with card 1 after the last.
fn large(different: u8, others: u16) -> Vec<u8> {
    let (cards, namespaces) = (HEADER + CONTROL + HOST, HEADER + CONTROL + HOST + 255 * 32);
    let heap = namespaces + 255 * NAMESPACE;
    let mut bytes = vec![0; heap];
    let mut put = |data: &[u8]| {
        let length = u16::try_from(data.len()).unwrap().to_le_bytes();
        let offset = u32::try_from(bytes.len()).unwrap().to_le_bytes();
        bytes.extend_from_slice(data);
        [&offset[..], &length].concat()
    };
    let name = put(&[b'n'; LONGEST_NAME]);
    let address = put(&Ipv6Addr::LOCALHOST.octets());
    let list = put(&(0..others)
        .map(|number| (number % 255) as u8 + 1)
        .collect::<Vec<u8>>());
    let infos: Vec<Vec<u8>> = (0..different)
        .map(|number| {
            let mut info = [0; TRANSPORT_INFO];
            info[0] = kind::TRANSPORT_INFO;
            info[6] = 1;
            info[16] = number;
            put(&info)
        })
        .collect();
    let mut set = |at: usize, data: &[u8]| bytes[at..at + data.len()].copy_from_slice(data);
    set(HEADER + CONTROL, &[kind::HOST, 1]);
    set(HEADER + CONTROL + 18, &name);
    for number in 0..255_u8 {
        let card = cards + usize::from(number) * FABRIC_INTERFACE;
        set(card, &[kind::FABRIC_INTERFACE, number + 1, 1, TCP]);
        set(card + 16, &infos[usize::from(number % different)]);
        let namespace = namespaces + usize::from(number) * NAMESPACE;
        set(namespace, &[kind::NAMESPACE, number, 0, 1, 0, TCP]);
        set(namespace + 10, &address);
        set(namespace + 46, &[1]);
        set(namespace + 48, &list);
        set(namespace + 54, &name);
    }
    set(HEADER, &[kind::CONTROL, 1, 1, 0, 64, 0, 1]);
    let place = |offset: usize| u32::try_from(offset).unwrap().to_le_bytes();
    set(HEADER + 8, &place(HEADER + CONTROL));
    set(HEADER + 16, &place(cards));
    set(HEADER + 23, &[255]);
    set(HEADER + 24, &place(namespaces));
    set(HEADER + 31, &[255]);
    set(0, b"NBFT");
    set(8, &[1]);
    set(36, &place(heap));
    let length = bytes.len();
    bytes[4..8].copy_from_slice(&place(length));
    bytes[40..44].copy_from_slice(&place(length - heap));
    let sum = bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    bytes[9] = sum.wrapping_neg();
    bytes
}

/// It is milliseconds; what a table could make of it without its limits is minutes.
#[test]
fn no_table_takes_long() {
    let started = Instant::now();
    let longest = Nbft::parse(&large(255, u16::MAX)).unwrap();
    assert_eq!((longest.subsystems.len(), longest.unusable.len()), (0, 255));
    let refused = Nbft::parse(&large(65, 255)).unwrap_err();
    assert!(refused.contains("more than 64 ways"), "{refused}");
    let most = Nbft::parse(&large(64, 255)).unwrap();
    assert_eq!((most.subsystems.len(), most.unusable.len()), (64, 0));
    assert!(
        started.elapsed() < Duration::from_secs(30),
        "{:?}",
        started.elapsed()
    );
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
