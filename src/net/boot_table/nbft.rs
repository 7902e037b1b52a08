//! The NVMe Boot Firmware Table (NVM Express Boot Specification 1.0, section 3): an ACPI table, of which one machine may
//! have several, `/sys/firmware/acpi/tables/NBFT*`.
//!
//! The table is firmware's, and an option card or a boot loader may have made it: every offset is looked at. A table that
//! is none is an error, and so is a namespace or a discovery controller in it that is said to be valid and cannot be
//! reached by what stands there, which libnvme drops without a word. Secrets stand in none: where a connection needs one,
//! the table only says where a management controller keeps it.

mod table;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use self::table::{HEADER, LONGEST_NAME, Table, u16_of};
use super::{Interface, Origin, vlan};
use crate::sys::hex;
use crate::sys::root::Root;

const TABLES: &str = "/sys/firmware/acpi/tables";

/// Lengths of the structures, bytes.
const HOST: usize = 32;
const FABRIC_INTERFACE: usize = 32;
/// As far as it is read here; it has 128.
const TRANSPORT_INFO: usize = 54;
const NAMESPACE: usize = 128;
const DISCOVERY: usize = 32;

/// Their kinds, in the first byte of each.
mod kind {
    pub(super) const CONTROL: u8 = 1;
    pub(super) const HOST: u8 = 2;
    pub(super) const FABRIC_INTERFACE: u8 = 3;
    pub(super) const NAMESPACE: u8 = 4;
    pub(super) const DISCOVERY: u8 = 6;
    pub(super) const TRANSPORT_INFO: u8 = 7;
}

/// Lowest bit of every structure's flags.
const VALID: u16 = 1;

/// Of a namespace's flags: a security profile is in use.
const USES_SECURITY: u16 = 1 << 2;

/// Two bits of a namespace's flags, and what they are where firmware did not reach it.
const AVAILABILITY: u16 = 0b11 << 7;
const UNAVAILABLE: u16 = 0b10 << 7;

/// Of a namespace's transport flags, which count where their lowest bit is set.
const HEADER_DIGEST: u16 = 1 << 1;
const DATA_DIGEST: u16 = 1 << 2;

/// Of a card's flags: what it has came by DHCP.
const BY_DHCP: u8 = 1 << 2;

/// The one transport that the specification has: NVMe/TCP.
const TCP: u8 = 3;

/// Where subsystems listen, and discovery controllers.
const PORT: &str = "4420";
const DISCOVERY_PORT: &str = "8009";

/// The name that every discovery controller answers to.
const DISCOVERY_NAME: &str = "nqn.2014-08.org.nvmexpress.discovery";

/// Ways in one table: a server has not that many, and a damaged table could name 65,000.
const MOST_WAYS: usize = 64;

/// Why a table cannot be used.
#[derive(Debug, thiserror::Error, Eq, PartialEq)]
pub(crate) enum NbftError {
    /// It cannot be read.
    #[error("Could not read firmware's NVMe boot table {table}")]
    Read {
        /// The table's file.
        table: String,
    },
    /// Its bytes are not those of such a table.
    #[error(
        "Firmware's NVMe boot table {table} makes no sense: {reason}; a newer firmware may write a right one"
    )]
    Broken {
        /// The table's file.
        table: String,
        /// What is wrong.
        reason: &'static str,
    },
}

/// One table.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Nbft {
    /// The name of this machine.
    pub host_name: String,
    /// Its identifier, as a UUID: `8c7e2a5e-…`.
    pub host_id: String,
    /// What was reached, or is to be: each way to each subsystem once.
    pub subsystems: Vec<Subsystem>,
    /// What is said to be valid, and cannot be reached by what the table has of it.
    pub unusable: Vec<Unusable>,
}

/// A namespace or a discovery controller of which a table says too little, or what cannot be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Unusable {
    /// `namespace 3`, by the table's own count.
    pub what: String,
    /// What is wrong.
    pub reason: &'static str,
}

/// A subsystem, and the way to it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Subsystem {
    /// Its NQN.
    pub name: String,
    /// Where it listens.
    pub address: IpAddr,
    /// The port there, decimal.
    pub port: String,
    /// Through which card.
    pub interface: Interface,
    /// Whether headers and data carry a checksum.
    pub header_digest: bool,
    pub data_digest: bool,
    /// Whether firmware says that it did not reach it. A hint alone: the network of a booting server comes up late.
    pub is_unavailable: bool,
    /// Whether a secret is needed, which the table does not hold.
    pub is_secured: bool,
    /// Whether this is a discovery controller, which has no namespaces of its own and names subsystems.
    pub is_discovery: bool,
}

impl Nbft {
    /// All tables of this machine, by name.
    pub(crate) fn read_all(root: &Root) -> Vec<Result<Self, NbftError>> {
        root.names_beginning(TABLES, "NBFT")
            .into_iter()
            .map(|name| match root.read(format!("{TABLES}/{name}")) {
                Ok(bytes) => Self::parse(&bytes).map_err(|reason| NbftError::Broken {
                    table: name,
                    reason,
                }),
                Err(_) => Err(NbftError::Read { table: name }),
            })
            .collect()
    }

    /// A table from its bytes. The error says what is wrong.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        let table = Table::open(bytes)?;
        if table.u8(HEADER + 6) & 1 == 0 {
            return Ok(Self::default());
        }
        if table.u8(HEADER) != kind::CONTROL {
            return Err("its control structure is none");
        }
        let host = table
            .part(table.u32(HEADER + 8) as usize, HOST)
            .filter(|host| host[0] == kind::HOST && host[1] & 1 != 0)
            .ok_or("it does not say which host this is")?;
        let host_name = table
            .name(host, 18)
            .ok_or("it has no usable name of this host")?;
        let cards = Cards::of(&table)?;
        let mut nbft = Self {
            host_name,
            host_id: uuid(&host[2..18]),
            ..Self::default()
        };
        for entry in table.list(HEADER + 24, NAMESPACE)? {
            if entry[0] == kind::NAMESPACE && u16_of(entry, 3) & VALID != 0 && entry[5] == TCP {
                let what = || format!("namespace {}", u16_of(entry, 1));
                match table.subsystems(entry, &cards) {
                    Ok(ways) => nbft.add(what, ways)?,
                    Err(reason) => nbft.add(what, [Err(reason)])?,
                }
            }
        }
        for entry in table.list(HEADER + 40, DISCOVERY)? {
            if entry[0] == kind::DISCOVERY && entry[1] & 1 != 0 {
                let what = || format!("discovery controller {}", entry[2]);
                nbft.add(what, [table.discovery(entry, &cards)])?;
            }
        }
        Ok(nbft)
    }

    /// The ways of one structure. Several namespaces of one subsystem come over one connection. The error is that of the
    /// whole table.
    fn add(
        &mut self,
        what: impl Fn() -> String,
        ways: impl IntoIterator<Item = Result<Subsystem, &'static str>>,
    ) -> Result<(), &'static str> {
        let mut wrong = None;
        for way in ways {
            let subsystem = match way {
                Ok(subsystem) => subsystem,
                Err(reason) => {
                    wrong = Some(reason);
                    continue;
                }
            };
            let known = self
                .subsystems
                .iter_mut()
                .find(|known| known.is_same_way(&subsystem));
            if let Some(known) = known {
                known.is_unavailable &= subsystem.is_unavailable;
            } else if self.subsystems.len() == MOST_WAYS {
                return Err("it names more than 64 ways to subsystems");
            } else {
                self.subsystems.push(subsystem);
            }
        }
        self.unusable.extend(wrong.map(|reason| Unusable {
            what: what(),
            reason,
        }));
        Ok(())
    }
}

impl Subsystem {
    /// Whether one connection serves both.
    fn is_same_way(&self, other: &Self) -> bool {
        let way = |subsystem: &Self| Self {
            is_unavailable: false,
            ..subsystem.clone()
        };
        // Cards first: a table may have thousands of ways that differ in them.
        self.interface == other.interface && way(self) == way(other)
    }
}

/// The cards of a table, by their index.
struct Cards {
    by_index: BTreeMap<u8, Interface>,
    /// Of all structures, also those that are not valid.
    count: usize,
}

impl Cards {
    fn of(table: &Table<'_>) -> Result<Self, &'static str> {
        let mut by_index = BTreeMap::new();
        let mut count = 0;
        for entry in table.list(HEADER + 16, FABRIC_INTERFACE)? {
            count += 1;
            if let Some((index, interface)) = table.interface(entry) {
                by_index.entry(index).or_insert(interface);
            }
        }
        Ok(Self { by_index, count })
    }

    fn get(&self, index: u8) -> Result<Interface, &'static str> {
        let card = self.by_index.get(&index).cloned();
        card.ok_or(
            "a network card that it is reached through is not in the table, or not valid there",
        )
    }
}

impl Table<'_> {
    fn interface(&self, entry: &[u8]) -> Option<(u8, Interface)> {
        if entry[0] != kind::FABRIC_INTERFACE || entry[2] & 1 == 0 || entry[3] != TCP {
            return None;
        }
        let info = self.referred(entry, 16)?.get(..TRANSPORT_INFO)?;
        if info[0] != kind::TRANSPORT_INFO || info[6] & 1 == 0 {
            return None;
        }
        let address = address(&info[20..36]);
        let longest = match address {
            Some(IpAddr::V6(_)) => 128,
            _ => 32,
        };
        let prefix = Some(info[36]).filter(|prefix| (1..=longest).contains(prefix));
        let interface = Interface {
            mac_address: hex::with_colons(&info[11..17]),
            vlan: vlan(u16_of(info, 17)),
            address: address.zip(prefix),
            gateway: self::address(&info[37..53]),
            origin: match info[6] & BY_DHCP {
                0 => Origin::Manual,
                _ => Origin::Dhcp,
            },
        };
        Some((entry[1], interface))
    }

    /// The ways to the subsystem of a namespace: over its first card, and over each further one. One error for all cards
    /// that are not there.
    fn subsystems(
        &self,
        entry: &[u8],
        cards: &Cards,
    ) -> Result<Vec<Result<Subsystem, &'static str>>, &'static str> {
        let address = self
            .referred(entry, 10)
            .and_then(address)
            .ok_or("it has no usable address")?;
        let port = self.text(entry, 16).ok_or("its port is unusable")?;
        let name = self
            .name(entry, 54)
            .ok_or("its subsystem's name is unusable")?;
        let others = self
            .referred(entry, 48)
            .ok_or("its list of network cards does not lie in the table")?;
        if others.len() > cards.count {
            return Err("it names more network cards than the table has");
        }
        let flags = u16_of(entry, 3);
        let transport_flags = match u16_of(entry, 6) {
            flags if flags & VALID != 0 => flags,
            _ => 0,
        };
        // In a list of further cards 0 stands for none, as libnvme has it.
        let others = others.iter().filter(|index| **index != 0);
        let mut through: Vec<u8> = Vec::new();
        for index in [entry[46]].iter().chain(others) {
            if !through.contains(index) {
                through.push(*index);
            }
        }
        let way = |index| {
            Ok(Subsystem {
                name: name.clone(),
                address,
                port: digits(port, PORT),
                interface: cards.get(index)?,
                header_digest: transport_flags & HEADER_DIGEST != 0,
                data_digest: transport_flags & DATA_DIGEST != 0,
                is_unavailable: flags & AVAILABILITY == UNAVAILABLE,
                is_secured: flags & USES_SECURITY != 0,
                is_discovery: false,
            })
        };
        Ok(through.into_iter().map(way).collect())
    }

    /// A discovery controller: its address is a URI, `nvme+tcp://192.0.2.1:8009/`.
    fn discovery(&self, entry: &[u8], cards: &Cards) -> Result<Subsystem, &'static str> {
        const NO_ADDRESS: &str = "its address is none of NVMe over TCP with a number";
        let text = self.text(entry, 6).ok_or(NO_ADDRESS)?;
        let (address, port) = place(text).ok_or(NO_ADDRESS)?;
        let name = self
            .text(entry, 12)
            .filter(|name| name.len() <= LONGEST_NAME)
            .ok_or("its name is unusable")?;
        let name = Some(name).filter(|name| !name.is_empty());
        Ok(Subsystem {
            name: name.unwrap_or(DISCOVERY_NAME).to_owned(),
            address,
            port: digits(port, DISCOVERY_PORT),
            interface: cards.get(entry[3])?,
            header_digest: false,
            data_digest: false,
            is_unavailable: false,
            is_secured: entry[4] != 0,
            is_discovery: true,
        })
    }
}

/// The address and the port of a URI.
fn place(uri: &str) -> Option<(IpAddr, &str)> {
    let place = uri.strip_prefix("nvme+tcp://")?.split('/').next()?;
    let (address, port) = match place.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => place.split_at(place.find(':').unwrap_or(place.len())),
    };
    Some((address.parse().ok()?, port.trim_start_matches(':')))
}

fn digits(text: &str, else_this: &str) -> String {
    match text.parse::<u16>() {
        Ok(port @ 1..) => port.to_string(),
        _ => else_this.to_owned(),
    }
}

/// Sixteen bytes, IPv4 mapped into IPv6; `None` for zeros.
fn address(bytes: &[u8]) -> Option<IpAddr> {
    let address = Ipv6Addr::from(<[u8; 16]>::try_from(bytes.get(..16)?).ok()?).to_canonical();
    (!address.is_unspecified()).then_some(address)
}

/// The bytes of a host identifier in their own order, as the specification writes it and as the kernel reads it.
fn uuid(bytes: &[u8]) -> String {
    let text = hex::encode(bytes);
    [
        &text[..8],
        &text[8..12],
        &text[12..16],
        &text[16..20],
        &text[20..],
    ]
    .join("-")
}

#[cfg(test)]
pub(super) mod tests;
