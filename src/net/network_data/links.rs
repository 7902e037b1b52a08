//! Links: cards, bonds, VLANs; and what they are called.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::field::Field;
use crate::net::hardware_address::HardwareAddress;
use crate::net::plan::bond_option::{self, Fault};
use crate::net::plan::draft::{Draft, Drafted, INTERFACES};
use crate::net::plan::problem::{Problem, Shown};
use crate::net::plan::{Bond, Card, Interface, Kind, names};

/// Names in the plan by ids of links; `None` of a link that was left out.
pub(super) type Names = BTreeMap<String, Option<String>>;

const LEFT_OUT: &str = "this link is left out";
const STAYS: &str = "it stays as it is";

/// A link as it is written, with ids in the place of names.
struct Link {
    id: String,
    /// The name that it asks for.
    name: Option<String>,
    kind: Kind,
    mtu: Option<u32>,
    hardware_address: Option<HardwareAddress>,
}

/// Read the links into the draft.
pub(super) fn read(document: &Field<'_>, draft: &mut Draft) -> Names {
    let mut names = Names::new();
    let mut links: Vec<Link> = Vec::new();
    let mut cards: BTreeMap<HardwareAddress, String> = BTreeMap::new();
    let items = document
        .get("links")
        .items(&mut draft.problems, "links", INTERFACES);
    for item in items {
        let Some(id) = id(&item, &names, &mut draft.problems) else {
            continue;
        };
        names.insert(id.clone(), None);
        let Some(link) = link(&item, id, &mut draft.problems) else {
            continue;
        };
        if let Kind::Card(Card::Address { address, .. }) = link.kind {
            if let Some(other) = cards.get(&address) {
                draft.problems.push(Problem::CardTwice {
                    place: Shown::new(&item.place),
                    address,
                    other: other.into(),
                });
                continue;
            }
            cards.insert(address, link.id.clone());
        }
        links.push(link);
    }
    call(&links, &mut names);
    for link in links {
        let interface = interface(link, &names, &mut draft.problems);
        draft.interfaces.extend(interface.map(|interface| Drafted {
            interface,
            is_faulty: false,
        }));
    }
    names
}

fn id(item: &Field<'_>, names: &Names, problems: &mut Vec<Problem>) -> Option<String> {
    item.object(problems, LEFT_OUT)?;
    let id = item.get("id");
    if id.is_absent() {
        problems.push(item.lacks("id", LEFT_OUT));
        return None;
    }
    let Some(text) = id.scalar() else {
        problems.push(id.is_not("a text", LEFT_OUT));
        return None;
    };
    if names.contains_key(&text) {
        problems.push(Problem::NameTwice {
            place: Shown::new(&item.place),
            name: text.into(),
        });
        return None;
    }
    Some(text)
}

fn link(item: &Field<'_>, id: String, problems: &mut Vec<Problem>) -> Option<Link> {
    let kind = item.get("type");
    let kind = match kind.value {
        Value::String(kind) => kind.as_str(),
        // Of cloud-init's sample data, and of a person who thinks of cards alone.
        Value::Null => "phy",
        _ => {
            problems.push(kind.is_not("a type of links", LEFT_OUT));
            return None;
        }
    };
    let mut link = Link {
        id,
        name: item.get("name").text().map(str::to_owned),
        kind: Kind::Card(Card::Name),
        mtu: mtu(item, problems),
        hardware_address: None,
    };
    match kind {
        "bond" => {
            link.hardware_address = address(&item.get("ethernet_mac_address"), problems);
            link.kind = Kind::Bond(bond(item, problems)?);
        }
        "vlan" => {
            link.hardware_address = address(&item.get("vlan_mac_address"), problems);
            link.kind = vlan(item, problems)?;
        }
        // phy, ethernet and what virtual machines have: bridge, dvs, hw_veb, hyperv, ovs, tap, vhostuser, vif; and any
        // other, as in cloud-init and glean, since new ones come with Neutron's drivers.
        _ => link.kind = Kind::Card(card(item, link.name.as_deref(), problems)?),
    }
    Some(link)
}

fn card(item: &Field<'_>, name: Option<&str>, problems: &mut Vec<Problem>) -> Option<Card> {
    let field = item.get("ethernet_mac_address");
    if field.is_absent() {
        // As in cloud-init.
        if name.is_some_and(names::is_name) {
            return Some(Card::Name);
        }
        problems.push(item.lacks("ethernet_mac_address", LEFT_OUT));
        return None;
    }
    let address = field.text().and_then(HardwareAddress::parse);
    if address.is_none() {
        problems.push(field.is_not("a hardware address", LEFT_OUT));
    }
    Some(Card::Address {
        address: address?,
        renamed: false,
    })
}

/// The address that something made here is to have: without one the kernel makes one.
fn address(field: &Field<'_>, problems: &mut Vec<Problem>) -> Option<HardwareAddress> {
    if field.is_absent() {
        return None;
    }
    let address = field.text().and_then(HardwareAddress::parse);
    // Of a group, or of nobody: the kernel refuses them.
    let address = address.filter(|address| address.0[0] & 1 == 0 && address.0 != [0; 6]);
    if address.is_none() {
        problems.push(field.is_not("the hardware address of one interface", STAYS));
    }
    address
}

fn mtu(item: &Field<'_>, problems: &mut Vec<Problem>) -> Option<u32> {
    let field = item.get("mtu");
    if field.is_absent() {
        return None;
    }
    // Less than IPv4 needs (ETH_MIN_MTU) is no size, although Ironic lets it through.
    let mtu = field.number().filter(|mtu| (68..=65535).contains(mtu));
    if mtu.is_none() {
        problems.push(field.is_not("a size of packets (68 to 65535)", STAYS));
    }
    mtu.and_then(|mtu| u32::try_from(mtu).ok())
}

fn bond(item: &Field<'_>, problems: &mut Vec<Problem>) -> Option<Bond> {
    let members = item
        .get("bond_links")
        .texts(problems, "links in a bond", INTERFACES);
    // Ironic writes no mode where it makes network data of Neutron's ports. The mode that it has for port groups of
    // which nobody says more (`[DEFAULT]default_portgroup_mode`) also needs nothing of the switch; the kernel's own,
    // balance-rr, needs a switch that knows of it.
    let mut bond = Bond {
        members,
        mode: bond_option::ACTIVE_BACKUP,
        ..Bond::default()
    };
    for (key, value) in item.value.as_object()? {
        // cloud-init takes what begins with `bond`, whatever comes behind.
        let Some(option) = key
            .strip_prefix("bond_")
            .or_else(|| key.strip_prefix("bond-"))
        else {
            continue;
        };
        if value.is_null() || ["links", "name"].contains(&option) {
            continue;
        }
        let field = Field::new(format!("{}.{key:.40}", item.place), value);
        let value = match (value, option) {
            (Value::Array(_), "arp_ip_target") => {
                Some(field.texts(problems, "ARP targets", 16).join(","))
            }
            _ => field.scalar(),
        };
        let set = value.map_or(Err(Fault::Value("a word or a number")), |value| {
            bond_option::set(&mut bond, option, &value)
        });
        match set {
            Ok(()) => {}
            Err(Fault::Unknown) => problems.push(Problem::Unsupported {
                place: field.place.as_str().into(),
                what: "this option of bonds is not set here",
            }),
            // The wrong mode can take a switch's port down, and a bond without its own is another bond.
            Err(Fault::Value(expected)) if option == "mode" => {
                problems.push(field.is_not(expected, LEFT_OUT));
                return None;
            }
            Err(Fault::Value(expected)) => problems.push(field.is_not(expected, STAYS)),
        }
    }
    bond_option::complete(&mut bond);
    Some(bond)
}

fn vlan(item: &Field<'_>, problems: &mut Vec<Problem>) -> Option<Kind> {
    let below = item.get("vlan_link");
    if below.is_absent() {
        problems.push(item.lacks("vlan_link", LEFT_OUT));
        return None;
    }
    let Some(below) = below.scalar() else {
        problems.push(below.is_not("the id of a link", LEFT_OUT));
        return None;
    };
    let field = item.get("vlan_id");
    if field.is_absent() {
        problems.push(item.lacks("vlan_id", LEFT_OUT));
        return None;
    }
    let id = field.number().and_then(|id| u16::try_from(id).ok());
    let id = id.filter(|id| (1..=4094).contains(id));
    if id.is_none() {
        problems.push(field.is_not("a VLAN id (1 to 4094)", LEFT_OUT));
    }
    Some(Kind::Vlan { below, id: id? })
}

/// Give each a name. A card is called as it is written where that can be a name, else `card0`; nothing outside of the
/// plan sees that. What is made here has the name that it asks for; else a bond is `bond0`, or its id where that begins
/// so, and a VLAN `PARENT.ID`, as in cloud-init: ids are UUIDs or names of taps on a hypervisor.
fn call(links: &[Link], names: &mut Names) {
    let mut taken: BTreeSet<String> = BTreeSet::new();
    // What asks for a name gets it whoever stands before it.
    for link in links {
        let wanted = match (&link.kind, &link.name) {
            (Kind::Card(_), Some(name)) if names::is_name(name) => Some(name),
            (Kind::Card(_), _) if names::is_name(&link.id) => Some(&link.id),
            (Kind::Card(_), _) => None,
            (_, Some(name)) if names::may_be_made(name) => Some(name),
            (Kind::Bond(_), _) if link.id.starts_with("bond") && names::may_be_made(&link.id) => {
                Some(&link.id)
            }
            _ => None,
        };
        if let Some(name) = wanted.filter(|name| taken.insert((*name).clone())) {
            names.insert(link.id.clone(), Some(name.clone()));
        }
    }
    for link in links {
        let word = match link.kind {
            Kind::Card(_) => "card",
            Kind::Bond(_) => "bond",
            Kind::Vlan { .. } => continue,
        };
        if names[&link.id].is_none() {
            let name = names::numbered(word, |name| taken.contains(name));
            taken.insert(name.clone());
            names.insert(link.id.clone(), Some(name));
        }
    }
    // A VLAN on a VLAN waits for its parent's name. One on itself, or on nothing, is named all the same, for messages.
    let mut waiting: Vec<&Link> = links
        .iter()
        .filter(|link| names[&link.id].is_none())
        .collect();
    let mut is_last = waiting.is_empty();
    while !waiting.is_empty() {
        let before = waiting.len();
        waiting.retain(|link| {
            let Kind::Vlan { below, id } = &link.kind else {
                return false;
            };
            let parent = names.get(below).cloned().flatten();
            if parent.is_none() && !is_last {
                return true;
            }
            let name = format!("{}.{id}", parent.unwrap_or_else(|| "vlan".to_owned()));
            let name = if names::may_be_made(&name) && !taken.contains(&name) {
                name
            } else if taken.contains(&format!("vlan{id}")) {
                names::numbered("vlan", |name| taken.contains(name))
            } else {
                format!("vlan{id}")
            };
            taken.insert(name.clone());
            names.insert(link.id.clone(), Some(name));
            false
        });
        is_last = waiting.len() == before;
    }
}

/// The interface of a link, with names in the place of ids.
fn interface(link: Link, names: &Names, problems: &mut Vec<Problem>) -> Option<Interface> {
    let name = names.get(&link.id).cloned().flatten()?;
    let place = || Shown::new(&format!("link {}", Shown::new(&link.id)));
    let mut found = |id: &str, outcome| {
        let name = names.get(id).cloned().flatten();
        // Of one that was left out the reason is told already.
        if name.is_none() {
            problems.push(Problem::Unknown {
                place: place(),
                name: id.into(),
                outcome,
            });
        }
        name
    };
    let kind = match link.kind {
        Kind::Card(card) => Kind::Card(card),
        Kind::Vlan { below, id } => Kind::Vlan {
            below: found(&below, LEFT_OUT)?,
            id,
        },
        Kind::Bond(mut bond) => {
            bond.members = bond
                .members
                .iter()
                .filter_map(|member| found(member, "the bond does without it"))
                .collect();
            bond.primary = bond
                .primary
                .and_then(|primary| names.get(&primary).cloned().flatten());
            Kind::Bond(bond)
        }
    };
    Some(Interface {
        name,
        kind,
        mtu: link.mtu,
        hardware_address: link.hardware_address,
        addressing: Vec::new(),
        routes: Vec::new(),
    })
}
