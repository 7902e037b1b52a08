//! Makes this machine's network what a [`Plan`] says, by netlink.
//!
//! [`Setup::step`] does what can be done now and is called again: cards come late, go and come back. What is there
//! already is left as it is, so that a program that was started again goes on where the one before ended. One interface
//! that cannot be had does not keep the others from being made.

mod bond;
mod cards;
mod error;
mod made;
mod planned;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::net::IpAddr;

use ipnet::IpNet;

pub(crate) use self::error::SetupError;
use self::made::{Made, NET, made, member_settings, named, put_into, there, there_or};
use self::planned::{default_gateway, is_advertised, is_static, route_text, statics};
use super::hardware_address::HardwareAddress;
use super::links::{Link, has_carrier};
use super::plan::{Bond, Card, Interface, Kind, Plan, Route, bond_option};
use crate::sys::link;
use crate::sys::netlink::address::{add_address, add_route};
use crate::sys::netlink::link as netlink;
use crate::sys::root::Root;

/// Something to tell.
#[derive(Debug)]
pub(crate) enum News {
    /// An interface is what the plan says, or as much of it as can be.
    Made {
        /// What it is, a line.
        text: String,
        /// Its name in the kernel.
        name: String,
        /// The addresses that were given to it.
        addresses: Vec<IpNet>,
        /// The gateways of its default routes.
        gateways: Vec<IpAddr>,
    },
    /// Something cannot be had.
    Problem(SetupError),
}

/// A plan, and what of it is made.
#[derive(Debug)]
pub(crate) struct Setup {
    plan: Plan,
    boot: Option<HardwareAddress>,
    /// By the names in the plan.
    made: BTreeMap<String, Made>,
    /// Positions in the plan's routes.
    routed: BTreeSet<usize>,
    /// Names of interfaces that failed as a whole, which are not tried again, and what else was told.
    told: BTreeSet<String>,
}

impl Setup {
    /// Nothing is made yet. `boot` is the card that the machine was booted from.
    pub(crate) fn new(plan: Plan, boot: Option<HardwareAddress>) -> Self {
        Self {
            plan,
            boot,
            made: BTreeMap::new(),
            routed: BTreeSet::new(),
            told: BTreeSet::new(),
        }
    }

    /// The plan.
    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The name in the kernel of an interface of the plan, once it is there.
    pub(crate) fn name_of(&self, planned: &str) -> Option<&str> {
        self.made.get(planned).map(|made| made.name.as_str())
    }

    /// The name of the card that the machine was booted from.
    pub(crate) fn booted<'c>(&self, cards: &'c [Link]) -> Option<&'c str> {
        cards::booted(self.boot, cards).map(|card| card.name.as_str())
    }

    /// Whether no card is waited for any longer: each of the plan's, and the one that the machine was booted from.
    pub(crate) fn is_complete(&self, cards: &[Link]) -> bool {
        let is_done = |interface: &Interface| {
            let Some(made) = self.made.get(&interface.name) else {
                return self.is_hopeless(interface)
                    || matches!(interface.kind, Kind::Card(Card::AnyOther));
            };
            let Kind::Bond(bond) = &interface.kind else {
                return true;
            };
            let is_in = |member: &String| made.members.contains(member) || self.has_failed(member);
            bond.members.iter().all(is_in)
        };
        self.plan.interfaces.iter().all(is_done)
            && (self.boot.is_none() || self.booted(cards).is_some())
    }

    /// Whether an interface will not be made, whatever comes.
    fn is_hopeless(&self, interface: &Interface) -> bool {
        let is_hopeless = |planned: &String| {
            let mut each = self.plan.interfaces.iter();
            each.find(|one| one.name == *planned)
                .is_none_or(|one| self.is_hopeless(one))
        };
        self.has_failed(&interface.name)
            || match &interface.kind {
                Kind::Card(_) => false,
                Kind::Bond(bond) => bond.members.iter().all(is_hopeless),
                Kind::Vlan { below, .. } => is_hopeless(below),
            }
    }

    /// Make what can be made now of these cards, which udev has named. `is_last` says that what is missing is not waited
    /// for any longer: a bond is made of the members that are there, and what is missing is told. Later steps make it
    /// all the same when it comes.
    pub(crate) fn step(&mut self, root: &Root, cards: &[Link], is_last: bool) -> Vec<News> {
        self.forget_gone(root);
        let mut news = Vec::new();
        for interface in self.plan.interfaces.clone() {
            if self.has_failed(&interface.name) {
                continue;
            }
            match &interface.kind {
                Kind::Card(Card::AnyOther) => self.make_others(root, &interface, cards, &mut news),
                Kind::Card(_) => self.make_card(root, &interface, cards, is_last, &mut news),
                Kind::Bond(bond) => self.make_bond(root, &interface, bond, is_last, &mut news),
                Kind::Vlan { below, id } => {
                    self.make_vlan(root, &interface, below, *id, is_last, &mut news);
                }
            }
        }
        self.add_free_routes(is_last, &mut news);
        news
    }

    fn has_failed(&self, planned: &str) -> bool {
        self.told.contains(&failure(planned))
    }

    /// A failure of the whole interface, which is told once.
    fn fail(&mut self, planned: &str, error: SetupError, news: &mut Vec<News>) {
        self.told.insert(failure(planned));
        news.push(News::Problem(error));
    }

    /// Tell this once for an interface that is waited for all the same.
    fn tell(&mut self, error: SetupError, news: &mut Vec<News>) {
        if self.told.insert(error.to_string()) {
            news.push(News::Problem(error));
        }
    }

    /// What was unplugged, and with it what lay on it, is to be made again when it comes back.
    fn forget_gone(&mut self, root: &Root) {
        let told = &mut self.told;
        self.made.retain(|planned, made| {
            let index = root.number(format!("{NET}/{}/ifindex", made.name));
            let is_there = index == Some(u64::from(made.index));
            if !is_there {
                // What failed with the one that is gone may go well with the next.
                told.remove(&failure(planned));
            }
            is_there
        });
        let there: BTreeSet<String> = self.made.keys().cloned().collect();
        for made in self.made.values_mut() {
            made.members.retain(|member| there.contains(member));
        }
    }

    fn make_card(
        &mut self,
        root: &Root,
        interface: &Interface,
        cards: &[Link],
        is_last: bool,
        news: &mut Vec<News>,
    ) {
        if self.made.contains_key(&interface.name) {
            return;
        }
        let card = match &interface.kind {
            Kind::Card(Card::First) => self.first(root, cards, is_last),
            _ => cards::fitting(interface, cards).into_iter().next(),
        };
        let Some(card) = card else {
            if is_last {
                let missing = SetupError::NoCard {
                    wanted: cards::wanted(interface),
                    interface: interface.name.clone(),
                    there: cards::list(cards),
                };
                self.tell(missing, news);
            }
            return;
        };
        let other = self.made.iter().find(|(_, made)| made.name == card.name);
        if let Some((other, _)) = other {
            let twice = SetupError::Twice {
                interface: interface.name.clone(),
                other: other.clone(),
                card: card.name.clone(),
            };
            return self.fail(&interface.name, twice, news);
        }
        match named(root, interface, card) {
            Ok(made) => self.finish(root, interface, made, news),
            Err(_) if card.is_gone(root) => {}
            Err(error) => self.fail(&interface.name, error, news),
        }
    }

    /// The card that is meant where the plan leaves the choice.
    fn first<'c>(&self, root: &Root, cards: &'c [Link], is_last: bool) -> Option<&'c Link> {
        let mut free = cards::unnamed(&self.plan, cards);
        if let Some(card) = cards::booted(self.boot, cards)
            && free.contains(&card)
        {
            return Some(card);
        }
        if self.boot.is_some() && !is_last {
            return None;
        }
        free = cards::of_the_machine(free, is_last);
        // A card that is down says nothing of its link.
        super::links::set_up(free.iter().map(|card| card.name.as_str()));
        let linked = free.iter().find(|card| has_carrier(root, &card.name));
        let any = free.first().filter(|_| is_last);
        linked.or(any).copied()
    }

    /// Cards that the plan does not name get what it says of all others.
    fn make_others(
        &mut self,
        root: &Root,
        interface: &Interface,
        cards: &[Link],
        news: &mut Vec<News>,
    ) {
        // dhcpcd brings up what it asks on.
        if interface.mtu.is_none() && !interface.addressing.iter().any(is_static) {
            return;
        }
        for card in cards::unnamed(&self.plan, cards) {
            // No name in a plan has a slash.
            let key = format!("{}/{}", interface.name, card.name);
            let is_made = |made: &Made| made.name == card.name;
            if self.made.values().any(is_made) || self.has_failed(&key) {
                continue;
            }
            let one = Interface {
                name: key.clone(),
                ..interface.clone()
            };
            match there(card) {
                Ok(made) => self.finish(root, &one, made, news),
                Err(_) if card.is_gone(root) => {}
                Err(error) => self.fail(&key, error, news),
            }
        }
    }

    fn make_bond(
        &mut self,
        root: &Root,
        interface: &Interface,
        bond: &Bond,
        is_last: bool,
        news: &mut Vec<News>,
    ) {
        let is_there = |member: &&String| self.made.contains_key(*member);
        let here: Vec<String> = bond.members.iter().filter(is_there).cloned().collect();
        if let Some(mut made) = self.made.get(&interface.name).cloned() {
            let late: Vec<String> = here
                .into_iter()
                .filter(|member| !made.members.contains(member) && !self.has_failed(member))
                .collect();
            self.enslave(root, &mut made, &late, news);
            self.made.insert(interface.name.clone(), made);
            return;
        }
        // A bond has the address of its first member; made of the one that was there first, it would be another at each
        // boot, and with it a lease.
        if here.len() < bond.members.len() && !is_last {
            return;
        }
        if here.is_empty() {
            let nothing = SetupError::NothingBelow {
                interface: interface.name.clone(),
                missing: bond.members.join(", "),
            };
            return self.tell(nothing, news);
        }
        let mut made = match self.new_bond(root, interface, bond, news) {
            Ok(made) => made,
            Err(error) => return self.fail(&interface.name, error, news),
        };
        self.enslave(root, &mut made, &here, news);
        if let Some(primary) = &bond.primary
            && bond::has_primary(bond.mode)
            && let Some(member) = self.made.get(primary)
        {
            let primary = [netlink::BondOption::Primary(member.index)];
            let what = format!("make {} the first choice of {}", member.name, made.name);
            let set = netlink::set_bond_options(made.index, &primary);
            news.extend(
                set.err()
                    .map(|source| News::Problem(SetupError::Refused { what, source })),
            );
        }
        self.finish(root, interface, made, news);
    }

    /// A bond without members, or the one that is there.
    fn new_bond(
        &self,
        root: &Root,
        interface: &Interface,
        bond: &Bond,
        news: &mut Vec<News>,
    ) -> Result<Made, SetupError> {
        let name = &interface.name;
        let what = || {
            format!(
                "make the bond {name} ({})",
                bond_option::mode_name(bond.mode)
            )
        };
        match netlink::add_bond(name, &bond::options(bond)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if !root.is_dir(format!("{NET}/{name}/bonding")) {
                    return Err(SetupError::NameTaken {
                        interface: name.clone(),
                    });
                }
            }
            // One setting that this kernel does not take is better than no network.
            Err(source) => {
                netlink::add_bond(name, &bond::least_options(bond))
                    .map_err(SetupError::refused(what()))?;
                let what = format!("{} with all its settings; it has those of its mode", what());
                news.push(News::Problem(SetupError::Refused { what, source }));
            }
        }
        made(name)
    }

    fn enslave(&mut self, root: &Root, bond: &mut Made, members: &[String], news: &mut Vec<News>) {
        for planned in members {
            let Some(member) = self.made.get(planned) else {
                continue;
            };
            match put_into(root, member, bond) {
                Ok(()) => {
                    let text = format!("network {} is in {}", member.name, bond.name);
                    news.push(News::Made {
                        text,
                        name: member.name.clone(),
                        addresses: Vec::new(),
                        gateways: Vec::new(),
                    });
                    bond.members.insert(planned.clone());
                }
                Err(error) => self.fail(planned, error, news),
            }
        }
    }

    fn make_vlan(
        &mut self,
        root: &Root,
        interface: &Interface,
        below: &str,
        id: u16,
        is_last: bool,
        news: &mut Vec<News>,
    ) {
        if self.made.contains_key(&interface.name) {
            return;
        }
        let Some(carrier) = self.made.get(below) else {
            if is_last {
                let nothing = SetupError::NothingBelow {
                    interface: interface.name.clone(),
                    missing: below.to_owned(),
                };
                self.tell(nothing, news);
            }
            return;
        };
        let name = &interface.name;
        let result = match netlink::add_vlan(carrier.index, name, id) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let lies_on = root.number(format!("{NET}/{name}/iflink"));
                if lies_on == Some(u64::from(carrier.index)) {
                    made(name)
                } else {
                    Err(SetupError::NameTaken {
                        interface: name.clone(),
                    })
                }
            }
            Err(source) => Err(SetupError::Refused {
                what: format!("make {name}, VLAN {id} on {}", carrier.name),
                source,
            }),
            Ok(()) => made(name),
        };
        match result {
            Ok(made) => self.finish(root, interface, made, news),
            Err(error) => self.fail(name, error, news),
        }
    }

    /// An interface that is there gets its settings.
    fn finish(&mut self, root: &Root, interface: &Interface, made: Made, news: &mut Vec<News>) {
        let is_member = self.is_member(&interface.name);
        let problems = if is_member {
            member_settings(root, interface, &made)
        } else {
            self.settings(root, interface, &made)
        };
        news.extend(problems.into_iter().map(News::Problem));
        if !is_member {
            news.push(News::Made {
                text: self.line(interface, &made),
                name: made.name.clone(),
                addresses: statics(interface),
                gateways: interface
                    .routes
                    .iter()
                    .filter_map(default_gateway)
                    .collect(),
            });
        }
        self.made.insert(interface.name.clone(), made);
    }

    fn is_member(&self, planned: &str) -> bool {
        let mut kinds = self.plan.interfaces.iter().map(|interface| &interface.kind);
        kinds.any(|kind| {
            matches!(kind, Kind::Bond(bond) if bond.members.iter().any(|member| member == planned))
        })
    }

    /// All that an interface is told which is no bond's member. Nothing of it keeps the rest from being done.
    fn settings(&self, root: &Root, interface: &Interface, made: &Made) -> Vec<SetupError> {
        let name = &made.name;
        let mut problems = member_settings(root, interface, made);
        if interface.mtu.is_none()
            && let Kind::Bond(bond) = &interface.kind
            && let Some(mtu) = self.smallest_mtu(bond)
        {
            let set = netlink::set_mtu(made.index, mtu);
            let what = format!("set the MTU of {name} to {mtu}, its members'");
            problems.extend(set.map_err(SetupError::refused(what)).err());
        }
        if !interface.addressing.iter().any(is_advertised) {
            // The kernel would listen to routers by itself. There is no such file without IPv6.
            let _ = fs::write(format!("/proc/sys/net/ipv6/conf/{name}/accept_ra"), "0");
        }
        let up = link::set_up(name).map_err(SetupError::refused(format!("bring up {name}")));
        problems.extend(up.err());
        for address in statics(interface) {
            let added = there_or(add_address(
                made.index,
                address.addr(),
                address.prefix_len(),
            ));
            let what = format!("give {name} the address {address}");
            problems.extend(added.map_err(SetupError::refused(what)).err());
        }
        for (position, route) in interface.routes.iter().enumerate() {
            let metric = route
                .metric
                .or_else(|| self.metric_by_turn(interface, position));
            let added = there_or(add_route(
                Some(made.index),
                route.destination,
                route.gateway,
                metric,
            ));
            let what = format!("set the route {} on {name}", route_text(route));
            problems.extend(added.map_err(SetupError::refused(what)).err());
        }
        problems
    }

    /// Two routes to one network need different metrics: the earlier in the plan comes first.
    fn metric_by_turn(&self, interface: &Interface, position: usize) -> Option<u32> {
        let route = &interface.routes[position];
        let same = |other: &&Route| {
            other.destination.trunc() == route.destination.trunc() && other.metric.is_none()
        };
        let earlier = self
            .plan
            .interfaces
            .iter()
            .take_while(|earlier| earlier.name != interface.name)
            .flat_map(|earlier| &earlier.routes)
            .chain(&interface.routes[..position])
            .filter(same)
            .count();
        let first = if route.destination.addr().is_ipv4() {
            0
        } else {
            1024
        };
        (earlier > 0).then(|| first + 100 * u32::try_from(earlier).unwrap_or(u32::MAX / 200))
    }

    /// A bond sets the MTU of what is in it, so that a larger one of the members would be lost.
    fn smallest_mtu(&self, bond: &Bond) -> Option<u32> {
        let mtu_of = |member: &String| {
            let interface = self.plan.interfaces.iter().find(|one| one.name == *member);
            interface.and_then(|interface| interface.mtu)
        };
        let each: Option<Vec<u32>> = bond.members.iter().map(mtu_of).collect();
        each?.into_iter().min()
    }

    /// Routes by whatever interface reaches their gateway.
    fn add_free_routes(&mut self, is_last: bool, news: &mut Vec<News>) {
        for (position, route) in self.plan.routes.clone().iter().enumerate() {
            if self.routed.contains(&position) {
                continue;
            }
            match there_or(add_route(
                None,
                route.destination,
                route.gateway,
                route.metric,
            )) {
                Ok(()) => {
                    self.routed.insert(position);
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable
                    ) =>
                {
                    if is_last {
                        let destination = route_text(route);
                        self.tell(SetupError::NoWay { destination }, news);
                    }
                }
                Err(source) => {
                    self.routed.insert(position);
                    let what = format!("set the route {}", route_text(route));
                    news.push(News::Problem(SetupError::Refused { what, source }));
                }
            }
        }
    }

    /// What an interface is, for the console.
    fn line(&self, interface: &Interface, made: &Made) -> String {
        let what = match &interface.kind {
            Kind::Card(Card::Address { address, .. }) => format!("has the address {address}"),
            Kind::Card(_) => "is up".to_owned(),
            Kind::Bond(bond) => {
                let name = |member: &String| self.name_of(member).unwrap_or(member).to_owned();
                let members: Vec<String> = made.members.iter().map(name).collect();
                let mode = bond_option::mode_name(bond.mode);
                format!("is a bond ({mode}) of {}", members.join(" "))
            }
            Kind::Vlan { below, id } => {
                format!("is VLAN {id} on {}", self.name_of(below).unwrap_or(below))
            }
        };
        format!("network {} {what}", made.name)
    }
}

/// How a failure is kept among what was told.
fn failure(planned: &str) -> String {
    format!("{planned}: failed")
}
