use proptest::prelude::*;

use super::*;
use crate::net::hardware_address::HardwareAddress;
use crate::net::plan::{Bond, Plan, Route};
use crate::sys::network_namespace::{inside, ip};

fn asked(names: &[(&str, How)]) -> DhcpPart {
    let one = |(name, how): &(&str, How)| Asked {
        name: (*name).to_owned(),
        how: *how,
    };
    DhcpPart {
        asked: names.iter().map(one).collect(),
        others: Some(How::AUTOMATIC),
        ..DhcpPart::default()
    }
}

/// fnmatch(3) for the patterns that are written here.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.first(), name.first()) {
        (None, None) => true,
        (Some(b'*'), _) => {
            matches(&pattern[1..], name) || (!name.is_empty() && matches(pattern, &name[1..]))
        }
        (Some(b'?'), Some(_)) => matches(&pattern[1..], &name[1..]),
        (Some(b'['), Some(byte)) => {
            let end = pattern.iter().position(|byte| *byte == b']').unwrap();
            assert_eq!(pattern[1], b'!');
            !pattern[2..end].contains(byte) && matches(&pattern[end + 1..], &name[1..])
        }
        (Some(wanted), Some(byte)) => wanted == byte && matches(&pattern[1..], &name[1..]),
        _ => false,
    }
}

fn is_denied(patterns: &[String], name: &str) -> bool {
    let mut each = patterns.iter();
    each.any(|pattern| matches(pattern.as_bytes(), name.as_bytes()))
}

#[test]
fn a_bond_and_a_vlan_of_the_plan_are_asked_on_and_no_other() {
    let part = asked(&[("bond0", How::AUTOMATIC), ("bond0.100", How::AUTOMATIC)]);
    let denied = part.denied(&["lo", "bond*", "*.*"]);
    for name in ["bond0", "bond0.100", "eno1"] {
        assert!(!is_denied(&denied, name), "{name} {denied:?}");
    }
    for name in [
        "lo",
        "bond",
        "bond1",
        "bond00",
        "bond0.1",
        "bond0.10",
        "bond0.1000",
        "bond0.101",
        "eno1.100",
        "eno.",
        ".",
    ] {
        assert!(is_denied(&denied, name), "{name} {denied:?}");
    }
    // What dhcpcd does without a plan is written as ever.
    assert_eq!(asked(&[]).denied(&["bond*", "*.*"]), ["bond*", "*.*"]);
}

#[test]
fn a_card_that_is_gone_stays_the_plans() {
    let link = |name: &str| Link::of(&Root::at("/nonexistent"), name);
    let mut before = asked(&[("eno1", How::AUTOMATIC), ("eno2", How::AUTOMATIC)]);
    before.fixed.insert("eno3".to_owned());
    before.bare.insert("eno4".to_owned());
    before.owner = Owner::Interface("eno1".to_owned());
    // What is left when eno1, eno3 and eno4 are unplugged.
    let mut now = asked(&[("eno2", How::AUTOMATIC)]);
    now.owner = Owner::Interface("eno2".to_owned());
    assert_eq!(now.clone().with_gone(&before, &[link("eno2")]), before);
    // Another card has the name, which is not the plan's.
    let cards = ["eno1", "eno2", "eno3", "eno4"].map(link);
    assert_eq!(now.clone().with_gone(&before, &cards), now);
}

#[test]
fn a_bonds_member_is_not_asked_on_before_it_has_come() {
    let member = Interface {
        name: "eno1".to_owned(),
        kind: Kind::Card(Card::Name),
        mtu: None,
        hardware_address: None,
        addressing: Vec::new(),
        routes: Vec::new(),
    };
    let plan = Plan {
        interfaces: vec![member],
        ..Plan::default()
    };
    let setup = Setup::new(plan, None);
    let part = DhcpPart::of(&setup, &[]);
    assert!(part.bare.contains("eno1"), "{part:?}");
    // One that is there and was not made is another interface's of the plan.
    let card = Link::of(&Root::at("/nonexistent"), "eno1");
    assert_eq!(DhcpPart::of(&setup, &[card]), DhcpPart::all());
}

#[test]
fn each_way_of_asking_has_its_words() {
    for (addressing, expected) in [
        (&[Addressing::Dhcp4][..], Some("ipv4\nnoipv6\n")),
        (&[Addressing::Dhcp6], Some("noipv4\nipv6\nia_na\n")),
        (&[Addressing::Advertised], Some("noipv4\nipv6\n")),
        (
            &[Addressing::Dhcp4, Addressing::Advertised],
            Some("ipv4\nipv6\n"),
        ),
        (&[Addressing::Automatic], Some("ipv4\nipv6\n")),
        (&[Addressing::Static("192.0.2.1/24".parse().unwrap())], None),
        (&[], None),
    ] {
        let how = How::of(&Plan::default(), &interface("eno1", addressing));
        let options = how.map(How::options);
        assert_eq!(options.as_deref(), expected, "{addressing:?}");
    }
}

#[test]
fn what_the_plan_names_has_an_address_or_not_as_it_says() {
    let mut part = asked(&[("bond0", How::AUTOMATIC)]);
    part.bare.insert("eno1".to_owned());
    part.fixed.insert("eno2".to_owned());
    assert_eq!(part.gets_no_address("eno1"), Some(true));
    assert_eq!(part.gets_no_address("eno2"), Some(false));
    assert_eq!(part.gets_no_address("bond0"), Some(false));
    assert_eq!(part.gets_no_address("eno3"), None);
    assert_eq!(part.allowed(), None);
    part.others = None;
    assert_eq!(part.gets_no_address("eno3"), Some(true));
    assert_eq!(part.allowed(), Some(vec!["bond0"]));
}

const BOOTED: HardwareAddress = HardwareAddress([0x52, 0x54, 0, 0, 0, 1]);

fn interface(name: &str, addressing: &[Addressing]) -> Interface {
    Interface {
        name: name.to_owned(),
        kind: Kind::Card(Card::Name),
        mtu: None,
        hardware_address: None,
        addressing: addressing.to_vec(),
        routes: Vec::new(),
    }
}

/// What is left of a plan of these interfaces on a machine with three cards, which was booted from the first.
fn left(interfaces: Vec<Interface>, first: Option<&str>) -> DhcpPart {
    let plan = Plan {
        interfaces,
        first: first.map(str::to_owned),
        ..Plan::default()
    };
    let root = Root::system();
    let cards: Vec<Link> = ["eno1", "eno2", "eno3"]
        .map(|name| Link::of(&root, name))
        .into();
    let mut setup = Setup::new(plan, Some(BOOTED));
    setup.step(&root, &cards, true);
    DhcpPart::of(&setup, &cards)
}

#[test]
fn the_plan_owns_the_default_route_that_it_names_and_else_the_booted_card_does() {
    inside(|| {
        for number in 1..=3 {
            ip(&format!(
                "link add eno{number} address 52:54:00:00:00:0{number} type veth peer name port{number}"
            ));
        }
        let owner = |name: &str| Owner::Interface(name.to_owned());
        let fixed = |destination: Option<&str>| {
            let address = Addressing::Static("192.0.2.5/24".parse().unwrap());
            let mut one = interface("eno2", &[address]);
            one.routes.extend(destination.map(|destination| Route {
                destination: destination.parse().unwrap(),
                gateway: Some("192.0.2.1".parse().unwrap()),
                metric: None,
            }));
            one
        };
        let asks = |name: &str| interface(name, &[Addressing::Dhcp4]);
        // It names one: no other counts.
        let part = left(vec![fixed(Some("0.0.0.0/0"))], None);
        assert_eq!(part.owner, Owner::Nobody);
        assert!(part.fixed.contains("eno2") && part.asked.is_empty());
        let part = left(vec![fixed(Some("0.0.0.0/0")), asks("eno1")], None);
        assert_eq!(part.owner, Owner::Nobody);
        // It names none.
        assert_eq!(
            left(vec![fixed(Some("10.0.0.0/8"))], None).owner,
            owner("eno1")
        );
        // By a card that is not there.
        let missing = Interface {
            name: "eno9".to_owned(),
            ..fixed(Some("0.0.0.0/0"))
        };
        assert_eq!(left(vec![missing], None).owner, owner("eno1"));
        let asked = || vec![asks("eno3"), asks("eno1")];
        assert_eq!(left(asked(), None).owner, owner("eno1"));
        assert_eq!(left(asked(), Some("eno3")).owner, owner("eno3"));
        // The booted card is not asked on.
        let part = left(vec![interface("eno1", &[]), asks("eno3")], None);
        assert_eq!(part.owner, owner("eno3"));
        assert!(part.bare.contains("eno1"));
        // IPv6 has routers of its own.
        let router = interface("eno3", &[Addressing::Advertised]);
        let part = left(vec![fixed(Some("0.0.0.0/0")), router], None);
        assert_eq!(part.owner, owner("eno3"));
    });
}

#[test]
fn all_other_cards_are_asked_on_in_no_fewer_ways_than_without_a_plan() {
    let others = |addressing: &[Addressing]| {
        let other = Interface {
            kind: Kind::Card(Card::AnyOther),
            ..interface("*", addressing)
        };
        let plan = Plan {
            interfaces: vec![other],
            ..Plan::default()
        };
        DhcpPart::of(&Setup::new(plan, None), &[])
    };
    assert_eq!(others(&[Addressing::Dhcp4]), DhcpPart::all());
    let six = others(&[Addressing::Dhcp6]);
    assert_eq!(six.options(), "ipv4\nipv6\nia_na\n");
    assert_eq!(others(&[]).others, None);
}

#[test]
fn the_size_of_packets_that_a_plan_says_is_not_asked_for() {
    let sized = |name: &str, mtu| Interface {
        mtu,
        ..interface(name, &[Addressing::Dhcp4])
    };
    let member = Interface {
        mtu: Some(9000),
        ..interface("eno3", &[])
    };
    let bond = Interface {
        kind: Kind::Bond(Bond {
            members: vec!["eno3".to_owned(), "eno4".to_owned()],
            ..Bond::default()
        }),
        ..sized("bond0", None)
    };
    let other = Interface {
        kind: Kind::Card(Card::AnyOther),
        ..sized("*", Some(1400))
    };
    let plan = |interfaces: &[&Interface]| Plan {
        interfaces: interfaces.iter().copied().cloned().collect(),
        ..Plan::default()
    };
    let options = |plan: &Plan, interface: &Interface| How::of(plan, interface).unwrap().options();
    let keeps = "ipv4\nnoipv6\nnooption interface_mtu\n";
    let alone = plan(&[]);
    assert_eq!(options(&alone, &sized("eno1", Some(1400))), keeps);
    assert_eq!(options(&alone, &sized("eno1", None)), "ipv4\nnoipv6\n");
    // A bond's larger packets would be its members' too.
    assert_eq!(options(&plan(&[&member]), &bond), keeps);
    assert_eq!(options(&alone, &bond), "ipv4\nnoipv6\n");

    // What is said of all other cards is not said of the one that the plan names.
    let mut part = DhcpPart::of(&Setup::new(plan(&[&other]), None), &[]);
    assert_eq!(part.options(), "ipv4\nipv6\nnooption interface_mtu\n");
    for (mtu, word) in [(None, "option"), (Some(9000), "nooption")] {
        let how = How::of(&alone, &sized("eno1", mtu)).unwrap();
        part.asked = asked(&[("eno1", how)]).asked;
        assert_eq!(
            part.blocks(),
            format!("interface eno1\nipv4\nnoipv6\n{word} interface_mtu\n")
        );
    }
}

#[test]
fn what_is_written_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let root = Root::at(directory.path());
    assert_eq!(DhcpPart::read(&root), None);
    std::fs::create_dir_all(directory.path().join("run/farrier")).unwrap();
    let mut part = asked(&[("bond0", How::AUTOMATIC)]);
    part.owner = Owner::Interface("bond0".to_owned());
    part.write(directory.path()).unwrap();
    assert_eq!(DhcpPart::read(&root), Some(part));
}

proptest! {
    #[test]
    fn patterns_fit_all_but_the_names(
        names in prop::collection::vec("[a-c.-]{1,5}", 0..4),
        other in "[a-c.-]{1,6}",
        pattern in prop::sample::select(vec!["a*", "*.*", "ab*", "b"]),
    ) {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let patterns = all_but(pattern, &names);
        for name in names.iter().copied().chain([other.as_str()]) {
            let expected = matches(pattern.as_bytes(), name.as_bytes()) && !names.contains(&name);
            prop_assert_eq!(is_denied(&patterns, name), expected, "{} {:?}", name, patterns);
        }
    }
}
