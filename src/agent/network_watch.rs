//! What is wrong with this machine's network, as far as it can be seen from here: no port, no link, no address. Looked at
//! for as long as the agent lives, since cables are pulled at any time.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::pending;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::network;
use super::status::Status;
use super::trouble::{Topic, Trouble};
use crate::inventory::driverless;
use crate::net::address::{self, InterfaceAddress};
use crate::net::links::{has_carrier, is_up};
use crate::sys::root::Root;
use crate::sys::run_files::MISSING_FIRMWARE;

const NET: &str = "/sys/class/net";

/// How often ports are looked at: some files of sysfs each time.
const LOOK: Duration = Duration::from_secs(1);

/// Devices without a driver are looked for each so many times.
const DRIVERS: u32 = 30;

/// Cards and switches need so long until they have a link.
const LINK: Duration = Duration::from_secs(5);

/// DHCP takes so long where everything is well.
const LEASE: Duration = Duration::from_secs(10);

/// Ports appear and are brought up within this time, or something is missing.
const PORTS: Duration = Duration::from_secs(30);

/// Tell for ever what is wrong, and when it is over.
pub(super) async fn watch(root: PathBuf, status: Arc<Status>) -> Infallible {
    let mut watch = Watch::default();
    for round in 0_u32.. {
        let root = root.clone();
        // Not on the threads that serve: whoever reads a card's link waits for a driver that resets that card.
        let look = spawn_blocking(move || {
            // Until then drivers and ports are still to come.
            let seen = network::has_settled(&root).then(|| {
                let root = Root::at(&root);
                let addresses = address::all().unwrap_or_default();
                let trouble = watch.look(&root, &addresses, Instant::now());
                // A driver may be loaded later, by hand or for a device that came late.
                let drivers =
                    (round % DRIVERS == 0).then(|| Trouble::no_driver(&driverless(&root)));
                (trouble, drivers)
            });
            (watch, seen)
        });
        let seen;
        (watch, seen) = look.await.unwrap_or_default();
        if let Some((trouble, drivers)) = seen {
            if let Some(drivers) = drivers {
                status.is(Topic::Driver, drivers);
            }
            status.is(Topic::Network, trouble);
        }
        sleep(LOOK).await;
    }
    pending().await
}

/// What cards have asked for in vain, a line each, as PID 1 told it.
pub(super) fn missing_firmware(root: &Root) -> Vec<String> {
    let text = root.text(MISSING_FIRMWARE).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Since when it is so.
#[derive(Debug, Default)]
struct Watch {
    began: Option<Instant>,
    linkless: Option<Instant>,
    links: BTreeMap<String, Instant>,
}

impl Watch {
    /// What is wrong at this moment.
    fn look(
        &mut self,
        root: &Root,
        addresses: &[InterfaceAddress],
        now: Instant,
    ) -> Option<Trouble> {
        let since = |moment: Instant| now.saturating_duration_since(moment);
        let age = since(*self.began.get_or_insert(now));
        let ports = ports(root);
        let up: Vec<String> = ports
            .iter()
            .filter(|port| is_up(root, port) == Some(true))
            .cloned()
            .collect();
        let linked: Vec<String> = up
            .iter()
            .filter(|port| has_carrier(root, port))
            .cloned()
            .collect();
        self.links.retain(|port, _| linked.contains(port));
        for port in &linked {
            self.links.entry(port.clone()).or_insert(now);
        }
        if !linked.is_empty() || up.is_empty() {
            self.linkless = None;
        }
        if ports.is_empty() {
            // Somebody else's network may have other interfaces, as in a container.
            let is_late = addresses.is_empty() && age >= PORTS;
            return is_late.then(|| Trouble::no_port(&driverless(root), &missing_firmware(root)));
        }
        if up.is_empty() {
            let is_late = addresses.is_empty() && age >= PORTS;
            return is_late.then(|| Trouble::ports_down(&ports, &missing_firmware(root)));
        }
        if linked.is_empty() {
            let is_late = since(*self.linkless.get_or_insert(now)) >= LINK;
            return is_late.then(|| Trouble::no_link(&up));
        }
        if !addresses.is_empty() {
            return None;
        }
        // For as long as the one that has asked longest.
        let waited = self.links.values().map(|began| since(*began)).max()?;
        (waited >= LEASE).then(|| Trouble::no_lease(&linked, waited))
    }
}

/// Ports that stand for hardware; not the host's end of a management controller, which always has a link, as long as there
/// are others.
fn ports(root: &Root) -> Vec<String> {
    let is_port = |name: &String| root.exists(format!("{NET}/{name}/device"));
    let is_internal = |name: &String| {
        let address = root.attribute(format!("{NET}/{name}/address"));
        address.is_some_and(|address| address.to_lowercase().starts_with("fa:"))
    };
    let names = root.names(NET).into_iter().filter(is_port);
    let (internal, own): (Vec<String>, Vec<String>) = names.partition(is_internal);
    if own.is_empty() { internal } else { own }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::recording::Recording;

    fn port(name: &str, flags: &str, carrier: &str) -> String {
        format!(
            "{NET}/{name}/device/\n{NET}/{name}/address = 52:54:00:00:00:01\n\
             {NET}/{name}/flags = {flags}\n{NET}/{name}/carrier = {carrier}\n"
        )
    }

    /// What is told so many seconds after the first look, of a machine that stays as it is.
    fn told(tree: &str, addresses: &[InterfaceAddress], seconds: u64) -> String {
        let recording = Recording::unpack(tree);
        let (root, mut watch, start) = (recording.root(), Watch::default(), Instant::now());
        watch.look(&root, addresses, start);
        let trouble = watch.look(&root, addresses, start + Duration::from_secs(seconds));
        trouble.map_or_else(String::new, |trouble| trouble.what)
    }

    fn address(interface: &str) -> [InterfaceAddress; 1] {
        [InterfaceAddress {
            interface: interface.to_owned(),
            address: [192, 0, 2, 7].into(),
        }]
    }

    #[test]
    fn what_is_missing_is_told_when_it_is_late() {
        let unplugged = port("eno1", "0x1003", "0") + &port("eno2", "0x1003", "0");
        let plugged = port("eno1", "0x1003", "0") + &port("eno2", "0x1043", "1");
        let down = port("eno1", "0x1002", "0");
        let lo = format!("{NET}/lo/flags = 0x9\n{NET}/lo/carrier = 1\n");
        for (tree, addresses, seconds, what) in [
            (&unplugged, &[][..], 4, ""),
            (
                &unplugged,
                &[],
                5,
                "no link on any of 2 network ports: eno1, eno2",
            ),
            // An address that stays on a port whose cable was pulled is no use.
            (
                &unplugged,
                &address("eno1"),
                5,
                "no link on any of 2 network ports: eno1, eno2",
            ),
            (&plugged, &[], 9, ""),
            (
                &plugged,
                &[],
                10,
                "no address by DHCP on eno2, asked for 10 s",
            ),
            (
                &plugged,
                &[],
                299,
                "no address by DHCP on eno2, asked for 2 min",
            ),
            (&plugged, &address("eno2"), 999, ""),
            (&down, &[], 29, ""),
            (&down, &[], 30, "network port eno1 cannot be switched on"),
            (&lo, &[], 29, ""),
            (&lo, &[], 30, "this machine has no network port"),
            (&lo, &address("bond0"), 30, ""),
        ] {
            assert_eq!(told(tree, addresses, seconds), what, "{tree} {seconds}");
        }
    }

    #[test]
    fn cards_without_driver_or_firmware_are_named_where_no_port_works() {
        let card = "/sys/bus/pci/devices/0000:03:00.0/class = 0x020000\n\
                    /sys/bus/pci/devices/0000:03:00.0/vendor = 0x14e4\n\
                    /sys/bus/pci/devices/0000:03:00.0/device = 0x168e\n";
        assert_eq!(
            told(&format!("{card}/sys/class/net/\n"), &[], 30),
            "this machine has no network port; network card 0000:03:00.0 (14e4:168e) has no driver"
        );
        let asked = "network card 0000:03:00.0 (14e4:168e bnx2x) asked for firmware x.fw, which this ramdisk \
                     does not have";
        let down = port("eno1", "0x1002", "0");
        let firmware = format!("{MISSING_FIRMWARE} = {asked}; FIRMWARE=1 builds one that has it\n");
        assert_eq!(
            told(&format!("{down}{firmware}"), &[], 30),
            format!("network port eno1 cannot be switched on; {asked}")
        );
    }

    #[test]
    fn a_pulled_cable_is_counted_from_when_it_was_pulled() {
        let recording = Recording::unpack(&port("eno1", "0x1043", "1"));
        let (mut watch, start) = (Watch::default(), Instant::now());
        let mut look = |seconds, addresses: &[InterfaceAddress]| {
            let at = start + Duration::from_secs(seconds);
            watch
                .look(&recording.root(), addresses, at)
                .map(|trouble| trouble.what)
        };
        assert_eq!(look(0, &address("eno1")), None);
        recording.add(&format!("{NET}/eno1/carrier = 0"));
        assert_eq!(look(1000, &address("eno1")), None);
        let no_link = "no link on the only network port, eno1";
        assert_eq!(look(1005, &address("eno1")).as_deref(), Some(no_link));
        recording.add(&format!("{NET}/eno1/carrier = 1"));
        assert_eq!(look(2000, &[]), None);
        let no_lease = "no address by DHCP on eno1, asked for 30 s";
        assert_eq!(look(2030, &[]).as_deref(), Some(no_lease));
        assert_eq!(look(2031, &address("eno1")), None);
    }

    /// A driver that resets its card keeps whoever reads the link waiting, and nobody else.
    #[test]
    fn a_card_that_does_not_answer_stops_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let port = directory.path().join("sys/class/net/eno1");
        std::fs::create_dir_all(port.join("device")).unwrap();
        std::fs::write(port.join("flags"), "0x1003").unwrap();
        let carrier = port.join("carrier");
        nix::unistd::mkfifo(&carrier, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let root = directory.path().to_owned();
        let (done, is_done) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()
                .unwrap();
            let status = Arc::new(Status::default());
            runtime.block_on(async {
                tokio::select! {
                    never = watch(root, status) => match never {},
                    () = sleep(Duration::from_millis(50)) => {}
                }
            });
            runtime.shutdown_background();
            let _ = done.send(());
        });
        let ended = is_done.recv_timeout(Duration::from_secs(60));
        // Whoever waits goes on.
        let _ = std::fs::write(&carrier, "0");
        ended.unwrap();
    }

    #[test]
    fn a_controllers_end_in_the_host_is_no_port() {
        let own = port("eno1", "0x1003", "0");
        let internal = port("usb0", "0x1043", "1").replace("52:54", "fa:00");
        let tree = format!("{own}{internal}");
        assert_eq!(
            told(&tree, &[], 5),
            "no link on the only network port, eno1"
        );
    }
}
