//! The NVMe Boot Firmware Table (NVM Express Boot Specification 1.0, section 3): an ACPI table, of which one machine may
//! have several, `/sys/firmware/acpi/tables/NBFT*`.
//!
//! The table is firmware's, and an option card or a boot loader may have made it: every offset is looked at. Parts that
//! make no sense are left out, as libnvme does; a table that is none is an error. Secrets stand in none: where a
//! connection needs one, the table only says where a management controller keeps it.

use std::net::{IpAddr, Ipv6Addr};

use super::{Interface, Origin, vlan};
use crate::sys::hex;
use crate::sys::root::Root;

const TABLES: &str = "/sys/firmware/acpi/tables";

/// Lengths of the structures, bytes.
const HEADER: usize = 64;
const CONTROL: usize = 64;
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

/// Of a namespace's transport flags.
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

/// Longest NQN (NVM Express Base Specification 2.0, section 4.5).
const LONGEST_NAME: usize = 223;

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
        let control = table.bytes;
        if table.u8(HEADER + 6) & 1 == 0 {
            return Ok(Self::default());
        }
        if control[HEADER] != kind::CONTROL {
            return Err("its control structure is none");
        }
        let host = table
            .part(table.u32(HEADER + 8) as usize, HOST)
            .filter(|host| host[0] == kind::HOST && host[1] & 1 != 0)
            .ok_or("it does not say which host this is")?;
        let host_name = table
            .name(host, 18)
            .ok_or("it has no usable name of this host")?;
        let list = |at: usize, length| {
            let (offset, stride) = (table.u32(at) as usize, usize::from(table.u16(at + 4)));
            // A later minor revision may have longer structures.
            let stride = stride.max(length);
            let count = usize::from(table.u8(at + 7));
            (0..count)
                .map_while(move |index| table.part(offset.checked_add(index * stride)?, length))
        };
        let interfaces: Vec<(u8, Interface)> = list(HEADER + 16, FABRIC_INTERFACE)
            .filter_map(|entry| table.interface(entry))
            .collect();
        let interface = |index: u8| {
            let mut interfaces = interfaces.iter();
            interfaces
                .find(|(own, _)| *own == index)
                .map(|(_, interface)| interface)
        };
        let mut nbft = Self {
            host_name,
            host_id: uuid(&host[2..18]),
            subsystems: Vec::new(),
        };
        for entry in list(HEADER + 24, NAMESPACE) {
            for subsystem in table.subsystems(entry, &interface) {
                nbft.add(subsystem);
            }
        }
        for entry in list(HEADER + 40, DISCOVERY) {
            if let Some(discovery) = table.discovery(entry, &interface) {
                nbft.add(discovery);
            }
        }
        Ok(nbft)
    }

    /// Several namespaces of one subsystem come over one connection.
    fn add(&mut self, subsystem: Subsystem) {
        if !self.subsystems.contains(&subsystem) {
            self.subsystems.push(subsystem);
        }
    }
}

/// The bytes of a table, as long as its header says.
#[derive(Clone, Copy)]
struct Table<'t> {
    bytes: &'t [u8],
}

impl<'t> Table<'t> {
    fn open(bytes: &'t [u8]) -> Result<Self, &'static str> {
        if bytes.len() < HEADER + CONTROL {
            return Err("it is too short");
        }
        if &bytes[..4] != b"NBFT" {
            return Err("it does not begin with NBFT");
        }
        let length = Self { bytes }.u32(4) as usize;
        let bytes = bytes
            .get(..length)
            .filter(|bytes| bytes.len() >= HEADER + CONTROL)
            .ok_or("its length is wrong")?;
        if bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)) != 0 {
            return Err("its checksum is wrong");
        }
        // Smaller revisions are compatible by the specification.
        if bytes[8] != 1 {
            return Err("its revision is unknown");
        }
        Ok(Self { bytes })
    }

    fn part(&self, offset: usize, length: usize) -> Option<&'t [u8]> {
        self.bytes.get(offset..offset.checked_add(length)?)
    }

    /// Of the header and the control structure, which are there.
    fn u8(&self, at: usize) -> u8 {
        self.bytes[at]
    }

    fn u16(&self, at: usize) -> u16 {
        u16_of(self.bytes, at)
    }

    fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes([
            self.bytes[at],
            self.bytes[at + 1],
            self.bytes[at + 2],
            self.bytes[at + 3],
        ])
    }

    /// What a reference of a structure leads to, offset and length: a part of the heap. Empty where there is none.
    fn referred(&self, structure: &[u8], at: usize) -> Option<&'t [u8]> {
        let offset = u32::from_le_bytes(structure.get(at..at + 4)?.try_into().ok()?) as usize;
        let length = usize::from(u16_of(structure, at + 4));
        if length == 0 {
            return Some(&[]);
        }
        let heap = self.u32(36) as usize;
        let heap_end = heap.checked_add(self.u32(40) as usize)?;
        let part = self.part(offset, length)?;
        (offset >= heap && offset + length <= heap_end).then_some(part)
    }

    /// Text: visible characters alone. One with a comma would be more than one option of a connection.
    fn text(&self, structure: &[u8], at: usize) -> Option<&'t str> {
        let bytes = self.referred(structure, at)?;
        let end = bytes.iter().position(|byte| *byte == 0);
        let text = std::str::from_utf8(&bytes[..end.unwrap_or(bytes.len())]).ok()?;
        let is_usable = |byte: u8| byte.is_ascii_graphic() && byte != b',';
        text.bytes().all(is_usable).then_some(text)
    }

    /// An NQN.
    fn name(&self, structure: &[u8], at: usize) -> Option<String> {
        let text = self.text(structure, at)?;
        (!text.is_empty() && text.len() <= LONGEST_NAME).then(|| text.to_owned())
    }

    fn interface(&self, entry: &[u8]) -> Option<(u8, Interface)> {
        if entry[0] != kind::FABRIC_INTERFACE || entry[2] & 1 == 0 || entry[3] != TCP {
            return None;
        }
        let info = self.referred(entry, 16)?.get(..TRANSPORT_INFO)?;
        if info[0] != kind::TRANSPORT_INFO || info[6] & 1 == 0 {
            return None;
        }
        let mac: Vec<String> = info[11..17]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let address = address(&info[20..36]);
        let longest = match address {
            Some(IpAddr::V6(_)) => 128,
            _ => 32,
        };
        let prefix = Some(info[36]).filter(|prefix| (1..=longest).contains(prefix));
        let interface = Interface {
            mac_address: mac.join(":"),
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

    /// The ways to the subsystem of a namespace: over its first card, and over each further one.
    fn subsystems<'i>(
        &self,
        entry: &'t [u8],
        interface: &impl Fn(u8) -> Option<&'i Interface>,
    ) -> Vec<Subsystem> {
        let flags = u16_of(entry, 3);
        if entry[0] != kind::NAMESPACE || flags & VALID == 0 || entry[5] != TCP {
            return Vec::new();
        }
        let transport_flags = u16_of(entry, 6);
        let (Some(address), Some(port), Some(name)) = (
            self.referred(entry, 10).and_then(address),
            self.text(entry, 16),
            self.name(entry, 54),
        ) else {
            return Vec::new();
        };
        let others = self.referred(entry, 48).unwrap_or(&[]);
        let cards = [entry[46]].into_iter().chain(others.iter().copied());
        cards
            .filter_map(interface)
            .map(|interface| Subsystem {
                name: name.clone(),
                address,
                port: digits(port, PORT),
                interface: interface.clone(),
                header_digest: transport_flags & HEADER_DIGEST != 0,
                data_digest: transport_flags & DATA_DIGEST != 0,
                is_secured: flags & USES_SECURITY != 0,
                is_discovery: false,
            })
            .collect()
    }

    /// A discovery controller: its address is a URI, `nvme+tcp://192.0.2.1:8009/`.
    fn discovery<'i>(
        &self,
        entry: &'t [u8],
        interface: &impl Fn(u8) -> Option<&'i Interface>,
    ) -> Option<Subsystem> {
        if entry[0] != kind::DISCOVERY || entry[1] & 1 == 0 {
            return None;
        }
        let place = self.text(entry, 6)?.strip_prefix("nvme+tcp://")?;
        let place = place.split('/').next()?;
        let (address, port) = match place.strip_prefix('[') {
            Some(rest) => rest.split_once(']')?,
            None => place.split_at(place.find(':').unwrap_or(place.len())),
        };
        let name = Some(self.text(entry, 12)?).filter(|name| name.len() <= LONGEST_NAME)?;
        Some(Subsystem {
            name: if name.is_empty() {
                DISCOVERY_NAME
            } else {
                name
            }
            .to_owned(),
            address: address.parse().ok()?,
            port: digits(port.trim_start_matches(':'), DISCOVERY_PORT),
            interface: interface(entry[3])?.clone(),
            header_digest: false,
            data_digest: false,
            is_secured: entry[4] != 0,
            is_discovery: true,
        })
    }
}

fn u16_of(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
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
