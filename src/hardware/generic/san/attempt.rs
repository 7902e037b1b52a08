//! One start: which cards were brought up, whose disks are waited for, what did not go, and until when.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::thread;
use std::time::{Duration, Instant};

use crate::net::boot_table::Interface;
use crate::net::boot_table::bring_up::{BringUpError, bring_up};
use crate::net::boot_table::nbft::NbftError;
use crate::sys::process::{ProcessError, Program};
use crate::sys::root::Root;

/// How long the kernel may need until it shows the disks of a target that is connected.
const DISKS: Duration = Duration::from_secs(15);

/// How often is looked.
const POLL: Duration = Duration::from_millis(50);

/// Why a target of firmware's boot table has no disks here.
#[derive(Debug, thiserror::Error)]
pub(super) enum SanError {
    /// The card to it is of no use.
    #[error("Could not reach the storage {target}")]
    Card {
        /// The target, and where it is.
        target: String,
        /// Why.
        #[source]
        source: BringUpError,
    },
    /// The program that logs in did not.
    #[error("Could not log in to the iSCSI target {target}: {said}")]
    Login {
        /// The target, and where it is.
        target: String,
        /// What it said.
        said: String,
    },
    /// The kernel did not connect.
    #[error("Could not connect to the NVMe subsystem {target}{hint}")]
    Connect {
        /// The subsystem, and where it is.
        target: String,
        /// What to do.
        hint: &'static str,
        /// The kernel's answer.
        #[source]
        source: std::io::Error,
    },
    /// What the table wants is not there yet.
    #[error("Did not connect to {target}: {reason}")]
    NotDone {
        /// What.
        target: String,
        /// Why.
        reason: &'static str,
    },
    /// Others took all the time.
    #[error(
        "Did not try {target}: the two minutes that a start has for storage networks went to what is named before it"
    )]
    NoTime {
        /// What.
        target: String,
    },
    /// A target without disks.
    #[error(
        "{target} is connected and has no disk for this server within {seconds} s; look at what the storage maps to it"
    )]
    NoDisks {
        /// The target, and where it is.
        target: String,
        /// How long was waited.
        seconds: u64,
    },
    /// A table cannot be read.
    #[error(transparent)]
    Table(NbftError),
    /// A program that is needed cannot be run.
    #[error("Could not use firmware's boot table")]
    Program(#[source] ProcessError),
}

/// All of one start: what is under way, and until when.
pub(super) struct Attempt {
    /// Nothing is begun after this.
    until: Instant,
    /// Cards that were brought up, or could not be: one without a link is waited for once, however many targets it has.
    cards: BTreeMap<(String, Option<u16>), Card>,
    /// Targets that are connected, and how to see whether their disks are there.
    expected: Vec<(String, HasDisks)>,
    /// What did not go.
    failures: Vec<SanError>,
}

type HasDisks = Box<dyn Fn() -> bool>;

/// What is known of a card.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Card {
    Useful,
    OfNoUse,
}

impl Attempt {
    pub(super) fn until(until: Instant) -> Self {
        Self {
            until,
            cards: BTreeMap::new(),
            expected: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// How long there still is.
    pub(super) fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    /// Something did not go, and the rest goes on.
    pub(super) fn failed(&mut self, failure: SanError) {
        self.failures.push(failure);
    }

    /// The interface through which a target is reached, ready for that.
    pub(super) fn ready(
        &mut self,
        root: &Root,
        interface: &Interface,
        target: &str,
        address: IpAddr,
    ) -> Result<String, SanError> {
        let key = (interface.mac_address.clone(), interface.vlan);
        let target = target.to_owned();
        if self.cards.get(&key) == Some(&Card::OfNoUse) {
            return Err(SanError::NotDone {
                target,
                reason: "its network card is of no use, as was said of another target",
            });
        }
        if self.left().is_zero() {
            return Err(SanError::NoTime { target });
        }
        let name = bring_up(root, interface, &[address], self.until);
        let card = match &name {
            Err(error) if error.is_of_the_card() => Card::OfNoUse,
            _ => Card::Useful,
        };
        self.cards.insert(key, card);
        name.map_err(|source| SanError::Card { target, source })
    }

    /// A target is connected; the kernel should show disks of it now.
    pub(super) fn expect_disks(&mut self, target: String, has_disks: impl Fn() -> bool + 'static) {
        self.expected.push((target, Box::new(has_disks)));
    }

    /// Wait for the disks of all targets, and return what did not go.
    pub(super) fn end(mut self) -> Vec<SanError> {
        let started = Instant::now();
        loop {
            self.expected.retain(|(_, has_disks)| !has_disks());
            if self.expected.is_empty() || started.elapsed() >= DISKS {
                break;
            }
            thread::sleep(POLL);
        }
        let without = self
            .expected
            .into_iter()
            .map(|(target, _)| SanError::NoDisks {
                target,
                seconds: DISKS.as_secs(),
            });
        self.failures.extend(without);
        self.failures
    }
}

/// Have the kernel load modules. Those that are there already are fine.
pub(super) fn load(modules: &[&str]) -> Result<(), SanError> {
    let mut program = Program::new("/sbin/modprobe").arg("-a").arg("-q");
    for module in modules {
        program = program.arg(*module);
    }
    program.run().map(|_| ()).map_err(SanError::Program)
}

#[cfg(test)]
impl Attempt {
    pub(super) fn for_seconds(seconds: u64) -> Self {
        Self::until(Instant::now() + Duration::from_secs(seconds))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeSet;
    use std::rc::Rc;

    use super::*;
    use crate::net::boot_table::Origin;
    use crate::sys::recording::Recording;

    fn interface(mac_address: &str) -> Interface {
        Interface {
            mac_address: mac_address.to_owned(),
            vlan: None,
            address: None,
            gateway: None,
            origin: Origin::Dhcp,
        }
    }

    #[test]
    fn a_card_of_no_use_is_waited_for_once() {
        let recording = Recording::unpack("/sys/class/net/");
        let root = recording.root();
        let mut attempt = Attempt::for_seconds(1);
        let mut ready = |mac: &str| {
            let address = "192.0.2.1".parse().unwrap();
            attempt
                .ready(&root, &interface(mac), "a", address)
                .unwrap_err()
        };
        let first = ready("52:54:00:12:34:56");
        assert!(matches!(first, SanError::Card { .. }), "{first}");
        let second = ready("52:54:00:12:34:56");
        assert!(matches!(second, SanError::NotDone { .. }), "{second}");
        // One second was all.
        let other = ready("52:54:00:12:34:57");
        assert!(matches!(other, SanError::NoTime { .. }), "{other}");
    }

    #[test]
    fn what_the_kernel_refuses_for_one_target_is_tried_for_the_next() {
        let recording = Recording::unpack(
            "/sys/class/net/farrier-none/address = 52:54:00:12:34:56\n\
             /sys/class/net/farrier-none/device/",
        );
        let root = recording.root();
        let mut attempt = Attempt::for_seconds(5);
        for _ in 0..2 {
            let address = "192.0.2.1".parse().unwrap();
            let interface = interface("52:54:00:12:34:56");
            let error = attempt.ready(&root, &interface, "a", address).unwrap_err();
            assert!(
                matches!(
                    &error,
                    SanError::Card {
                        source: BringUpError::Refused { .. },
                        ..
                    }
                ),
                "{error}"
            );
        }
    }

    #[test]
    fn disks_are_waited_for_all_at_once() {
        let mut attempt = Attempt::for_seconds(0);
        let looked_at = Rc::new(RefCell::new(BTreeSet::new()));
        for target in ["a", "b", "c"] {
            let looked_at = Rc::clone(&looked_at);
            // Those of each come once all were looked for.
            let has_disks = move || {
                let mut looked_at = looked_at.borrow_mut();
                looked_at.insert(target);
                looked_at.len() == 3
            };
            attempt.expect_disks(target.to_owned(), has_disks);
        }
        assert!(attempt.end().is_empty());
    }
}
