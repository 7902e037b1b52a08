use proptest::prelude::*;

use super::*;

fn environment(variables: &[(&str, &str)]) -> BTreeMap<String, String> {
    variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// What dhcpcd 9.4.1 passed in a guest with QEMU's user network, shortened.
fn bound(interface: &str, boot_interface: &str) -> BTreeMap<String, String> {
    environment(&[
        ("interface", interface),
        ("protocol", "dhcp"),
        ("reason", "BOUND"),
        ("if_up", "true"),
        (OWNER_VARIABLE, boot_interface),
        ("new_ip_address", "10.0.2.15"),
        ("new_subnet_cidr", "24"),
        ("new_routers", "10.0.2.2"),
        ("new_domain_name_servers", "10.0.2.3 10.0.2.4"),
        ("new_domain_name", "example.org"),
        ("new_ntp_servers", "10.0.2.5"),
    ])
}

fn advertisement() -> BTreeMap<String, String> {
    environment(&[
        ("interface", "ens3"),
        ("protocol", "ra"),
        ("reason", "ROUTERADVERT"),
        ("nd1_from", "fe80::2"),
        ("nd1_addr1", "fec0::5054:ff:fe12:3456/64"),
        ("nd1_rdnss1_servers", "fec0::3"),
        ("nd1_rdnss1_lifetime", "600"),
        ("nd1_rdnss2_servers", "fec0::4"),
        ("nd1_rdnss2_lifetime", "0"),
        ("nd1_dnssl1_search", "example.net"),
    ])
}

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn apply(&self, environment: &BTreeMap<String, String>) -> Option<News> {
        let resolv_conf = self.0.path().join("resolv.conf");
        apply(
            &self.0.path().join("leases"),
            &resolv_conf,
            &change(environment),
        )
        .unwrap()
    }

    fn resolv_conf(&self) -> String {
        fs::read_to_string(self.0.path().join("resolv.conf")).unwrap()
    }
}

#[test]
fn a_lease_makes_a_resolver_and_one_line_of_news() {
    let place = Place::new();
    let news = place.apply(&bound("ens3", "")).unwrap();
    assert_eq!(
        news.text,
        "network ens3 dhcp 10.0.2.15/24, gateway 10.0.2.2, DNS 10.0.2.3 10.0.2.4"
    );
    assert_eq!(news.phase.as_deref(), Some("dhcp"));
    assert_eq!(
        place.resolv_conf(),
        "search example.org\nnameserver 10.0.2.3\nnameserver 10.0.2.4\n"
    );
    let mut renewal = bound("ens3", "");
    renewal.insert("reason".to_owned(), "RENEW".to_owned());
    assert_eq!(place.apply(&renewal), None);
}

#[test]
fn an_advertisement_gives_addresses_and_servers_that_still_live() {
    let place = Place::new();
    let news = place.apply(&advertisement()).unwrap();
    assert_eq!(
        news.text,
        "network ens3 ra fec0::5054:ff:fe12:3456/64, gateway fe80::2, DNS fec0::3"
    );
    assert_eq!(
        place.resolv_conf(),
        "search example.net\nnameserver fec0::3\n"
    );
}

#[test]
fn only_what_is_a_domain_is_searched() {
    for (option, value, search) in [
        ("new_domain_name", "my_lab.test", "search my_lab.test\n"),
        (
            "new_domain_name",
            "lab.test. other.test",
            "search lab.test other.test\n",
        ),
        ("new_domain_name", "Joe's net", ""),
        ("new_domain_name", "(none)", ""),
        ("new_domain_name", "lab..test", ""),
        ("new_domain_name", ".lab.test", "search lab.test\n"),
        ("new_domain_name", ".", ""),
        (
            "new_domain_search",
            "lab..test lab.test",
            "search lab.test\n",
        ),
        // Then the other option counts, which `bound` has.
        ("new_domain_search", "(none)", "search example.org\n"),
    ] {
        let place = Place::new();
        let mut lease = bound("ens3", "");
        lease.insert(option.to_owned(), value.to_owned());
        place.apply(&lease);
        assert_eq!(
            place.resolv_conf(),
            format!("{search}nameserver 10.0.2.3\nnameserver 10.0.2.4\n"),
            "{option}={value}"
        );
    }
    let mut advertised = advertisement();
    advertised.insert("nd1_dnssl1_search".to_owned(), "(none) a.test".to_owned());
    let place = Place::new();
    place.apply(&advertised);
    assert!(place.resolv_conf().starts_with("search a.test\n"));
}

#[test]
fn only_addresses_are_name_servers_and_link_local_ones_have_their_interface() {
    let place = Place::new();
    let mut advertised = advertisement();
    advertised.insert(
        "nd1_rdnss1_servers".to_owned(),
        "fe80::3 ns.example fe80::4%ens3 2001:db8::1".to_owned(),
    );
    place.apply(&advertised);
    assert_eq!(
        place.resolv_conf(),
        "search example.net\nnameserver fe80::3%ens3\nnameserver fe80::4%ens3\n\
         nameserver 2001:db8::1\n"
    );
}

#[test]
fn the_boot_interface_owns_dns() {
    let place = Place::new();
    place.apply(&bound("ens4", "ens3"));
    let mut boot = bound("ens3", "ens3");
    boot.insert("new_domain_name_servers".to_owned(), "192.0.2.1".to_owned());
    place.apply(&boot);
    assert_eq!(
        place.resolv_conf(),
        "search example.org\nnameserver 192.0.2.1\n"
    );
}

#[test]
fn what_expires_or_loses_its_link_is_forgotten() {
    let place = Place::new();
    place.apply(&bound("ens3", ""));
    place.apply(&advertisement());
    let expired = environment(&[
        ("interface", "ens3"),
        ("protocol", "dhcp"),
        ("reason", "EXPIRE"),
    ]);
    assert!(place.apply(&expired).is_some());
    assert_eq!(place.apply(&expired), None);
    assert_eq!(
        place.resolv_conf(),
        "search example.net\nnameserver fec0::3\n"
    );
    let down = environment(&[
        ("interface", "ens3"),
        ("protocol", "link"),
        ("reason", "NOCARRIER"),
    ]);
    assert!(place.apply(&down).is_some());
    assert_eq!(place.resolv_conf(), "");
}

#[test]
fn dhcp6_addresses_are_found_by_their_numbers() {
    let change = change(&environment(&[
        ("interface", "ens3"),
        ("protocol", "dhcp6"),
        ("reason", "BOUND6"),
        ("new_dhcp6_ia_na1_ia_addr1", "2001:db8::5"),
        ("new_dhcp6_ia_na1_iaid", "2001"),
        ("new_dhcp6_name_servers", "2001:db8::1"),
    ]));
    let Change::Given(lease) = change else {
        panic!("{change:?}")
    };
    assert_eq!(lease.addresses, ["2001:db8::5/128"]);
    assert_eq!(lease.servers, ["2001:db8::1"]);
}

#[test]
fn time_servers_are_found_in_what_is_kept() {
    let root = tempfile::tempdir().unwrap();
    assert!(time_servers(root.path()).is_empty());
    let place = root.path().join("run/farrier");
    fs::create_dir_all(&place).unwrap();
    let keep = |interface: &str, server: &str| {
        let mut environment = bound(interface, "ens3");
        environment.insert("new_ntp_servers".to_owned(), server.to_owned());
        let resolv_conf = place.join("resolv.conf");
        apply(&place.join("leases"), &resolv_conf, &change(&environment)).unwrap();
    };
    keep("ens2", "10.0.2.5 10.0.2.6");
    keep("ens3", "10.0.2.7 10.0.2.5");
    assert_eq!(
        time_servers(root.path()),
        ["10.0.2.7", "10.0.2.5", "10.0.2.6"]
    );
}

proptest! {
    #[test]
    fn no_name_makes_the_matcher_panic(name: String) {
        let _ = is_lease_address(&name);
        let _ = is_advertised_address(&name);
    }
}
