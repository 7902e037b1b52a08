use super::*;

fn card(root: &Path, name: &str) {
    let directory = root.join("sys/class/net").join(name);
    fs::create_dir_all(directory.join("device")).unwrap();
    fs::write(directory.join("address"), "52:54:00:12:34:56\n").unwrap();
    fs::write(directory.join("ifindex"), "2\n").unwrap();
    fs::create_dir_all(root.join("run/udev/data")).unwrap();
    fs::write(root.join("run/udev/data/n2"), "I:1\n").unwrap();
}

fn start(owner: Option<&str>) -> Option<Start> {
    Some(Start {
        owner: owner.map(str::to_owned),
        part: None,
        restart: Restart::WithoutRoutes,
    })
}

fn text_of(owner: Option<&str>, has_name: bool) -> String {
    configuration(&start(owner).unwrap(), has_name)
}

#[test]
fn without_bootif_the_network_starts_at_once() {
    let mut network = Network::new(None, false);
    let root = tempfile::tempdir().unwrap();
    let now = Instant::now();
    assert_eq!(network.decide(root.path(), None, now), start(None));
    assert_eq!(network.decide(root.path(), None, now), None);
    assert_eq!(network.next_look(), WATCH);
}

#[test]
fn the_boot_interface_is_waited_for_and_taken_late() {
    let root = tempfile::tempdir().unwrap();
    let mut network = Network::new(HardwareAddress::parse("52:54:00:12:34:56"), false);
    let begin = Instant::now();
    let mut decide = |settled, seconds| {
        network.decide(root.path(), settled, begin + Duration::from_secs(seconds))
    };
    assert_eq!(decide(None, 30), None);
    assert_eq!(decide(Some(begin), 9), None);
    assert_eq!(decide(Some(begin), 10), start(None));
    assert_eq!(decide(Some(begin), 11), None);
    card(root.path(), "ens3");
    assert_eq!(decide(Some(begin), 12), start(Some("ens3")));
    assert_eq!(decide(Some(begin), 13), None);
    let net = root.path().join("sys/class/net");
    fs::remove_dir_all(net.join("ens3")).unwrap();
    assert_eq!(decide(Some(begin), 14), None);
    card(root.path(), "ens9");
    let renamed = Start {
        owner: Some("ens9".to_owned()),
        part: None,
        restart: Restart::Gently,
    };
    assert_eq!(decide(Some(begin), 15), Some(renamed));
}

#[test]
fn the_network_waits_for_virtual_media_where_they_are_to_name_the_boot_interface() {
    let root = tempfile::tempdir().unwrap();
    card(root.path(), "ens3");
    let address = HardwareAddress::parse("52:54:00:12:34:56");
    let begin = Instant::now();
    let mut network = Network::new(None, true);
    assert_eq!(network.decide(root.path(), Some(begin), begin), None);
    network.parameters_known(address);
    let decided = network.decide(root.path(), Some(begin), begin);
    assert_eq!(decided, start(Some("ens3")));

    // Media that name none are not waited for any longer either.
    let mut network = Network::new(None, true);
    network.parameters_known(None);
    assert_eq!(network.decide(root.path(), None, begin), start(None));

    // Nor is an agent that never says so.
    let mut network = Network::new(None, true);
    let late = begin + PATIENCE;
    assert_eq!(network.decide(root.path(), Some(begin), late), start(None));
}

fn part(owner: Owner) -> DhcpPart {
    let mut part = DhcpPart::all();
    part.bare.insert("eno1".to_owned());
    part.owner = owner;
    part
}

#[test]
fn dhcp_waits_for_a_plan_and_not_for_a_program_that_does_not_answer() {
    let root = tempfile::tempdir().unwrap();
    let begin = Instant::now();
    let mut network = Network::new(None, false);
    network.await_plan(begin);
    let late = begin + Duration::from_secs(60);
    // What comes of the plan decides, and udev may be busy for a minute.
    assert_eq!(network.decide(root.path(), None, late), None);
    assert_eq!(network.decide(root.path(), Some(begin), begin), None);
    let owner = Owner::Interface("bond0".to_owned());
    network.planned(Some(part(owner.clone())));
    let decided = network.decide(root.path(), None, begin).unwrap();
    assert_eq!(decided.part, Some(part(owner.clone())));
    assert_eq!(network.decide(root.path(), None, begin), None);
    // A card that came late.
    let mut more = part(owner);
    more.bare.insert("eno2".to_owned());
    network.planned(Some(more));
    let decided = network.decide(root.path(), None, begin).unwrap();
    assert_eq!(decided.restart, Restart::Gently);
    network.planned(Some(part(Owner::Nobody)));
    let decided = network.decide(root.path(), None, begin).unwrap();
    assert_eq!(decided.restart, Restart::WithoutRoutes);

    let mut network = Network::new(None, false);
    network.await_plan(begin);
    let over = begin + PLAN_PATIENCE;
    assert_eq!(network.decide(root.path(), Some(begin), over), start(None));
    assert!(network.awaits_plan());
    // It answers after all.
    network.planned(Some(part(Owner::Any)));
    let decided = network.decide(root.path(), Some(begin), over).unwrap();
    assert_eq!(decided.part, Some(part(Owner::Any)));
    assert_eq!(decided.restart, Restart::WithoutRoutes);
}

#[test]
fn dhcp_starts_without_a_plan_also_where_udev_never_settles() {
    let root = tempfile::tempdir().unwrap();
    let begin = Instant::now();
    let mut network = Network::new(None, false);
    network.await_plan(begin);
    let early = begin + PLAN_LIMIT - Duration::from_secs(1);
    assert_eq!(network.decide(root.path(), None, early), None);
    let late = begin + PLAN_LIMIT;
    assert_eq!(network.decide(root.path(), None, late), start(None));
}

#[test]
fn a_plan_is_made_once_of_what_an_agent_started_again_finds() {
    let mut network = Network::new(None, false);
    assert!(network.takes_source(Vec::new()));
    assert!(!network.takes_source(Vec::new()));
    assert!(network.takes_source(b"{}".to_vec()));
    assert!(!network.takes_source(b"{}".to_vec()));
}

#[test]
fn a_plan_that_cannot_be_used_leaves_the_boot_interface_as_it_is_without_one() {
    for unusable in [None, Some(DhcpPart::all())] {
        let root = tempfile::tempdir().unwrap();
        card(root.path(), "ens3");
        let now = Instant::now();
        let mut network = Network::new(HardwareAddress::parse("52:54:00:12:34:56"), false);
        network.await_plan(now);
        assert_eq!(network.decide(root.path(), None, now), None);
        network.planned(unusable);
        assert_eq!(network.decide(root.path(), None, now), start(Some("ens3")));
    }
}

#[test]
fn a_plan_comes_after_dhcp_where_media_come_late() {
    let root = tempfile::tempdir().unwrap();
    let now = Instant::now();
    let mut network = Network::new(None, false);
    assert_eq!(network.decide(root.path(), None, now), start(None));
    network.await_plan(now);
    assert_eq!(network.decide(root.path(), Some(now), now), None);
    network.planned(Some(part(Owner::Nobody)));
    assert!(network.decide(root.path(), Some(now), now).is_some());
}

#[test]
fn a_plans_default_route_is_nobody_elses() {
    let text = |owner| {
        let start = Start {
            part: Some(part(owner)),
            ..start(None).unwrap()
        };
        configuration(&start, true)
    };
    let nobody = text(Owner::Nobody);
    assert!(nobody.contains("\nnogateway\n"), "{nobody}");
    assert!(!nobody.contains("\ngateway\n"), "{nobody}");
    assert!(
        nobody.contains("\ndenyinterfaces eno1 lo bond* "),
        "{nobody}"
    );
    let one = text(Owner::Interface("eno3".to_owned()));
    let (all, owner) = one.split_once("interface eno3\n").unwrap();
    assert!(
        all.contains("\nnogateway\n") && owner.starts_with("gateway\n"),
        "{one}"
    );
    assert!(!text(Owner::Any).contains("gateway\n"));
}

#[test]
fn virtual_media_overrule_the_command_line_late() {
    let root = tempfile::tempdir().unwrap();
    card(root.path(), "ens3");
    let now = Instant::now();
    let mut network = Network::new(None, false);
    assert_eq!(network.decide(root.path(), None, now), start(None));
    network.parameters_known(HardwareAddress::parse("52:54:00:12:34:56"));
    // Not gently: every card may have a default route by now.
    assert_eq!(network.decide(root.path(), None, now), start(Some("ens3")));
    assert_eq!(network.decide(root.path(), None, now), None);
}

#[test]
fn configuration_is_written_also_where_the_name_cannot_be() {
    let root = tempfile::tempdir().unwrap();
    let dmi = root.path().join("sys/class/dmi/id");
    fs::create_dir_all(&dmi).unwrap();
    let uuid = "3c41cdef-c29c-516a-8ab1-373e5e72280a\n";
    fs::write(dmi.join("product_uuid"), uuid).unwrap();
    let file = root.path().join(CONFIGURATION.trim_start_matches('/'));
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    // There is no var/lib/dhcpcd.
    let failures = write_configuration(root.path(), &start(None).unwrap());
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert!(failures[0].contains("DUID"), "{failures:?}");
    let written = fs::read_to_string(file).unwrap();
    assert_eq!(written, text_of(None, false));
}

#[test]
fn only_the_owner_gets_a_gateway() {
    let text = text_of(Some("ens3"), true);
    let (all, owner) = text.split_once("interface ens3\n").unwrap();
    assert!(
        all.contains("\nnogateway\n") && owner.starts_with("gateway\n"),
        "{text}"
    );
    // The hook reads what this writes: init::lease::tests::the_boot_interface_owns_dns.
    assert!(all.contains("\nenv boot_interface=ens3\n"), "{text}");
    assert!(!text_of(None, false).contains("gateway"));
}

#[test]
fn what_dhcpcd_is_denied_gets_no_address() {
    let text = text_of(None, true);
    let denied = "\ndenyinterfaces lo bond* dummy* ipvlan* macvlan* tun* tap* veth* *.*\n";
    assert!(text.contains(denied), "{text}");
    for name in ["lo", "bond0", "eno1.100", "veth0"] {
        assert!(is_denied(name), "{name}");
    }
    for name in ["eno1", "lom1", "ibs2"] {
        assert!(!is_denied(name), "{name}");
    }
}
