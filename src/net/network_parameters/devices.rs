//! The interfaces that parameters name: cards, bonds, VLANs, and what each of them gets.

use super::faults::is_not;
use super::ip::Line;
use super::words::unbracketed;
use crate::net::hardware_address::HardwareAddress;
use crate::net::plan::bond_option::{self, Fault};
use crate::net::plan::draft::{Draft, Drafted};
use crate::net::plan::problem::Problem;
use crate::net::plan::{Addressing, Bond, Card, Interface, Kind, Route, names};

/// How the plan calls all cards that nothing else names, and the one among them: as no interface is called.
const OTHERS: &str = "*";
const FIRST: &str = "?";

/// Members of a bond of which nobody says them (dracut.cmdline(7)).
const MEMBERS: &str = "eth0,eth1";

/// Interfaces in the order in which they are named.
#[derive(Debug, Default)]
pub(super) struct Devices {
    drafted: Vec<Drafted>,
    /// Whose `ip=` there was.
    addressed: Vec<String>,
    /// Names of bridges and teams, which are not made.
    refused: Vec<String>,
    /// What an `ip=` of no interface says.
    general: Option<Line>,
    /// The same with an address, which one alone can have.
    fixed: Vec<Line>,
    is_any_addressed: bool,
}

impl Devices {
    /// `ifname=NAME:MAC`.
    pub(super) fn name_card(&mut self, value: &str, problems: &mut Vec<Problem>) {
        let (name, address) = value.split_once(':').unwrap_or((value, ""));
        let Some(address) = HardwareAddress::parse(address).filter(|_| !address.contains('-'))
        else {
            problems.push(is_not("ifname", value, "a name and a hardware address"));
            return;
        };
        if !names::is_name(name) || name == "lo" {
            problems.push(is_not("ifname", name, "the name of an interface"));
            return;
        }
        let other = self.drafted.iter().find(|drafted| {
            drafted.interface.name == name || is_card_of(&drafted.interface, address)
        });
        if let Some(other) = other {
            // The same again says nothing new.
            if other.interface.name != name || !is_card_of(&other.interface, address) {
                let other = other.interface.name.as_str().into();
                problems.push(Problem::CardTwice {
                    place: "ifname".into(),
                    address,
                    other,
                });
            }
            return;
        }
        self.add(
            name,
            Kind::Card(Card::Address {
                address,
                renamed: true,
            }),
        );
    }

    /// `team=` and `bridge=`, which are not made here.
    pub(super) fn refuse(&mut self, key: &str, value: &str, problems: &mut Vec<Problem>) {
        let name = value.split(':').next().unwrap_or_default();
        let name = match (name, key) {
            ("", "team") => "team0",
            ("", _) => "br0",
            (name, _) => name,
        };
        self.refused.push(name.to_owned());
        problems.push(Problem::Unsupported {
            place: format!("{key}={value}").into(),
            what: "this ramdisk makes bonds and VLANs alone",
        });
    }

    /// `bond=NAME[:MEMBERS[:OPTIONS[:MTU]]]`. The last one of a name counts.
    pub(super) fn bond(&mut self, value: &str, problems: &mut Vec<Problem>) {
        let fields: Vec<&str> = value.split(':').collect();
        let (name, members, options, mtu) = match fields.as_slice() {
            [""] => ("bond0", MEMBERS, "", ""),
            [name] => (*name, MEMBERS, "", ""),
            [name, members] => (*name, *members, "", ""),
            [name, members, options] => (*name, *members, *options, ""),
            [name, members, options, mtu] => (*name, *members, *options, *mtu),
            _ => {
                problems.push(is_not(
                    "bond",
                    value,
                    "a name, members, options and the size of packets",
                ));
                return;
            }
        };
        if !self.may_be_made("bond", name, problems) {
            return;
        }
        let mut bond = Bond::default();
        for option in options.split(',').filter(|option| !option.is_empty()) {
            let (key, value) = option.split_once('=').unwrap_or((option, ""));
            match bond_option::set(&mut bond, key, value) {
                Ok(()) => {}
                Err(Fault::Unknown) => problems.push(Problem::Unsupported {
                    place: format!("bond={name}: {option}").into(),
                    what: "this option of bonds is not set here",
                }),
                // The wrong mode can take a switch's port down.
                Err(Fault::Value(expected)) if key == "mode" => {
                    problems.push(is_not(&format!("bond={name}"), option, expected));
                    self.refused.push(name.to_owned());
                    return;
                }
                Err(Fault::Value(expected)) => {
                    problems.push(is_not(&format!("bond={name}"), option, expected));
                }
            }
        }
        bond_option::complete(&mut bond);
        for member in members.split(',').filter(|member| !member.is_empty()) {
            if names::is_name(member) {
                bond.members.push(member.to_owned());
            } else {
                problems.push(is_not(
                    &format!("bond={name}"),
                    member,
                    "the name of an interface",
                ));
            }
        }
        let size = mtu.parse().ok().filter(|mtu| (68..=65535).contains(mtu));
        if size.is_none() && !mtu.is_empty() {
            problems.push(is_not(
                &format!("bond={name}"),
                mtu,
                "a size of packets (68 to 65535)",
            ));
        }
        self.add(name, Kind::Bond(bond)).mtu = size;
    }

    /// `vlan=NAME:INTERFACE`, with the VLAN's number at the end of the name.
    pub(super) fn vlan(&mut self, value: &str, problems: &mut Vec<Problem>) {
        let Some((name, below)) = value
            .split_once(':')
            .filter(|(_, below)| names::is_name(below))
        else {
            problems.push(is_not("vlan", value, "a name and the interface below"));
            return;
        };
        if !self.may_be_made("vlan", name, problems) {
            return;
        }
        let digits = name
            .strip_prefix("vlan")
            .or_else(|| name.rsplit_once('.').map(|(_, digits)| digits));
        // Padded numbers are decimal, as the manual means them; iproute takes 0010 for 8.
        let id = digits
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|digits| digits.parse().ok())
            .filter(|id| (1..=4094).contains(id));
        let Some(id) = id else {
            problems.push(is_not(
                "vlan",
                name,
                "a name that ends in a VLAN id (vlan5, vlan0005, eth0.5, eth0.0005)",
            ));
            self.refused.push(name.to_owned());
            return;
        };
        self.add(
            name,
            Kind::Vlan {
                below: below.to_owned(),
                id,
            },
        );
    }

    fn may_be_made(&mut self, key: &str, name: &str, problems: &mut Vec<Problem>) -> bool {
        let is_card = |drafted: &Drafted| {
            drafted.interface.name == name && matches!(drafted.interface.kind, Kind::Card(_))
        };
        if self.drafted.iter().any(is_card) {
            problems.push(Problem::NameTwice {
                place: key.into(),
                name: name.into(),
            });
        } else if !names::may_be_made(name) {
            problems.push(is_not(
                key,
                name,
                "a name for a new interface: 15 letters at most, and no card's",
            ));
        } else {
            return true;
        }
        self.refused.push(name.to_owned());
        false
    }

    /// What an `ip=` says.
    pub(super) fn address(&mut self, line: &Line, problems: &mut Vec<Problem>) {
        let Some(device) = &line.device else {
            self.address_any(line);
            return;
        };
        if self.refused.contains(device) {
            problems.push(Problem::LeftOut {
                name: "ip".into(),
                on: device.into(),
            });
            return;
        }
        self.is_any_addressed = true;
        let Some(name) = self.card(device, problems) else {
            return;
        };
        if !self.addressed.contains(&name) {
            self.addressed.push(name.clone());
        }
        let renamed_address = line.hardware_address;
        let Some(drafted) = self
            .drafted
            .iter_mut()
            .find(|drafted| drafted.interface.name == name)
        else {
            return;
        };
        drafted.is_faulty |= line.is_faulty;
        let interface = &mut drafted.interface;
        // Two lines of one interface add up: that is how a machine gets addresses of both families.
        interface.addressing.extend(line.addressing.iter().cloned());
        interface.routes.extend(line.routes.iter().cloned());
        interface.mtu = line.mtu.or(interface.mtu);
        interface.hardware_address = renamed_address.or(interface.hardware_address);
    }

    fn address_any(&mut self, line: &Line) {
        let copy = Line {
            device: None,
            addressing: line.addressing.clone(),
            routes: line.routes.clone(),
            mtu: line.mtu,
            hardware_address: line.hardware_address,
            is_faulty: line.is_faulty,
        };
        let is_fixed = line
            .addressing
            .iter()
            .any(|way| matches!(way, Addressing::Static(_)));
        match &mut self.general {
            _ if is_fixed => self.fixed.push(copy),
            // Of what could not be read nothing follows for other cards.
            _ if line.is_faulty => {}
            Some(general) => general.addressing.extend(copy.addressing),
            none => *none = Some(copy),
        }
    }

    /// A route of this interface.
    pub(super) fn add_route(&mut self, device: &str, route: Route, problems: &mut Vec<Problem>) {
        if self.refused.iter().any(|refused| refused == device) {
            problems.push(Problem::LeftOut {
                name: "rd.route".into(),
                on: device.into(),
            });
            return;
        }
        let Some(name) = self.card(device, problems) else {
            return;
        };
        let owner = self
            .drafted
            .iter_mut()
            .find(|drafted| drafted.interface.name == name);
        if let Some(owner) = owner {
            owner.interface.routes.push(route);
        }
    }

    /// The name in the plan of an interface that is named here.
    pub(super) fn find(&self, device: &str) -> Option<String> {
        let address = address_in(unbracketed(device));
        let found = self.drafted.iter().find(|Drafted { interface, .. }| {
            interface.name == device
                || address.is_some_and(|address| is_card_of(interface, address))
        });
        found.map(|drafted| drafted.interface.name.clone())
    }

    /// The name in the plan of an interface; a card where nothing else has this name.
    fn card(&mut self, device: &str, problems: &mut Vec<Problem>) -> Option<String> {
        if let Some(name) = self.find(device) {
            return Some(name);
        }
        if let Some(address) = address_in(device) {
            let name = if names::is_name(device) {
                device.to_owned()
            } else {
                names::numbered("card", |name| self.find(name).is_some())
            };
            self.add(
                &name,
                Kind::Card(Card::Address {
                    address,
                    renamed: false,
                }),
            );
            return Some(name);
        }
        if !names::is_name(device) || device == "lo" {
            problems.push(is_not(
                "ip",
                device,
                "the name of an interface, or its hardware address",
            ));
            return None;
        }
        self.add(device, Kind::Card(Card::Name));
        Some(device.to_owned())
    }

    fn add(&mut self, name: &str, kind: Kind) -> &mut Interface {
        self.drafted
            .retain(|drafted| drafted.interface.name != name);
        let interface = Interface {
            name: name.to_owned(),
            kind,
            mtu: None,
            hardware_address: None,
            addressing: Vec::new(),
            routes: Vec::new(),
        };
        self.drafted.push(Drafted {
            interface,
            is_faulty: false,
        });
        let last = self.drafted.len() - 1;
        &mut self.drafted[last].interface
    }

    /// All of them, with cards for what bonds and VLANs lie on, and for lines of no interface.
    pub(super) fn into_draft(mut self, draft: &mut Draft) {
        let below: Vec<String> = self
            .drafted
            .iter()
            .flat_map(|drafted| lower(&drafted.interface))
            .collect();
        for name in &below {
            if self.find(name).is_none() && !self.refused.contains(name) {
                self.add(name, Kind::Card(Card::Name));
            }
        }
        self.give_general(draft);
        draft.interfaces.append(&mut self.drafted);
    }

    fn give_general(&mut self, draft: &mut Draft) {
        let is_made = |interface: &Interface| !matches!(interface.kind, Kind::Card(_));
        let members: Vec<String> = self
            .drafted
            .iter()
            .filter(|drafted| matches!(drafted.interface.kind, Kind::Bond(_)))
            .flat_map(|drafted| lower(&drafted.interface))
            .collect();
        let below: Vec<String> = self
            .drafted
            .iter()
            .flat_map(|drafted| lower(&drafted.interface))
            .collect();
        // An address of no interface is that of what is made, on the top; else of one card.
        for line in std::mem::take(&mut self.fixed) {
            let top = self.drafted.iter().position(|Drafted { interface, .. }| {
                is_made(interface)
                    && !below.contains(&interface.name)
                    && !self.addressed.contains(&interface.name)
            });
            self.is_any_addressed = true;
            let name = match top {
                Some(top) => self.drafted[top].interface.name.clone(),
                None => FIRST.to_owned(),
            };
            if top.is_none() && self.find(FIRST).is_none() {
                self.add(FIRST, Kind::Card(Card::First));
            }
            self.addressed.push(name.clone());
            self.address(
                &Line {
                    device: Some(name),
                    ..line
                },
                &mut draft.problems,
            );
        }
        let is_silent = self.general.is_none() && !self.is_any_addressed;
        for Drafted {
            interface,
            is_faulty,
        } in &mut self.drafted
        {
            let is_lower = below.contains(&interface.name);
            if members.contains(&interface.name)
                || self.addressed.contains(&interface.name)
                || *is_faulty
            {
                continue;
            }
            match &self.general {
                Some(general) => {
                    interface.addressing.clone_from(&general.addressing);
                    interface.mtu = interface.mtu.or(general.mtu);
                }
                // Nobody said a word of addresses.
                None if is_silent && !is_lower => interface.addressing.push(Addressing::Automatic),
                None => {}
            }
        }
        if let Some(general) = self.general.take() {
            let interface = self.add(OTHERS, Kind::Card(Card::AnyOther));
            interface.addressing = general.addressing;
            interface.mtu = general.mtu;
        }
    }
}

fn is_card_of(interface: &Interface, wanted: HardwareAddress) -> bool {
    matches!(interface.kind, Kind::Card(Card::Address { address, .. }) if address == wanted)
}

/// The card that a word names by its address, with colons in brackets, or with hyphens, also after dracut's `enx`.
fn address_in(device: &str) -> Option<HardwareAddress> {
    if let Some(digits) = device
        .strip_prefix("enx")
        .filter(|digits| digits.len() == 12 && digits.is_ascii())
    {
        let pairs: Vec<&str> = (0..6).map(|pair| &digits[2 * pair..2 * pair + 2]).collect();
        return HardwareAddress::parse(&pairs.join(":"));
    }
    HardwareAddress::parse(device)
}

/// Names of what an interface lies on.
fn lower(interface: &Interface) -> Vec<String> {
    match &interface.kind {
        Kind::Card(_) => Vec::new(),
        Kind::Bond(bond) => bond.members.clone(),
        Kind::Vlan { below, .. } => vec![below.clone()],
    }
}
