//! Waiting for interfaces, addresses and a route, without waiting longer than needed.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};
use url::{Host, Url};

use super::status::Status;
use super::trouble::{Topic, Trouble};
use crate::init;
use crate::net::address::{self, InterfaceAddress};
use crate::net::links::{Link, Links};
use crate::net::resolver::Resolver;
use crate::sys::boot_times;
use crate::sys::root::Root;
use crate::sys::run_files::SETTLED;

/// How often the kernel is asked. A round costs some system calls; a netlink subscription would
/// save them and bring a parser along.
const POLL: Duration = Duration::from_millis(50);

/// How long udev is waited for.
pub(super) const DEVICES: Duration = Duration::from_secs(60);

/// How long interfaces are waited for (contract/control-plane 1.2, step 10).
pub(super) const INTERFACES: Duration = Duration::from_secs(60);

/// Where only interfaces have appeared that may belong to the management controller, the machine's
/// own get this long to follow.
const OWN_INTERFACES: Duration = Duration::from_secs(5);

/// After this time without a route the agent tries its luck all the same: it may go through a
/// proxy, and the try's error says more.
const ROUTE: Duration = Duration::from_secs(60);

/// How long one lookup may take here. A name server that does not answer takes 5 s of it, and the
/// next one is asked only then.
const LOOKUP: Duration = Duration::from_secs(20);

/// When the person at the console is told that something is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// An interface that has got an IPv6 address only gets this long for IPv4 to follow.
const IPV4_GRACE: Duration = Duration::from_secs(5);

/// Wait until udev has handled every device of the boot, where PID 1 is ours and says so. A driver
/// that hangs must not keep the agent from the conductor for ever.
pub(super) async fn wait_for_devices(root: &Path, status: &Status) {
    let started = Instant::now();
    let mut told = false;
    while !has_settled(root) {
        if started.elapsed() > DEVICES {
            warn!("udev has not handled all devices within a minute; going on without the rest");
            return;
        }
        if started.elapsed() > PATIENCE && !told {
            told = true;
            status.trouble("udev is still handling devices");
        }
        sleep(POLL).await;
    }
}

/// Whether udev has handled every device of the boot; true where PID 1 is not ours and says nothing.
pub(super) fn has_settled(root: &Path) -> bool {
    !is_our_ramdisk(root) || under(root, SETTLED).exists()
}

/// Whether PID 1 of this machine is ours.
fn is_our_ramdisk(root: &Path) -> bool {
    under(root, boot_times::PATH).exists()
}

fn under(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

/// Wait for a network interface that counts, as inventory and lookup have it, at most a minute.
pub(super) async fn wait_for_interfaces(root: &Path, status: &Status) {
    let started = Instant::now();
    let root = Root::at(root);
    let mut told = false;
    loop {
        let links = Links::of(&root);
        let limit = match links.counted.is_empty() {
            true => INTERFACES,
            false if links.are_doubtful() => OWN_INTERFACES,
            false => return,
        };
        if started.elapsed() > limit {
            if links.counted.is_empty() {
                warn!("no network interface has appeared within a minute");
            }
            return;
        }
        if started.elapsed() > PATIENCE && !told {
            told = true;
            status.doing("waiting for network ports");
        }
        sleep(POLL).await;
    }
}

/// Wait until this machine has an address, at most a minute.
pub(super) async fn wait_for_address() {
    let started = Instant::now();
    while address::all().is_ok_and(|addresses| addresses.is_empty()) && started.elapsed() < ROUTE {
        sleep(POLL).await;
    }
}

/// Wait until there is a route to one of these URLs' hosts, at most a minute.
pub(super) async fn wait_for_route(urls: &[Url], resolver: &Resolver, status: &Status) {
    let started = Instant::now();
    let mut told = Vec::new();
    while route(urls, resolver).await.is_none() {
        if started.elapsed() > ROUTE {
            warn!("there is no route to the conductor; trying all the same");
            return;
        }
        // Before there is an address, links and DHCP are looked at elsewhere.
        let own = address::all().unwrap_or_default();
        if started.elapsed() > PATIENCE && own != told {
            tell_way(urls, resolver, &own, status).await;
            told = own;
        }
        sleep(POLL).await;
    }
    status.over(Topic::Route);
}

/// Tell what is in the way where this machine has these addresses.
async fn tell_way(urls: &[Url], resolver: &Resolver, own: &[InterfaceAddress], status: &Status) {
    let name = urls.first().and_then(Url::host_str);
    let Some(name) = name.filter(|_| !own.is_empty()) else {
        return;
    };
    let trouble = match timeout(LOOKUP, resolver.addresses(name)).await {
        Ok(Ok(addresses)) => Trouble::no_route(name, &addresses, own),
        Ok(Err(error)) => Trouble::no_name(&error),
        Err(_) => Trouble::no_answer_for(name, LOOKUP),
    };
    status.is(Topic::Route, Some(trouble));
}

/// The source address towards the first of these URLs that has one.
pub(super) async fn route(urls: &[Url], resolver: &Resolver) -> Option<IpAddr> {
    for url in urls {
        let addresses = addresses_of(url, resolver).await;
        if let Some(source) = addresses.into_iter().find_map(address::source_towards) {
            return Some(source);
        }
    }
    None
}

/// The addresses of the hosts of these URLs, as far as they are known.
pub(super) async fn addresses(urls: &[Url], resolver: &Resolver) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for url in urls {
        addresses.extend(addresses_of(url, resolver).await);
    }
    addresses
}

async fn addresses_of(url: &Url, resolver: &Resolver) -> Vec<IpAddr> {
    match url.host() {
        Some(Host::Ipv4(address)) => vec![address.into()],
        Some(Host::Ipv6(address)) => vec![address.into()],
        Some(Host::Domain(name)) if may_be_reached(name) => {
            let looked_up = timeout(LOOKUP, resolver.addresses(name)).await;
            looked_up.ok().and_then(Result::ok).unwrap_or_default()
        }
        Some(Host::Domain(_)) | None => Vec::new(),
    }
}

/// Whether it makes sense to ask this host, an address or a name: there is a route to the address,
/// or an address of this machine from which the name could be looked up. Sends nothing.
pub(super) fn may_be_reached(host: &str) -> bool {
    match host.parse() {
        Ok(address) => address::source_towards(address).is_some(),
        Err(_) => {
            host == "localhost" || address::all().is_ok_and(|addresses| !addresses.is_empty())
        }
    }
}

/// Wait until the interface that the machine was booted from has an address, or all have that get
/// one (contract/control-plane 9.4). `limit` zero does not wait.
pub(super) async fn wait_for_dhcp(
    root: &Path,
    boot_interface: Option<&str>,
    all: bool,
    limit: Duration,
) {
    if limit.is_zero() {
        return;
    }
    let started = Instant::now();
    // Until a plan is made, nobody knows which interfaces there are to be.
    while is_our_ramdisk(root) && init::is_network_awaited(&Root::at(root)) {
        if started.elapsed() >= limit {
            break;
        }
        sleep(POLL).await;
    }
    let wanted = match boot_interface {
        _ if all => Wanted::Every(names(root, |_| true)),
        Some(boot) => {
            let address = mac_address(boot);
            Wanted::Any(names(root, |link| link.has_address(&address)))
        }
        None => {
            warn!("there is no BOOTIF and not all interfaces are wanted; not waiting for DHCP");
            return;
        }
    };
    if wanted.names().is_empty() {
        warn!("no interface matches BOOTIF; not waiting for DHCP");
        return;
    }
    let mut ipv6_since = None;
    while started.elapsed() < limit {
        match wanted.coverage(&address::all().unwrap_or_default()) {
            Coverage::Ipv4 => return,
            Coverage::Ipv6 => {
                let since = *ipv6_since.get_or_insert_with(Instant::now);
                if since.elapsed() > IPV4_GRACE {
                    info!("the interfaces have IPv6 addresses only");
                    return;
                }
            }
            Coverage::None => ipv6_since = None,
        }
        sleep(POLL).await;
    }
    warn!(
        interfaces = wanted.names().join(","),
        seconds = limit.as_secs(),
        "not every interface has got an address"
    );
}

/// The interfaces that inventory and lookup have, and that can get an address at all: in our ramdisk
/// none on top of others does.
fn names(root: &Path, wanted: impl Fn(&Link) -> bool) -> Vec<String> {
    let ours = is_our_ramdisk(root);
    let root = Root::at(root);
    Links::of(&root)
        .counted
        .into_iter()
        .filter(|link| wanted(link) && !(ours && init::gets_no_address(&root, &link.name)))
        .map(|link| link.name)
        .collect()
}

/// Interfaces that shall have an address.
#[derive(Debug)]
enum Wanted {
    /// One of these: a bond or a VLAN can have the address of the card below it, and then one of the
    /// two is used.
    Any(Vec<String>),
    /// Each of these.
    Every(Vec<String>),
}

/// How well interfaces are provided with addresses, the better the greater.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Coverage {
    /// Some that must have one have none.
    None,
    /// Each has an address, some only of IPv6. The reference waits in vain here.
    Ipv6,
    /// Each interface has an IPv4 address.
    Ipv4,
}

impl Wanted {
    fn names(&self) -> &[String] {
        let (Self::Any(names) | Self::Every(names)) = self;
        names
    }

    fn coverage(&self, addresses: &[InterfaceAddress]) -> Coverage {
        let each = self.names().iter().map(|name| {
            let own = addresses.iter().filter(|entry| entry.interface == *name);
            own.map(|entry| match entry.address {
                IpAddr::V4(_) => Coverage::Ipv4,
                IpAddr::V6(_) => Coverage::Ipv6,
            })
            .max()
            .unwrap_or(Coverage::None)
        });
        match self {
            Self::Any(_) => each.max(),
            Self::Every(_) => each.min(),
        }
        .unwrap_or(Coverage::None)
    }
}

/// The MAC address in BOOTIF, which comes as `aa:bb:…` or, from PXELINUX, with the hardware type
/// of ARP before it: `01-aa-bb-…` for Ethernet, `20-…` for InfiniBand.
fn mac_address(boot_interface: &str) -> String {
    let text = boot_interface.to_lowercase().replace('-', ":");
    match text.split_once(':') {
        Some((_, rest)) if text.split(':').count() == 7 => rest.to_owned(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::recording::Recording;

    #[test]
    fn every_form_of_bootif_is_understood() {
        for (boot_interface, mac) in [
            ("01-AA-bb-cc-dd-ee-ff", "aa:bb:cc:dd:ee:ff"),
            ("20-AA-bb-cc-dd-ee-ff", "aa:bb:cc:dd:ee:ff"),
            ("aa-bb-cc-dd-ee-ff", "aa:bb:cc:dd:ee:ff"),
            ("", ""),
            ("aa:bb:cc:dd:ee:ff", "aa:bb:cc:dd:ee:ff"),
            ("01:02:03:04:05:06", "01:02:03:04:05:06"),
        ] {
            assert_eq!(mac_address(boot_interface), mac);
        }
    }

    fn entry(interface: &str, address: &str) -> InterfaceAddress {
        InterfaceAddress {
            interface: interface.to_owned(),
            address: address.parse().unwrap(),
        }
    }

    #[test]
    fn every_interface_counts() {
        let wanted = Wanted::Every(vec!["a".to_owned(), "b".to_owned()]);
        let mut addresses = vec![entry("a", "10.0.0.1"), entry("c", "10.0.0.3")];
        assert_eq!(wanted.coverage(&addresses), Coverage::None);
        addresses.push(entry("b", "2001:db8::2"));
        assert_eq!(wanted.coverage(&addresses), Coverage::Ipv6);
        addresses.push(entry("b", "10.0.0.2"));
        assert_eq!(wanted.coverage(&addresses), Coverage::Ipv4);
    }

    #[test]
    fn one_interface_of_the_address_is_enough() {
        let wanted = Wanted::Any(vec!["bond0".to_owned(), "eno1".to_owned()]);
        assert_eq!(wanted.coverage(&[entry("c", "10.0.0.3")]), Coverage::None);
        let addresses = [entry("bond0", "10.0.0.1")];
        assert_eq!(wanted.coverage(&addresses), Coverage::Ipv4);
    }

    /// A card in a bond, the bond, a VLAN, the management controller's end, an InfiniBand port.
    const MACHINE: &str = "\
/sys/class/net/eno1/address = 52:54:00:aa:bb:02
/sys/class/net/eno1/device/
/sys/class/net/eno2/address = 52:54:00:aa:bb:02
/sys/class/net/eno2/device/
/sys/class/net/bond0/address = 52:54:00:aa:bb:02
/sys/class/net/bond0/bonding/
/sys/class/net/bond0.7/address = 52:54:00:aa:bb:02
/sys/class/net/eno9/address = fa:00:00:00:00:01
/sys/class/net/eno9/device/
/sys/class/net/ibs2/address = 80:00:02:48:fe:80:00:00:00:00:00:00:7c:fe:90:03:00:29:26:52
/sys/class/net/ibs2/device/vendor = 0x15b3
/recorded/ethtool.json = {\"eno1\": {\"permanent_address\": \"52:54:00:aa:bb:01\"}}";

    #[test]
    fn only_what_can_get_an_address_is_waited_for() {
        let recording = Recording::unpack(MACHINE);
        let names = |wanted: &str| {
            let wanted = mac_address(wanted);
            let root = recording.root().path("/");
            names(&root, |link| wanted.is_empty() || link.has_address(&wanted))
        };
        // Whoever else runs DHCP may do so on a bond.
        assert_eq!(names(""), ["bond0", "bond0.7", "eno1", "eno2", "ibs2"]);
        recording.add("/run/farrier/boot-times =");
        assert_eq!(names(""), ["eno1", "eno2", "ibs2"]);
        assert_eq!(names("01-52-54-00-aa-bb-01"), ["eno1"]);
        assert_eq!(names("20-7c-fe-90-29-26-52"), ["ibs2"]);
        assert!(names("fa:00:00:00:00:01").is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn udev_is_waited_for_where_pid_1_says_when_it_has_settled() {
        let recording = Recording::unpack("/run/");
        let root = recording.root().path("/");
        let wait = async || {
            let started = Instant::now();
            wait_for_devices(&root, &Status::default()).await;
            started.elapsed().as_secs()
        };
        assert_eq!(wait().await, 0);
        recording.add(&format!("{} =", boot_times::PATH));
        assert_eq!(wait().await, 60);
        recording.add(&format!("{SETTLED} ="));
        assert_eq!(wait().await, 0);
    }

    async fn waited(tree: &str) -> u64 {
        let recording = Recording::unpack(tree);
        let started = Instant::now();
        let root = recording.root().path("/");
        wait_for_interfaces(&root, &Status::default()).await;
        started.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn an_interface_is_waited_for_until_inventory_and_lookup_have_one() {
        let card =
            |mac: &str| format!("/sys/class/net/eno1/address = {mac}\n/sys/class/net/eno1/device/");
        assert_eq!(waited(&card("52:54:00:aa:bb:01")).await, 0);
        assert_eq!(waited(&card("fa:16:3e:00:00:01")).await, 0);
        // The machine's own card may be late.
        assert_eq!(waited(&card("fa:00:00:00:00:01")).await, 5);
        assert_eq!(
            waited("/sys/class/net/lo/address = 00:00:00:00:00:00").await,
            60
        );
    }

    #[test]
    fn a_host_that_may_be_reached_is_known_without_a_word() {
        assert!(may_be_reached("127.0.0.1"));
        assert!(may_be_reached("localhost"));
        // The kernel lets nobody send there who has not asked for broadcasts.
        assert!(!may_be_reached("255.255.255.255"));
    }

    #[tokio::test]
    async fn a_route_is_found_at_once() {
        let urls = [Url::parse("http://127.0.0.1:6385/").unwrap()];
        let source = route(&urls, &Resolver::default()).await;
        assert_eq!(source, Some(IpAddr::from([127, 0, 0, 1])));
    }
}
