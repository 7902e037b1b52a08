//! One round of questions on one interface: do the addresses that dhcpcd got there still count?
//!
//! Asked are all at once: the servers of DHCPv4 for the lease, the gateways by ARP, the routers of IPv6 for what they
//! advertise and by their addresses. Where nobody of the network says that the addresses count, somebody is asked for a
//! lease. Nothing of it touches dhcpcd, whose answers these are not, nor what the interface has.
//!
//! That addresses do not count takes somebody who says so: a refusal, an offer of another address, a router that
//! advertises other prefixes. A network where nobody answers keeps what it gave: there is nothing better to be had.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use ipnet::{Ipv4Net, Ipv6Net};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::lease::Lease;
use crate::net::dhcp_question::{self, Client};
use crate::net::hardware_address::HardwareAddress;
use crate::net::{arp, neighbor_discovery};
use crate::sys::addresses::Addresses;
use crate::sys::packet::{self, PacketSocket};
use crate::sys::root::Root;

/// How long answers are waited for. Each question is asked twice, since frames get lost.
const ANSWER: Duration = Duration::from_secs(2);

/// The same for an offer: a server may look first whether the address is free (a second, isc-dhcpd).
const OFFER: Duration = Duration::from_secs(4);

/// The most routers of each family that are asked.
const ROUTERS: usize = 8;

/// What earlier rounds on an interface have shown, or one.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Known {
    /// Gateways by the hardware address that they answer with: another network may have one of the same address.
    pub(super) gateways: BTreeMap<Ipv4Addr, packet::HardwareAddress>,
    /// The address of DHCPv4 that counted together with those of IPv6. While it counts, the port has not been moved,
    /// whatever becomes of routers. One that came later may be of the network that the port was moved to.
    pub(super) together: Option<Ipv4Addr>,
}

impl Known {
    /// And what another round has shown.
    pub(super) fn add(&mut self, other: &Self) {
        self.gateways.extend(&other.gateways);
        self.together = other.together.or(self.together);
    }
}

/// What dhcpcd got on one interface.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Given {
    pub(super) interface: String,
    /// By DHCPv4.
    pub(super) ipv4: Option<Ipv4Addr>,
    /// Those that are on the link.
    pub(super) gateways: Vec<Ipv4Addr>,
    /// Made of prefixes that routers advertised.
    pub(super) advertised: Vec<Ipv6Addr>,
    /// By DHCPv6.
    pub(super) leased: Vec<Ipv6Addr>,
    pub(super) routers: Vec<Ipv6Addr>,
}

impl Given {
    /// Of all that is kept, what is dhcpcd's, for each interface.
    pub(super) fn all(leases: &[Lease]) -> Vec<Self> {
        let mut found = BTreeMap::<&str, Self>::new();
        for lease in leases {
            let given = found.entry(&lease.interface).or_default();
            given.interface.clone_from(&lease.interface);
            given.add(lease);
        }
        let is_judged = |given: &Self| given.ipv4.is_some() || !given.routers.is_empty();
        found.into_values().filter(is_judged).collect()
    }

    fn add(&mut self, lease: &Lease) {
        let address = |text: &String| text.split('/').next()?.parse::<IpAddr>().ok();
        let ipv6 = |texts: &[String]| -> Vec<Ipv6Addr> {
            let each = texts.iter().filter_map(address);
            each.filter_map(|address| match address {
                IpAddr::V6(address) => Some(address),
                IpAddr::V4(_) => None,
            })
            .collect()
        };
        match lease.protocol.as_str() {
            "dhcp" => {
                let address = lease.addresses.first().and_then(|text| text.parse().ok());
                let Some(net): Option<Ipv4Net> = address else {
                    return;
                };
                let routers = lease.routers.iter().filter_map(|text| text.parse().ok());
                self.ipv4 = Some(net.addr());
                self.gateways = routers
                    .filter(|router| net.contains(router))
                    .take(ROUTERS)
                    .collect();
            }
            "dhcp6" => self.leased = ipv6(&lease.addresses),
            "ra" => {
                self.routers = ipv6(&lease.routers);
                self.routers.truncate(ROUTERS);
                self.advertised = ipv6(&lease.addresses);
            }
            _ => {}
        }
    }

    /// The addresses of IPv6 by which the network is known: of what DHCPv6 gave, routers need not say anything.
    fn ipv6(&self) -> &[Ipv6Addr] {
        if self.advertised.is_empty() {
            &self.leased
        } else {
            &self.advertised
        }
    }
}

/// What a round came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// The addresses count.
    Counts,
    /// They are another network's.
    Another,
    /// Nobody says anything.
    Nobody,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counts => "the addresses count",
            Self::Another => "the addresses are another network's",
            Self::Nobody => "nobody answers",
        })
    }
}

/// Ask on an interface. Returns with the verdict what is known by it.
///
/// # Errors
/// The interface is gone or down, has no hardware address of Ethernet's, or this is not root.
pub(super) fn ask(root: &Root, given: &Given, known: &Known) -> io::Result<(Verdict, Known)> {
    let name = &given.interface;
    let text = root.text(format!("/sys/class/net/{name}/address"))?;
    let hardware = HardwareAddress::parse(text.trim()).ok_or(io::ErrorKind::Unsupported)?;
    let link_local = Addresses::of(root)
        .each(name)
        .find_map(|address| match address {
            IpAddr::V6(address) if address.is_unicast_link_local() => Some(*address),
            _ => None,
        });
    let client = Client {
        hardware: hardware.0,
        transaction: uuid::Uuid::new_v4().as_u128() as u32,
    };
    let mut round = Round::new(given, client, known);
    let sockets = Sockets::open(name)?;
    let questions = round.questions(link_local);
    sockets.ask(&mut round, &questions, ANSWER)?;
    if given.ipv4.is_some() && !round.has_server() && round.verdict() != Verdict::Counts {
        sockets.ask(&mut round, &[client.discover()], OFFER)?;
    }
    Ok(round.outcome())
}

struct Sockets([PacketSocket; 3]);

impl Sockets {
    fn open(interface: &str) -> io::Result<Self> {
        use dhcp_question as dhcp;
        use neighbor_discovery as ipv6;
        Ok(Self([
            PacketSocket::open_matching(interface, dhcp::ETHERTYPE, &dhcp::ANSWERS)?,
            PacketSocket::open_matching(interface, arp::ETHERTYPE, &arp::ANSWERS)?,
            PacketSocket::open_matching(interface, ipv6::ETHERTYPE, &ipv6::ANSWERS)?,
        ]))
    }

    /// Send the questions twice, and take answers until all is said or so much time is over.
    fn ask(
        &self,
        round: &mut Round<'_>,
        questions: &[Vec<u8>],
        patience: Duration,
    ) -> io::Result<()> {
        for _ in 0..2 {
            let until = Instant::now() + patience / 2;
            for question in questions {
                self.send(question)?;
            }
            loop {
                let pause = until.saturating_duration_since(Instant::now());
                // Rounded up, so that the time has come when poll returns.
                let milliseconds = pause.as_millis().saturating_add(1);
                let timeout = PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX);
                let mut sources = self
                    .0
                    .each_ref()
                    .map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN));
                // EINTR, or anything else: the answers themselves are looked for next.
                let _ = poll(&mut sources, timeout);
                self.take(round)?;
                if round.is_certain() {
                    return Ok(());
                }
                if until <= Instant::now() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// By the socket of its type, which the kernel writes beside the frame for drivers.
    fn send(&self, question: &[u8]) -> io::Result<()> {
        let place = match question.get(12..14) {
            Some([0x08, 0x06]) => 1,
            Some([0x86, 0xdd]) => 2,
            _ => 0,
        };
        self.0[place].send(question)
    }

    fn take(&self, round: &mut Round<'_>) -> io::Result<()> {
        let mut buffer = [0; 2048];
        for socket in &self.0 {
            while let Some(length) = socket.receive(&mut buffer)? {
                round.take(&buffer[..length]);
            }
        }
        Ok(())
    }
}

/// The questions of a round, and what was heard.
struct Round<'a> {
    given: &'a Given,
    client: Client,
    known: &'a Known,
    heard: Heard,
}

#[derive(Debug, Default)]
struct Heard {
    is_acknowledged: bool,
    is_refused: bool,
    offered: Option<Ipv4Addr>,
    gateways: BTreeMap<Ipv4Addr, packet::HardwareAddress>,
    /// Routers that advertised.
    routers: Vec<Ipv6Addr>,
    prefixes: Vec<Ipv6Net>,
    /// Routers of ours that have their addresses.
    neighbors: Vec<Ipv6Addr>,
}

/// What one round keeps of routers at most, whoever floods it.
const HEARD: usize = 64;

impl<'a> Round<'a> {
    fn new(given: &'a Given, client: Client, known: &'a Known) -> Self {
        Self {
            given,
            client,
            known,
            heard: Heard::default(),
        }
    }

    /// All that is asked at first; of routers only with a link-local address.
    fn questions(&self, link_local: Option<Ipv6Addr>) -> Vec<Vec<u8>> {
        let hardware = self.client.hardware;
        let mut questions = Vec::new();
        if let Some(address) = self.given.ipv4 {
            questions.push(self.client.confirm(address));
            let gateways = self.given.gateways.iter();
            questions.extend(gateways.map(|gateway| arp::request(hardware, address, *gateway)));
        }
        if let Some(sender) = link_local
            && !self.given.routers.is_empty()
        {
            questions.push(neighbor_discovery::router_solicitation(hardware, sender));
            questions.extend(self.given.routers.iter().map(|router| {
                neighbor_discovery::neighbor_solicitation(hardware, sender, *router)
            }));
        }
        questions
    }

    /// Whether a server has said something of the lease.
    fn has_server(&self) -> bool {
        self.heard.is_acknowledged || self.heard.is_refused
    }

    fn take(&mut self, frame: &[u8]) {
        let heard = &mut self.heard;
        match self.client.answer(frame) {
            Some(dhcp_question::Answer::Acknowledged(address)) => {
                heard.is_acknowledged |= Some(address) == self.given.ipv4;
            }
            Some(dhcp_question::Answer::Refused) => heard.is_refused = true,
            // The first counts, but for one of the address that is there.
            Some(dhcp_question::Answer::Offered(address))
                if heard.offered.is_none() || Some(address) == self.given.ipv4 =>
            {
                heard.offered = Some(address);
            }
            Some(dhcp_question::Answer::Offered(_)) | None => {}
        }
        if let Some((address, hardware)) = arp::answer(frame)
            && self.given.gateways.contains(&address)
            && self
                .known
                .gateways
                .get(&address)
                .is_none_or(|known| *known == hardware)
        {
            heard.gateways.insert(address, hardware);
        }
        match neighbor_discovery::answer(frame) {
            Some(neighbor_discovery::Answer::Router { from, prefixes })
                if heard.routers.len() < HEARD && heard.prefixes.len() < HEARD =>
            {
                heard.routers.push(from);
                heard.prefixes.extend(prefixes);
            }
            Some(neighbor_discovery::Answer::Neighbor(address))
                if self.given.routers.contains(&address) && !heard.neighbors.contains(&address) =>
            {
                heard.neighbors.push(address);
            }
            _ => {}
        }
    }

    /// Whether nothing that is still to come changes the verdict.
    fn is_certain(&self) -> bool {
        let is_ipv6_certain = || self.are_advertised() && self.covers(&self.given.leased);
        let Some(address) = self.given.ipv4 else {
            return is_ipv6_certain();
        };
        let is_said = self.heard.is_acknowledged || self.heard.offered == Some(address);
        is_said && (self.is_proven() || self.given.routers.is_empty() || is_ipv6_certain())
    }

    /// Whether the lease of DHCPv4 was seen to be of one network with the addresses of IPv6.
    fn is_proven(&self) -> bool {
        self.given.ipv4.is_some() && self.given.ipv4 == self.known.together
    }

    fn outcome(self) -> (Verdict, Known) {
        let is_together = self.heard.is_acknowledged && self.ipv6() == Verdict::Counts;
        let known = Known {
            together: self.given.ipv4.filter(|_| is_together),
            gateways: self.heard.gateways.clone(),
        };
        (self.verdict(), known)
    }

    fn verdict(&self) -> Verdict {
        let heard = &self.heard;
        let ipv6 = self.ipv6();
        // The server of the lease knows best, and one that refuses it knows where the port is.
        if heard.is_acknowledged {
            return match ipv6 {
                Verdict::Another if !self.is_proven() => Verdict::Another,
                _ => Verdict::Counts,
            };
        }
        if heard.is_refused {
            return Verdict::Another;
        }
        if ipv6 == Verdict::Counts || !heard.gateways.is_empty() {
            return Verdict::Counts;
        }
        match heard.offered {
            Some(address) if Some(address) == self.given.ipv4 => Verdict::Counts,
            Some(_) => Verdict::Another,
            None => ipv6,
        }
    }

    /// Whether there are addresses by which the network is known, and they are this one's.
    fn are_advertised(&self) -> bool {
        let addresses = self.given.ipv6();
        !addresses.is_empty() && self.covers(addresses)
    }

    /// Whether of each address a prefix was heard.
    fn covers(&self, addresses: &[Ipv6Addr]) -> bool {
        let prefixes = &self.heard.prefixes;
        let is_covered = |address| prefixes.iter().any(|prefix| prefix.contains(address));
        addresses.iter().all(is_covered)
    }

    /// Whether an address of DHCPv6 has stayed behind its network, though all that was made of prefixes is this one's: dhcpcd
    /// has taken what the new router advertises, and keeps a lease until it ends. No prefix here covers it, and a router of
    /// ours is gone. One of the two alone is so in networks that nobody has left.
    fn is_left_behind(&self) -> bool {
        let heard = &self.heard;
        let is_gone = |router: &Ipv6Addr| {
            !heard.routers.contains(router) && !heard.neighbors.contains(router)
        };
        !self.covers(&self.given.leased) && self.given.routers.iter().any(is_gone)
    }

    /// What the routers say. dhcpcd keeps those of the network before beside those of the one that the port is in, with the
    /// addresses of both: they count together, or not.
    fn ipv6(&self) -> Verdict {
        let heard = &self.heard;
        if self.given.routers.is_empty() {
            return Verdict::Nobody;
        }
        if self.are_advertised() {
            return if self.is_left_behind() {
                Verdict::Another
            } else {
                Verdict::Counts
            };
        }
        let is_mute = |router: &Ipv6Addr| !heard.routers.contains(router);
        // It is there, and its advertisement may be the one that is missing.
        if heard.neighbors.iter().any(is_mute) {
            return Verdict::Counts;
        }
        if heard.routers.is_empty() {
            return Verdict::Nobody;
        }
        let has_ours = self.given.routers.iter().any(|router| !is_mute(router));
        // Routers need not say from where DHCPv6 gives addresses, and no prefix says anything of addresses that are not there.
        let says_nothing = self.given.ipv6().is_empty()
            || (heard.prefixes.is_empty() && self.given.advertised.is_empty());
        match (says_nothing, has_ours) {
            (true, true) => Verdict::Counts,
            (true, false) | (false, _) => Verdict::Another,
        }
    }
}

#[cfg(test)]
mod tests;
