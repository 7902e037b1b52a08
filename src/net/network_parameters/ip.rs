//! `ip=` in its four forms.

use std::net::IpAddr;

use ipnet::IpNet;

use super::faults::{is_not, missing};
use super::words;
use crate::net::hardware_address::HardwareAddress;
use crate::net::plan::draft::Draft;
use crate::net::plan::problem::Problem;
use crate::net::plan::{Addressing, Route, prefix};

/// What an `ip=` says of an interface.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// The interface as it is written; none where it is about whichever there are.
    pub device: Option<String>,
    pub addressing: Vec<Addressing>,
    pub routes: Vec<Route>,
    pub mtu: Option<u32>,
    pub hardware_address: Option<HardwareAddress>,
    /// Whether it names an interface and nothing that can be done with it.
    pub is_faulty: bool,
}

/// Words for how an interface gets addresses.
const WORDS: [&str; 10] = [
    "dhcp",
    "on",
    "any",
    "single-dhcp",
    "dhcp6",
    "auto6",
    "either6",
    "link6",
    "none",
    "off",
];

/// Read one. Name servers in it go to the draft; `last` finds the parameters beside `ip=ADDRESS`.
pub(super) fn read<'l>(
    value: &str,
    last: &impl Fn(&'static str) -> Option<&'l str>,
    draft: &mut Draft,
) -> Option<Line> {
    let fields = words::fields(value);
    let field = |place: usize| fields.get(place).map_or("", String::as_str);
    match fields.len() {
        1 if field(0).parse::<IpAddr>().is_ok() => beside(field(0), last, draft),
        1 => {
            let mut line = Line::default();
            line.follow(field(0), value, draft).then_some(line)
        }
        _ if field(1).split(',').all(|word| WORDS.contains(&word)) => {
            let mut line = Line {
                device: named(field(0)),
                ..Line::default()
            };
            line.is_faulty = !line.follow(field(1), value, draft);
            line.take_link(&fields[2..], draft);
            Some(line)
        }
        _ => Some(explicit(value, &fields, draft)),
    }
}

/// `ADDRESS` alone, as installers had it, with the rest in parameters beside it.
fn beside<'l>(
    address: &str,
    last: &impl Fn(&'static str) -> Option<&'l str>,
    draft: &mut Draft,
) -> Option<Line> {
    let device =
        last("ksdevice").filter(|device| !["link", "ibft", "bootif", "BOOTIF"].contains(device));
    let mut line = Line {
        device: device.and_then(named),
        ..Line::default()
    };
    line.is_faulty = !line.fix(address, last("netmask").unwrap_or_default(), address, draft);
    line.lead_to(last("gateway").unwrap_or_default(), draft);
    line.take_link(&[last("mtu").unwrap_or_default().to_owned()], draft);
    Some(line)
}

/// `CLIENT:[PEER]:GATEWAY:NETMASK:HOSTNAME:INTERFACE:WORD`, and behind it `MTU:MAC` or name servers.
fn explicit(value: &str, fields: &[String], draft: &mut Draft) -> Line {
    let field = |place: usize| fields.get(place).map_or("", String::as_str);
    let (address, peer, gateway, mask, word) = (field(0), field(1), field(2), field(3), field(6));
    let mut line = Line {
        device: named(field(5)),
        ..Line::default()
    };
    let is_static = ["", "none", "off"].contains(&word);
    let is_done = match (address.is_empty(), is_static) {
        (false, true) => line.fix(address, mask, value, draft),
        (true, true) if !word.is_empty() => {
            draft
                .problems
                .push(missing(&format!("ip={value}"), "the address"));
            false
        }
        // Nobody who writes an address wants another one.
        (false, false) => {
            draft.problems.push(is_not(
                "ip",
                value,
                "an address or a way to get one: it has both",
            ));
            false
        }
        // Without a word it is DHCP, as in dracut.
        (true, _) => line.follow(if word.is_empty() { "dhcp" } else { word }, value, draft),
    };
    line.is_faulty = !is_done;
    if is_done && is_static {
        line.lead_to(gateway, draft);
        line.reach_peer(peer, draft);
    }
    let behind = fields.get(7..).unwrap_or_default();
    match behind.first().map(|first| (first, first.parse::<IpAddr>())) {
        Some((_, Ok(_))) => {
            for server in behind.iter().take(2).filter(|server| !server.is_empty()) {
                match server
                    .parse()
                    .ok()
                    .filter(|address| prefix::is_host(*address))
                {
                    Some(address) => draft.name_servers.push(address),
                    None => {
                        draft
                            .problems
                            .push(is_not("ip", server, "the address of a name server"));
                    }
                }
            }
        }
        _ => line.take_link(behind, draft),
    }
    line
}

impl Line {
    /// Get addresses as these words say, commas between them. Whether that can be done.
    fn follow(&mut self, words: &str, value: &str, draft: &mut Draft) -> bool {
        for word in words.split(',') {
            match word {
                // All cards ask at once here, and none waits for another.
                "dhcp" | "on" | "any" | "single-dhcp" | "" => {
                    self.addressing.push(Addressing::Dhcp4);
                }
                "dhcp6" => self.addressing.push(Addressing::Dhcp6),
                "auto6" => self.addressing.push(Addressing::Advertised),
                // At once: who is told an address by routers and by a server has two.
                "either6" => self
                    .addressing
                    .extend([Addressing::Advertised, Addressing::Dhcp6]),
                "link6" | "none" | "off" => {}
                "ibft" => {
                    draft.problems.push(Problem::Unsupported {
                        place: format!("ip={value}").into(),
                        what: "disks of firmware's tables are connected without it (docs/san.md)",
                    });
                    return false;
                }
                _ => {
                    draft.problems.push(is_not(
                        "ip",
                        word,
                        "dhcp, on, any, dhcp6, auto6, either6, link6, single-dhcp, none or off",
                    ));
                    return false;
                }
            }
        }
        true
    }

    /// Have this address. Whether that can be done.
    fn fix(&mut self, address: &str, mask: &str, value: &str, draft: &mut Draft) -> bool {
        let (text, length) = match address.split_once('/') {
            Some((address, length)) => (address, length),
            None => (address, mask),
        };
        let parsed = text
            .parse()
            .ok()
            .filter(|address| prefix::is_host(*address));
        let Some(parsed) = parsed else {
            draft
                .problems
                .push(is_not("ip", address, "an address (IPv6 in brackets)"));
            return false;
        };
        if length.is_empty() {
            draft
                .problems
                .push(missing(&format!("ip={value}"), "the netmask"));
            return false;
        }
        let Some(length) = prefix::length(length, parsed.is_ipv4()) else {
            draft.problems.push(is_not("ip", length, "a netmask"));
            return false;
        };
        self.addressing
            .extend(IpNet::new(parsed, length).ok().map(Addressing::Static));
        if parsed.is_ipv6() {
            // As dracut, whose lines often name no gateway because routers advertise themselves.
            self.addressing.push(Addressing::Advertised);
        }
        true
    }

    fn lead_to(&mut self, gateway: &str, draft: &mut Draft) {
        if gateway.is_empty() {
            return;
        }
        let is_ipv4 = self.is_ipv4();
        let parsed = gateway.parse().ok().filter(|address: &IpAddr| {
            prefix::is_host(*address) && is_ipv4.is_none_or(|is_ipv4| is_ipv4 == address.is_ipv4())
        });
        match parsed {
            Some(gateway) => self.routes.push(Route {
                destination: prefix::everything(gateway.is_ipv4()),
                gateway: Some(gateway),
                metric: None,
            }),
            None => draft.problems.push(is_not(
                "ip",
                gateway,
                "the address of a router of this family",
            )),
        }
    }

    /// The other end of a link of two. In the kernel's own grammar an NFS server stands here, which is on the network
    /// already; what is not gets a route of its own, and the address its network: that is all that a peer is.
    fn reach_peer(&mut self, peer: &str, draft: &mut Draft) {
        if peer.is_empty() {
            return;
        }
        let parsed = prefix::network(peer, None, !peer.contains(':'));
        let parsed = parsed.filter(|peer| self.is_ipv4() == Some(peer.addr().is_ipv4()));
        let Some(peer) = parsed else {
            draft
                .problems
                .push(is_not("ip", peer, "the address of a peer of this family"));
            return;
        };
        let is_on_network = self.addressing.iter().any(|way| match way {
            Addressing::Static(address) => address.contains(&peer),
            _ => false,
        });
        if !is_on_network {
            self.routes.push(Route {
                destination: peer,
                gateway: None,
                metric: None,
            });
        }
    }

    /// `[MTU][:MAC]`.
    fn take_link(&mut self, fields: &[String], draft: &mut Draft) {
        if let Some(mtu) = fields.first().filter(|mtu| !mtu.is_empty()) {
            self.mtu = mtu.parse().ok().filter(|mtu| (68..=65535).contains(mtu));
            if self.mtu.is_none() {
                draft
                    .problems
                    .push(is_not("ip", mtu, "a size of packets (68 to 65535)"));
            }
        }
        let address = fields.get(1..).unwrap_or_default().join(":");
        if !address.is_empty() {
            let parsed = HardwareAddress::parse(&address);
            self.hardware_address =
                parsed.filter(|address| address.0[0] & 1 == 0 && address.0 != [0; 6]);
            if self.hardware_address.is_none() {
                draft
                    .problems
                    .push(is_not("ip", &address, "a hardware address"));
            }
        }
    }

    fn is_ipv4(&self) -> Option<bool> {
        self.addressing.iter().find_map(|way| match way {
            Addressing::Static(address) => Some(address.addr().is_ipv4()),
            _ => None,
        })
    }
}

fn named(device: &str) -> Option<String> {
    (!device.is_empty()).then(|| device.to_owned())
}
