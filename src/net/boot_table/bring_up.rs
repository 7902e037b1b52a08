//! Giving a card the address that firmware used on it, so that what firmware reached can be reached again.
//!
//! dhcpcd asks on every card for addresses, also on these, and its leases stay as they are. Where firmware had its
//! address by DHCP that lease is waited for; what was set by hand, and whatever is on a VLAN, is set here. Only a route
//! to the targets themselves is added: default route and name servers stay with the interface that the server booted
//! from, which a storage network must not take away.

use std::io;
use std::net::IpAddr;
use std::thread;
use std::time::{Duration, Instant};

use nix::net::if_::if_nametoindex;
use tracing::{info, warn};

use super::{Interface, Origin, is_on_link};
use crate::net::links::{self, Link};
use crate::net::{address, vlans};
use crate::sys::link;
use crate::sys::netlink::address as netlink;
use crate::sys::root::Root;

/// How often is looked.
const POLL: Duration = Duration::from_millis(50);

/// How long all waiting for one card takes at most: for its driver, for its link, for a lease. A switch that runs
/// spanning tree forwards nothing for 30 s.
const PATIENCE: Duration = Duration::from_secs(40);

/// How long a lease is waited for where the table does not say that there was one: an address set by hand should not
/// cost [`PATIENCE`].
const SHORT_PATIENCE: Duration = Duration::from_secs(15);

/// Why a card is of no use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BringUpError {
    /// No card has the address.
    #[error(
        "Firmware's boot table names the network card {mac_address}, which this server does not have; is its driver or firmware missing?"
    )]
    NoCard {
        /// The address.
        mac_address: String,
    },
    /// There is no link.
    #[error(
        "The network card {interface} of firmware's boot table has no link; look at its cable and its switch port"
    )]
    NoLink {
        /// Its name.
        interface: String,
    },
    /// There is no address.
    #[error(
        "The network card {interface} of firmware's boot table has no address: the table has none, and {other}"
    )]
    NoAddress {
        /// Its name.
        interface: String,
        /// Why there is no other.
        other: &'static str,
    },
    /// The kernel refuses something.
    #[error("Could not {what} on {interface}, as firmware's boot table wants it")]
    Refused {
        /// What.
        what: &'static str,
        /// The interface.
        interface: String,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
}

impl BringUpError {
    /// Whether the card is of no use for any other target either.
    pub(crate) fn is_of_the_card(&self) -> bool {
        !matches!(self, Self::Refused { .. })
    }
}

/// Make a card ready to reach these targets, and return the interface's name: the card's, or its VLAN's. Blocks for
/// [`PATIENCE`] at most, and not beyond `until`.
pub(crate) fn bring_up(
    root: &Root,
    interface: &Interface,
    targets: &[IpAddr],
    until: Instant,
) -> Result<String, BringUpError> {
    let until = until.min(Instant::now() + PATIENCE);
    let card = find(root, interface, until)?;
    configure(root, card, interface, targets, until)
}

/// The card's name.
fn find(root: &Root, interface: &Interface, until: Instant) -> Result<String, BringUpError> {
    let mac_address = &interface.mac_address;
    wait_until(until, || card(root, mac_address)).ok_or_else(|| BringUpError::NoCard {
        mac_address: mac_address.clone(),
    })
}

/// All but the looking for the card.
fn configure(
    root: &Root,
    card: String,
    interface: &Interface,
    targets: &[IpAddr],
    until: Instant,
) -> Result<String, BringUpError> {
    let refused = |what, interface: &str| {
        let interface = interface.to_owned();
        move |source| BringUpError::Refused {
            what,
            interface,
            source,
        }
    };
    link::set_up(&card).map_err(refused("bring up the link", &card))?;
    let name = match interface.vlan {
        None => card,
        Some(id) => {
            let name = vlan_name(&card, id).map_err(refused("find the interface", &card))?;
            vlans::make(&card, &name, id).map_err(refused("make the VLAN", &name))?;
            name
        }
    };
    let has_link = || links::has_carrier(root, &name).then_some(());
    wait_until(until, has_link).ok_or_else(|| BringUpError::NoLink {
        interface: name.clone(),
    })?;
    let index = if_nametoindex(&*name)
        .map_err(|errno| refused("find the interface", &name)(errno.into()))?;
    let lease = interface.vlan.is_none()
        && (interface.origin != Origin::Manual || interface.address.is_none());
    let until_lease = match interface.origin {
        Origin::Unsaid if interface.address.is_some() => until.min(Instant::now() + SHORT_PATIENCE),
        _ => until,
    };
    let wants_ipv4 = targets.iter().any(IpAddr::is_ipv4);
    let has_lease = lease && wait_until(until_lease, || has_address(&name, wants_ipv4)).is_some();
    if !has_lease {
        let Some((address, prefix)) = interface.address else {
            return Err(BringUpError::NoAddress {
                interface: name,
                other: match interface.vlan {
                    None => "no DHCP server gave one",
                    Some(_) => "on a VLAN no DHCP server is asked",
                },
            });
        };
        if lease {
            warn!(interface = name, %address, "no DHCP server answers; taking the address that firmware had");
        }
        done(netlink::add_address(index, address, prefix))
            .map_err(refused("set the address", &name))?;
        info!(interface = name, %address, prefix, "address as in firmware's boot table");
    }
    for target in targets {
        let is_on_link = interface
            .address
            .is_some_and(|own| is_on_link(own, *target));
        if let Some(gateway) = interface.gateway
            && !is_on_link
        {
            match done(netlink::add_host_route(index, *target, gateway)) {
                // Somebody has moved the storage network since: the lease's own routes may lead there.
                Err(error) if has_lease => {
                    warn!(interface = name, %target, %gateway, %error, "the lease is of another network than firmware's address was; the target has no route of its own");
                }
                other => other.map_err(refused("add the route to the target", &name))?,
            }
        }
    }
    Ok(name)
}

/// `eno1.100`, or where the kernel takes no name as long as that, one by the card's number: `san3.100`. With the dot and
/// the id it is a VLAN for the inventory, and for dhcpcd, which leaves it alone.
fn vlan_name(card: &str, id: u16) -> io::Result<String> {
    let name = format!("{card}.{id}");
    if name.len() < libc::IFNAMSIZ {
        return Ok(name);
    }
    Ok(format!("san{}.{id}", if_nametoindex(card)?))
}

/// What was there already is as good.
fn done(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// The card with this address: no VLAN on it and no bond, which have the same.
fn card(root: &Root, mac_address: &str) -> Option<String> {
    let is_card = |name: &String| root.exists(format!("/sys/class/net/{name}/device"));
    links::names(root)
        .into_iter()
        .filter(is_card)
        .find(|name| Link::of(root, name).has_address(mac_address))
}

fn has_address(interface: &str, ipv4: bool) -> Option<()> {
    let addresses = address::all().ok()?;
    addresses
        .iter()
        .any(|entry| entry.interface == interface && entry.address.is_ipv4() == ipv4)
        .then_some(())
}

fn wait_until<T>(until: Instant, look: impl Fn() -> Option<T>) -> Option<T> {
    loop {
        let found = look();
        if found.is_some() || Instant::now() >= until {
            return found;
        }
        thread::sleep(POLL);
    }
}

#[cfg(test)]
mod tests;
