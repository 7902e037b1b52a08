//! What a plan of the network leaves to dhcpcd. `farrier-network` writes it for PID 1, which makes dhcpcd's
//! configuration of it, and for the agent, which waits for addresses.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::net::links::Link;
use crate::net::plan::{Addressing, Card, Interface, Kind, Plan};
use crate::net::setup::Setup;
use crate::sys::root::Root;
use crate::sys::{private_file, run_files};

/// All names are the kernel's.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct DhcpPart {
    /// Interfaces on which dhcpcd does nothing and that have addresses.
    pub(super) fixed: BTreeSet<String>,
    /// Interfaces on which dhcpcd does nothing and that have no address: members of bonds, carriers of VLANs.
    pub(super) bare: BTreeSet<String>,
    /// Interfaces on which it asks as the plan says.
    pub(super) asked: Vec<Asked>,
    /// How it asks on all other cards; `None`: not at all.
    pub(super) others: Option<How>,
    /// Whose default route counts.
    pub(super) owner: Owner,
}

/// An interface on which dhcpcd asks.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Asked {
    pub(super) name: String,
    pub(super) how: How,
}

/// How dhcpcd asks.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct How {
    /// By DHCPv4.
    pub(super) ipv4: bool,
    /// For router advertisements, and by DHCPv6 where they say so.
    pub(super) ipv6: bool,
    /// By DHCPv6, whatever router advertisements say.
    pub(super) dhcp6: bool,
    /// Not for the size of packets, which the plan says: DHCP's would go to the routes or raise the card's.
    pub(super) keeps_packet_size: bool,
}

/// Whose default route and names count, of those that dhcpcd gets.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(super) enum Owner {
    /// dhcpcd decides, as it does without `BOOTIF`.
    #[default]
    Any,
    /// This interface's.
    Interface(String),
    /// Nobody's: the plan has default routes of its own.
    Nobody,
}

impl How {
    /// How all other cards are asked on. Never less than without a plan: `ip=dhcp` stands in many a site's boot line that
    /// reaches its conductor by IPv6.
    fn of_others(plan: &Plan, interface: &Interface) -> Option<Self> {
        Self::of(plan, interface).map(|how| Self {
            dhcp6: how.dhcp6,
            keeps_packet_size: how.keeps_packet_size,
            ..Self::AUTOMATIC
        })
    }

    /// As without a plan.
    const AUTOMATIC: Self = Self {
        ipv4: true,
        ipv6: true,
        dhcp6: false,
        keeps_packet_size: false,
    };

    fn of(plan: &Plan, interface: &Interface) -> Option<Self> {
        let has = |wanted: Addressing| interface.addressing.contains(&wanted);
        let keeps_packet_size = has_packet_size(plan, interface);
        let how = if has(Addressing::Automatic) {
            Self {
                keeps_packet_size,
                ..Self::AUTOMATIC
            }
        } else {
            Self {
                ipv4: has(Addressing::Dhcp4),
                ipv6: has(Addressing::Dhcp6) || has(Addressing::Advertised),
                dhcp6: has(Addressing::Dhcp6),
                keeps_packet_size,
            }
        };
        (how.ipv4 || how.ipv6).then_some(how)
    }

    /// In dhcpcd's words.
    fn options(self) -> String {
        let mut text = String::new();
        for (asked, word) in [(self.ipv4, "ipv4"), (self.ipv6, "ipv6")] {
            let no = if asked { "" } else { "no" };
            text.push_str(&format!("{no}{word}\n"));
        }
        if self.dhcp6 {
            // Asks at once; otherwise only where a router says that there is DHCPv6.
            text.push_str("ia_na\n");
        }
        if self.keeps_packet_size {
            text.push_str("nooption interface_mtu\n");
        }
        text
    }
}

impl DhcpPart {
    /// All of it, as without a plan.
    pub(super) fn all() -> Self {
        Self {
            others: Some(How::AUTOMATIC),
            ..Self::default()
        }
    }

    /// What is left of what is made, with these cards in the machine.
    pub(super) fn of(setup: &Setup, cards: &[Link]) -> Self {
        let plan = setup.plan();
        let mut part = Self::all();
        let has_come = |name: &str| cards.iter().any(|card| card.name == name);
        for interface in &plan.interfaces {
            if matches!(interface.kind, Kind::Card(Card::AnyOther)) {
                part.others = How::of_others(plan, interface);
                continue;
            }
            let how = How::of(plan, interface);
            let name = match (setup.name_of(&interface.name), &interface.kind, how) {
                (Some(name), ..) => name.to_owned(),
                // When it comes late, dhcpcd would ask on it before it is in its bond.
                (None, Kind::Card(Card::Name), None) if !has_come(&interface.name) => {
                    interface.name.clone()
                }
                _ => continue,
            };
            match how {
                // dhcpcd would read anything else in its configuration differently.
                Some(how) if is_plain(&name) => part.asked.push(Asked { name, how }),
                _ if has_static(interface) => _ = part.fixed.insert(name),
                _ => _ = part.bare.insert(name),
            }
        }
        part.owner = part.choose_owner(setup, cards);
        part
    }

    /// The plan comes first: an interface that it says, then its own default routes. Where it has none, the card that
    /// the machine was booted from, or what the plan makes of that; then the plan's first interface that is asked on.
    fn choose_owner(&self, setup: &Setup, cards: &[Link]) -> Owner {
        let plan = setup.plan();
        let (has_ipv4, has_ipv6) = (
            has_default(setup, IpAddr::is_ipv4),
            has_default(setup, IpAddr::is_ipv6),
        );
        let could = |asked: &Asked| (asked.how.ipv4 && !has_ipv4) || (asked.how.ipv6 && !has_ipv6);
        let is_open = |name: &str| {
            let mut each = self.asked.iter();
            each.any(|asked| asked.name == name && could(asked))
        };
        let owner = |name: &str| Owner::Interface(name.to_owned());
        if let Some(first) = plan.first.as_deref().and_then(|first| setup.name_of(first))
            && is_open(first)
        {
            return owner(first);
        }
        let booted = setup.booted(cards);
        let mut above = booted.map(|card| upwards(setup, card)).unwrap_or_default();
        above.retain(|name| is_open(name));
        if let Some(name) = above.first() {
            return owner(name);
        }
        let has_any = has_ipv4 || has_ipv6;
        if let Some(card) = booted
            && !has_any
            && self.others.is_some()
            && !self.names(card)
        {
            return owner(card);
        }
        match self.asked.iter().find(|asked| could(asked)) {
            Some(asked) => owner(&asked.name),
            None if has_any => Owner::Nobody,
            None => Owner::Any,
        }
    }

    /// The same, and what was said `before` of interfaces that are gone. A card that comes back is the plan's again, and
    /// dhcpcd, which sees it first, would ask on what belongs into a bond; nor does anything else take the place of a
    /// default route's owner, as without a plan.
    pub(super) fn with_gone(mut self, before: &Self, cards: &[Link]) -> Self {
        let has_come = |name: &str| cards.iter().any(|card| card.name == name);
        let is_gone = |part: &Self, name: &str| !part.names(name) && !has_come(name);
        if let Owner::Interface(name) = &before.owner
            && is_gone(&self, name)
        {
            self.owner = before.owner.clone();
        }
        for (place, asked) in before.asked.iter().enumerate() {
            if is_gone(&self, &asked.name) {
                let place = place.min(self.asked.len());
                self.asked.insert(place, asked.clone());
            }
        }
        for name in &before.fixed {
            if is_gone(&self, name) {
                self.fixed.insert(name.clone());
            }
        }
        for name in &before.bare {
            if is_gone(&self, name) {
                self.bare.insert(name.clone());
            }
        }
        self
    }

    fn names(&self, name: &str) -> bool {
        self.fixed.contains(name)
            || self.bare.contains(name)
            || self.asked.iter().any(|asked| asked.name == name)
    }

    /// Whether an interface of this name gets no address; `None` where the plan does not name it.
    pub(super) fn gets_no_address(&self, name: &str) -> Option<bool> {
        if self.names(name) {
            return Some(self.bare.contains(name));
        }
        self.others.is_none().then_some(true)
    }

    /// What dhcpcd is to leave alone, of these patterns and what the plan names, in dhcpcd's words.
    pub(super) fn denied(&self, patterns: &[&str]) -> Vec<String> {
        let asked: Vec<&str> = self.asked.iter().map(|one| one.name.as_str()).collect();
        let mut denied: Vec<String> = self.fixed.union(&self.bare).cloned().collect();
        denied.retain(|name| is_plain(name));
        for pattern in patterns {
            denied.extend(all_but(pattern, &asked));
        }
        denied
    }

    /// The names that dhcpcd asks on alone, where it asks on no others.
    pub(super) fn allowed(&self) -> Option<Vec<&str>> {
        let asked = || self.asked.iter().map(|one| one.name.as_str()).collect();
        self.others.is_none().then(asked)
    }

    /// dhcpcd's options for all interfaces.
    pub(super) fn options(&self) -> String {
        match self.others {
            Some(how) if how != How::AUTOMATIC => how.options(),
            _ => String::new(),
        }
    }

    /// Its options for single interfaces, a block each.
    pub(super) fn blocks(&self) -> String {
        let others_keep = self.others.is_some_and(|how| how.keeps_packet_size);
        let block = |asked: &Asked| {
            // What is not asked for on all interfaces would not be here either.
            let again = if others_keep && !asked.how.keeps_packet_size {
                "option interface_mtu\n"
            } else {
                ""
            };
            format!("interface {}\n{}{again}", asked.name, asked.how.options())
        };
        self.asked.iter().map(block).collect()
    }

    /// What was written last, if anything was.
    pub(super) fn read(root: &Root) -> Option<Self> {
        serde_json::from_slice(&root.read(run_files::NETWORK).ok()?).ok()
    }

    /// Write it for the others, below `root`. Readers see the old or the new one.
    pub(super) fn write(&self, root: &Path) -> io::Result<()> {
        let path = root.join(run_files::NETWORK.trim_start_matches('/'));
        private_file::replace(&path, &serde_json::to_vec(self)?)
    }
}

/// Whether the plan says how large an interface's packets are, or those of a member, which a bond's would change.
fn has_packet_size(plan: &Plan, interface: &Interface) -> bool {
    let is_said = |member: &String| {
        let mut each = plan.interfaces.iter();
        each.any(|one| one.name == *member && one.mtu.is_some())
    };
    interface.mtu.is_some()
        || matches!(&interface.kind, Kind::Bond(bond) if bond.members.iter().any(is_said))
}

fn has_static(interface: &Interface) -> bool {
    let mut each = interface.addressing.iter();
    each.any(|addressing| matches!(addressing, Addressing::Static(_)))
}

/// Whether the plan has a default route that leads somewhere. One by a card that is not there would leave a server that
/// has addresses by DHCP without a way out.
fn has_default(setup: &Setup, is_of: fn(&IpAddr) -> bool) -> bool {
    let plan = setup.plan();
    let is_there = |one: &&Interface| setup.name_of(&one.name).is_some();
    let there = plan.interfaces.iter().filter(is_there);
    let mut each = there.flat_map(|one| &one.routes).chain(&plan.routes);
    each.any(|route| route.destination.prefix_len() == 0 && is_of(&route.destination.addr()))
}

/// A card and what the plan makes of it, lowest first, by the kernel's names.
fn upwards(setup: &Setup, card: &str) -> Vec<String> {
    let mut found = vec![card.to_owned()];
    for interface in &setup.plan().interfaces {
        let Some(name) = setup.name_of(&interface.name) else {
            continue;
        };
        let is_found = |planned: &String| {
            let below = setup.name_of(planned);
            below.is_some_and(|below| found.iter().any(|name| name == below))
        };
        let is_above = match &interface.kind {
            Kind::Card(_) => false,
            Kind::Bond(bond) => bond.members.iter().any(is_found),
            Kind::Vlan { below, .. } => is_found(below),
        };
        if is_above {
            found.push(name.to_owned());
        }
    }
    found
}

/// Whether a name means itself in dhcpcd's configuration.
fn is_plain(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    name.bytes().all(is_plain)
}

/// Patterns that fit what this one fits, but for these names. dhcpcd has no exceptions: what is denied is denied, and
/// dropping `*.*` for one VLAN of the plan would have it ask on all that the agent makes.
fn all_but(pattern: &str, names: &[&str]) -> Vec<String> {
    let (root, has_dot) = match pattern.strip_suffix('*') {
        Some("*.") => ("", true),
        Some(prefix) => (prefix, false),
        None if names.contains(&pattern) => return Vec::new(),
        None => return vec![pattern.to_owned()],
    };
    let fits = |name: &str| name.starts_with(root) && (!has_dot || name.contains('.'));
    let names: Vec<&str> = names.iter().copied().filter(|name| fits(name)).collect();
    if names.is_empty() {
        return vec![pattern.to_owned()];
    }
    // Whatever leaves the names behind a prefix of one of them, or ends there.
    let prefixes: BTreeSet<&str> = names
        .iter()
        .flat_map(|name| (root.len()..=name.len()).map(|length| &name[..length]))
        .collect();
    let mut patterns = Vec::new();
    for prefix in prefixes {
        let mut next: BTreeSet<char> = names
            .iter()
            .filter_map(|name| name.strip_prefix(prefix)?.chars().next())
            .collect();
        let is_dotted = !has_dot || prefix.contains('.');
        if is_dotted && !names.contains(&prefix) && !prefix.is_empty() {
            patterns.push(prefix.to_owned());
        }
        if !is_dotted && !next.contains(&'.') {
            patterns.push(format!("{prefix}.*"));
            next.insert('.');
        }
        // A hyphen would be a range but at the end.
        let has_hyphen = next.remove(&'-');
        let mut others: String = next.into_iter().collect();
        if has_hyphen {
            others.push('-');
        }
        let one = match others.as_str() {
            "" => "?".to_owned(),
            others => format!("[!{others}]"),
        };
        let rest = if is_dotted { "*" } else { "*.*" };
        patterns.push(format!("{prefix}{one}{rest}"));
    }
    patterns
}

#[cfg(test)]
mod tests;
