//! What the network of this machine is to be, whoever says so: network data on virtual media, or parameters
//! of the kernel line. Nothing here looks at the machine.

pub(crate) mod bond_option;
pub(crate) mod draft;
pub(crate) mod names;
pub(crate) mod prefix;
pub(crate) mod problem;
mod shown;

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use super::hardware_address::HardwareAddress;

/// The whole of it. Interfaces in the order in which they can be made: what lies on others comes after them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Plan {
    /// Each name once.
    pub interfaces: Vec<Interface>,
    /// Name servers, first choice first.
    pub name_servers: Vec<IpAddr>,
    /// Domains to search.
    pub search: Vec<String>,
    /// Routes of which nobody said by which interface: by the one that reaches their gateway, once one does.
    pub routes: Vec<Route>,
    /// The name in this plan of the interface whose DHCP or advertised default route and names come first
    /// (`bootdev=`), where somebody said so. Beside it `BOOTIF` does not count.
    pub first: Option<String>,
}

/// An interface that is there, or that is to be made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Interface {
    /// How the others in the plan call it, which is its name in the kernel where it is made here: 1 to 15 bytes of
    /// visible ASCII without `/`, `:`, `%` and what stands for other names ([`names::is_name`]). A card keeps the name
    /// that udev gave it unless [`Card::Address`] renames. [`Card::First`] is `?`, [`Card::AnyOther`] `*`.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Bytes of a packet, 68 to 65535; as it is where nothing is said.
    pub mtu: Option<u32>,
    /// The hardware address that it is to have.
    pub hardware_address: Option<HardwareAddress>,
    /// How it gets addresses; without any it is brought up and no more, but for IPv6's link-local address.
    pub addressing: Vec<Addressing>,
    /// Beside those that follow from its addresses.
    pub routes: Vec<Route>,
}

/// What an interface is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// Hardware.
    Card(Card),
    /// Several interfaces as one.
    Bond(Bond),
    /// One VLAN of another interface.
    Vlan {
        /// The interface below it.
        below: String,
        /// 1 to 4094.
        id: u16,
    },
}

/// By what a card is known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Card {
    /// The hardware address that it was made with, or has.
    Address {
        /// Any case.
        address: HardwareAddress,
        /// Whether it is renamed to [`Interface::name`] (`ifname=`).
        renamed: bool,
    },
    /// The name that udev gave it.
    Name,
    /// One card that nothing else in the plan names: the one that the machine was booted from where `BOOTIF` names it,
    /// else the first that has a link.
    First,
    /// Every card that nothing else in the plan names. A plan without it leaves them as they are without a plan.
    AnyOther,
}

/// The settings of a bond, by the kernel's names (Documentation/networking/bonding.rst). What is not set stays the
/// kernel's default.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Bond {
    /// Names of the interfaces in it, at least one.
    pub members: Vec<String>,
    /// 0 (`balance-rr`) to 6 (`balance-alb`).
    pub mode: u8,
    /// How often links are looked at.
    pub miimon: Option<Duration>,
    /// How long a link has to be up before it is used.
    pub up_delay: Option<Duration>,
    /// How long it has to be down before it is given up.
    pub down_delay: Option<Duration>,
    /// `lacp_rate=fast`.
    pub is_lacp_fast: Option<bool>,
    /// 0 (`layer2`) to 5 (`vlan+srcmac`).
    pub hash_policy: Option<u8>,
    /// Fewest links with which the bond counts as up.
    pub fewest_links: Option<u32>,
    /// The member that is used while it has a link.
    pub primary: Option<String>,
    /// 0 (`none`), 1 (`active`), 2 (`follow`).
    pub fail_over_mac: Option<u8>,
    /// 0 (`stable`), 1 (`bandwidth`), 2 (`count`).
    pub aggregator_selection: Option<u8>,
    /// How often ARP probes are sent, and to whom.
    pub arp_probes: Option<(Duration, Vec<std::net::Ipv4Addr>)>,
}

/// How an interface gets addresses.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Addressing {
    /// This one, with the length of its network's prefix.
    Static(IpNet),
    /// DHCPv4.
    Dhcp4,
    /// DHCPv6, and routes by router advertisements.
    Dhcp6,
    /// Router advertisements; DHCPv6 for what is no address, where they say so.
    Advertised,
    /// As a card that no plan names: DHCPv4, router advertisements and what they lead to.
    Automatic,
}

/// A route through the interface that has it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Route {
    /// A default route has a prefix of length 0.
    pub destination: IpNet,
    /// The next router; none where all of it is on the link.
    pub gateway: Option<IpAddr>,
    /// Lower comes first.
    pub metric: Option<u32>,
}
