//! From what was read to a plan: what contradicts itself is left out and named, and the rest goes on. Which source it
//! came from makes no difference here.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::problem::{Problem, Shown};
use super::{Addressing, Interface, Kind, Plan, Route};

/// Interfaces that are taken: a server has a dozen cards, and VLANs on each.
pub(crate) const INTERFACES: usize = 256;

/// Addresses and ways to get them.
pub(crate) const ADDRESSES: usize = 1024;

/// Routes of all interfaces.
pub(crate) const ROUTES: usize = 1024;

/// Name servers and domains to search, each.
pub(crate) const NAMES: usize = 16;

/// What was read: a plan, and what is wrong with it.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// What is left of it when every fault is left out; without an interface every card asks for addresses.
    pub plan: Plan,
    /// All faults, in the order in which they were found.
    pub problems: Vec<Problem>,
}

/// An interface as it was written.
#[derive(Clone, Debug)]
pub(crate) struct Drafted {
    /// It; what it lies on need not be there.
    pub interface: Interface,
    /// Whether something of how it gets addresses could not be understood. It asks for them where nothing is left.
    pub is_faulty: bool,
}

/// What was written.
#[derive(Debug)]
pub(crate) struct Draft {
    /// Where, for messages.
    pub origin: &'static str,
    /// Each name once, in any order.
    pub interfaces: Vec<Drafted>,
    /// As in a plan.
    pub name_servers: Vec<IpAddr>,
    /// As in a plan.
    pub search: Vec<String>,
    /// As in a plan.
    pub routes: Vec<Route>,
    /// As in a plan.
    pub first: Option<String>,
    /// Whether no interface may get an address: somebody says so in words.
    pub is_silence_meant: bool,
    /// What was found so far.
    pub problems: Vec<Problem>,
}

impl Draft {
    /// Nothing, of this origin.
    pub(crate) fn new(origin: &'static str) -> Self {
        Self {
            origin,
            interfaces: Vec::new(),
            name_servers: Vec::new(),
            search: Vec::new(),
            routes: Vec::new(),
            first: None,
            is_silence_meant: false,
            problems: Vec::new(),
        }
    }

    /// Leave out what cannot be, and bring the rest into an order in which it can be made.
    pub(crate) fn finish(mut self) -> Reading {
        self.bound();
        self.settle_members();
        self.leave_out_unfounded();
        self.leave_out_repeated_vlans();
        self.take_addresses_of_members();
        self.leave_out_repeated_addresses();
        self.place_routes();
        self.reach_gateways();
        self.fall_back();
        let first = self.first.take();
        let plan = Plan {
            first: first.filter(|first| self.find(first).is_some()),
            interfaces: self
                .interfaces
                .into_iter()
                .map(|drafted| drafted.interface)
                .collect(),
            name_servers: self.name_servers,
            search: self.search,
            routes: self.routes,
        };
        Reading {
            plan,
            problems: self.problems,
        }
    }

    fn find(&self, name: &str) -> Option<&Drafted> {
        self.interfaces
            .iter()
            .find(|drafted| drafted.interface.name == name)
    }

    /// Nobody's machine gets a million addresses.
    fn bound(&mut self) {
        let mut excess = Vec::new();
        let mut cut = |is_too_long: bool, what, limit| {
            if is_too_long {
                excess.push(Problem::TooMany {
                    origin: self.origin,
                    what,
                    limit,
                });
            }
        };
        cut(self.interfaces.len() > INTERFACES, "interfaces", INTERFACES);
        self.interfaces.truncate(INTERFACES);
        let (mut addresses, mut routes) = (ADDRESSES, ROUTES);
        let mut is_too_long = [false; 2];
        for Drafted {
            interface,
            is_faulty,
        } in &mut self.interfaces
        {
            let mut seen = Vec::new();
            interface.addressing.retain(|way| {
                !seen.contains(way) && {
                    seen.push(way.clone());
                    seen.len() <= ADDRESSES
                }
            });
            is_too_long[0] |= interface.addressing.len() > addresses;
            is_too_long[1] |= interface.routes.len() > routes;
            *is_faulty |= interface.addressing.len() > addresses;
            interface.addressing.truncate(addresses);
            interface.routes.truncate(routes);
            addresses -= interface.addressing.len();
            routes -= interface.routes.len();
        }
        is_too_long[1] |= self.routes.len() > routes;
        self.routes.truncate(routes);
        cut(is_too_long[0], "addresses", ADDRESSES);
        cut(is_too_long[1], "routes", ROUTES);
        deduplicate(&mut self.name_servers);
        deduplicate(&mut self.search);
        cut(self.name_servers.len() > NAMES, "name servers", NAMES);
        cut(self.search.len() > NAMES, "domains to search", NAMES);
        self.name_servers.truncate(NAMES);
        self.search.truncate(NAMES);
        self.problems.extend(excess);
    }

    /// A bond does without members that are not there, are in another bond already, or are bonds.
    fn settle_members(&mut self) {
        let is_bond: BTreeMap<String, bool> = self
            .interfaces
            .iter()
            .map(|Drafted { interface, .. }| {
                (
                    interface.name.clone(),
                    matches!(interface.kind, Kind::Bond(_)),
                )
            })
            .collect();
        let mut taken: BTreeSet<String> = BTreeSet::new();
        for Drafted { interface, .. } in &mut self.interfaces {
            let Kind::Bond(bond) = &mut interface.kind else {
                continue;
            };
            deduplicate(&mut bond.members);
            bond.members.retain(|member| {
                let why = match is_bond.get(member) {
                    None => "is not there",
                    Some(true) => "is a bond",
                    Some(false) if !taken.insert(member.clone()) => "is in another bond",
                    Some(false) => return true,
                };
                self.problems.push(Problem::Member {
                    bond: interface.name.as_str().into(),
                    member: member.into(),
                    why,
                });
                false
            });
            bond.primary
                .take_if(|primary| !bond.members.contains(primary));
        }
    }

    /// Take those in turn whose foundations are taken. What is left lies on something that is not there, on itself, or
    /// on one of those.
    fn leave_out_unfounded(&mut self) {
        let mut waiting = std::mem::take(&mut self.interfaces);
        let mut names: BTreeSet<String> = BTreeSet::new();
        loop {
            let (ready, rest): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|drafted| {
                below(&drafted.interface)
                    .iter()
                    .all(|name| names.contains(*name))
            });
            waiting = rest;
            if ready.is_empty() {
                break;
            }
            for drafted in ready {
                let is_empty =
                    matches!(&drafted.interface.kind, Kind::Bond(bond) if bond.members.is_empty());
                if is_empty {
                    self.problems.push(Problem::NoMembers {
                        bond: drafted.interface.name.into(),
                    });
                } else {
                    names.insert(drafted.interface.name.clone());
                    self.interfaces.push(drafted);
                }
            }
        }
        self.name_unfounded(&waiting);
        self.free_what_was_below(&waiting);
    }

    fn name_unfounded(&mut self, left: &[Drafted]) {
        let by_name: BTreeMap<&str, &Interface> = left
            .iter()
            .map(|drafted| (drafted.interface.name.as_str(), &drafted.interface))
            .collect();
        for Drafted { interface, .. } in left {
            let name = Shown::new(&interface.name);
            // Down to where there is nothing more, or somebody was before; each step is to another, or ends it.
            let mut seen = BTreeSet::from([interface.name.as_str()]);
            let mut at = interface;
            let problem = loop {
                let on = below(at).into_iter().find(|on| self.find(on).is_none());
                let Some(on) = on else {
                    break Problem::Loop { name };
                };
                match by_name.get(on) {
                    None => {
                        break Problem::LeftOut {
                            name,
                            on: on.into(),
                        };
                    }
                    Some(_) if on == interface.name => break Problem::Loop { name },
                    // It lies on a circle that it is no part of.
                    Some(_) if !seen.insert(on) => {
                        break Problem::LeftOut {
                            name,
                            on: on.into(),
                        };
                    }
                    Some(next) => at = next,
                }
            };
            self.problems.push(problem);
        }
    }

    /// Nothing lies on these any more: where nobody said how they get addresses, they ask for them, since the machine
    /// was to be reached through them.
    fn free_what_was_below(&mut self, left: &[Drafted]) {
        let freed: BTreeSet<&str> = left
            .iter()
            .flat_map(|drafted| below(&drafted.interface))
            .collect();
        for drafted in &mut self.interfaces {
            if freed.contains(drafted.interface.name.as_str()) {
                drafted.is_faulty = true;
            }
        }
    }

    fn leave_out_repeated_vlans(&mut self) {
        let mut first: BTreeMap<(String, u16), String> = BTreeMap::new();
        let mut gone: BTreeSet<String> = BTreeSet::new();
        // What lies on something comes after it.
        self.interfaces.retain(|Drafted { interface, .. }| {
            let name = &interface.name;
            if let Some(on) = below(interface).into_iter().find(|on| gone.contains(*on)) {
                self.problems.push(Problem::LeftOut {
                    name: name.into(),
                    on: on.into(),
                });
                gone.insert(name.clone());
                return false;
            }
            let Kind::Vlan { below, id } = &interface.kind else {
                return true;
            };
            match first.entry((below.clone(), *id)) {
                std::collections::btree_map::Entry::Vacant(place) => {
                    place.insert(name.clone());
                    true
                }
                std::collections::btree_map::Entry::Occupied(other) => {
                    self.problems.push(Problem::VlanTwice {
                        name: name.into(),
                        id: *id,
                        below: below.into(),
                        other: other.get().into(),
                    });
                    gone.insert(name.clone());
                    false
                }
            }
        });
    }

    /// A member's traffic is the bond's.
    fn take_addresses_of_members(&mut self) {
        let bonds: BTreeMap<String, String> = self
            .interfaces
            .iter()
            .filter_map(|Drafted { interface, .. }| match &interface.kind {
                Kind::Bond(bond) => Some((&interface.name, bond)),
                _ => None,
            })
            .flat_map(|(name, bond)| {
                bond.members
                    .iter()
                    .map(|member| (member.clone(), name.clone()))
            })
            .collect();
        for Drafted {
            interface,
            is_faulty,
        } in &mut self.interfaces
        {
            let Some(bond) = bonds.get(&interface.name) else {
                continue;
            };
            if !interface.addressing.is_empty() {
                self.problems.push(Problem::AddressedMember {
                    name: interface.name.as_str().into(),
                    bond: bond.into(),
                });
            }
            interface.addressing.clear();
            interface.routes.clear();
            *is_faulty = false;
        }
    }

    fn leave_out_repeated_addresses(&mut self) {
        let mut first: BTreeMap<IpAddr, String> = BTreeMap::new();
        for Drafted {
            interface,
            is_faulty,
        } in &mut self.interfaces
        {
            interface.addressing.retain(|way| {
                let Addressing::Static(address) = way else {
                    return true;
                };
                let other = first
                    .entry(address.addr())
                    .or_insert_with(|| interface.name.clone());
                // One address with two lengths on one interface is two to the kernel.
                let is_free = *other == interface.name || is_link_local(address.addr());
                if !is_free {
                    self.problems.push(Problem::AddressTwice {
                        name: interface.name.as_str().into(),
                        address: address.addr(),
                        other: other.as_str().into(),
                    });
                    *is_faulty = true;
                }
                is_free
            });
        }
    }

    /// A route of no interface belongs to the one in whose network its gateway is.
    fn place_routes(&mut self) {
        for route in std::mem::take(&mut self.routes) {
            let owner = self.interfaces.iter_mut().find(|drafted| {
                route
                    .gateway
                    .is_some_and(|gateway| has_network_of(&drafted.interface, gateway))
            });
            match owner {
                Some(owner) => owner.interface.routes.push(route),
                None => self.routes.push(route),
            }
        }
    }

    /// The kernel takes no route whose gateway is in no network of the interface. Neutron gives such ones out (a /32 with
    /// a router outside of it), and they work once the gateway has a route of its own.
    fn reach_gateways(&mut self) {
        for Drafted { interface, .. } in &mut self.interfaces {
            let mut reached: Vec<Route> = Vec::new();
            deduplicate(&mut interface.routes);
            for gateway in interface.routes.iter().filter_map(|route| route.gateway) {
                let is_static = interface.addressing.iter().any(|way| match way {
                    Addressing::Static(address) => address.addr().is_ipv4() == gateway.is_ipv4(),
                    _ => false,
                });
                let direct = Route {
                    destination: IpNet::from(gateway),
                    gateway: None,
                    metric: None,
                };
                if is_link_local(gateway)
                    || has_network_of(interface, gateway)
                    || interface.routes.contains(&direct)
                    || reached.contains(&direct)
                {
                    continue;
                }
                // Which networks it will have is not known where a server tells them.
                if is_static {
                    self.problems.push(Problem::GatewayOutside {
                        name: interface.name.as_str().into(),
                        gateway,
                    });
                }
                reached.push(direct);
            }
            interface.routes.splice(0..0, reached);
            // What leads to a gateway is there before what leads through it.
            interface
                .routes
                .sort_by_key(|route| route.gateway.is_some());
        }
    }

    /// An interface of whose addresses nothing is left asks for them, and so do all where nobody has any: a machine that
    /// is silent can be told nothing better.
    fn fall_back(&mut self) {
        let used: BTreeSet<String> = self
            .interfaces
            .iter()
            .flat_map(|drafted| below(&drafted.interface))
            .map(str::to_owned)
            .collect();
        for Drafted {
            interface,
            is_faulty,
        } in &mut self.interfaces
        {
            if *is_faulty && interface.addressing.is_empty() {
                interface.addressing.push(Addressing::Automatic);
            }
        }
        let is_silent = self
            .interfaces
            .iter()
            .all(|drafted| drafted.interface.addressing.is_empty());
        if self.interfaces.is_empty() || !is_silent || self.is_silence_meant {
            return;
        }
        self.problems.push(Problem::NoAddresses {
            origin: self.origin,
        });
        for Drafted { interface, .. } in &mut self.interfaces {
            if !used.contains(&interface.name) {
                interface.addressing.push(Addressing::Automatic);
            }
        }
    }
}

/// What an interface lies on.
fn below(interface: &Interface) -> Vec<&str> {
    match &interface.kind {
        Kind::Card(_) => Vec::new(),
        Kind::Bond(bond) => bond.members.iter().map(String::as_str).collect(),
        Kind::Vlan { below, .. } => vec![below],
    }
}

fn has_network_of(interface: &Interface, gateway: IpAddr) -> bool {
    interface.addressing.iter().any(|way| match way {
        Addressing::Static(address) => address.contains(&gateway),
        _ => false,
    })
}

/// Whether an address means another machine on each link.
fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// Lists are short where they are bounded, and long ones are a stranger's: the first places alone count.
fn deduplicate<T: Clone + PartialEq>(list: &mut Vec<T>) {
    list.truncate(4 * ROUTES);
    let mut seen: Vec<T> = Vec::new();
    for item in list.drain(..) {
        if !seen.contains(&item) {
            seen.push(item);
        }
    }
    *list = seen;
}
