//! Who may be connected: places for connections that have not shown the token.
//!
//! The agent's port is open to a whole network, and a conductor's first request comes from an
//! address that nobody has named: the API's address is often a proxy's. So nobody is turned away.
//! Where an address has all that one may have, or all together have all there is, the oldest
//! connection without a token is closed for the newest: of the same address, or of the one that
//! has most. A conductor sends its request at once, and is answered before its turn comes, also
//! when it shares its address with many others. Turning the newest away was rejected: idle
//! connections would then keep the others out for as long as they like.
//!
//! A connection that has shown the token is no longer counted and not closed for others, and its
//! address is a conductor's from then on. Those addresses have places of their own.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::AbortHandle;

/// Connections without a token, of all addresses that are no conductor's, and as many of all that
/// are. A conductor has one or two.
const ALL: usize = 64;

/// Connections without a token of one address, or of one IPv6 network of 64 bits: whoever has one
/// address of such a network has all.
const OF_ONE: usize = 32;

/// Connections that have shown the token and are not closed for others.
const TRUSTED: usize = 256;

/// Addresses that are remembered as conductors'. A site has a few dozen at most.
const CONDUCTORS: usize = 64;

/// The places of one server.
pub(super) struct Places(Mutex<Taken>);

struct Taken {
    /// Oldest first.
    seats: Vec<Connected>,
    /// Those that are known beforehand, then those that showed the token, oldest first.
    conductors: Vec<IpAddr>,
    known_beforehand: usize,
    count: u64,
}

struct Connected {
    number: u64,
    address: IpAddr,
    is_trusted: bool,
    task: Option<AbortHandle>,
}

/// The place of one connection; given back when it is dropped.
pub(super) struct Seat {
    places: Arc<Places>,
    number: u64,
    address: IpAddr,
    is_trusted: AtomicBool,
}

impl Places {
    /// All free. These addresses are conductors'.
    pub(super) fn new(conductors: impl IntoIterator<Item = IpAddr>) -> Arc<Self> {
        let conductors = conductors.into_iter().map(|address| address.to_canonical());
        let conductors: Vec<_> = conductors.take(CONDUCTORS / 2).collect();
        Arc::new(Self(Mutex::new(Taken {
            seats: Vec::new(),
            known_beforehand: conductors.len(),
            conductors,
            count: 0,
        })))
    }

    /// A place for a connection from this address; another one may be closed for it.
    pub(super) fn take(self: &Arc<Self>, address: IpAddr) -> Seat {
        let address = address.to_canonical();
        let mut taken = self.taken();
        if let Some(victim) = taken.victim_for(address) {
            let victim = taken.seats.remove(victim);
            if let Some(task) = victim.task {
                task.abort();
            }
        }
        taken.count += 1;
        let number = taken.count;
        taken.seats.push(Connected {
            number,
            address,
            is_trusted: false,
            task: None,
        });
        Seat {
            places: Arc::clone(self),
            number,
            address,
            is_trusted: AtomicBool::new(false),
        }
    }

    /// What ends this connection.
    pub(super) fn ends_with(&self, number: u64, task: AbortHandle) {
        // One that is over already has no place any more.
        if let Some(seat) = self.taken().seat(number) {
            seat.task = Some(task);
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn seat(&mut self, number: u64) -> Option<&mut Connected> {
        self.seats.iter_mut().find(|seat| seat.number == number)
    }

    /// Which connection is closed for one from this address, where one has to be.
    fn victim_for(&self, address: IpAddr) -> Option<usize> {
        let is_known = self.conductors.contains(&address);
        let rivals: Vec<(usize, Owner)> = self
            .seats
            .iter()
            .enumerate()
            .filter(|(_, seat)| !seat.is_trusted)
            .filter(|(_, seat)| self.conductors.contains(&seat.address) == is_known)
            .map(|(place, seat)| (place, Owner::of(seat.address, is_known)))
            .collect();
        let count = |wanted: Owner| rivals.iter().filter(|(_, owner)| *owner == wanted).count();
        let oldest = |wanted: Owner| rivals.iter().find(|(_, owner)| *owner == wanted);
        let own = Owner::of(address, is_known);
        let victim = if count(own) >= OF_ONE {
            oldest(own)
        } else if rivals.len() >= ALL {
            // Of those that have as many, the one whose connection is the oldest.
            let (_, most) = rivals.iter().rev().max_by_key(|(_, owner)| count(*owner))?;
            oldest(*most)
        } else {
            None
        };
        victim.map(|(place, _)| *place)
    }
}

/// Whose connections are counted together.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Owner {
    Address(IpAddr),
    Network([u16; 4]),
}

impl Owner {
    /// A conductor counts by itself: its neighbours in one network may be the servers that it
    /// deploys.
    fn of(address: IpAddr, is_known: bool) -> Self {
        match address {
            IpAddr::V6(address) if !is_known => Self::Network(network(address)),
            address => Self::Address(address),
        }
    }
}

fn network(address: Ipv6Addr) -> [u16; 4] {
    let [a, b, c, d, ..] = address.segments();
    [a, b, c, d]
}

impl Seat {
    /// Its number, for [`Places::ends_with`].
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Whether it has shown the token.
    pub(super) fn is_trusted(&self) -> bool {
        self.is_trusted.load(Ordering::Relaxed)
    }

    /// Where it comes from; IPv4 as such.
    pub(super) fn address(&self) -> IpAddr {
        self.address
    }

    /// Whether its address is known to be a conductor's: beforehand, or since one from there has shown the token.
    pub(super) fn is_conductors(&self) -> bool {
        self.places.taken().conductors.contains(&self.address)
    }

    /// It has shown the token.
    pub(super) fn trust(&self) {
        if self.is_trusted.swap(true, Ordering::Relaxed) {
            return;
        }
        let mut taken = self.places.taken();
        let trusted = taken.seats.iter().filter(|seat| seat.is_trusted).count();
        if let Some(seat) = taken.seat(self.number)
            && trusted < TRUSTED
        {
            seat.is_trusted = true;
        }
        if !taken.conductors.contains(&self.address) {
            if taken.conductors.len() >= CONDUCTORS {
                let oldest = taken.known_beforehand;
                taken.conductors.remove(oldest);
            }
            taken.conductors.push(self.address);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let number = self.number;
        self.places
            .taken()
            .seats
            .retain(|seat| seat.number != number);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn stranger(host: u8) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, host).into()
    }

    /// Who is connected, oldest first.
    fn connected(places: &Arc<Places>) -> Vec<IpAddr> {
        let taken = places.taken();
        taken.seats.iter().map(|seat| seat.address).collect()
    }

    fn count(places: &Arc<Places>, address: IpAddr) -> usize {
        let connected = connected(places);
        connected.iter().filter(|have| **have == address).count()
    }

    #[test]
    fn one_address_gets_no_more_than_its_part_and_the_newest_of_it_stays() {
        let places = Places::new([]);
        let seats: Vec<_> = (0..100).map(|_| places.take(stranger(1))).collect();
        assert_eq!(connected(&places).len(), OF_ONE);
        let oldest = places.taken().seats[0].number;
        assert_eq!(oldest, seats[100 - OF_ONE].number);
        // Written as IPv6 it is the same.
        let mapped = Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped();
        let _seat = places.take(mapped.into());
        assert_eq!(connected(&places).len(), OF_ONE);
        drop(seats);
        assert_eq!(connected(&places).len(), 1);
    }

    #[test]
    fn whoever_has_most_makes_room() {
        let places = Places::new([]);
        let _many: Vec<_> = (0..2 * ALL)
            .map(|number| places.take(stranger(number as u8 % 4)))
            .collect();
        assert_eq!(connected(&places).len(), ALL);
        let conductor = stranger(200);
        let _one = places.take(conductor);
        for number in 0..10 * ALL {
            let _ = std::mem::ManuallyDrop::new(places.take(stranger(number as u8 % 4)));
            assert_eq!(count(&places, conductor), 1);
        }
        assert_eq!(connected(&places).len(), ALL);
    }

    #[test]
    fn an_ipv6_network_counts_as_one() {
        let places = Places::new([]);
        let _seats: Vec<_> = (0..100u16)
            .map(|host| places.take(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, host).into()))
            .collect();
        assert_eq!(connected(&places).len(), OF_ONE);
    }

    #[test]
    fn a_conductor_has_places_of_its_own_and_a_shown_token_keeps_one() {
        let conductor: IpAddr = Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, 5).into();
        let places = Places::new([conductor]);
        let seat = places.take(conductor);
        // Its neighbours, and all others.
        let _seats: Vec<_> = (0..1000u16)
            .map(|host| {
                let network = host % 100;
                places.take(Ipv6Addr::new(0x2001, 0xdb8, 0, network, 0, 0, 1, host).into())
            })
            .collect();
        assert_eq!(count(&places, conductor), 1);
        assert_eq!(connected(&places).len(), ALL + 1);
        // Many behind one address with it: what has shown the token stays.
        seat.trust();
        let _more: Vec<_> = (0..100).map(|_| places.take(conductor)).collect();
        assert_eq!(count(&places, conductor), OF_ONE + 1);
        assert_eq!(connected(&places)[0], conductor);
        assert!(places.taken().seats[0].is_trusted);
        // An address that showed the token is a conductor's.
        let learnt = stranger(9);
        places.take(learnt).trust();
        assert!(places.taken().conductors.contains(&learnt));
        for host in 0..=255 {
            places.take(stranger(host)).trust();
        }
        assert_eq!(places.taken().conductors.len(), CONDUCTORS);
        assert!(places.taken().conductors.contains(&conductor));
    }
}
