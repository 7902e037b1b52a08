use super::*;

const HARDWARE: packet::HardwareAddress = [0x52, 0x54, 0, 1, 2, 3];
const GATEWAY: packet::HardwareAddress = [0x52, 0x54, 0, 9, 9, 9];
const CLIENT: Client = Client {
    hardware: HARDWARE,
    transaction: 0xfa11_1e55,
};

fn lease(protocol: &str, addresses: &[&str], routers: &[&str]) -> Lease {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    Lease {
        interface: "ens3".to_owned(),
        protocol: protocol.to_owned(),
        addresses: texts(addresses),
        routers: texts(routers),
        ..Lease::default()
    }
}

fn given(leases: &[Lease]) -> Given {
    Given::all(leases).remove(0)
}

fn ipv4() -> Given {
    given(&[lease("dhcp", &["192.0.2.10/24"], &["192.0.2.1"])])
}

/// A DHCP server's frame, made of a question.
fn answer(kind: u8, address: [u8; 4]) -> Vec<u8> {
    let mut frame = CLIENT.discover();
    // Ports, kind of BOOTP message, address, kind.
    frame[34..38].copy_from_slice(&[0, 67, 0, 68]);
    frame[42] = 2;
    frame[58..62].copy_from_slice(&address);
    assert_eq!(frame[282..285], [53, 1, 1]);
    frame[284] = kind;
    frame
}

fn offer(last: u8) -> Vec<u8> {
    answer(2, [192, 0, 2, last])
}

fn acknowledgement() -> Vec<u8> {
    answer(5, [192, 0, 2, 10])
}

fn refusal() -> Vec<u8> {
    answer(6, [0; 4])
}

fn gateway(hardware: packet::HardwareAddress) -> Vec<u8> {
    let wanted = Ipv4Addr::new(192, 0, 2, 10);
    let mut frame = arp::request(hardware, Ipv4Addr::new(192, 0, 2, 1), wanted);
    frame[21] = 2;
    frame
}

fn icmp(from: &str, body: &[u8]) -> Vec<u8> {
    let from: Ipv6Addr = from.parse().unwrap();
    let mut frame = neighbor_discovery::router_solicitation(GATEWAY, from);
    frame.truncate(54);
    frame[18..20].copy_from_slice(&(body.len() as u16).to_be_bytes());
    frame.extend(body);
    frame
}

fn advertisement(from: &str, prefixes: &[&str]) -> Vec<u8> {
    let mut body = vec![134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0];
    // The option of an MTU before them.
    body.extend([5, 1, 0, 0, 0, 0, 5, 0xdc]);
    for prefix in prefixes {
        let prefix: Ipv6Net = prefix.parse().unwrap();
        body.extend([3, 4, prefix.prefix_len(), 0xc0, 0, 0, 14, 16, 0, 0, 14, 16]);
        body.extend([0; 4]);
        body.extend(prefix.addr().octets());
    }
    icmp(from, &body)
}

fn neighbor(address: &str) -> Vec<u8> {
    let target: Ipv6Addr = address.parse().unwrap();
    let mut body = vec![136, 0, 0, 0, 0x60, 0, 0, 0];
    body.extend(target.octets());
    icmp(address, &body)
}

fn verdict(given: &Given, known: &Known, frames: &[Vec<u8>]) -> Verdict {
    let mut round = Round::new(given, CLIENT, known);
    for frame in frames {
        round.take(frame);
    }
    round.verdict()
}

#[test]
fn what_the_server_of_the_lease_says_counts_before_all_else() {
    let given = ipv4();
    let none = Known::default();
    let verdict = |frames: &[Vec<u8>]| verdict(&given, &none, frames);
    assert_eq!(verdict(&[acknowledgement()]), Verdict::Counts);
    assert_eq!(verdict(&[refusal(), acknowledgement()]), Verdict::Counts);
    assert_eq!(verdict(&[refusal()]), Verdict::Another);
    assert_eq!(verdict(&[refusal(), gateway(GATEWAY)]), Verdict::Another);
    // Of another address, it is no word about this one.
    assert_eq!(verdict(&[answer(5, [192, 0, 2, 11])]), Verdict::Nobody);
}

#[test]
fn a_lease_stays_while_anybody_of_its_network_answers_or_nobody_of_another() {
    let given = ipv4();
    let none = Known::default();
    let verdict = |frames: &[Vec<u8>]| verdict(&given, &none, frames);
    assert_eq!(verdict(&[]), Verdict::Nobody);
    assert_eq!(verdict(&[gateway(GATEWAY)]), Verdict::Counts);
    // A server that has lost its leases gives the same address again.
    assert_eq!(verdict(&[offer(77), offer(10)]), Verdict::Counts);
    assert_eq!(verdict(&[offer(10), offer(77)]), Verdict::Counts);
    assert_eq!(verdict(&[offer(77)]), Verdict::Another);
    assert_eq!(verdict(&[offer(77), gateway(GATEWAY)]), Verdict::Counts);
}

#[test]
fn a_gateway_of_another_hardware_address_is_another_networks() {
    let given = ipv4();
    let known = Known {
        gateways: [(Ipv4Addr::new(192, 0, 2, 1), GATEWAY)].into(),
        together: None,
    };
    let frames = [offer(77), gateway([2; 6])];
    assert_eq!(verdict(&given, &Known::default(), &frames), Verdict::Counts);
    assert_eq!(verdict(&given, &known, &frames), Verdict::Another);
    // One that nobody asked for.
    let mut other = gateway(GATEWAY);
    other[31] = 2;
    assert_eq!(verdict(&given, &known, &[other]), Verdict::Nobody);
}

#[test]
fn routers_say_it_where_there_is_no_lease_of_dhcpv4() {
    let none = Known::default();
    let before = lease("ra", &["fd00:1::5/64"], &["fe80::1"]);
    let one = given(&[before]);
    // dhcpcd has taken what the other router advertises, too.
    let both = given(&[lease(
        "ra",
        &["fd00:1::5/64", "fd00:3::5/64"],
        &["fe80::1", "fe80::3"],
    )]);
    let ours = || advertisement("fe80::1", &["fd00:9::/64", "fd00:1::/64"]);
    let others = || advertisement("fe80::3", &["fd00:3::/64"]);
    for (given, frames, expected) in [
        (&one, vec![], Verdict::Nobody),
        (&one, vec![ours()], Verdict::Counts),
        (&one, vec![others()], Verdict::Another),
        (&one, vec![others(), neighbor("fe80::1")], Verdict::Counts),
        (&one, vec![neighbor("fe80::1")], Verdict::Counts),
        (&one, vec![neighbor("fe80::7")], Verdict::Nobody),
        // One address for the gateways of all networks.
        (
            &one,
            vec![
                advertisement("fe80::1", &["fd00:3::/64"]),
                neighbor("fe80::1"),
            ],
            Verdict::Another,
        ),
        (&both, vec![ours(), others()], Verdict::Counts),
        (&both, vec![others()], Verdict::Another),
        (&both, vec![others(), neighbor("fe80::3")], Verdict::Another),
        (&both, vec![others(), neighbor("fe80::1")], Verdict::Counts),
    ] {
        assert_eq!(verdict(given, &none, &frames), expected, "{frames:x?}");
    }
    // A second router of one network, whose first is gone.
    let pair = given_pair();
    let second = advertisement("fe80::2", &["fd00:1::/64"]);
    assert_eq!(verdict(&pair, &none, &[second]), Verdict::Counts);
}

fn given_pair() -> Given {
    given(&[lease("ra", &["fd00:1::5/64"], &["fe80::1", "fe80::2"])])
}

#[test]
fn addresses_of_dhcpv6_are_judged_where_prefixes_say_something_of_them() {
    let none = Known::default();
    let leased = given(&[
        lease("dhcp6", &["fd00:1::100"], &[]),
        lease("ra", &[], &["fe80::1"]),
    ]);
    for (from, prefixes, expected) in [
        ("fe80::1", &[][..], Verdict::Counts),
        ("fe80::1", &["fd00:1::/64"], Verdict::Counts),
        ("fe80::1", &["fd00:3::/64"], Verdict::Another),
        ("fe80::3", &[], Verdict::Another),
    ] {
        let frame = advertisement(from, prefixes);
        assert_eq!(verdict(&leased, &none, &[frame]), expected, "{from}");
    }
    // No server of DHCPv6 answers where a prefix is for it alone: there is nothing that it could be another's of.
    let none_yet = given(&[
        lease("dhcp", &["192.0.2.10/24"], &[]),
        lease("ra", &[], &["fe80::1"]),
    ]);
    let frames = [
        acknowledgement(),
        advertisement("fe80::1", &["fd00:1::/64"]),
    ];
    assert_eq!(verdict(&none_yet, &none, &frames), Verdict::Counts);
    // Where something was made of prefixes, that alone is judged.
    let mixed = given(&[
        lease("dhcp6", &["fd00:7::100"], &[]),
        lease("ra", &["fd00:1::5/64"], &["fe80::1"]),
    ]);
    let frame = advertisement("fe80::1", &["fd00:1::/64"]);
    assert_eq!(verdict(&mixed, &none, &[frame]), Verdict::Counts);
}

/// From a network with DHCPv6 alone into one without it.
#[test]
fn a_lease_of_dhcpv6_does_not_stay_behind_its_network() {
    let none = Known::default();
    let moved = |leased: &str| {
        given(&[
            lease("dhcp6", &[leased], &[]),
            lease("ra", &["fd00:3::5/64"], &["fe80::1", "fe80::3"]),
        ])
    };
    let here = || advertisement("fe80::3", &["fd00:3::/64"]);
    for (leased, frames, expected, is_certain) in [
        ("fd00:1::100", vec![here()], Verdict::Another, false),
        // The router of the lease is there, with a prefix of the lease or without.
        (
            "fd00:1::100",
            vec![here(), neighbor("fe80::1")],
            Verdict::Counts,
            false,
        ),
        (
            "fd00:1::100",
            vec![here(), advertisement("fe80::1", &[])],
            Verdict::Counts,
            false,
        ),
        (
            "fd00:1::100",
            vec![here(), advertisement("fe80::1", &["fd00:1::/64"])],
            Verdict::Counts,
            true,
        ),
        // A lease of this network, of whose two routers one is gone.
        ("fd00:3::100", vec![here()], Verdict::Counts, true),
        ("fd00:1::100", vec![], Verdict::Nobody, false),
    ] {
        let given = moved(leased);
        assert_eq!(
            verdict(&given, &none, &frames),
            expected,
            "{leased}: {frames:x?}"
        );
        let mut round = Round::new(&given, CLIENT, &none);
        frames.iter().for_each(|frame| round.take(frame));
        assert_eq!(round.is_certain(), is_certain, "{leased}: {frames:x?}");
    }
}

#[test]
fn a_lease_that_counts_stays_whatever_becomes_of_routers() {
    let given = given(&[
        lease("dhcp", &["192.0.2.10/24"], &["192.0.2.1"]),
        lease("ra", &["fd00:1::5/64"], &["fe80::1"]),
    ]);
    let ours = || advertisement("fe80::1", &["fd00:1::/64"]);
    let others = || advertisement("fe80::3", &["fd00:3::/64"]);
    let round = |known: &Known, frames: &[Vec<u8>]| {
        let mut round = Round::new(&given, CLIENT, known);
        frames.iter().for_each(|frame| round.take(frame));
        let is_certain = round.is_certain();
        let (verdict, shown) = round.outcome();
        (verdict, is_certain, shown.together)
    };
    let address = given.ipv4;
    let new = Known::default();
    let both = [acknowledgement(), ours()];
    assert_eq!(round(&new, &both), (Verdict::Counts, true, address));
    let known = Known {
        together: address,
        ..Known::default()
    };
    let late = [acknowledgement(), others()];
    assert_eq!(round(&known, &late), (Verdict::Counts, true, None));
    // The lease may be of the network that the port has come into, and the addresses of IPv6 of the one before.
    assert_eq!(round(&new, &late), (Verdict::Another, false, None));
    let elsewhere = Known {
        together: Some(Ipv4Addr::new(192, 0, 2, 99)),
        ..Known::default()
    };
    assert_eq!(round(&elsewhere, &late).0, Verdict::Another);
    assert_eq!(round(&new, &late[..1]).0, Verdict::Counts);
    for (frames, expected) in [
        (vec![gateway(GATEWAY), others()], Verdict::Counts),
        (vec![others()], Verdict::Another),
        (vec![ours(), refusal()], Verdict::Another),
        (vec![ours()], Verdict::Counts),
    ] {
        assert_eq!(round(&known, &frames).0, expected, "{frames:x?}");
    }
}

#[test]
fn all_that_dhcpcd_got_is_asked_about_and_nothing_else() {
    let all = Given::all(&[
        lease("dhcp", &["192.0.2.10/24"], &["192.0.2.1", "198.51.100.1"]),
        lease("ra", &["fd00:1::5/64"], &["fe80::1"]),
        lease("static", &["203.0.113.5/24"], &["203.0.113.1"]),
    ]);
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].gateways, [Ipv4Addr::new(192, 0, 2, 1)]);
    let known = Known::default();
    let round = Round::new(&all[0], CLIENT, &known);
    let sender = Some("fe80::5".parse().unwrap());
    // DHCP, gateway, routers, router.
    assert_eq!(round.questions(sender).len(), 4);
    assert_eq!(round.questions(None).len(), 2);
    assert_eq!(Given::all(&[lease("static", &["203.0.113.5/24"], &[])]), []);
    assert_eq!(Given::all(&[lease("dhcp6", &["fd00:1::100"], &[])]), []);
    assert_eq!(Given::all(&[lease("dhcp", &["x"], &["y"])]), []);
}

/// The kernel of the other end answers for a gateway and a router's address; there is no DHCP server.
#[test]
fn a_kernel_answers_for_its_addresses() {
    use crate::sys::network_namespace::{inside, ip};
    inside(|| {
        let there = format!("farrier-port-{}", std::process::id());
        let other_end = |words: &str| ip(&format!("-n {there} {words}"));
        ip("link add eno1 type veth peer name port1");
        ip(&format!("netns add {there}"));
        ip(&format!("link set port1 netns {there}"));
        other_end("link set port1 up");
        other_end("addr add 192.0.2.1/24 dev port1");
        other_end("addr add fe80::1/64 dev port1 nodad");
        ip("link set eno1 up");
        ip("addr add 192.0.2.10/24 dev eno1");
        ip("addr add fe80::10/64 dev eno1 nodad");
        let mut leases = [
            lease("dhcp", &["192.0.2.10/24"], &["192.0.2.1"]),
            lease("ra", &["fd00:1::5/64"], &["fe80::1"]),
        ];
        for lease in &mut leases {
            lease.interface = "eno1".to_owned();
        }
        let known = Known::default();
        let of = |leases: &[Lease]| ask(&Root::system(), &Given::all(leases)[0], &known);
        let both = of(&leases);
        let by_router = of(&leases[1..]);
        other_end("addr del 192.0.2.1/24 dev port1");
        other_end("addr del fe80::1/64 dev port1");
        let silent = of(&leases);
        ip(&format!("netns del {there}"));
        let (verdict, known) = both.unwrap();
        assert_eq!((verdict, known.gateways.len()), (Verdict::Counts, 1));
        assert_eq!(by_router.unwrap().0, Verdict::Counts);
        assert_eq!(silent.unwrap().0, Verdict::Nobody);
    });
}
