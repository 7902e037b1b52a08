//! What dhcpcd is told: every wired interface as its link appears, IPv4 and IPv6, leases renewed
//! for as long as the ramdisk runs, and which interface owns default route and DNS.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::boot_interface::{HardwareAddress, named_interface};

/// The configuration that PID 1 writes for dhcpcd.
pub(super) const CONFIGURATION: &str = "/run/farrier/dhcpcd.conf";

/// The lease hook: farrier itself under this name, so that no shell runs on the boot path.
const HOOK: &str = "/usr/bin/farrier-lease";

/// How long after udev has settled the boot interface may still be missing before the network
/// starts without it. Drivers of large cards need seconds after their probe.
const PATIENCE: Duration = Duration::from_secs(10);

/// For all interfaces. Choices that are not dhcpcd's defaults:
/// - `noarp`, `nodelay`: no probing and no random pause before an address is used. The server has
///   just given the address to the hardware address that booted, and the probes take 5 s.
/// - `noipv4ll`: 169.254 addresses would look like a network where there is none.
/// - `clientid`: the hardware address, as PXE firmware sends it, so that the ramdisk gets the
///   address of the network boot. The default, RFC 4361, would be a second client to the server.
/// - `slaac hwaddr`: the same IPv6 address at every boot.
/// - `timeout 0`: a server whose switch port comes up late still gets its address.
/// - `persistent`: a dhcpcd that dies leaves the addresses in place until it is started again.
/// - denied are interfaces on top of others; the agent makes VLANs without addresses, as the
///   reference does.
const COMMON: &str = "\
denyinterfaces lo bond* dummy* ipvlan* macvlan* tun* tap* veth* *.*
persistent
nodelay
noarp
noipv4ll
timeout 0
clientid
vendorclassid farrier
slaac hwaddr
option domain_name_servers, domain_name, domain_search
option classless_static_routes, interface_mtu, ntp_servers, rapid_commit
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

/// What has to happen to dhcpcd.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Decision {
    /// Nothing yet.
    Wait,
    /// Write a configuration with this owner and start dhcpcd, or start it again.
    Start {
        /// The interface that owns default route and DNS; `None` leaves both to dhcpcd's order.
        owner: Option<String>,
    },
    /// Nothing more.
    Done,
}

/// Waits for the boot interface.
#[derive(Debug)]
pub(super) struct Network {
    wanted: Option<HardwareAddress>,
    state: State,
}

#[derive(Debug, Eq, PartialEq)]
enum State {
    Waiting,
    /// Started without the boot interface, which may still come.
    Ownerless,
    Done,
}

impl Network {
    /// With the value of the kernel parameter `BOOTIF`, if there is one that can be read.
    pub(super) fn new(wanted: Option<HardwareAddress>) -> Self {
        Self {
            wanted,
            state: State::Waiting,
        }
    }

    /// Whether [`Self::decide`] still has to be asked.
    pub(super) fn is_open(&self) -> bool {
        self.state != State::Done
    }

    /// Look for the boot interface below `root`. `settled` says since when udev has nothing left
    /// to do.
    pub(super) fn decide(
        &mut self,
        root: &Path,
        settled: Option<Instant>,
        now: Instant,
    ) -> Decision {
        if self.state == State::Done {
            return Decision::Done;
        }
        let Some(wanted) = self.wanted else {
            self.state = State::Done;
            return Decision::Start { owner: None };
        };
        if let Some(owner) = named_interface(root, wanted) {
            self.state = State::Done;
            return Decision::Start { owner: Some(owner) };
        }
        let patience_is_over = settled.is_some_and(|since| now.duration_since(since) >= PATIENCE);
        if self.state == State::Waiting && patience_is_over {
            self.state = State::Ownerless;
            return Decision::Start { owner: None };
        }
        Decision::Wait
    }
}

/// Write dhcpcd's configuration.
pub(super) fn write_configuration(owner: Option<&str>) -> io::Result<()> {
    let has_uuid = Path::new("/sys/class/dmi/id/product_uuid").exists();
    fs::write(CONFIGURATION, configuration(owner, has_uuid))
}

/// With a UUID in its firmware a machine calls itself by that in DHCPv6, as UEFI and iPXE do
/// (RFC 6355); dhcpcd does so by itself. Without one it would make a name from the time of day,
/// and be another client at every boot.
const WITHOUT_UUID: &str = "duid ll\n";

fn configuration(owner: Option<&str>, has_uuid: bool) -> String {
    let mut text = format!("# Written by farrier init.\nscript {HOOK}\n");
    if !has_uuid {
        // Before clientid, which takes the name back from DHCPv4.
        text.push_str(WITHOUT_UUID);
    }
    text.push_str(COMMON);
    if let Some(owner) = owner {
        text.push_str(OTHERS);
        text.push_str(&format!(
            "env boot_interface={owner}\ninterface {owner}\n{OWNER}"
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(root: &Path) {
        let directory = root.join("sys/class/net/ens3");
        fs::create_dir_all(directory.join("device")).unwrap();
        fs::write(directory.join("address"), "52:54:00:12:34:56\n").unwrap();
        fs::write(directory.join("ifindex"), "2\n").unwrap();
        fs::create_dir_all(root.join("run/udev/data")).unwrap();
        fs::write(root.join("run/udev/data/n2"), "").unwrap();
    }

    #[test]
    fn without_bootif_the_network_starts_at_once() {
        let mut network = Network::new(None);
        let root = tempfile::tempdir().unwrap();
        let now = Instant::now();
        assert_eq!(
            network.decide(root.path(), None, now),
            Decision::Start { owner: None }
        );
        assert!(!network.is_open());
    }

    #[test]
    fn the_boot_interface_is_waited_for_and_taken_late() {
        let root = tempfile::tempdir().unwrap();
        let mut network = Network::new(HardwareAddress::parse("52:54:00:12:34:56"));
        let start = Instant::now();
        let decide = |network: &mut Network, settled, seconds| {
            network.decide(root.path(), settled, start + Duration::from_secs(seconds))
        };
        assert_eq!(decide(&mut network, None, 30), Decision::Wait);
        assert_eq!(decide(&mut network, Some(start), 9), Decision::Wait);
        assert_eq!(
            decide(&mut network, Some(start), 10),
            Decision::Start { owner: None }
        );
        assert_eq!(decide(&mut network, Some(start), 11), Decision::Wait);
        card(root.path());
        let owner = Some("ens3".to_owned());
        assert_eq!(
            decide(&mut network, Some(start), 12),
            Decision::Start { owner }
        );
        assert_eq!(decide(&mut network, Some(start), 13), Decision::Done);
    }

    #[test]
    fn only_the_owner_gets_a_gateway() {
        let text = configuration(Some("ens3"), true);
        let (all, owner) = text.split_once("interface ens3\n").unwrap();
        assert!(
            all.contains("\nnogateway\n") && owner.starts_with("gateway\n"),
            "{text}"
        );
        assert!(!configuration(None, false).contains("gateway"));
    }
}
