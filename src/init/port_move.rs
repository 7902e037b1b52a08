//! A rescued server whose port is moved to another network: the conductor does so after `rescue.finalize_rescue`, when
//! no agent is there any more (contract/control-plane 10.2).
//!
//! A VLAN that is moved on a switch does not take the link away, so nothing tells dhcpcd. `farrier-port`
//! ([`super::port_program`]) asks the network, for five minutes after the rescue and after each link that comes. Where the
//! addresses are another network's, dhcpcd ends once with all that it got, and starts anew. What it kept of DHCPv6 goes
//! too: it would use that again where no server answers (RFC 8415, 18.2.3).

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// Two networks on one port, each of which refuses what the other gave, must not keep the server without addresses: so much
/// time is between the first two times that all is dropped, and twice as much with each further one. A link does not change
/// that: dhcpcd tells of one, too, when it is started anew.
const FORGET_PAUSE: Duration = Duration::from_secs(30);

/// How often it is doubled at most: to 480 s, after which nothing is asked any more where no link has come.
const DOUBLINGS: u32 = 4;

/// Where dhcpcd keeps leases, below the root.
const DHCPCD_LEASES: &str = "var/lib/dhcpcd";

/// What is seen of a port.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Sign {
    /// A link has come.
    Link,
    /// The network is not the one that gave the addresses.
    Another,
}

impl Sign {
    const ALL: [(Self, &'static str); 2] = [(Self::Link, "link"), (Self::Another, "another")];

    /// As it is told to PID 1.
    pub(super) fn word(self) -> &'static str {
        let mut all = Self::ALL.iter();
        all.find(|(sign, _)| *sign == self)
            .map_or("", |(_, word)| *word)
    }

    /// The sign of this word.
    pub(super) fn of_word(word: &str) -> Option<Self> {
        let mut all = Self::ALL.iter();
        all.find(|(_, known)| *known == word).map(|(sign, _)| *sign)
    }
}

/// What PID 1 does about it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// Ask the network from now on. dhcpcd has dropped all with the link before, and asks by itself.
    Watch,
    /// Drop everything that the network gave.
    Forget,
}

/// What PID 1 knows of it.
#[derive(Debug, Default)]
pub(super) struct PortMove {
    has_begun: bool,
    forgotten: Option<Instant>,
    /// How often the pause after it is doubled.
    pauses: u32,
}

impl PortMove {
    /// Whether the server has become a rescue system.
    pub(super) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// It does now.
    pub(super) fn begin(&mut self) {
        self.has_begun = true;
    }

    /// What is to be done about a sign; nothing before the server is a rescue system.
    pub(super) fn take(&mut self, sign: Sign, now: Instant) -> Option<Step> {
        let pause = FORGET_PAUSE * 2_u32.pow(self.pauses);
        let is_too_soon = |before: Instant| now.duration_since(before) < pause;
        match sign {
            _ if !self.has_begun => None,
            Sign::Link => Some(Step::Watch),
            Sign::Another if self.forgotten.is_some_and(is_too_soon) => None,
            Sign::Another => {
                let is_first = self.forgotten.replace(now).is_none();
                self.pauses = (self.pauses + u32::from(!is_first)).min(DOUBLINGS);
                Some(Step::Forget)
            }
        }
    }
}

/// Remove what dhcpcd keeps of DHCPv6 below `root`.
pub(super) fn forget_leases(root: &Path) -> io::Result<()> {
    for entry in fs::read_dir(root.join(DHCPCD_LEASES))?.flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|kind| kind == "lease6") {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_network_is_forgotten_once_in_a_while() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut port = PortMove::default();
        // Not a rescue system: dhcpcd does all by itself.
        assert_eq!(port.take(Sign::Link, at(0)), None);
        assert_eq!(port.take(Sign::Another, at(0)), None);
        port.begin();
        assert_eq!(port.take(Sign::Link, at(1)), Some(Step::Watch));
        assert_eq!(port.take(Sign::Another, at(20)), Some(Step::Forget));
        assert_eq!(port.take(Sign::Another, at(49)), None);
        assert_eq!(port.take(Sign::Link, at(49)), Some(Step::Watch));
        assert_eq!(port.take(Sign::Another, at(50)), Some(Step::Forget));
        for (seconds, step) in [
            (109, None),
            (110, Some(Step::Forget)),
            (229, None),
            (230, Some(Step::Forget)),
            (469, None),
            (470, Some(Step::Forget)),
            (949, None),
            (950, Some(Step::Forget)),
            (1429, None),
            (1430, Some(Step::Forget)),
        ] {
            assert_eq!(port.take(Sign::Link, at(seconds)), Some(Step::Watch));
            assert_eq!(port.take(Sign::Another, at(seconds)), step, "{seconds}");
        }
    }

    #[test]
    fn signs_are_told_by_words() {
        for (sign, _) in Sign::ALL {
            assert_eq!(Sign::of_word(sign.word()), Some(sign));
        }
        assert_eq!(Sign::of_word("LINK"), None);
    }

    #[test]
    fn only_leases_of_dhcpv6_are_forgotten() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join(DHCPCD_LEASES);
        fs::create_dir_all(&folder).unwrap();
        for name in ["ens3.lease", "ens3.lease6", "duid"] {
            fs::write(folder.join(name), "").unwrap();
        }
        forget_leases(root.path()).unwrap();
        let mut left: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(left, ["duid", "ens3.lease"]);
    }
}
