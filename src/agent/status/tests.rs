use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use farrier_plugin::{NetworkInterface, SystemVendor};
use serde_json::json;

use super::*;
use crate::conductor::ConductorError;

/// What PID 1 was told, where it has room.
static TOLD: Mutex<Vec<(ConsoleFact, String)>> = Mutex::new(Vec::new());
static ROOM: Mutex<usize> = Mutex::new(0);

/// A PID 1 that keeps so many facts until somebody makes room: one test alone has it.
fn keeps_some(fact: ConsoleFact, value: &str) -> io::Result<()> {
    let mut room = ROOM.lock().unwrap();
    if *room == 0 {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    *room -= 1;
    TOLD.lock().unwrap().push((fact, value.to_owned()));
    Ok(())
}

#[test]
fn pid_1_is_told_each_fact_once_and_again_what_it_had_no_room_for() {
    let status = Status {
        tell: keeps_some,
        ..Status::default()
    };
    let told = || std::mem::take(&mut *TOLD.lock().unwrap());
    *ROOM.lock().unwrap() = 100;
    status.doing("inspecting the hardware");
    let first = told();
    assert_eq!(
        first.len(),
        ConsoleFact::ALL.len(),
        "what an agent before this one said goes"
    );
    assert!(first.contains(&(ConsoleFact::Doing, "inspecting the hardware".to_owned())));
    assert!(first.contains(&(ConsoleFact::Trouble, String::new())));
    status.doing("inspecting the hardware");
    assert!(told().is_empty());

    *ROOM.lock().unwrap() = 1;
    status.met(Trouble::no_conductor());
    assert_eq!(
        told(),
        [(
            ConsoleFact::Trouble,
            "no conductor is configured".to_owned()
        )]
    );
    *ROOM.lock().unwrap() = 100;
    status.running(Some("cleaning"), "25 erasing /dev/sda, 15 s left");
    let then = told();
    for (fact, value) in [
        (
            ConsoleFact::Advice,
            "set ipa-api-url on the kernel command line",
        ),
        (ConsoleFact::Doing, "cleaning"),
        (ConsoleFact::Progress, "25 erasing /dev/sda, 15 s left"),
    ] {
        assert!(then.contains(&(fact, value.to_owned())), "{then:?}");
    }
    status.running(None, "");
    status.over(Topic::Conductor);
    let last = told();
    for fact in [
        ConsoleFact::Progress,
        ConsoleFact::Trouble,
        ConsoleFact::Advice,
    ] {
        assert!(last.contains(&(fact, String::new())), "{last:?}");
    }
    assert!(last.contains(&(ConsoleFact::Doing, "inspecting the hardware".to_owned())));
}

#[test]
fn a_look_that_finds_the_same_tells_pid_1_what_it_had_no_room_for() {
    static IS_FULL: AtomicBool = AtomicBool::new(true);
    static PAGE: Mutex<String> = Mutex::new(String::new());
    let status = Status {
        tell: |fact, value| match IS_FULL.load(Ordering::Relaxed) {
            true => Err(io::ErrorKind::WouldBlock.into()),
            false => {
                PAGE.lock().unwrap().push_str(&format!("{fact:?}={value};"));
                Ok(())
            }
        },
        ..Status::default()
    };
    let no_link = || Some(Trouble::no_link(&["eno1".to_owned()]));
    status.is(Topic::Network, no_link());
    IS_FULL.store(false, Ordering::Relaxed);
    status.is(Topic::Network, no_link());
    let page = std::mem::take(&mut *PAGE.lock().unwrap());
    assert!(
        page.contains("Trouble=no link on the only network port, eno1;"),
        "{page}"
    );
    // A name from outside may have a secret in it, and so may an error.
    status.trouble("asked http://user:pa55-of-the-page@host/ in vain");
    status.is(Topic::Network, None);
    let page = std::mem::take(&mut *PAGE.lock().unwrap());
    assert!(
        page.contains("Trouble=asked http://") && !page.contains("pa55"),
        "{page}"
    );
}

#[test]
fn an_answer_of_the_conductors_ends_what_was_in_the_way_to_it() {
    let status = Status::default();
    status.met(Trouble::no_route("192.0.2.1", &[], &[]));
    let error = ConductorError::Status {
        url: "http://192.0.2.1/".to_owned(),
        status: 503,
        text: "Error 503: no".to_owned(),
    };
    status.met(Trouble::of_conductor(&error, &[]));
    let last = status.last_trouble().unwrap();
    assert!(last.contains("Error 503"), "{last}");
    status.over(Topic::Conductor);
    assert_eq!(status.last_trouble(), None);
}

#[test]
fn the_lines_say_who_and_what() {
    let status = Status::default();
    status.node("2564c0a3-dd23-551f-a25c-1af767f45a81");
    status.node_document(&Node::default());
    let node = json!({"name": "rack7-\u{1b}[2Junit3"});
    status.node_document(&serde_json::from_value(node).unwrap());
    status.conductor(&Url::parse("http://admin:hidden@10.77.0.1:6385/?key=hidden").unwrap());
    status.doing("looking up the node");
    let lines = status.lock().to_lines();
    for line in [
        "farrier | now        looking up the node\n",
        "farrier | node       2564c0a3-dd23-551f-a25c-1af767f45a81\n",
        "farrier | name       rack7-\\u{1b}[2Junit3\n",
        "farrier | conductor  http://10.77.0.1:6385/\n",
    ] {
        assert!(lines.contains(line), "{lines}");
    }
}

/// What is shown of a trouble when it is met.
fn meet(status: &Status, trouble: Trouble) -> String {
    let mut facts = status.lock();
    let topic = trouble.topic;
    facts.note(trouble);
    facts.troubles.get_mut(&topic).unwrap().lines()
}

#[test]
fn a_trouble_is_shown_once_with_advice_and_again_with_a_count() {
    let status = Status::default();
    let forged = "no\nfarrier | now        serving\r\u{1b}[2K";
    assert_eq!(
        meet(&status, Trouble::work(forged)),
        "farrier | trouble    no\\nfarrier | now        serving\\r\\u{1b}[2K\n"
    );
    let none = Trouble::no_conductor();
    assert_eq!(
        meet(&status, none.clone()),
        "farrier | trouble    no conductor is configured\n\
         farrier | advice     set ipa-api-url on the kernel command line\n"
    );
    for _ in 0..7 {
        assert_eq!(meet(&status, none.clone()), "");
    }
    let minute_ago = Instant::now().checked_sub(REPEAT).unwrap();
    status
        .lock()
        .troubles
        .get_mut(&Topic::Conductor)
        .unwrap()
        .shown = Some(minute_ago);
    assert_eq!(
        meet(&status, none),
        "farrier | trouble    no conductor is configured (9 times)\n"
    );
}

#[test]
fn the_most_urgent_trouble_is_shown_and_work_ends_with_what_is_done() {
    let status = Status::default();
    status.doing("one thing");
    status.trouble("a detail");
    status.met(Trouble::no_conductor());
    assert_eq!(status.last_trouble().unwrap(), "no conductor is configured");
    let no_link = Trouble::no_link(&["eno1".to_owned()]);
    status.is(Topic::Network, Some(no_link.clone()));
    status.is(Topic::Network, Some(no_link.clone()));
    assert_eq!(status.lock().troubles[&Topic::Network].times, 1);
    assert_eq!(status.last_trouble(), Some(no_link.what));
    status.is(Topic::Network, None);
    assert_eq!(status.last_trouble().unwrap(), "no conductor is configured");
    status.over(Topic::Conductor);
    assert_eq!(status.last_trouble().unwrap(), "a detail");
    status.doing("another thing");
    assert_eq!(status.last_trouble(), None);
}

#[test]
fn an_agent_that_ends_says_so_over_its_commands() {
    let status = Status::default();
    status.doing("ready for the conductor's commands");
    status.running(Some("cleaning: step erase_devices"), "");
    assert_eq!(status.lock().now(), "cleaning: step erase_devices");
    status.ending("ending, because the agent was asked to end");
    status.running(Some("cleaning: step erase_devices"), "");
    assert_eq!(
        status.lock().now(),
        "ending, because the agent was asked to end"
    );
}

#[test]
fn the_machine_is_known_by_its_label_where_it_has_one() {
    let facts = |serial: &str, product: &str, bmc: &str| {
        let status = Status::default();
        status.machine(&Inventory {
            bmc_address: Some(bmc.to_owned()),
            bmc_v6address: Some("fd00::5".to_owned()),
            system_vendor: SystemVendor {
                serial_number: serial.to_owned(),
                product_name: product.to_owned(),
                manufacturer: "To Be Filled By O.E.M.".to_owned(),
                ..SystemVendor::default()
            },
            ..Inventory::default()
        });
        let facts = status.lock();
        (
            facts.serial.clone().unwrap_or_default(),
            facts.bmc.clone().unwrap_or_default(),
        )
    };
    assert_eq!(
        facts(" CZJ1234 ", "R650", "10.0.0.5"),
        ("CZJ1234 (R650)".to_owned(), "10.0.0.5".to_owned())
    );
    assert_eq!(
        facts("CZJ1234", "System Product Name", "0.0.0.0").1,
        "fd00::5",
        "a controller without an address is nowhere"
    );
    assert_eq!(facts("Default string", "R650", "").0, "");
}

#[test]
fn switch_ports_are_named_where_they_were_heard() {
    let hex = |text: &str| {
        text.bytes()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    // Chassis by MAC address, port by name, the switch's name (IEEE 802.1AB, table 8-1).
    let tlvs = vec![
        (1, "04001b21aabbcc".to_owned()),
        (2, format!("05{}", hex("Ethernet1/7"))),
        (5, hex("leaf-12")),
    ];
    let status = Status::default();
    let interface = |name: &str, lldp| NetworkInterface {
        name: name.to_owned(),
        lldp,
        ..NetworkInterface::default()
    };
    let inventory = Inventory {
        interfaces: vec![
            interface("eno1", Some(tlvs.clone())),
            interface("eno2", Some(vec![])),
        ],
        ..Inventory::default()
    };
    status.machine(&inventory);
    let switch = || status.lock().switch.clone();
    assert_eq!(switch().unwrap(), "eno1 leaf-12 Ethernet1/7");
    // An inventory without them takes nothing away.
    status.machine(&Inventory::default());
    assert!(switch().is_some());
    status.switches(&LldpData::from([("eno2".to_owned(), tlvs[..2].to_vec())]));
    assert_eq!(switch().unwrap(), "eno2 00:1b:21:aa:bb:cc Ethernet1/7");
    status.switches(&LldpData::from([("eno2".to_owned(), Vec::new())]));
    assert!(switch().is_some());
}
