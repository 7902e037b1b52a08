//! What is wrong with network data or parameters, and what comes of it: one line for a console each.

use std::fmt;
use std::net::IpAddr;

use crate::net::hardware_address::HardwareAddress;
use crate::sys::printable;

/// Letters of foreign text that a line repeats.
const SHOWN: usize = 60;

/// Foreign text in a message: escaped, and no longer than [`SHOWN`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Shown(String);

impl Shown {
    /// Text of a stranger's.
    pub(crate) fn new(text: &str) -> Self {
        // What is cut off is never escaped: a name can be a megabyte.
        match text.char_indices().nth(SHOWN) {
            None => Self(printable::line(text).into_owned()),
            Some((end, _)) => Self(format!("{}…", printable::line(&text[..end]))),
        }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<T: AsRef<str>> From<T> for Shown {
    fn from(text: T) -> Self {
        Self::new(text.as_ref())
    }
}

/// One fault. An interface of which something is left out keeps the rest; where nothing is left of how it was to get
/// addresses it asks for them, as a card of which nothing is said.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    /// More text than anybody would write.
    #[error("{origin}: it has {bytes} bytes, more than {limit}; it is not read")]
    TooLarge {
        /// Where it came from.
        origin: &'static str,
        /// Its size.
        bytes: usize,
        /// The largest that is read.
        limit: usize,
    },
    /// Text that is no JSON.
    #[error("network_data.json: it is no JSON; it is not read")]
    NotJson {
        /// Where it ends to be JSON.
        #[source]
        source: serde_json::Error,
    },
    /// More of something than a machine has.
    #[error("{origin}: there are more than {limit} {what}; the rest is left out")]
    TooMany {
        /// Where they stand.
        origin: &'static str,
        /// What there is too much of.
        what: &'static str,
        /// How much of it is taken.
        limit: usize,
    },
    /// A value of another type, or out of range.
    #[error("{place}: {found} is not {expected}; {outcome}")]
    Value {
        /// The field or parameter.
        place: Shown,
        /// What stands there.
        found: Shown,
        /// What could.
        expected: &'static str,
        /// What comes of it.
        outcome: &'static str,
    },
    /// A field that nothing can stand in for.
    #[error("{place}: {field} is missing; {outcome}")]
    Missing {
        /// What lacks it.
        place: Shown,
        /// What it lacks.
        field: &'static str,
        /// What comes of it.
        outcome: &'static str,
    },
    /// Something that this ramdisk does not do.
    #[error("{place}: {what}; it is left out")]
    Unsupported {
        /// The parameter or option.
        place: Shown,
        /// What is not done, and what is instead.
        what: &'static str,
    },
    /// A name that two have.
    #[error("{place}: {name} is already the name of another; it is left out")]
    NameTwice {
        /// The second.
        place: Shown,
        /// Their name.
        name: Shown,
    },
    /// A hardware address that two have.
    #[error("{place}: {address} is already the address of {other}; it is left out")]
    CardTwice {
        /// The second.
        place: Shown,
        /// The address of both.
        address: HardwareAddress,
        /// The first.
        other: Shown,
    },
    /// Something is on what is not there.
    #[error("{place}: there is no {name}; {outcome}")]
    Unknown {
        /// What names it.
        place: Shown,
        /// What it names.
        name: Shown,
        /// What comes of it.
        outcome: &'static str,
    },
    /// Two bonds of one interface, or a bond of bonds.
    #[error("{bond}: {member} {why}; the bond does without it")]
    Member {
        /// The bond.
        bond: Shown,
        /// The interface.
        member: Shown,
        /// Why it cannot be in it.
        why: &'static str,
    },
    /// A bond of nothing.
    #[error("{bond}: no interface is in this bond; it is left out")]
    NoMembers {
        /// The bond.
        bond: Shown,
    },
    /// A VLAN that lies on itself.
    #[error("{name}: it lies on itself; it is left out")]
    Loop {
        /// One of those in the circle.
        name: Shown,
    },
    /// An interface of which something is missing that it lies on.
    #[error("{name}: {on} is left out, and so is what lies on it")]
    LeftOut {
        /// The upper one.
        name: Shown,
        /// The lower one.
        on: Shown,
    },
    /// One VLAN of one interface twice.
    #[error("{name}: VLAN {id} of {below} is {other} already; it is left out")]
    VlanTwice {
        /// The second.
        name: Shown,
        /// The VLAN.
        id: u16,
        /// What both lie on.
        below: Shown,
        /// The first.
        other: Shown,
    },
    /// An address that two interfaces have.
    #[error("{name}: {address} is the address of {other} already; it is left out")]
    AddressTwice {
        /// The second.
        name: Shown,
        /// Their address.
        address: IpAddr,
        /// The first.
        other: Shown,
    },
    /// Addresses for what is part of a bond.
    #[error("{name}: it is in the bond {bond}, and gets no addresses of its own")]
    AddressedMember {
        /// The member.
        name: Shown,
        /// Its bond.
        bond: Shown,
    },
    /// A router in no network of its interface.
    #[error("{name}: {gateway} is in none of its networks; it is taken to be on the link")]
    GatewayOutside {
        /// The interface.
        name: Shown,
        /// The router.
        gateway: IpAddr,
    },
    /// All are brought up and none can talk.
    #[error("{origin}: no interface gets an address; all ask for one")]
    NoAddresses {
        /// Where that is said.
        origin: &'static str,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_long_name_is_cut() {
        let shown = Shown::new(&"ä".repeat(1 << 20)).to_string();
        assert_eq!(shown, format!("{}…", "ä".repeat(SHOWN)));
        assert_eq!(Shown::new("eth0\u{1b}[2J").to_string(), "eth0\\u{1b}[2J");
    }

    proptest! {
        #[test]
        fn a_problem_is_one_visible_line(text in any::<String>()) {
            let line = Problem::NoMembers { bond: Shown::new(&text) }.to_string();
            prop_assert!(line.chars().all(printable::is_visible));
            prop_assert!(line.len() < 1000);
        }
    }
}
