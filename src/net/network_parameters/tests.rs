//! Lines that no oracle has: what is wrong and named, and what is bounded.

use proptest::prelude::*;

use super::*;

fn told(line: &str) -> (Vec<String>, Vec<String>) {
    let reading = read(line);
    let plan = reading.plan.to_string();
    let lines = plan.lines().map(str::to_owned).collect();
    (
        lines,
        reading.problems.iter().map(ToString::to_string).collect(),
    )
}

#[test]
fn a_line_without_a_word_about_the_network_is_no_plan() {
    let line = "BOOT_IMAGE=/vmlinuz console=ttyS0 ipa-api-url=http://192.0.2.1:6385 BOOTIF=01-52-54-00-12-34-56 \
                rd.neednet=1 rd.net.timeout.carrier=30 mtu=9000 gateway=192.0.2.1";
    assert_eq!(told(line), (vec![], vec![]));
}

#[test]
fn what_is_wrong_is_named_and_the_rest_goes_on() {
    for (line, expected, plan) in [
        (
            "team=team0:eth0,eth1 bridge=br0:eth2 ip=br0:dhcp ip=eth3:dhcp vlan=br0.5:br0",
            &[
                "team=team0:eth0,eth1: this ramdisk makes bonds and VLANs alone; it is left out",
                "bridge=br0:eth2: this ramdisk makes bonds and VLANs alone; it is left out",
                "ip: br0 is left out, and so is what lies on it",
                "br0.5: br0 is left out, and so is what lies on it",
            ][..],
            &[
                "eth3: the card of this name, DHCP",
                "default route: that of eth3",
            ][..],
        ),
        (
            "ip=ibft ip=eth0:dhcp",
            &[
                "ip=ibft: disks of firmware's tables are connected without it (docs/san.md); it is left out",
            ],
            &[
                "eth0: the card of this name, DHCP",
                "default route: that of eth0",
            ],
        ),
        (
            "ip=192.0.2.5::192.0.2.1:255.255.0.255::eth0:none ip=192.0.2.6::::host:eth1:off ip=::::::off",
            &[
                "ip: 255.255.0.255 is not a netmask; it is left out",
                "ip=192.0.2.6::::host:eth1:off: the netmask is missing; it is left out",
                "ip=::::::off: the address is missing; it is left out",
            ],
            &[
                "eth0: the card of this name, whatever it is told",
                "eth1: the card of this name, whatever it is told",
                "default route: that of eth0",
            ],
        ),
        (
            "bond=bond0:eth0:mode=8 bond=bond1:eth1:mode=4,miimon=fast,tlb_dynamic_lb=0:9000000 ip=bond0:dhcp ip=bond1:dhcp",
            &[
                "bond=bond0: mode=8 is not a mode of bonds; it is left out",
                "bond=bond1: miimon=fast is not a number of milliseconds; it is left out",
                "bond=bond1: tlb_dynamic_lb=0: this option of bonds is not set here; it is left out",
                "bond=bond1: 9000000 is not a size of packets (68 to 65535); it is left out",
                "ip: bond0 is left out, and so is what lies on it",
            ],
            &[
                "eth1: the card of this name",
                "bond1: bond of eth1 (802.3ad, miimon 100), DHCP",
                "default route: that of bond1",
            ],
        ),
        (
            "vlan=vlan4095:eth0 vlan=eth0.0:eth0 vlan=five:eth0 vlan=eth0.5 vlan=eth1:eth0 vlan=eth0.7:eth0 ip=eth0.7:dhcp",
            &[
                "vlan: vlan4095 is not a name that ends in a VLAN id (vlan5, vlan0005, eth0.5, eth0.0005); it is left out",
                "vlan: eth0.0 is not a name that ends in a VLAN id (vlan5, vlan0005, eth0.5, eth0.0005); it is left out",
                "vlan: five is not a name that ends in a VLAN id (vlan5, vlan0005, eth0.5, eth0.0005); it is left out",
                "vlan: eth0.5 is not a name and the interface below; it is left out",
                "vlan: eth1 is not a name for a new interface: 15 letters at most, and no card's; it is left out",
            ],
            &[
                "eth0: the card of this name",
                "eth0.7: VLAN 7 of eth0, DHCP",
                "default route: that of eth0.7",
            ],
        ),
        (
            "vlan=vlan5:vlan6 vlan=vlan6:vlan5 ip=vlan5:dhcp",
            &[
                "vlan5: it lies on itself; it is left out",
                "vlan6: it lies on itself; it is left out",
            ],
            &[],
        ),
        (
            "ifname=net0:52:54:00:12:34 ifname=lo:52:54:00:12:34:01 ifname=net1:52:54:00:12:34:02 \
             ifname=net2:52:54:00:12:34:02 ifname=net1:52:54:00:12:34:02",
            &[
                "ifname: net0:52:54:00:12:34 is not a name and a hardware address; it is left out",
                "ifname: lo is not the name of an interface; it is left out",
                "ifname: 52:54:00:12:34:02 is already the address of net1; it is left out",
            ],
            &["net1: card 52:54:00:12:34:02, which gets this name, whatever it is told"],
        ),
        (
            "rd.route=192.0.2.0/24 rd.route=x/24:192.0.2.1:eth0 rd.route=192.0.2.0/24:fd00::1:eth0 rd.route=10.0.0.0/8: \
             rd.route=10.0.0.0/8:[fd00::1]:eth0 nameserver=x rd.peerdns=0 bootdev=eth7 ip=eth0:dhcp",
            &[
                "rd.route: 192.0.2.0/24 is not a network, a gateway and an interface; it is left out",
                "rd.route: x/24 is not a network; it is left out",
                "rd.route: 192.0.2.0/24:fd00::1:eth0 is not a network, a gateway and an interface; it is left out",
                "rd.route: 10.0.0.0/8: is not a route by a gateway or an interface; it is left out",
                "rd.route: fd00::1 is not the address of a router of this family; it is left out",
                "nameserver: x is not the address of a name server; it is left out",
                "rd.peerdns=0: name servers that DHCP names are asked after those of nameserver=; it is left out",
                "bootdev: there is no eth7; the default route is that of BOOTIF or of the first that is told one",
            ],
            &["eth0: the card of this name, DHCP"],
        ),
        (
            "ip=$(reboot):dhcp ip=\u{1b}[2J:dhcp ip=../x:dhcp ip=eth0;x:dhcp ip=sixteen-letters!:dhcp",
            &[
                "ip: \\u{1b}[2J is not the name of an interface, or its hardware address; it is left out",
                "ip: ../x is not the name of an interface, or its hardware address; it is left out",
                "ip: sixteen-letters! is not the name of an interface, or its hardware address; it is left out",
            ],
            &[
                "$(reboot): the card of this name, DHCP",
                "eth0;x: the card of this name, DHCP",
                "default route: that of $(reboot)",
            ],
        ),
    ] {
        let (lines, problems) = told(line);
        assert_eq!(problems, expected, "{line}");
        assert_eq!(lines, plan, "{line}");
    }
}

#[test]
fn a_person_s_word_comes_before_the_boot_loader_s_and_that_before_the_first() {
    let first = |line: &str| read(line).plan.first;
    let lines = "ip=eth1:dhcp ip=eth2:dhcp";
    let is = |name: &str| Some(name.to_owned());
    assert_eq!(first(lines), is("eth1"));
    assert_eq!(first(&format!("{lines} BOOTIF=01-52-54-00-12-34-56")), None);
    assert_eq!(
        first(&format!("{lines} BOOTIF=01-52-54-00-12-34-56 rd.bootif=0")),
        is("eth1")
    );
    assert_eq!(
        first(&format!("{lines} BOOTIF=01-52-54-00-12-34-56 bootdev=eth2")),
        is("eth2")
    );
}

#[test]
fn more_than_anybody_writes_is_cut() {
    let (_, problems) = told(&"ip=eth0:dhcp ".repeat(6000));
    assert_eq!(
        problems,
        ["kernel parameters: it has 78000 bytes, more than 65536; it is not read"]
    );
    let (plan, problems) = told(&"nameserver=192.0.2.1 ".repeat(2000));
    assert_eq!(
        problems,
        ["kernel parameters: there are more than 1024 parameters; the rest is left out"]
    );
    assert_eq!(plan, ["name servers: 192.0.2.1"]);
    let lines: Vec<String> = (0..1000)
        .map(|number| format!("ip=e{number}:dhcp"))
        .collect();
    let (plan, problems) = told(&lines.join(" "));
    assert_eq!(
        problems,
        ["kernel parameters: there are more than 256 interfaces; the rest is left out"]
    );
    assert_eq!(plan.len(), 257);
}

proptest! {
    #[test]
    fn any_line_makes_a_plan_that_can_be_made(
        words in prop::collection::vec(
            (
                "(ip|bond|vlan|ifname|team|bridge|nameserver|rd\\.route|bootdev|BOOTIF|netmask|gateway|ksdevice)",
                prop::collection::vec(
                    "(|eth[01]|bond0|vlan5|eth0\\.5|dhcp|none|auto6|192\\.0\\.2\\.[0-9]|\\[2001:db8::[0-9]\\]|24|\
                     255\\.255\\.255\\.0|mode=[0-9]|eth0,eth1|52-54-00-12-34-56|10\\.0\\.0\\.0/8|9000|\\PC{0,4})",
                    0..9,
                ),
            ),
            0..8,
        )
    ) {
        let words: Vec<String> =
            words.into_iter().map(|(key, fields)| format!("{key}={}", fields.join(":"))).collect();
        crate::net::fuzzing::can_be_made(&read(&words.join(" ")));
    }
}
