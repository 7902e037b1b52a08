//! Services that are announced on the local network: multicast DNS (RFC 6762) with the records of
//! DNS-SD (RFC 6763).
//!
//! The queries are one-shot (RFC 6762 section 5.1): from any port but 5353, so that responders
//! answer this socket alone. A full querier would need port 5353, group memberships and a cache,
//! for a name that is asked for a few times in the life of an agent.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, Query};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use nix::ifaddrs::getifaddrs;
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};
use tracing::debug;

use super::NetError;

/// RFC 6762 section 3.
const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);

/// RFC 6762 section 3.
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);

/// RFC 6762 section 3. Answers from another port are not a responder's.
const PORT: u16 = 5353;

/// No message is longer, RFC 6762 section 17.
const LONGEST: usize = 9000;

/// The first repetition of a query comes after this time, each next after twice as much (RFC 6762
/// section 5.2 asks for a second at least before a repetition; a one-shot query may lose a packet
/// to a switch port that just came up).
const REPEAT: Duration = Duration::from_secs(1);

/// A service as its records describe it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Service {
    /// The host's name, with the dot at its end.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The host's addresses, in the order in which they came. Empty where the host's name is not
    /// one of the local network's: that one other name servers know.
    pub addresses: Vec<IpAddr>,
    /// The pairs of the TXT record in their order; a key without a value has an empty one.
    pub text: Vec<(String, String)>,
}

/// Ask all interfaces, or those with these addresses, for the service with this full name
/// (`baremetal._openstack._tcp.local.`), for this long. `None` where nobody has answered.
///
/// # Errors
/// If the name is none, or the interfaces cannot be listed.
pub(crate) async fn find(
    name: &str,
    interfaces: &[IpAddr],
    patience: Duration,
) -> Result<Option<Service>, NetError> {
    let name = Name::from_ascii(name).map_err(|error| NetError::ServiceName {
        name: name.to_owned(),
        reason: error.to_string(),
    })?;
    let mut doors = Vec::new();
    for (from, to) in ways_out(interfaces)? {
        match UdpSocket::bind(from).await {
            Ok(socket) => doors.push(Door { socket, to }),
            // An IPv6 address may still be checked for duplicates; the next call finds it ready.
            Err(error) => debug!(%from, %error, "no multicast DNS from this address"),
        }
    }
    Ok(ask(&doors, &name, Instant::now() + patience).await)
}

/// A socket on one interface, and where its queries go.
struct Door {
    socket: UdpSocket,
    to: SocketAddr,
}

/// From each address of an interface, the group on that interface: a socket that is bound to an
/// IPv4 address sends through its interface, for IPv6 the scope says it.
fn ways_out(interfaces: &[IpAddr]) -> Result<Vec<(SocketAddr, SocketAddr)>, NetError> {
    let entries = getifaddrs().map_err(|errno| NetError::Addresses(io::Error::from(errno)))?;
    Ok(entries
        .filter_map(|entry| entry.address)
        .filter_map(|address| {
            if let Some(v4) = address.as_sockaddr_in() {
                let from = SocketAddr::new(v4.ip().into(), 0);
                return Some((from, SocketAddr::new(GROUP_V4.into(), PORT)));
            }
            let v6 = address.as_sockaddr_in6()?;
            let scope = v6.scope_id();
            // Only link-local addresses have one; each interface with IPv6 has such an address.
            (scope != 0).then(|| {
                let from = SocketAddrV6::new(v6.ip(), 0, 0, scope);
                let group = SocketAddrV6::new(GROUP_V6, PORT, 0, scope);
                (from.into(), group.into())
            })
        })
        .filter(|(from, _)| !from.ip().is_loopback())
        .filter(|(from, _)| interfaces.is_empty() || interfaces.contains(&from.ip()))
        .collect())
}

/// Ask until the service is known, or the time is over: then with what there is.
async fn ask(doors: &[Door], name: &Name, until: Instant) -> Option<Service> {
    if doors.is_empty() {
        // A network that is not there yet answers no sooner for being asked at once again.
        tokio::time::sleep_until(until).await;
        return None;
    }
    let mut answers = Answers::new(name.clone());
    let mut pause = REPEAT;
    while Instant::now() < until && !answers.complete() {
        let query = answers.missing();
        let Ok(packet) = query.to_vec() else {
            return None;
        };
        for door in doors {
            if let Err(error) = door.socket.send_to(&packet, door.to).await {
                debug!(to = %door.to, %error, "a multicast DNS query cannot be sent");
            }
        }
        let pause_end = until.min(Instant::now() + pause);
        pause *= 2;
        let asked = answers.hosts();
        // With a new host to ask for the addresses of, the next query need not wait.
        while !answers.complete() && answers.hosts() == asked {
            let Ok(packet) = timeout_at(pause_end, receive(doors)).await else {
                break;
            };
            if let Some(message) = accepted(&packet, query.metadata.id) {
                answers.take(message);
            }
        }
    }
    answers.service()
}

/// The next packet that comes from a responder at any of the doors.
async fn receive(doors: &[Door]) -> Vec<u8> {
    loop {
        let mut waiting: Vec<_> = doors
            .iter()
            .map(|door| Box::pin(door.socket.readable()))
            .collect();
        // Errors show at the read below.
        let _ = std::future::poll_fn(|context| {
            for future in &mut waiting {
                if let std::task::Poll::Ready(result) = future.as_mut().poll(context) {
                    return std::task::Poll::Ready(result);
                }
            }
            std::task::Poll::Pending
        })
        .await;
        for door in doors {
            let mut packet = vec![0; LONGEST];
            match door.socket.try_recv_from(&mut packet) {
                Ok((length, from)) if from.port() == door.to.port() => {
                    packet.truncate(length);
                    return packet;
                }
                _ => {}
            }
        }
    }
}

/// The message of a packet, if it answers the query with this number.
fn accepted(packet: &[u8], id: u16) -> Option<Message> {
    let message = Message::from_vec(packet)
        .inspect_err(|error| debug!(%error, "a multicast DNS answer makes no sense"))
        .ok()?;
    // RFC 6762 section 6.7: the answer to a one-shot query repeats its number.
    let metadata = &message.metadata;
    (metadata.message_type == MessageType::Response && metadata.id == id).then_some(message)
}

/// Addresses of hosts that are kept while the service is asked for. A conductor has a few.
const ADDRESSES: usize = 64;

/// What is known of a service so far.
struct Answers {
    name: Name,
    /// Target and port.
    srv: Option<(Name, u16)>,
    text: Option<Vec<(String, String)>>,
    addresses: Vec<(Name, IpAddr)>,
}

impl Answers {
    fn new(name: Name) -> Self {
        Self {
            name,
            srv: None,
            text: None,
            addresses: Vec::new(),
        }
    }

    /// The question for what is missing.
    fn missing(&self) -> Message {
        let mut message = Message::query();
        message.metadata.recursion_desired = false;
        let mut question = |name: &Name, kind| {
            message.add_query(Query::query(name.clone(), kind));
        };
        if self.srv.is_none() {
            question(&self.name, RecordType::SRV);
        }
        if self.text.is_none() {
            question(&self.name, RecordType::TXT);
        }
        if let Some((host, _)) = &self.srv
            && self.host_addresses().is_empty()
        {
            question(host, RecordType::A);
            question(host, RecordType::AAAA);
        }
        message
    }

    fn take(&mut self, message: Message) {
        for record in message.answers.iter().chain(&message.additionals) {
            self.take_record(record);
        }
    }

    fn take_record(&mut self, record: &Record) {
        match &record.data {
            RData::SRV(srv) if record.name == self.name && self.srv.is_none() => {
                self.srv = Some((srv.target.clone(), srv.port));
            }
            RData::TXT(text) if record.name == self.name && self.text.is_none() => {
                self.text = Some(text.txt_data.iter().filter_map(|item| pair(item)).collect());
            }
            RData::A(address) => self.take_address(&record.name, IpAddr::V4(address.0)),
            RData::AAAA(address) => self.take_address(&record.name, IpAddr::V6(address.0)),
            _ => {}
        }
    }

    fn take_address(&mut self, host: &Name, address: IpAddr) {
        let entry = (host.clone(), address);
        // Anybody on the link may answer, as much as fits into the time.
        if self.addresses.len() < ADDRESSES && !self.addresses.contains(&entry) {
            self.addresses.push(entry);
        }
    }

    fn host_addresses(&self) -> Vec<IpAddr> {
        let Some((host, _)) = &self.srv else {
            return Vec::new();
        };
        self.addresses
            .iter()
            .filter(|(name, _)| name == host)
            .map(|(_, address)| *address)
            .collect()
    }

    /// The hosts that are known, to see whether a packet brought news.
    fn hosts(&self) -> BTreeSet<String> {
        self.srv.iter().map(|(host, _)| host.to_string()).collect()
    }

    fn complete(&self) -> bool {
        let Some((host, _)) = &self.srv else {
            return false;
        };
        self.text.is_some() && (!is_local(host) || !self.host_addresses().is_empty())
    }

    /// The service, if there is one: without TXT record or addresses where none came.
    fn service(self) -> Option<Service> {
        let addresses = self.host_addresses();
        let (host, port) = self.srv?;
        Some(Service {
            host: host.to_string(),
            port,
            addresses,
            text: self.text.unwrap_or_default(),
        })
    }
}

/// Whether only multicast DNS knows this host.
fn is_local(host: &Name) -> bool {
    host.iter().next_back() == Some(b"local".as_slice())
}

/// `key=value` (RFC 6763 section 6.3). What is no UTF-8, or has no key, is nothing we know.
fn pair(item: &[u8]) -> Option<(String, String)> {
    let text = std::str::from_utf8(item).ok()?;
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    (!key.is_empty()).then(|| (key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests;
