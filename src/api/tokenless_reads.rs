//! Reads of results without the token, as older conductors ask for them (contract/control-plane 5.7).
//!
//! Where the option `allow_reads_without_token` admits them, until a read carries the token: whoever has sent a command
//! with the token reads everything from the same address, and everybody else that nothing is listed, while nothing is. An
//! empty list in place of one that is not was rejected: Ironic takes it for an agent that has just started, and the step
//! under way for done (contract/control-plane 12), also one that has failed.
//!
//! The address is the connection's, never one that a header names. A proxy's stands for all behind it.

use std::mem;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::places::Seat;
use crate::command::TokenlessRead;

/// Addresses that are remembered for having sent commands. A site has a few dozen conductors at most.
const COMMANDERS: usize = 64;

/// What a read without the token may see.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Sight {
    /// Nothing: 401.
    Nothing,
    /// That no command is listed, where none is.
    EmptyList,
    /// Results.
    Results,
}

/// Who may read without the token.
pub(super) struct TokenlessReads {
    is_allowed: bool,
    learnt: Mutex<Learnt>,
}

#[derive(Default)]
struct Learnt {
    /// Addresses that have sent a command with the token, the oldest first.
    commanders: Vec<IpAddr>,
    /// Whether a read has carried the token: then conductors here send it.
    is_over: bool,
    /// The kinds of [`TokenlessRead`] that were told, by `is_conductor` and `is_admitted`.
    told: [[bool; 2]; 2],
}

impl TokenlessReads {
    /// As the option says.
    pub(super) fn new(is_allowed: bool) -> Self {
        Self {
            is_allowed,
            learnt: Mutex::default(),
        }
    }

    /// A command came with the token, whatever becomes of it.
    pub(super) fn commanded(&self, seat: &Seat) {
        let commanders = &mut self.learnt().commanders;
        if !commanders.contains(&seat.address()) {
            if commanders.len() >= COMMANDERS {
                commanders.remove(0);
            }
            commanders.push(seat.address());
        }
    }

    /// A read came with the token.
    pub(super) fn read_with_token(&self) {
        self.learnt().is_over = true;
    }

    /// What a read without the token may see. One with a wrong token is none of those.
    pub(super) fn sight(&self, seat: &Seat) -> Sight {
        let learnt = self.learnt();
        if !self.is_allowed || learnt.is_over {
            Sight::Nothing
        } else if learnt.commanders.contains(&seat.address()) {
            Sight::Results
        } else {
            Sight::EmptyList
        }
    }

    /// Such a read was answered or refused: what somebody should hear of it, where nobody has yet.
    pub(super) fn news(&self, seat: &Seat, is_admitted: bool) -> Option<TokenlessRead> {
        let is_conductor = seat.is_conductors();
        let told = &mut self.learnt().told[usize::from(is_conductor)][usize::from(is_admitted)];
        (!mem::replace(told, true)).then(|| TokenlessRead {
            peer: seat.address(),
            is_conductor,
            is_admitted,
        })
    }

    fn learnt(&self) -> MutexGuard<'_, Learnt> {
        self.learnt.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;
    use crate::api::places::Places;

    fn host(last: u8) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, last).into()
    }

    #[test]
    fn results_are_for_addresses_that_have_commanded() {
        let places = Places::new([host(1)]);
        let reads = TokenlessReads::new(true);
        let (conductor, stranger) = (places.take(host(2)), places.take(host(3)));
        // The API's address alone is no reason.
        assert_eq!(reads.sight(&places.take(host(1))), Sight::EmptyList);
        reads.commanded(&conductor);
        assert_eq!(reads.sight(&conductor), Sight::Results);
        // On another connection, and written as IPv6, it is the same.
        let IpAddr::V4(plain) = host(2) else {
            unreachable!()
        };
        let mapped = places.take(plain.to_ipv6_mapped().into());
        assert_eq!(reads.sight(&mapped), Sight::Results);
        assert_eq!(reads.sight(&stranger), Sight::EmptyList);
        // The rest of an IPv6 network is not.
        let six = |host| Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, host).into();
        reads.commanded(&places.take(six(1)));
        assert_eq!(reads.sight(&places.take(six(2))), Sight::EmptyList);

        reads.read_with_token();
        assert_eq!(reads.sight(&conductor), Sight::Nothing);
        assert_eq!(reads.sight(&stranger), Sight::Nothing);
        reads.commanded(&conductor);
        assert_eq!(reads.sight(&conductor), Sight::Nothing);
    }

    #[test]
    fn nobody_sees_anything_unless_it_is_allowed() {
        let places = Places::new([]);
        let reads = TokenlessReads::new(false);
        let conductor = places.take(host(2));
        reads.commanded(&conductor);
        assert_eq!(reads.sight(&conductor), Sight::Nothing);
    }

    #[test]
    fn the_latest_commanders_are_remembered() {
        let places = Places::new([]);
        let reads = TokenlessReads::new(true);
        for last in 0..=200 {
            reads.commanded(&places.take(host(last)));
            reads.commanded(&places.take(host(last)));
        }
        let learnt = reads.learnt();
        assert_eq!(learnt.commanders.len(), COMMANDERS);
        assert_eq!(learnt.commanders.last(), Some(&host(200)));
        assert_eq!(learnt.commanders.first(), Some(&host(201 - 64)));
    }

    #[test]
    fn each_kind_is_told_once_however_many_come() {
        let places = Places::new([host(1)]);
        let reads = TokenlessReads::new(true);
        let mut told = Vec::new();
        for last in 0..=255 {
            for is_admitted in [true, false, true] {
                let news = reads.news(&places.take(host(last)), is_admitted);
                told.extend(news.map(|read| (read.peer, read.is_conductor, read.is_admitted)));
            }
        }
        let expected = [
            (host(0), false, true),
            (host(0), false, false),
            (host(1), true, true),
            (host(1), true, false),
        ];
        assert_eq!(told, expected);
    }
}
