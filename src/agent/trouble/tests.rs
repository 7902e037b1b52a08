use rustls::CertificateError;
use rustls_pki_types::UnixTime;

use super::*;
use crate::block::hints::DeviceNotFound;
use crate::net::resolver::Resolver;

const URL: &str = "https://ironic.example:6385/";

fn ports(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn device(kind: DriverlessKind) -> Driverless {
    Driverless {
        address: "0000:03:00.0".to_owned(),
        ids: "14e4:168e".to_owned(),
        kind,
    }
}

/// What and advice in one text, as they stand one below the other on the page.
fn text(trouble: &Trouble) -> String {
    format!("{} / {}", trouble.what, trouble.advice)
}

#[test]
fn ports_and_links() {
    let network = device(DriverlessKind::Network);
    let firmware = [
        "network card 0000:03:00.0 (14e4:168e bnx2x) asked for firmware x.fw, which this ramdisk does not have; \
         FIRMWARE=1 builds one that has it"
            .to_owned(),
        "storage controller 0000:04:00.0 (1077:2532 qla2xxx) asked for firmware y.bin".to_owned(),
    ];
    for (trouble, expected) in [
        (
            Trouble::no_port(&[], &[]),
            "this machine has no network port / see in the firmware's setup whether the network card is there and \
             enabled",
        ),
        (
            Trouble::no_port(&[network, device(DriverlessKind::Storage)], &[]),
            "this machine has no network port; network card 0000:03:00.0 (14e4:168e) has no driver / build the ramdisk \
             with its driver (KERNEL=backports) or its firmware (FIRMWARE=1)",
        ),
        (
            Trouble::ports_down(&ports(&["eno1"]), &firmware),
            "network port eno1 cannot be switched on; network card 0000:03:00.0 (14e4:168e bnx2x) asked for firmware \
             x.fw, which this ramdisk does not have / build the ramdisk with its driver (KERNEL=backports) or its \
             firmware (FIRMWARE=1)",
        ),
        (
            Trouble::ports_down(&ports(&["eno1", "eno2"]), &[]),
            "network ports eno1, eno2 cannot be switched on / the kernel's lines on this console say what their drivers \
             miss",
        ),
        (
            Trouble::no_link(&ports(&["eno1"])),
            "no link on the only network port, eno1 / plug in the cable, and check that the switch has the port enabled, \
             at a speed that both can",
        ),
        (
            Trouble::no_link(&ports(&["a", "b", "c", "d", "e", "f", "g", "h"])),
            "no link on any of 8 network ports: a, b, c, d, e, f and 2 more / plug in the cable, and check that the \
             switch has the port enabled, at a speed that both can",
        ),
        (
            Trouble::no_lease(&ports(&["eno1", "eno2"]), Duration::from_secs(75)),
            "no address by DHCP on eno1, eno2, asked for 1 min / check that a DHCP server answers in the network of the \
             switch port (VLAN, relay, free addresses)",
        ),
        (
            Trouble::no_answer_for("ironic.example", Duration::from_secs(20)),
            "no name server has told the address of the conductor ironic.example within 20 s / check that the name servers \
             that DHCP gives can be reached and answer",
        ),
    ] {
        assert_eq!(text(&trouble), expected);
    }
}

#[test]
fn what_is_in_the_way_to_the_conductor() {
    let (v4, v6) = ("192.0.2.7", "2001:db8::7");
    let no_route = "no route to the conductor ironic / check the default gateway that DHCP or the network data give, and \
                    ipa-api-url";
    let no_ipv4 = "no IPv4 address, as the conductor ironic needs / check that a DHCP server answers in the network of \
                   the switch port (VLAN, relay, free addresses)";
    let no_ipv6 = "no IPv6 address, as the conductor ironic needs / check that a router announces a prefix in the network \
                   of the switch port, or that a DHCPv6 server answers";
    for (towards, own, expected) in [
        (&["192.0.2.1"][..], &[v6][..], no_ipv4),
        (&["192.0.2.1"], &[v4], no_route),
        (&["192.0.2.1"], &[v6, v4], no_route),
        (&["2001:db8::1"], &[v4], no_ipv6),
        (&["2001:db8::1"], &[v6], no_route),
        // Either would do.
        (&["192.0.2.1", "2001:db8::1"], &[v6], no_route),
        (&["192.0.2.1", "2001:db8::1"], &[v4], no_route),
        // A name server that does not answer.
        (&[], &[v6], no_route),
    ] {
        let towards: Vec<IpAddr> = towards.iter().map(|text| text.parse().unwrap()).collect();
        let own: Vec<_> = own
            .iter()
            .map(|text| InterfaceAddress {
                interface: "eno1".to_owned(),
                address: text.parse().unwrap(),
            })
            .collect();
        assert_eq!(text(&Trouble::no_route("ironic", &towards, &own)), expected);
    }
}

#[test]
fn devices_without_a_driver() {
    assert_eq!(Trouble::no_driver(&[]), None);
    assert_eq!(
        text(&Trouble::no_driver(&[device(DriverlessKind::Storage)]).unwrap()),
        "no driver for storage controller 0000:03:00.0 (14e4:168e) / if this server needs it, build the ramdisk with \
         its driver (KERNEL=backports)"
    );
}

#[test]
fn disks() {
    let missing = "Error finding the disk or partition device to deploy the image onto: No suitable device was found \
                   for deployment using these hints {\"serial\":\"S9\"}. Devices found: /dev/sda (9.00 GiB, serial S1)";
    assert_eq!(
        text(&Trouble::no_disk(missing, &[], &[])),
        "No suitable device was found for deployment using these hints {\"serial\":\"S9\"}. Devices found: /dev/sda \
         (9.00 GiB, serial S1) / compare the node's root device hints with the disks above, and change them, or plug in \
         the disk"
    );
    // As a page shows it, in two lines of 69 columns: the controller, and what disks there are.
    let small = DeviceNotFound::AllTooSmall {
        found: "The machine shows no usable block device; is the driver of its controller in the ramdisk?".to_owned(),
    };
    let small = format!("Error finding the disk: {small}");
    assert_eq!(
        text(&Trouble::no_disk(&small, &[], &[])),
        "no disk of 4 GiB or more. The machine shows no usable block device; is the driver of its controller in the \
         ramdisk? / plug in a disk of 4 GiB or more, or see in the firmware's setup whether its controller is there and \
         enabled"
    );
    let with_controller = Trouble::no_disk(&small, &[device(DriverlessKind::Storage)], &[]);
    assert!(with_controller.what.starts_with(
        "storage controller 0000:03:00.0 (14e4:168e) has no driver; no disk of 4 GiB or more. The machine shows no usable"
    ));
    assert_eq!(with_controller.advice, NEEDS_DRIVER);
    let long = format!("No suitable device {}", "x".repeat(5000));
    assert!(Trouble::no_disk(&long, &[], &[]).what.len() < LONGEST + 9);
}

/// An error of a connection, as it lies within others.
fn wrapped(error: impl Into<Box<dyn Error + Send + Sync>>) -> io::Error {
    io::Error::other(io::Error::other(error))
}

#[test]
fn connections_that_do_not_come_about() {
    for (kind, expected) in [
        (
            io::ErrorKind::ConnectionRefused,
            "it refuses the connection",
        ),
        (io::ErrorKind::NetworkUnreachable, "there is no way to it"),
        (io::ErrorKind::HostUnreachable, "there is no way to it"),
        (io::ErrorKind::TimedOut, "it does not answer"),
        (io::ErrorKind::ConnectionReset, "it closes the connection"),
        (io::ErrorKind::UnexpectedEof, "it closes the connection"),
    ] {
        let trouble = Trouble::unreachable(URL, &wrapped(io::Error::from(kind)));
        assert_eq!(
            trouble.what,
            format!("could not reach the conductor at {URL}: {expected}")
        );
        assert!(!trouble.advice.is_empty());
    }
    let other = Trouble::unreachable(URL, &wrapped("a proxy of a strange kind"));
    assert!(
        other.what.ends_with("a proxy of a strange kind"),
        "{other:?}"
    );
}

#[tokio::test]
async fn names_that_nobody_knows() {
    let error = Resolver::default().addresses("no..name").await.unwrap_err();
    let trouble = Trouble::unreachable(URL, &wrapped(error));
    assert_eq!(trouble.topic, Topic::Route);
    assert!(
        trouble.what.starts_with("Could not resolve no..name"),
        "{trouble:?}"
    );
    assert!(trouble.advice.contains("name servers"));
}

#[test]
fn certificates_and_clocks() {
    let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let unreachable = |error: CertificateError| {
        Trouble::unreachable(URL, &wrapped(rustls::Error::InvalidCertificate(error)))
    };
    assert_eq!(
        text(&unreachable(CertificateError::NotValidYetContext {
            time: at(1_577_880_000),
            not_before: at(1_795_331_660),
        })),
        "the certificate of https://ironic.example:6385/ is valid from 2026-11-22 07:14:20 UTC, and this machine's clock \
         says 2020-01-01 12:00:00 UTC / set the clock in the firmware's setup, or name a time server by ipa-ntp-server \
         or DHCP"
    );
    let expired = unreachable(CertificateError::ExpiredContext {
        time: at(1_795_331_660),
        not_after: at(1_577_880_000),
    });
    assert!(
        expired
            .what
            .contains("is valid until 2020-01-01 12:00:00 UTC, and"),
        "{expired:?}"
    );
    assert!(
        expired.advice.starts_with("renew the certificate"),
        "{expired:?}"
    );
    let issuer = unreachable(CertificateError::UnknownIssuer);
    assert!(issuer.what.contains("TLS with it fails"), "{issuer:?}");
    assert!(issuer.advice.contains("cafile"), "{issuer:?}");
}

#[test]
fn answers_of_conductors() {
    let addresses = ports(&["52:54:00:00:00:01"]);
    let status = |status| ConductorError::Status {
        url: URL.to_owned(),
        status,
        text: format!("Error {status}: no"),
    };
    for (error, what, advice) in [
        (
            status(404),
            "the conductor at https://ironic.example:6385/ knows no node of this machine (Error 404: no)",
            "enroll it in Ironic with a port of one of these addresses: 52:54:00:00:00:01",
        ),
        (
            status(503),
            "The conductor at https://ironic.example:6385/ answered: Error 503: no",
            "look into the log of Ironic's API",
        ),
        (
            status(401),
            "The conductor at https://ironic.example:6385/ answered: Error 401: no",
            "check that ipa-api-url",
        ),
        (
            ConductorError::Timeout {
                url: URL.to_owned(),
                timeout: Duration::from_secs(30),
            },
            "did not answer within 30 s",
            "firewall",
        ),
        (
            ConductorError::Conflict {
                text: "Node is locked".to_owned(),
            },
            "The conductor has the node locked: Node is locked",
            "nothing: it is asked again",
        ),
        (
            ConductorError::NoUrl,
            "no conductor is configured",
            "ipa-api-url",
        ),
    ] {
        let trouble = Trouble::of_conductor(&error, &addresses);
        assert!(trouble.what.contains(what), "{trouble:?}");
        assert!(trouble.advice.contains(advice), "{trouble:?}");
        assert_eq!(trouble.topic, Topic::Conductor);
    }
    // Of a heartbeat, which is about a node and not about addresses.
    for (code, what, advice) in [
        (
            404,
            "does not know this machine's node any more (Error 404: no)",
            "deleted",
        ),
        (400, "answered: Error 400: no", "see the node's state"),
        (500, "answered: Error 500: no", "look into the log"),
    ] {
        let heartbeat = Trouble::of_heartbeat(&status(code));
        assert!(heartbeat.what.ends_with(what), "{heartbeat:?}");
        assert!(heartbeat.advice.contains(advice), "{heartbeat:?}");
    }
    // Ironic has the same answer for a node in another state, and for several nodes.
    let unknown = Trouble::of_conductor(&status(404), &addresses).advice;
    assert!(
        unknown.contains("no other node") && unknown.contains("state"),
        "{unknown}"
    );
}

#[test]
fn times_are_told_in_steps() {
    for (seconds, words) in [
        (3, "a moment"),
        (10, "10 s"),
        (59, "30 s"),
        (3599, "30 min"),
        (u64::MAX, "half a day"),
    ] {
        assert_eq!(about(Duration::from_secs(seconds)), words);
    }
    assert!(usable_address("::").is_none() && usable_address("x").is_none());
}

#[test]
fn reads_without_the_token() {
    let read = |is_conductor, is_admitted, is_allowed| {
        let read = TokenlessRead {
            peer: "192.0.2.7".parse().unwrap(),
            is_conductor,
            is_admitted,
        };
        text(&Trouble::tokenless_read(&read, is_allowed))
    };
    let older = "its Ironic is older than 29.0.0 (26.1.2, 24.1.4, 23.0.5 in their series)";
    for (is_conductor, is_admitted, is_allowed, expected) in [
        (
            true,
            false,
            false,
            "the conductor at 192.0.2.7 reads results without the token and is refused: OLDER / update Ironic, or set \
             the kernel parameter ipa-allow-reads-without-token=1",
        ),
        (
            true,
            true,
            true,
            "the conductor at 192.0.2.7 reads results without the token: OLDER / update Ironic",
        ),
        // It need not be one: the address is all that is known.
        (
            false,
            false,
            true,
            "192.0.2.7, which is no known conductor, reads results without the token and is refused. If it is one: \
             OLDER / update Ironic",
        ),
    ] {
        let expected = expected.replace("OLDER", older);
        assert_eq!(read(is_conductor, is_admitted, is_allowed), expected);
    }
}
