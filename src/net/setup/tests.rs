//! In a network namespace of this kernel, which may have no bonds and VLANs: those are made in the lab's machines.

use std::time::Duration;

use super::*;
use crate::net::plan::Addressing;
use crate::sys::addresses::Addresses;
use crate::sys::network_namespace::{inside, ip};

fn card(name: &str, addressing: &[&str]) -> Interface {
    let address = |text: &&str| Addressing::Static(text.parse().unwrap());
    Interface {
        name: name.to_owned(),
        kind: Kind::Card(Card::Name),
        mtu: None,
        hardware_address: None,
        addressing: addressing.iter().map(address).collect(),
        routes: Vec::new(),
    }
}

fn route(destination: &str, gateway: Option<&str>) -> Route {
    Route {
        destination: destination.parse().unwrap(),
        gateway: gateway.map(|gateway| gateway.parse().unwrap()),
        metric: None,
    }
}

fn by_address(name: &str, address: &str, renamed: bool) -> Interface {
    let address = HardwareAddress::parse(address).unwrap();
    Interface {
        kind: Kind::Card(Card::Address { address, renamed }),
        ..card(name, &[])
    }
}

fn plan(interfaces: Vec<Interface>) -> Plan {
    Plan {
        interfaces,
        ..Plan::default()
    }
}

/// Cards of this namespace.
fn cards(names: &[&str]) -> Vec<Link> {
    let root = Root::system();
    names.iter().map(|name| Link::of(&root, name)).collect()
}

fn wire(name: &str, address: &str) {
    ip(&format!(
        "link add {name} address {address} type veth peer name p{name}"
    ));
    ip(&format!("link set p{name} up"));
}

fn problems(news: &[News]) -> Vec<String> {
    let problem = |news: &News| match news {
        News::Problem(error) => Some(farrier_plugin::chain(error)),
        News::Made { .. } => None,
    };
    news.iter().filter_map(problem).collect()
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap().trim().to_owned()
}

#[test]
fn a_card_gets_addresses_routes_mtu_and_its_name_and_again_nothing_is_wrong() {
    inside(|| {
        wire("eno1", "52:54:00:00:00:01");
        let root = Root::system();
        let mut lan = by_address("lan0", "52:54:00:00:00:01", true);
        lan.mtu = Some(1400);
        lan.addressing = card("", &["192.0.2.5/24", "2001:db8::5/64"]).addressing;
        lan.routes = vec![
            route("0.0.0.0/0", Some("192.0.2.1")),
            route("::/0", Some("2001:db8::1")),
        ];
        let plan = plan(vec![lan]);
        let mut setup = Setup::new(plan.clone(), None);
        assert!(!setup.is_complete(&cards(&["eno1"])));
        let news = setup.step(&root, &cards(&["eno1"]), false);
        assert!(problems(&news).is_empty(), "{news:?}");
        assert!(
            matches!(&news[..], [News::Made { name, addresses, gateways, .. }]
            if name == "lan0" && addresses.len() == 2 && gateways.len() == 2)
        );
        assert!(setup.is_complete(&cards(&["lan0"])));
        assert_eq!(read("/sys/class/net/lan0/mtu"), "1400");
        let has = Addresses::of(&root);
        assert_eq!(has.ipv4("lan0"), Some("192.0.2.5".parse().unwrap()));
        assert_eq!(has.ipv6("lan0"), Some("2001:db8::5".parse().unwrap()));
        let routes = read("/proc/thread-self/net/route");
        assert!(routes.contains("lan0\t00000000\t010200C0"), "{routes}");
        assert_eq!(read("/proc/sys/net/ipv6/conf/lan0/accept_ra"), "0");

        // A second step has nothing to do, and another program finds all as it is to be.
        assert!(setup.step(&root, &cards(&["lan0"]), true).is_empty());
        let mut again = Setup::new(plan, None);
        let news = again.step(&root, &cards(&["lan0"]), false);
        assert!(problems(&news).is_empty(), "{news:?}");
    });
}

#[test]
fn a_card_that_comes_late_or_again_gets_what_it_is_to_have() {
    inside(|| {
        wire("eno1", "52:54:00:00:00:01");
        let root = Root::system();
        let plan = plan(vec![
            card("eno1", &["192.0.2.5/24"]),
            card("eno2", &["198.51.100.5/24"]),
        ]);
        let mut setup = Setup::new(plan, None);
        let news = setup.step(&root, &cards(&["eno1"]), false);
        assert!(problems(&news).is_empty(), "{news:?}");
        let news = setup.step(&root, &cards(&["eno1"]), true);
        let told = problems(&news);
        assert!(
            told.len() == 1 && told[0].contains("no network card eno2"),
            "{told:?}"
        );
        assert!(setup.step(&root, &cards(&["eno1"]), true).is_empty());
        wire("eno2", "52:54:00:00:00:02");
        let news = setup.step(&root, &cards(&["eno1", "eno2"]), true);
        assert!(matches!(&news[..], [News::Made { name, .. }] if name == "eno2"));
        ip("link del eno1");
        let told = problems(&setup.step(&root, &cards(&["eno2"]), true));
        assert!(
            told.len() == 1 && told[0].contains("no network card eno1"),
            "{told:?}"
        );
        wire("eno1", "52:54:00:00:00:01");
        let news = setup.step(&root, &cards(&["eno1", "eno2"]), true);
        assert!(matches!(&news[..], [News::Made { name, .. }] if name == "eno1"));
        let has = Addresses::of(&root);
        assert_eq!(has.ipv4("eno1"), Some("192.0.2.5".parse().unwrap()));
    });
}

#[test]
fn what_the_kernel_refuses_keeps_nothing_else_from_being_made() {
    inside(|| {
        wire("eno1", "52:54:00:00:00:01");
        wire("eno2", "52:54:00:00:00:02");
        let root = Root::system();
        let mut wrong = card("eno1", &["192.0.2.5/24", "192.0.2.6/24"]);
        // veth takes 68 bytes at least.
        wrong.mtu = Some(30);
        let taken = by_address("eno1", "52:54:00:00:00:02", true);
        let same = by_address("other", "52:54:00:00:00:01", false);
        let mut setup = Setup::new(plan(vec![wrong, taken, same]), None);
        let news = setup.step(&root, &cards(&["eno1", "eno2"]), false);
        let told = problems(&news);
        assert!(told[0].contains("set the MTU of eno1 to 30"), "{told:?}");
        let has = Addresses::of(&root);
        assert_eq!(has.ipv4("eno1"), Some("192.0.2.5".parse().unwrap()));
        let twice = "other and eno1 are both the network card eno1; only eno1 counts";
        assert!(told.iter().any(|line| line == twice), "{told:?}");
    });
}

#[test]
fn two_default_routes_are_kept_in_the_order_of_the_plan() {
    inside(|| {
        let root = Root::system();
        let mut interfaces = Vec::new();
        for (name, own, gateway) in [
            ("eno1", "192.0.2.5/24", "192.0.2.1"),
            ("eno2", "198.51.100.5/24", "198.51.100.1"),
        ] {
            wire(name, &format!("52:54:00:00:00:0{}", &name[3..]));
            let mut interface = card(name, &[own]);
            interface.routes = vec![route("0.0.0.0/0", Some(gateway))];
            interfaces.push(interface);
        }
        let mut plan = plan(interfaces);
        plan.routes = vec![
            route("10.0.0.0/8", Some("198.51.100.9")),
            route("172.16.0.0/12", Some("203.0.113.1")),
        ];
        let mut setup = Setup::new(plan, None);
        let news = setup.step(&root, &cards(&["eno1", "eno2"]), false);
        assert!(problems(&news).is_empty(), "{news:?}");
        let routes = read("/proc/thread-self/net/route");
        for expected in [
            "eno1\t00000000\t010200C0\t0003\t0\t0\t0\t",
            "eno2\t00000000\t016433C6\t0003\t0\t0\t100\t",
            "eno2\t0000000A\t096433C6\t",
        ] {
            assert!(routes.contains(expected), "{expected}\n{routes}");
        }
    });
}

#[test]
fn a_second_default_route_of_one_card_is_kept_behind_the_first() {
    inside(|| {
        wire("eno1", "52:54:00:00:00:01");
        let mut interface = card("eno1", &["192.0.2.5/24", "2001:db8::5/64"]);
        interface.routes = vec![
            route("0.0.0.0/0", Some("192.0.2.1")),
            route("0.0.0.0/0", Some("192.0.2.2")),
            route("::/0", Some("2001:db8::1")),
            route("::/0", Some("2001:db8::2")),
        ];
        let mut setup = Setup::new(plan(vec![interface]), None);
        let news = setup.step(&Root::system(), &cards(&["eno1"]), false);
        assert!(problems(&news).is_empty(), "{news:?}");
        let routes = read("/proc/thread-self/net/route");
        for expected in [
            "eno1\t00000000\t010200C0\t0003\t0\t0\t0\t",
            "eno1\t00000000\t020200C0\t0003\t0\t0\t100\t",
        ] {
            assert!(routes.contains(expected), "{expected}\n{routes}");
        }
        let routes = read("/proc/thread-self/net/ipv6_route");
        for expected in [
            "20010db8000000000000000000000001 00000400",
            "20010db8000000000000000000000002 00000464",
        ] {
            assert!(routes.contains(expected), "{expected}\n{routes}");
        }
    });
}

#[test]
fn what_failed_with_a_card_that_is_gone_is_tried_with_the_next() {
    inside(|| {
        let root = Root::system();
        let mut setup = Setup::new(plan(vec![card("eno1", &["192.0.2.5/24"])]), None);
        // It went away after it was found.
        let news = setup.step(&root, &cards(&["eno1"]), true);
        assert!(news.is_empty(), "{news:?}");
        let is_made = |news: &[News]| matches!(news, [News::Made { name, .. }] if name == "eno1");
        wire("eno1", "52:54:00:00:00:01");
        assert!(is_made(&setup.step(&root, &cards(&["eno1"]), true)));
        // As a bond says that does not take it.
        let refused = SetupError::NameTaken {
            interface: "eno1".to_owned(),
        };
        setup.fail("eno1", refused, &mut Vec::new());
        ip("link del eno1");
        setup.step(&root, &cards(&[]), true);
        wire("eno1", "52:54:00:00:00:01");
        assert!(is_made(&setup.step(&root, &cards(&["eno1"]), true)));
    });
}

#[test]
fn a_management_controllers_card_is_the_last_that_is_chosen() {
    inside(|| {
        let root = Root::system();
        wire("eno0", "fa:00:00:00:00:01");
        wire("eno1", "52:54:00:00:00:01");
        ip("link set peno1 down");
        wire("eno2", "fa:16:3e:00:00:01");
        let first = |is_last, names: &[&str]| {
            let interface = Interface {
                kind: Kind::Card(Card::First),
                ..card("lan", &[])
            };
            let mut setup = Setup::new(plan(vec![interface]), None);
            setup.step(&root, &cards(names), is_last);
            setup.name_of("lan").map(str::to_owned)
        };
        assert_eq!(first(false, &["eno0"]), None);
        assert_eq!(first(false, &["eno0", "eno1"]), None);
        let last = first(true, &["eno0", "eno1"]);
        assert_eq!(last.as_deref(), Some("eno1"));
        assert_eq!(first(true, &["eno0"]).as_deref(), Some("eno0"));
        let virtual_machines = first(false, &["eno0", "eno2"]);
        assert_eq!(virtual_machines.as_deref(), Some("eno2"));
    });
}

#[test]
fn the_card_that_is_left_to_choose_is_the_booted_one_or_has_a_link() {
    inside(|| {
        let root = Root::system();
        wire("eno1", "52:54:00:00:00:01");
        ip("link set peno1 down");
        wire("eno2", "52:54:00:00:00:02");
        wire("eno3", "52:54:00:00:00:03");
        let first = |boot: Option<&str>, is_last, names: &[&str]| {
            let interface = Interface {
                kind: Kind::Card(Card::First),
                ..card("lan", &[])
            };
            let named = card("eno3", &[]);
            let boot = boot.and_then(HardwareAddress::parse);
            let mut setup = Setup::new(plan(vec![interface, named]), boot);
            setup.step(&root, &cards(names), is_last);
            setup.name_of("lan").map(str::to_owned)
        };
        let all = ["eno1", "eno2", "eno3"];
        assert_eq!(first(None, false, &all).as_deref(), Some("eno2"));
        let boot = Some("52:54:00:00:00:01");
        assert_eq!(first(boot, false, &all).as_deref(), Some("eno1"));
        assert_eq!(first(boot, false, &["eno2", "eno3"]), None);
        let last = first(boot, true, &["eno2", "eno3"]);
        assert_eq!(last.as_deref(), Some("eno2"));
        assert_eq!(first(None, false, &["eno1", "eno3"]), None);
        let last = first(None, true, &["eno1", "eno3"]);
        assert_eq!(last.as_deref(), Some("eno1"));
    });
}

#[test]
fn a_bond_waits_for_its_members_and_what_has_none_is_told() {
    inside(|| {
        let root = Root::system();
        wire("eno1", "52:54:00:00:00:01");
        let bond = Interface {
            kind: Kind::Bond(Bond {
                members: vec!["eno1".to_owned(), "eno2".to_owned()],
                mode: 1,
                miimon: Some(Duration::from_millis(100)),
                ..Bond::default()
            }),
            ..card("bond0", &["192.0.2.5/24"])
        };
        let vlan = Interface {
            kind: Kind::Vlan {
                below: "bond0".to_owned(),
                id: 7,
            },
            ..card("bond0.7", &[])
        };
        let interfaces = vec![card("eno1", &[]), card("eno2", &[]), bond, vlan];
        let mut setup = Setup::new(plan(interfaces), None);
        let news = setup.step(&root, &cards(&["eno1"]), false);
        assert!(problems(&news).is_empty(), "{news:?}");
        assert_eq!(setup.name_of("bond0"), None);
        let told = problems(&setup.step(&root, &cards(&["eno1"]), true));
        assert!(told[0].contains("no network card eno2"), "{told:?}");
        let has_bonds = setup.name_of("bond0").is_some();
        if has_bonds {
            assert_eq!(read("/sys/class/net/bond0/bonding/slaves"), "eno1");
        } else {
            assert!(
                told[1].contains("make the bond bond0 (active-backup)"),
                "{told:?}"
            );
            assert!(told[2].contains("bond0.7 is not made: bond0"), "{told:?}");
        }
        wire("eno2", "52:54:00:00:00:02");
        setup.step(&root, &cards(&["eno1", "eno2"]), true);
        if has_bonds {
            assert_eq!(read("/sys/class/net/bond0/bonding/slaves"), "eno1 eno2");
        }
        assert!(setup.is_complete(&cards(&["eno1", "eno2"])));
    });
}
