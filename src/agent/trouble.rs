//! What is wrong, in words, and what to do about it: for a person who stands before the machine. The log has the errors
//! with all their causes.
//!
//! Every text is made here, and each fact in one place: links, leases, routes, devices without a driver, the clock, the
//! conductor, the root disk.

use std::error::Error;
use std::io;
use std::iter::successors;
use std::net::IpAddr;
use std::time::Duration;

use farrier_plugin::chain;

use crate::command::TokenlessRead;
use crate::conductor::ConductorError;
use crate::inventory::{Driverless, DriverlessKind};
use crate::net::NetError;
use crate::net::address::InterfaceAddress;
use crate::net::tls_hint;
use crate::net::x509::{Bound, OutOfDates};

/// Names of ports and addresses in one line.
const SHOWN: usize = 6;

/// The most letters of an error's text that are shown.
const LONGEST: usize = 400;

/// What troubles are about, the most urgent first: what comes later mostly follows from what comes before. There is one of
/// each at a time.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Topic {
    /// Ports, links, addresses.
    Network,
    /// The way to the conductor: its name, a route.
    Route,
    /// The conductor's answers, or that there are none.
    Conductor,
    /// The conductor's reads, which lack the token.
    Reads,
    /// The root disk.
    Disk,
    /// What belongs to that which is being done, and ends with it.
    Work,
    /// The clock, where nobody has refused anything for it.
    Clock,
    /// Devices without a driver, where nothing else is wrong.
    Driver,
}

impl Topic {
    /// What it is about in a word that names nothing of this machine.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Route => "route",
            Self::Conductor => "conductor",
            Self::Reads => "reads without the token",
            Self::Disk => "disk",
            Self::Work => "work",
            Self::Clock => "clock",
            Self::Driver => "driver",
        }
    }
}

/// Something that is wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Trouble {
    /// What it is about.
    pub(super) topic: Topic,
    /// What it is.
    pub(super) what: String,
    /// What to do about it; empty where `what` says it.
    pub(super) advice: String,
}

impl Trouble {
    fn new(topic: Topic, what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            topic,
            what: what.into(),
            advice: advice.into(),
        }
    }

    /// Of the work at hand, in its own words.
    pub(super) fn work(what: &str) -> Self {
        Self::new(Topic::Work, what, "")
    }

    /// No port has appeared. `firmware` is what cards have asked for in vain.
    pub(super) fn no_port(devices: &[Driverless], firmware: &[String]) -> Self {
        let reasons = because(DriverlessKind::Network, devices, firmware);
        let advice = if reasons.is_empty() {
            "see in the firmware's setup whether the network card is there and enabled"
        } else {
            NEEDS_DRIVER
        };
        Self::new(
            Topic::Network,
            format!("this machine has no network port{reasons}"),
            advice,
        )
    }

    /// Ports that their drivers do not bring up.
    pub(super) fn ports_down(ports: &[String], firmware: &[String]) -> Self {
        let reasons = because(DriverlessKind::Network, &[], firmware);
        let advice = if reasons.is_empty() {
            "the kernel's lines on this console say what their drivers miss"
        } else {
            NEEDS_DRIVER
        };
        Self::new(
            Topic::Network,
            format!("{} cannot be switched on{reasons}", ports_of(ports)),
            advice,
        )
    }

    /// Nothing is plugged in.
    pub(super) fn no_link(ports: &[String]) -> Self {
        let what = match ports {
            [port] => format!("no link on the only network port, {port}"),
            _ => format!(
                "no link on any of {} network ports: {}",
                ports.len(),
                some_of(ports)
            ),
        };
        Self::new(
            Topic::Network,
            what,
            "plug in the cable, and check that the switch has the port enabled, at a speed that both can",
        )
    }

    /// Nobody answers DHCP on ports that have a link, for so long.
    pub(super) fn no_lease(ports: &[String], waited: Duration) -> Self {
        Self::new(
            Topic::Network,
            format!(
                "no address by DHCP on {}, asked for {}",
                some_of(ports),
                about(waited)
            ),
            "check that a DHCP server answers in the network of the switch port (VLAN, relay, free addresses)",
        )
    }

    /// There are addresses (`own`), but none leads there. A machine that has only IPv6 addresses is mostly one that got no
    /// lease, which no gateway mends; and the other way round.
    pub(super) fn no_route(host: &str, towards: &[IpAddr], own: &[InterfaceAddress]) -> Self {
        let lacks = |is_of: fn(&IpAddr) -> bool| {
            !towards.is_empty()
                && towards.iter().all(is_of)
                && !own.iter().any(|entry| is_of(&entry.address))
        };
        let (what, advice) = if lacks(IpAddr::is_ipv4) {
            (
                format!("no IPv4 address, as the conductor {host} needs"),
                "check that a DHCP server answers in the network of the switch port (VLAN, relay, free addresses)",
            )
        } else if lacks(IpAddr::is_ipv6) {
            (
                format!("no IPv6 address, as the conductor {host} needs"),
                "check that a router announces a prefix in the network of the switch port, or that a DHCPv6 server answers",
            )
        } else {
            (
                format!("no route to the conductor {host}"),
                "check the default gateway that DHCP or the network data give, and ipa-api-url",
            )
        };
        Self::new(Topic::Route, what, advice)
    }

    /// Nobody knows the conductor's name.
    pub(super) fn no_name(error: &NetError) -> Self {
        Self::new(
            Topic::Route,
            cut(chain(error)),
            "check the name servers that DHCP gives, and the name in ipa-api-url",
        )
    }

    /// No name server answers in time.
    pub(super) fn no_answer_for(host: &str, waited: Duration) -> Self {
        Self::new(
            Topic::Route,
            format!(
                "no name server has told the address of the conductor {host} within {} s",
                waited.as_secs()
            ),
            "check that the name servers that DHCP gives can be reached and answer",
        )
    }

    /// No URL of a conductor is known.
    pub(super) fn no_conductor() -> Self {
        Self::new(
            Topic::Conductor,
            "no conductor is configured",
            "set ipa-api-url on the kernel command line",
        )
    }

    /// What came of a request to the conductor. `addresses` are those that this machine was looked up by.
    pub(super) fn of_conductor(error: &ConductorError, addresses: &[String]) -> Self {
        let of = |what: String, advice: &str| Self::new(Topic::Conductor, cut(what), advice);
        match error {
            ConductorError::Unreachable { url, source } => Self::unreachable(url, source),
            ConductorError::Timeout { .. } => of(
                error.to_string(),
                "check that the conductor runs, and that no firewall and no packet size (MTU) on the way swallows it",
            ),
            ConductorError::Conflict { .. } => of(
                error.to_string(),
                "nothing: it is asked again until the lock is gone",
            ),
            ConductorError::Status {
                url,
                status: 404,
                text,
            } if !addresses.is_empty() => of(
                format!("the conductor at {url} knows no node of this machine ({text})"),
                &format!(
                    "enroll it in Ironic with a port of one of these addresses: {}; where it is enrolled, no other node may \
                     have these, and its state must expect a ramdisk",
                    some_of(addresses)
                ),
            ),
            ConductorError::Status { status: 500.., .. } => of(
                error.to_string(),
                "look into the log of Ironic's API at that time",
            ),
            ConductorError::Status { .. } | ConductorError::Answer { .. } => of(
                chain(error),
                "check that ipa-api-url is the URL of Ironic's API, of a version that agents have",
            ),
            ConductorError::Redirected { .. } => of(
                chain(error),
                "check ipa-api-url, and whether the network wants a login first",
            ),
            ConductorError::NoUrl => Self::no_conductor(),
            // They say what to do.
            _ => of(chain(error), ""),
        }
    }

    /// What came of a heartbeat, which is about a node that was known.
    pub(super) fn of_heartbeat(error: &ConductorError) -> Self {
        let of = |what: String, advice: &str| Self::new(Topic::Conductor, cut(what), advice);
        match error {
            ConductorError::Status {
                url,
                status: 404,
                text,
            } => of(
                format!(
                    "the conductor at {url} does not know this machine's node any more ({text})"
                ),
                "see whether the node was deleted; enroll it again, and have Ironic start this machine anew",
            ),
            ConductorError::Status {
                status: 400..500, ..
            } => of(
                error.to_string(),
                "see the node's state; where it expects no ramdisk, or another agent has reported, have Ironic start this \
                 machine anew",
            ),
            _ => Self::of_conductor(error, &[]),
        }
    }

    fn unreachable(url: &str, source: &(dyn Error + 'static)) -> Self {
        if let Some(dates) = tls_hint::out_of_dates(source) {
            return Self::certificate(url, dates);
        }
        let (why, advice) = match cause(source) {
            Cause::Name(error) => return Self::no_name(error),
            Cause::Tls(error) => (
                format!("TLS with it fails: {error}"),
                "see the hint in the log, the option cafile, and whether the URL's scheme and port are right",
            ),
            Cause::Io(io::ErrorKind::ConnectionRefused) => (
                "it refuses the connection".to_owned(),
                "check that Ironic's API runs there, and the port in ipa-api-url",
            ),
            Cause::Io(io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable) => (
                "there is no way to it".to_owned(),
                "check the default gateway, the routes on the way, and that the conductor runs",
            ),
            Cause::Io(io::ErrorKind::TimedOut) => (
                "it does not answer".to_owned(),
                "check that the conductor runs, and that no firewall on the way swallows it",
            ),
            Cause::Io(io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof) => (
                "it closes the connection".to_owned(),
                "check whether the URL's scheme and port are right, and the log of Ironic's API",
            ),
            Cause::Io(_) | Cause::Other => (
                chain(source),
                "check ipa-api-url, and that Ironic's API runs there",
            ),
        };
        Self::new(
            Topic::Conductor,
            cut(format!("could not reach the conductor at {url}: {why}")),
            advice,
        )
    }

    fn certificate(url: &str, dates: OutOfDates) -> Self {
        let advice = match dates.bound {
            Bound::From(_) => {
                "set the clock in the firmware's setup, or name a time server by ipa-ntp-server or DHCP"
            }
            Bound::Until(_) => {
                "renew the certificate; where the clock is wrong, set it, or name a time server by ipa-ntp-server"
            }
        };
        Self::new(
            Topic::Conductor,
            format!("the certificate of {url} is {dates}"),
            advice,
        )
    }

    /// Results were read without the token. `is_allowed` is the option `allow_reads_without_token`.
    pub(super) fn tokenless_read(read: &TokenlessRead, is_allowed: bool) -> Self {
        let peer = read.peer;
        let refused = if read.is_admitted {
            ""
        } else {
            " and is refused"
        };
        let what = if read.is_conductor {
            format!("the conductor at {peer} reads results without the token{refused}: {OLDER}")
        } else {
            format!(
                "{peer}, which is no known conductor, reads results without the token{refused}. If it is one: {OLDER}"
            )
        };
        let advice = if is_allowed {
            "update Ironic"
        } else {
            "update Ironic, or set the kernel parameter ipa-allow-reads-without-token=1"
        };
        Self::new(Topic::Reads, what, advice)
    }

    /// The clock is wrong, or cannot be set.
    pub(super) fn clock(what: &str, advice: &str) -> Self {
        Self::new(Topic::Clock, cut(what.to_owned()), advice)
    }

    /// No disk can be deployed to. `missing` is what the search for it says. Why disks may be missing comes first, and the
    /// default rule in few words: a page has room for two lines.
    pub(super) fn no_disk(missing: &str, devices: &[Driverless], firmware: &[String]) -> Self {
        let mut what: String = reasons(DriverlessKind::Storage, devices, firmware)
            .map(|reason| format!("{reason}; "))
            .collect();
        let too_small = missing.split_once(TOO_SMALL);
        let advice = if !what.is_empty() {
            NEEDS_DRIVER
        } else if too_small.is_some() {
            "plug in a disk of 4 GiB or more, or see in the firmware's setup whether its controller is there and enabled"
        } else {
            "compare the node's root device hints with the disks above, and change them, or plug in the disk"
        };
        match too_small {
            Some((_, found)) => {
                what.push_str(&cut(format!("no disk of 4 GiB or more. {found}")));
            }
            None => {
                // Its kind in front is for programs.
                let start = missing.find("No suitable").unwrap_or(0);
                what.push_str(&cut(missing[start..].to_owned()));
            }
        }
        Self::new(Topic::Disk, what, advice)
    }

    /// Devices that nothing drives, where there are any.
    pub(super) fn no_driver(devices: &[Driverless]) -> Option<Self> {
        let names: Vec<String> = devices.iter().map(Driverless::to_string).collect();
        (!names.is_empty()).then(|| {
            Self::new(
                Topic::Driver,
                format!("no driver for {}", some_of(&names)),
                "if this server needs it, build the ramdisk with its driver (KERNEL=backports)",
            )
        })
    }
}

/// Who reads without the token (contract/control-plane 5.7).
const OLDER: &str = "its Ironic is older than 29.0.0 (26.1.2, 24.1.4, 23.0.5 in their series)";

const NEEDS_DRIVER: &str =
    "build the ramdisk with its driver (KERNEL=backports) or its firmware (FIRMWARE=1)";

/// What the search says of disks where there are no hints ([`crate::block::hints::DeviceNotFound`]).
const TOO_SMALL: &str = "root device hints were not provided and all found block devices are smaller than 4294967296B. ";

/// Why ports or disks are missing, as far as that is known: `network card 0000:03:00.0 (14e4:168e) has no driver`.
fn reasons(
    kind: DriverlessKind,
    devices: &[Driverless],
    firmware: &[String],
) -> impl Iterator<Item = String> {
    let word = match kind {
        DriverlessKind::Network => "network",
        DriverlessKind::Storage => "storage",
    };
    let driverless = devices
        .iter()
        .filter(move |device| device.kind == kind)
        .map(|device| format!("{device} has no driver"));
    let asking = firmware
        .iter()
        .filter(move |line| line.starts_with(word))
        // What to build is in the advice.
        .map(|line| line.split(';').next().unwrap_or_default().to_owned());
    driverless.chain(asking).take(SHOWN)
}

/// The same behind something else.
fn because(kind: DriverlessKind, devices: &[Driverless], firmware: &[String]) -> String {
    reasons(kind, devices, firmware)
        .map(|reason| format!("; {reason}"))
        .collect()
}

/// What lies below an error.
enum Cause<'e> {
    Name(&'e NetError),
    Tls(&'e rustls::Error),
    Io(io::ErrorKind),
    Other,
}

fn cause<'e>(error: &'e (dyn Error + 'static)) -> Cause<'e> {
    let mut found = Cause::Other;
    for cause in causes(error) {
        if let Some(error @ NetError::Resolve { .. }) = cause.downcast_ref::<NetError>() {
            return Cause::Name(error);
        }
        if let Some(error) = cause.downcast_ref::<rustls::Error>() {
            return Cause::Tls(error);
        }
        if let Some(error) = cause.downcast_ref::<io::Error>()
            && error.kind() != io::ErrorKind::Other
        {
            found = Cause::Io(error.kind());
        }
    }
    found
}

/// An error and its causes. An I/O error is silent about the error within it, which is where TLS puts its own.
fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    successors(Some(error), |cause: &&'e (dyn Error + 'static)| {
        let cause: &'e (dyn Error + 'static) = *cause;
        match cause.downcast_ref::<io::Error>().map(io::Error::get_ref) {
            Some(Some(inner)) => Some(inner),
            _ => cause.source(),
        }
    })
}

/// `network port eno1`, `network ports eno1, eno2`.
fn ports_of(ports: &[String]) -> String {
    let plural = if ports.len() == 1 { "" } else { "s" };
    format!("network port{plural} {}", some_of(ports))
}

fn some_of(names: &[String]) -> String {
    let mut text = names[..names.len().min(SHOWN)].join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    text
}

/// A time in steps, so that the line changes less and less often: `10 s`, `1 min`, `2 h`.
fn about(time: Duration) -> String {
    const STEPS: [(u64, &str); 11] = [
        (0, "a moment"),
        (10, "10 s"),
        (30, "30 s"),
        (60, "1 min"),
        (120, "2 min"),
        (300, "5 min"),
        (600, "10 min"),
        (1800, "30 min"),
        (3600, "1 h"),
        (7200, "2 h"),
        (43_200, "half a day"),
    ];
    let reached = STEPS
        .iter()
        .rev()
        .find(|(seconds, _)| *seconds <= time.as_secs());
    reached.map_or("a moment", |(_, words)| words).to_owned()
}

fn cut(mut text: String) -> String {
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST));
        text.push_str("...");
    }
    text
}

/// The address, where it says where something can be found.
pub(super) fn usable_address(text: &str) -> Option<IpAddr> {
    let address: IpAddr = text.parse().ok()?;
    (!address.is_unspecified()).then_some(address)
}

#[cfg(test)]
mod tests;
