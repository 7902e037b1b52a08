//! An interface that is there, and what the kernel is told of it alone.

use std::collections::BTreeSet;
use std::io;

use nix::net::if_::if_nametoindex;

use super::error::SetupError;
use crate::net::hardware_address::HardwareAddress;
use crate::net::links::Link;
use crate::net::plan::{Card, Interface, Kind};
use crate::sys::link;
use crate::sys::netlink::link as netlink;
use crate::sys::root::Root;

pub(super) const NET: &str = "/sys/class/net";

/// How often a card is taken down for a bond: something else may bring it up in between.
const TRIES: usize = 5;

/// An interface that is there.
#[derive(Clone, Debug)]
pub(super) struct Made {
    /// Its name in the kernel.
    pub(super) name: String,
    pub(super) index: u32,
    /// Of a bond: what is in it, by the names in the plan.
    pub(super) members: BTreeSet<String>,
}

/// A card under the name that it is to have.
pub(super) fn named(root: &Root, interface: &Interface, card: &Link) -> Result<Made, SetupError> {
    let made = there(card)?;
    let is_renamed = matches!(
        interface.kind,
        Kind::Card(Card::Address { renamed: true, .. })
    );
    if !is_renamed || card.name == interface.name {
        return Ok(made);
    }
    let name = interface.name.clone();
    if root.exists(format!("{NET}/{name}")) {
        return Err(SetupError::NameTaken { interface: name });
    }
    let what = format!("rename {} to {name}", card.name);
    link::set_down(&card.name)
        .and_then(|()| netlink::rename(made.index, &name))
        .map_err(SetupError::refused(what))?;
    Ok(Made { name, ..made })
}

pub(super) fn there(card: &Link) -> Result<Made, SetupError> {
    made(&card.name)
}

/// The interface of this name in the kernel.
pub(super) fn made(name: &str) -> Result<Made, SetupError> {
    let index = if_nametoindex(name)
        .map_err(io::Error::from)
        .map_err(SetupError::refused(format!("find the interface {name}")))?;
    Ok(Made {
        name: name.to_owned(),
        index,
        members: BTreeSet::new(),
    })
}

/// What a bond's member is told, too.
pub(super) fn member_settings(root: &Root, interface: &Interface, made: &Made) -> Vec<SetupError> {
    let name = &made.name;
    let mut problems = Vec::new();
    // A member has the bond's address and MTU, from a run before.
    if root.exists(format!("{NET}/{name}/master")) {
        return problems;
    }
    if let Some(address) = interface.hardware_address {
        let has = root.attribute(format!("{NET}/{name}/address"));
        if has.is_none_or(|has| !has.eq_ignore_ascii_case(&address.to_string())) {
            let set = set_hardware_address(made, address);
            let what = format!("give {name} the hardware address {address}");
            problems.extend(set.map_err(SetupError::refused(what)).err());
        }
    }
    if let Some(mtu) = interface.mtu {
        let set = netlink::set_mtu(made.index, mtu);
        let what = format!("set the MTU of {name} to {mtu}");
        problems.extend(set.map_err(SetupError::refused(what)).err());
    }
    problems
}

/// Many drivers do it only while the card is down.
fn set_hardware_address(made: &Made, address: HardwareAddress) -> io::Result<()> {
    netlink::set_hardware_address(made.index, &address.0).or_else(|_| {
        link::set_down(&made.name)?;
        netlink::set_hardware_address(made.index, &address.0)
    })
}

/// A card, or whatever else, into a bond.
pub(super) fn put_into(root: &Root, member: &Made, bond: &Made) -> Result<(), SetupError> {
    let is_in =
        || root.link_name(format!("{NET}/{}/master", member.name)) == Some(bond.name.clone());
    let mut result = Ok(());
    for _ in 0..TRIES {
        if is_in() {
            return Ok(());
        }
        result = link::set_down(&member.name)
            .and_then(|()| netlink::set_master(member.index, bond.index));
        if result.is_ok() {
            break;
        }
    }
    let what = format!("put {} into {}", member.name, bond.name);
    result.map_err(SetupError::refused(what))
}

/// What is there already is as good as made.
pub(super) fn there_or(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result,
    }
}
