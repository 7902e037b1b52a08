//! Waiting for interfaces, addresses and a route, without waiting longer than needed.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};
use url::{Host, Url};

use super::status::Status;
use crate::init::SETTLED;
use crate::net::address::{self, InterfaceAddress};
use crate::net::links;
use crate::net::resolver::Resolver;
use crate::sys::boot_times;

/// How often the kernel is asked. A round costs some system calls; a netlink subscription would
/// save them and bring a parser along.
const POLL: Duration = Duration::from_millis(50);

/// How long udev is waited for.
pub(super) const DEVICES: Duration = Duration::from_secs(60);

/// How long interfaces are waited for (contract/control-plane 1.2, step 10).
const INTERFACES: Duration = Duration::from_secs(60);

/// After this time without a route the agent tries its luck all the same: it may go through a
/// proxy, and the try's error says more.
const ROUTE: Duration = Duration::from_secs(60);

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
    let under = |path: &str| root.join(path.trim_start_matches('/'));
    !under(boot_times::PATH).exists() || under(SETTLED).exists()
}

/// Wait for a network interface with a MAC address, at most a minute.
pub(super) async fn wait_for_interfaces(root: &Path, status: &Status) {
    let started = Instant::now();
    let mut told = false;
    while links::hardware_addresses(root).is_empty() {
        if started.elapsed() > INTERFACES {
            warn!("no network interface has appeared within a minute");
            return;
        }
        if started.elapsed() > PATIENCE && !told {
            told = true;
            status.trouble("there is no network interface yet; is its driver or firmware missing?");
        }
        sleep(POLL).await;
    }
}

/// Wait until there is a route to one of these URLs' hosts, at most a minute.
pub(super) async fn wait_for_route(urls: &[Url], resolver: &Resolver, status: &Status) {
    let started = Instant::now();
    let mut told = false;
    while route(urls, resolver).await.is_none() {
        if started.elapsed() > ROUTE {
            warn!("there is no route to the conductor; trying all the same");
            return;
        }
        if started.elapsed() > PATIENCE && !told {
            told = true;
            status.trouble("there is no route to the conductor yet; waiting for DHCP or a link");
        }
        sleep(POLL).await;
    }
}

/// The source address towards the first of these URLs that has one.
pub(super) async fn route(urls: &[Url], resolver: &Resolver) -> Option<IpAddr> {
    for url in urls {
        let addresses = match url.host()? {
            Host::Ipv4(address) => vec![address.into()],
            Host::Ipv6(address) => vec![address.into()],
            Host::Domain(name) => {
                if address::all().is_ok_and(|addresses| addresses.is_empty()) && name != "localhost"
                {
                    continue;
                }
                let looked_up = timeout(Duration::from_secs(5), resolver.addresses(name)).await;
                looked_up.ok().and_then(Result::ok).unwrap_or_default()
            }
        };
        if let Some(source) = addresses.into_iter().find_map(address::source_towards) {
            return Some(source);
        }
    }
    None
}

/// Wait until the interface that the machine was booted from has an address, or all have
/// (contract/control-plane 9.4). `limit` zero does not wait.
pub(super) async fn wait_for_dhcp(
    root: &Path,
    boot_interface: Option<&str>,
    all: bool,
    limit: Duration,
) {
    if limit.is_zero() {
        return;
    }
    let wanted = match boot_interface {
        _ if all => links::names(root),
        Some(boot) => interfaces_with(root, &mac_address(boot)),
        None => {
            warn!("there is no BOOTIF and not all interfaces are wanted; not waiting for DHCP");
            return;
        }
    };
    if wanted.is_empty() {
        warn!("no interface matches BOOTIF; not waiting for DHCP");
        return;
    }
    let started = Instant::now();
    let mut ipv6_since = None;
    while started.elapsed() < limit {
        match covered(&wanted, &address::all().unwrap_or_default()) {
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
        interfaces = wanted.join(","),
        seconds = limit.as_secs(),
        "not every interface has got an address"
    );
}

#[derive(Debug, Eq, PartialEq)]
enum Coverage {
    /// Each interface has an IPv4 address.
    Ipv4,
    /// Each has an address, some only of IPv6. The reference waits in vain here.
    Ipv6,
    /// Some have none.
    None,
}

fn covered(wanted: &[String], addresses: &[InterfaceAddress]) -> Coverage {
    let mut of_all = Coverage::Ipv4;
    for name in wanted {
        let mut own = addresses
            .iter()
            .filter(|entry| entry.interface == *name)
            .peekable();
        if own.peek().is_none() {
            return Coverage::None;
        }
        if !own.any(|entry| entry.address.is_ipv4()) {
            of_all = Coverage::Ipv6;
        }
    }
    of_all
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

fn interfaces_with(root: &Path, mac_address: &str) -> Vec<String> {
    links::names(root)
        .into_iter()
        .filter(|name| {
            let path = root.join("sys/class/net").join(name).join("address");
            std::fs::read_to_string(path)
                .is_ok_and(|address| address.trim().eq_ignore_ascii_case(mac_address))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn every_interface_counts() {
        let entry = |interface: &str, address: &str| InterfaceAddress {
            interface: interface.to_owned(),
            address: address.parse().unwrap(),
        };
        let wanted = ["a".to_owned(), "b".to_owned()];
        let mut addresses = vec![entry("a", "10.0.0.1"), entry("c", "10.0.0.3")];
        assert_eq!(covered(&wanted, &addresses), Coverage::None);
        addresses.push(entry("b", "2001:db8::2"));
        assert_eq!(covered(&wanted, &addresses), Coverage::Ipv6);
        addresses.push(entry("b", "10.0.0.2"));
        assert_eq!(covered(&wanted, &addresses), Coverage::Ipv4);
    }

    #[tokio::test]
    async fn a_route_is_found_at_once() {
        let urls = [Url::parse("http://127.0.0.1:6385/").unwrap()];
        let source = route(&urls, &Resolver::default()).await;
        assert_eq!(source, Some(IpAddr::from([127, 0, 0, 1])));
    }
}
