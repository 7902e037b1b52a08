//! A rescued server whose port is moved to another network: the conductor does so after `rescue.finalize_rescue`, when
//! no agent is there any more (contract/control-plane 10.2).
//!
//! A VLAN that is moved on a switch does not take the link away, so nothing tells dhcpcd. It is told to ask anew every
//! ten seconds, for five minutes after the rescue and after each link that comes: a server that still knows the lease
//! says so, and nothing changes, not even for a connection that is open; another network's server refuses it, or nobody
//! answers for five seconds, and dhcpcd drops it with its routes. To end dhcpcd each time was rejected, since the server
//! would be without address for a second of every ten. It ends once the user of the rescue has logged in, who found the
//! server where it is: dhcpcd 10.1.0 at times takes SIGHUP for a change of its configuration and drops all leases.
//!
//! What routers advertised stays with dhcpcd for as long as they said, which is half an hour or days. So what the hook
//! sees of another network ends dhcpcd once, with all that it got, and what it kept of DHCPv6, which it would use again
//! where no server answers (RFC 8415, 18.2.3).

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// How often DHCP is asked. Longer than dhcpcd waits for an answer about a lease that it has (5 s, its option
/// `reboot`).
const PAUSE: Duration = Duration::from_secs(10);

/// For how long after the rescue, and after each link that comes. Neutron and its switches take seconds, those that are
/// busy minutes.
const WINDOW: Duration = Duration::from_secs(300);

/// Two networks on one port, each of which refuses what the other gave, must not keep the server without addresses.
const FORGET_PAUSE: Duration = Duration::from_secs(30);

/// A router that was not heard for so long has missed a question, s.
const SILENCE: i64 = 15;

/// What dropbear logs of the one who has the password (its svr-authpasswd.c). A name that somebody tries is not logged.
const LOGGED_IN: &str = "Password auth succeeded for 'rescue' from ";

/// Where dhcpcd keeps leases, below the root.
const DHCPCD_LEASES: &str = "var/lib/dhcpcd";

/// What the lease hook sees of a port.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Sign {
    /// A link has come.
    Link,
    /// The lease of DHCPv4 does not count here, beside which the interface has something of IPv6.
    LeaseRefused,
    /// A router that was known says nothing while another does.
    RouterSilent,
}

impl Sign {
    const ALL: [(Self, &'static str); 3] = [
        (Self::Link, "link"),
        (Self::LeaseRefused, "lease-refused"),
        (Self::RouterSilent, "router-silent"),
    ];

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

    /// What an event of dhcpcd's says; `has_ipv6` tells whether its interface has something of IPv6.
    pub(super) fn of_event(
        environment: &BTreeMap<String, String>,
        has_ipv6: impl FnOnce() -> bool,
    ) -> Option<Self> {
        let variable = |name: &str| environment.get(name).map_or("", String::as_str);
        match (variable("reason"), variable("protocol")) {
            ("CARRIER", _) => Some(Self::Link),
            ("NAK" | "EXPIRE", "dhcp") => has_ipv6().then_some(Self::LeaseRefused),
            ("ROUTERADVERT", _) => is_one_silent(environment).then_some(Self::RouterSilent),
            _ => None,
        }
    }
}

/// Whether one of the routers was heard just now and another was not for a while. dhcpcd tells of each when that was, by
/// the kernel's clock, s: `nd<n>_now` and `nd<n>_acquired`.
fn is_one_silent(environment: &BTreeMap<String, String>) -> bool {
    let since = |(name, acquired): (&String, &String)| {
        let router = name.strip_prefix("nd")?.strip_suffix("_acquired")?;
        let now: i64 = environment.get(&format!("nd{router}_now"))?.parse().ok()?;
        now.checked_sub(acquired.parse().ok()?)
    };
    let silences: Vec<i64> = environment.iter().filter_map(since).collect();
    let longest = silences.iter().max().copied().unwrap_or_default();
    let shortest = silences.iter().min().copied().unwrap_or_default();
    longest >= SILENCE && longest - shortest >= SILENCE
}

/// What PID 1 does about it.
#[derive(Debug, Default)]
pub(super) struct PortMove {
    window: Option<Window>,
    forgotten: Option<Instant>,
}

#[derive(Debug)]
struct Window {
    since: Instant,
    next: Instant,
    /// How often the user had logged in when this began.
    logins: Option<usize>,
    /// The user has come to where the server is now.
    is_reached: bool,
}

impl Window {
    fn from(since: Instant, next: Instant) -> Self {
        Self {
            since,
            next,
            logins: None,
            is_reached: false,
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        self.is_reached || now.duration_since(self.since) >= WINDOW
    }
}

impl PortMove {
    /// Whether the server has become a rescue system.
    pub(super) fn has_begun(&self) -> bool {
        self.window.is_some()
    }

    /// It does now.
    pub(super) fn begin(&mut self, now: Instant) {
        self.window = Some(Window::from(now, now));
    }

    /// The user has logged in so often. Whether that was in the network that the port is in now: then it is the right one,
    /// until the next link comes.
    pub(super) fn is_reached(&mut self, logins: usize) -> bool {
        let Some(window) = &mut self.window else {
            return false;
        };
        let before = *window.logins.get_or_insert(logins);
        window.is_reached |= logins > before;
        window.is_reached
    }

    /// Whether DHCP is to be asked anew. Then the next time is in ten seconds.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        match &mut self.window {
            Some(window) if !window.is_over(now) && window.next <= now => {
                window.next = now + PAUSE;
                true
            }
            _ => false,
        }
    }

    /// When [`Self::is_due`] has to be asked again.
    pub(super) fn next(&self, now: Instant) -> Option<Duration> {
        let window = self.window.as_ref()?;
        (!window.is_over(now)).then(|| window.next.saturating_duration_since(now))
    }

    /// Whether everything that the network gave is to be dropped, since it is another's.
    pub(super) fn forgets(&mut self, sign: Sign, now: Instant) -> bool {
        let Some(window) = &mut self.window else {
            return false;
        };
        let has_asked_before = now.duration_since(window.since) > PAUSE;
        let forgets = match sign {
            Sign::Link => {
                // dhcpcd has dropped all with the link before, and asks by itself.
                *window = Window::from(now, now + PAUSE);
                false
            }
            Sign::LeaseRefused => !window.is_over(now),
            // Before that nobody was asked all the time that a router was silent.
            Sign::RouterSilent => has_asked_before && !window.is_over(now),
        };
        let is_too_soon = |before: Instant| now.duration_since(before) < FORGET_PAUSE;
        if !forgets || self.forgotten.is_some_and(is_too_soon) {
            return false;
        }
        self.forgotten = Some(now);
        true
    }
}

/// How often the user of the rescue has logged in, by the log of the SSH server at this path. A connection alone says
/// nothing: anybody in the network before may try the port.
pub(super) fn logins(log: &Path) -> usize {
    let text = fs::read(log).unwrap_or_default();
    String::from_utf8_lossy(&text).matches(LOGGED_IN).count()
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

    fn environment(text: &str) -> BTreeMap<String, String> {
        let pair = |word: &str| word.split_once('=').map(|(a, b)| (a.into(), b.into()));
        text.split_whitespace().filter_map(pair).collect()
    }

    fn seconds(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn dhcp_is_asked_every_ten_seconds_for_five_minutes() {
        let start = Instant::now();
        let mut port = PortMove::default();
        assert!(!port.is_due(start));
        assert_eq!(port.next(start), None);
        port.begin(start);
        let asked: Vec<u64> = (0..1000)
            .filter(|second| port.is_due(seconds(start, *second)))
            .collect();
        let expected: Vec<u64> = (0..30).map(|count| count * 10).collect();
        assert_eq!(asked, expected);
        assert_eq!(port.next(seconds(start, 300)), None);
    }

    #[test]
    fn each_link_that_comes_is_another_five_minutes() {
        let start = Instant::now();
        let mut port = PortMove::default();
        // Not a rescue system: dhcpcd does all by itself.
        assert!(!port.forgets(Sign::Link, start));
        assert_eq!(port.next(start), None);
        port.begin(start);
        assert!(!port.forgets(Sign::Link, seconds(start, 4000)));
        let asked = (4000..9000).filter(|second| port.is_due(seconds(start, *second)));
        let asked: Vec<u64> = asked.collect();
        assert_eq!((asked.len(), asked[0], asked[28]), (29, 4010, 4290));
    }

    #[test]
    fn a_login_ends_the_questions_until_the_next_link() {
        let start = Instant::now();
        let mut port = PortMove::default();
        port.begin(start);
        assert!(port.is_due(start));
        assert!(!port.is_reached(0));
        assert!(port.is_due(seconds(start, 10)));
        assert!(port.is_reached(1));
        assert!(!port.is_due(seconds(start, 20)));
        assert_eq!(port.next(seconds(start, 20)), None);
        assert!(!port.forgets(Sign::LeaseRefused, seconds(start, 20)));
        // Logins of before say nothing of the network behind another link.
        port.forgets(Sign::Link, seconds(start, 30));
        assert!(port.is_due(seconds(start, 40)) && !port.is_reached(3));
        assert!(port.is_due(seconds(start, 50)) && port.is_reached(4));
    }

    #[test]
    fn only_who_has_the_password_has_logged_in() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("ssh-rescue.log");
        assert_eq!(logins(&log), 0, "no log");
        let tried = "   20.100 [301] Nov 30 04:11:02 Child connection from 192.0.2.1:39412\n   \
            21.300 [301] Nov 30 04:11:03 Bad password attempt for 'rescue' from 192.0.2.1:39412\n";
        fs::write(&log, tried).unwrap();
        assert_eq!(logins(&log), 0);
        let came = "   30.500 [302] Nov 30 04:11:12 Password auth succeeded for 'rescue' from 192.0.2.1:39414\n";
        fs::write(&log, format!("{tried}{came}")).unwrap();
        assert_eq!(logins(&log), 1);
    }

    #[test]
    fn another_network_is_forgotten_once_in_a_while() {
        let start = Instant::now();
        let mut port = PortMove::default();
        assert!(!port.forgets(Sign::LeaseRefused, start));
        port.begin(start);
        // What was silent before the first question says nothing.
        assert!(!port.forgets(Sign::RouterSilent, seconds(start, 9)));
        assert!(port.forgets(Sign::LeaseRefused, seconds(start, 20)));
        assert!(!port.forgets(Sign::RouterSilent, seconds(start, 49)));
        assert!(port.forgets(Sign::RouterSilent, seconds(start, 50)));
        assert!(!port.forgets(Sign::LeaseRefused, seconds(start, 300)));
        assert!(!port.forgets(Sign::RouterSilent, seconds(start, 300)));
    }

    #[test]
    fn events_say_whether_the_network_is_another() {
        let with_ipv6 = |text: &str| Sign::of_event(&environment(text), || true);
        for reason in ["NAK", "EXPIRE"] {
            let event = format!("reason={reason} protocol=dhcp interface=ens3");
            assert_eq!(with_ipv6(&event), Some(Sign::LeaseRefused));
            assert_eq!(Sign::of_event(&environment(&event), || false), None);
        }
        assert_eq!(with_ipv6("reason=CARRIER protocol=link"), Some(Sign::Link));
        for reason in ["BOUND", "REBOOT", "RENEW", "STOP", "NOCARRIER", "STOPPED"] {
            assert_eq!(with_ipv6(&format!("reason={reason} protocol=dhcp")), None);
        }
        assert_eq!(with_ipv6("reason=EXPIRE6 protocol=dhcp6"), None);
    }

    /// As dhcpcd 10.1.0 tells it, shortened.
    #[test]
    fn a_router_that_is_silent_beside_another_is_gone() {
        let sign = |text: &str| {
            let text = format!("reason=ROUTERADVERT protocol=ra {text}");
            Sign::of_event(&environment(&text), || true)
        };
        let silent = Some(Sign::RouterSilent);
        for (text, expected) in [
            ("nd1_from=fe80::1 nd1_acquired=100 nd1_now=100", None),
            // Alone: there is nobody else, and it may be slow.
            ("nd1_from=fe80::1 nd1_acquired=100 nd1_now=400", None),
            (
                "nd1_acquired=100 nd1_now=120 nd2_acquired=120 nd2_now=120",
                silent,
            ),
            (
                "nd1_acquired=120 nd1_now=120 nd2_acquired=100 nd2_now=120",
                silent,
            ),
            (
                "nd1_acquired=110 nd1_now=120 nd2_acquired=120 nd2_now=120",
                None,
            ),
            (
                "nd1_acquired=x nd1_now=120 nd2_acquired=120 nd2_now=120",
                None,
            ),
            ("nd1_acquired=-9223372036854775808 nd1_now=1", None),
        ] {
            assert_eq!(sign(text), expected, "{text}");
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
