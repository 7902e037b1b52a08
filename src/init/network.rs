//! What dhcpcd is told: every wired interface as its link appears, IPv4 and IPv6, leases renewed
//! for as long as the ramdisk runs, and which interface owns default route and DNS.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::boot_interface::named_interface;
use super::dhcp_part::{DhcpPart, Owner};
use super::duid;
use super::infiniband;
use crate::net::hardware_address::HardwareAddress;
use crate::sys::root::Root;
use crate::sys::run_files;

/// The configuration that PID 1 writes for dhcpcd.
pub(super) const CONFIGURATION: &str = run_files::DHCPCD_CONF;

/// How the hook is told which interface the server booted from: a variable of its environment.
pub(super) const OWNER_VARIABLE: &str = "boot_interface";

/// The lease hook: farrier itself under this name, so that no shell runs on the boot path.
const HOOK: &str = "/usr/bin/farrier-lease";

/// How often the boot interface is looked for until the network has started. A look costs some ten
/// system calls; udev needs longer than that for one event.
const LOOK: Duration = Duration::from_millis(50);

/// How often it is looked for after that.
const WATCH: Duration = Duration::from_secs(5);

/// How long after udev has settled the boot interface may still be missing before the network
/// starts without it. Drivers of large cards need seconds after their probe.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a plan is waited for after udev has settled or its program was started, whichever was later: longer than the
/// program itself waits for cards.
const PLAN_PATIENCE: Duration = Duration::from_secs(15);

/// How long a plan is waited for where udev never settles: longer than its program waits for that. A program that dies again
/// and again keeps DHCP from nobody either.
const PLAN_LIMIT: Duration = Duration::from_secs(75);

/// What gets no address, in dhcpcd's words: interfaces on top of others. The agent makes VLANs
/// without addresses, as the reference does.
const DENIED: [&str; 9] = [
    "lo", "bond*", "dummy*", "ipvlan*", "macvlan*", "tun*", "tap*", "veth*", "*.*",
];

/// Whether an interface of this name gets no address in this ramdisk, so that nobody should wait for
/// one. A plan of the network says so of what it names.
pub(crate) fn gets_no_address(root: &Root, name: &str) -> bool {
    let planned = DhcpPart::read(root).and_then(|part| part.gets_no_address(name));
    planned.unwrap_or_else(|| is_denied(name))
}

fn is_denied(name: &str) -> bool {
    DENIED
        .iter()
        .any(|pattern| match pattern.strip_suffix('*') {
            Some("*.") => name.contains('.'),
            Some(prefix) => name.starts_with(prefix),
            None => name == *pattern,
        })
}

/// For all interfaces. Choices that are not dhcpcd's defaults:
/// - `noarp`, `nodelay`: no probing and no random pause before an address is used. The server has
///   just given the address to the hardware address that booted, and the probes take 5 s.
/// - `noipv4ll`: 169.254 addresses would look like a network where there is none.
/// - `clientid`: the hardware address, as PXE firmware sends it, so that the ramdisk gets the
///   address of the network boot. The default, RFC 4361, would be a second client to the server.
/// - `vendclass`: the same word for DHCPv6 (option 16), where dhcpcd would tell its version, the kernel's and
///   the processor's. The enterprise number in front of it is dhcpcd's own, which has it from IANA.
/// - `dhcp6_ntp_server`: dhcpcd asks for the older time servers of RFC 4075 alone. Whoever names one option of
///   DHCPv6 has to name all that are wanted.
/// - `slaac hwaddr`: the same IPv6 address at every boot.
/// - `timeout 0`: a server whose switch port comes up late still gets its address.
/// - `persistent`: a dhcpcd that dies leaves the addresses in place until it is started again.
/// - [`DENIED`].
const COMMON: &str = "\
persistent
nodelay
noarp
noipv4ll
timeout 0
clientid
vendorclassid farrier
vendclass 40712 farrier
slaac hwaddr
option domain_name_servers, domain_name, domain_search
option classless_static_routes, interface_mtu, ntp_servers, rapid_commit
option dhcp6_name_servers, dhcp6_domain_search, dhcp6_ntp_server, dhcp6_sntp_servers, dhcp6_rapid_commit
require dhcp_server_identifier
";

/// With a boot interface: all others get their connected routes only.
const OTHERS: &str = "\
nogateway
nooption classless_static_routes, ms_classless_static_routes, static_routes
";

/// For the boot interface, the opposite of [`OTHERS`].
const OWNER: &str = "\
gateway
option classless_static_routes
";

/// dhcpcd is to be started, or started again.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Start {
    /// The card that the machine was booted from. Without a plan it owns default route and DNS; without either dhcpcd
    /// decides by itself.
    pub(super) owner: Option<String>,
    /// What a plan leaves to dhcpcd, with the owner of that.
    pub(super) part: Option<DhcpPart>,
    pub(super) restart: Restart,
}

/// How a dhcpcd that runs already is to end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Restart {
    /// Addresses and routes stay: the owner that went away took its own along.
    Gently,
    /// They go, since other cards have default routes, which dhcpcd would take for somebody else's
    /// when it starts again.
    WithoutRoutes,
}

/// Waits for the boot interface, and watches it.
#[derive(Debug)]
pub(super) struct Network {
    wanted: Option<HardwareAddress>,
    /// Whether virtual media may still name the boot interface.
    awaits_parameters: bool,
    /// The owner that dhcpcd was started with; the outer `None` says that it was not.
    started: Option<Option<String>>,
    planned: Planned,
    /// What the plan is made of that is being made, or was.
    source: Option<Vec<u8>>,
    /// The part of a plan that dhcpcd was started with.
    started_part: Option<DhcpPart>,
}

/// Whether something plans the network.
#[derive(Debug)]
enum Planned {
    /// Nothing does.
    No,
    /// `farrier-network` is at it since then.
    Awaited(Instant),
    /// This is left to dhcpcd.
    Known(DhcpPart),
}

impl Network {
    /// With the value of `BOOTIF`, if there is one that can be read. `awaits_parameters` says that
    /// virtual media are to bring more parameters.
    pub(super) fn new(wanted: Option<HardwareAddress>, awaits_parameters: bool) -> Self {
        Self {
            wanted,
            awaits_parameters,
            started: None,
            planned: Planned::No,
            source: None,
            started_part: None,
        }
    }

    /// Whether a plan is to be made of this, which is to be told apart from what one was made of before: each agent says
    /// that virtual media were looked at, and one that is started again must not take the network down.
    pub(super) fn takes_source(&mut self, source: Vec<u8>) -> bool {
        let is_new = self.source.as_ref() != Some(&source);
        self.source = Some(source);
        is_new
    }

    /// A plan is being made from now on: dhcpcd, which does not run, waits for it.
    pub(super) fn await_plan(&mut self, now: Instant) {
        self.planned = Planned::Awaited(now);
        self.started = None;
        self.started_part = None;
    }

    /// Whether a plan is being made.
    pub(super) fn awaits_plan(&self) -> bool {
        matches!(self.planned, Planned::Awaited(_))
    }

    /// What the plan leaves to dhcpcd. `None`, which cannot be read, and all of it are as without a plan.
    pub(super) fn planned(&mut self, part: Option<DhcpPart>) {
        self.planned = part
            .filter(|part| *part != DhcpPart::all())
            .map_or(Planned::No, Planned::Known);
    }

    /// How soon [`Self::decide`] has to be asked again.
    pub(super) fn next_look(&self) -> Duration {
        if self.started.is_none() { LOOK } else { WATCH }
    }

    /// All parameters are known; this is the value of `BOOTIF` among them.
    pub(super) fn parameters_known(&mut self, wanted: Option<HardwareAddress>) {
        self.wanted = wanted;
        self.awaits_parameters = false;
    }

    /// Whether a parameter names one.
    pub(super) fn has_boot_interface(&self) -> bool {
        self.wanted.is_some()
    }

    /// Look for the boot interface below `root`. `settled` says since when udev has nothing left
    /// to do.
    pub(super) fn decide(
        &mut self,
        root: &Path,
        settled: Option<Instant>,
        now: Instant,
    ) -> Option<Start> {
        match &self.planned {
            Planned::No => {}
            Planned::Known(part) => return self.decide_planned(root, part.clone()),
            Planned::Awaited(since) => {
                let is_late =
                    |settled: Instant| now.duration_since(settled.max(*since)) >= PLAN_PATIENCE;
                let is_over =
                    settled.is_some_and(is_late) || now.duration_since(*since) >= PLAN_LIMIT;
                if self.started.is_none() && !is_over {
                    return None;
                }
            }
        }
        let owner = self.boot_card(root);
        let patience_is_over = settled.is_some_and(|since| now.duration_since(since) >= PATIENCE);
        let start = match (&self.started, &owner) {
            // A dhcpcd without an owner would have to be started again.
            (None, _) if self.awaits_parameters => patience_is_over,
            (None, None) => self.wanted.is_none() || patience_is_over,
            (None, Some(_)) => true,
            // Came late, or under another name after a hot-plug, or virtual media name another.
            (Some(before), Some(_)) => *before != owner,
            // Gone. Nothing else may take its place as the owner.
            (Some(_), None) => false,
        };
        if !start {
            return None;
        }
        let restart = match &self.started {
            Some(Some(before)) if !root.join("sys/class/net").join(before).exists() => {
                Restart::Gently
            }
            _ => Restart::WithoutRoutes,
        };
        self.started = Some(owner.clone());
        Some(Start {
            owner,
            part: None,
            restart,
        })
    }

    fn boot_card(&self, root: &Path) -> Option<String> {
        self.wanted.and_then(|wanted| named_interface(root, wanted))
    }

    fn decide_planned(&mut self, root: &Path, part: DhcpPart) -> Option<Start> {
        if self.started_part.as_ref() == Some(&part) {
            return None;
        }
        let same_owner = |before: &DhcpPart| before.owner == part.owner;
        let restart = if self.started_part.as_ref().is_some_and(same_owner) {
            Restart::Gently
        } else {
            Restart::WithoutRoutes
        };
        self.started = Some(None);
        self.started_part = Some(part.clone());
        Some(Start {
            owner: self.boot_card(root),
            part: Some(part),
            restart,
        })
    }
}

/// Write dhcpcd's configuration below `root`, and its name where the firmware has one. What could not be
/// written is told, a line each: the network is to come up without a name too.
pub(super) fn write_configuration(root: &Path, start: &Start) -> Vec<String> {
    let mut failures = Vec::new();
    let has_name = duid::write(root).unwrap_or_else(|error| {
        failures.push(format!(
            "Could not write dhcpcd's DUID ({error}); going on without"
        ));
        false
    });
    let file = root.join(CONFIGURATION.trim_start_matches('/'));
    let text = configuration(start, has_name) + &infiniband::configuration(root);
    if let Err(error) = fs::write(file, text) {
        failures.push(format!("Could not write {CONFIGURATION} ({error})"));
    }
    failures
}

/// Of the first hardware address. Otherwise dhcpcd would take the time of day into its name, and be
/// another client at every boot.
const WITHOUT_NAME: &str = "duid ll\n";

fn configuration(start: &Start, has_name: bool) -> String {
    let mut text = format!("# Written by farrier init.\nscript {HOOK}\n");
    if !has_name {
        // Before clientid, which takes the name back from DHCPv4.
        text.push_str(WITHOUT_NAME);
    }
    let part = start.part.as_ref();
    let denied = part.map_or(DENIED.map(str::to_owned).to_vec(), |part| {
        part.denied(&DENIED)
    });
    text.push_str(&format!("denyinterfaces {}\n", denied.join(" ")));
    match part.and_then(DhcpPart::allowed) {
        Some(names) if names.is_empty() => text.push_str("denyinterfaces *\n"),
        Some(names) => text.push_str(&format!("allowinterfaces {}\n", names.join(" "))),
        None => {}
    }
    text.push_str(COMMON);
    text.push_str(&part.map(DhcpPart::options).unwrap_or_default());
    let owner = match part.map(|part| &part.owner) {
        None => start.owner.as_deref(),
        Some(Owner::Interface(name)) => Some(name.as_str()),
        Some(Owner::Any | Owner::Nobody) => None,
    };
    let is_nobody = part.is_some_and(|part| part.owner == Owner::Nobody);
    if owner.is_some() || is_nobody {
        text.push_str(OTHERS);
    }
    if let Some(owner) = owner {
        text.push_str(&format!("env {OWNER_VARIABLE}={owner}\n"));
    }
    text.push_str(&part.map(DhcpPart::blocks).unwrap_or_default());
    if let Some(owner) = owner {
        text.push_str(&format!("interface {owner}\n{OWNER}"));
    }
    text
}

#[cfg(test)]
mod tests;
