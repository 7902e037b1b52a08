//! NVMe over fabrics: the kernel connects to what the NVMe Boot Firmware Tables name.

use std::io;
use std::net::IpAddr;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tracing::{debug, info};

use super::attempt::{Attempt, SanError, load};
use crate::net::boot_table::nbft::{Nbft, Subsystem};
use crate::sys::nvme_fabrics;
use crate::sys::root::Root;

const CONTROLLERS: &str = "/sys/class/nvme";

const NO_ANSWER: &str = "it did not answer in the time that there is for storage networks; the kernel may connect to it still";

/// Connect to every subsystem of firmware's tables.
pub(super) fn connect(root: &Root, attempt: &mut Attempt) {
    for table in Nbft::read_all(root) {
        match table {
            Ok(table) => connect_all(root, attempt, &table),
            Err(source) => attempt.failed(SanError::Table(source)),
        }
    }
}

fn connect_all(root: &Root, attempt: &mut Attempt, table: &Nbft) {
    for unusable in &table.unusable {
        attempt.failed(SanError::NotDone {
            target: format!("the {} of firmware's NVMe boot table", unusable.what),
            reason: unusable.reason,
        });
    }
    let wanted = wanted(table);
    if wanted.is_empty() {
        return;
    }
    info!(
        host = table.host_name,
        subsystems = wanted.len(),
        "firmware has left an NVMe boot table"
    );
    if let Err(failure) = load(&["nvme-tcp"]) {
        attempt.failed(failure);
        return;
    }
    for subsystem in wanted {
        if let Err(failure) = connect_one(root, attempt, table, subsystem) {
            attempt.failed(failure);
        }
    }
}

/// What is to be tried, in that order. Last comes what firmware did not reach, so that it takes no time from the rest. A
/// discovery controller that has named its subsystems to firmware has done what it is for.
fn wanted(table: &Nbft) -> Vec<&Subsystem> {
    let has_subsystem = table.subsystems.iter().any(|entry| !entry.is_discovery);
    let mut wanted: Vec<&Subsystem> = table
        .subsystems
        .iter()
        .filter(|entry| !entry.is_discovery || !has_subsystem)
        .collect();
    wanted.sort_by_key(|entry| entry.is_unavailable);
    wanted
}

fn connect_one(
    root: &Root,
    attempt: &mut Attempt,
    table: &Nbft,
    subsystem: &Subsystem,
) -> Result<(), SanError> {
    let target = place(subsystem);
    let not_done = |reason| SanError::NotDone {
        target: target.clone(),
        reason,
    };
    if subsystem.is_discovery {
        return Err(not_done(
            "it is a discovery controller, whose subsystems are not asked for; let firmware's table name the subsystem",
        ));
    }
    if subsystem.is_secured {
        return Err(not_done(
            "it wants a secret, which firmware's table does not hold",
        ));
    }
    let interface = attempt.ready(root, &subsystem.interface, &target, subsystem.address)?;
    if controller(root, subsystem, &interface).is_some() {
        debug!(target, "is connected already");
        return Ok(());
    }
    let options = options(table, subsystem, &interface);
    let device = root.clone();
    let connecting = within(attempt.left(), move || {
        nvme_fabrics::connect(&device, &options)
    });
    let controller = connecting
        .ok_or_else(|| not_done(NO_ANSWER))?
        .map_err(|source| SanError::Connect {
            target: target.clone(),
            hint: hint(&source, subsystem.is_unavailable),
            source,
        })?;
    info!(target, controller, "connected");
    let root = root.clone();
    attempt.expect_disks(target, move || has_namespace(&root, &controller));
    Ok(())
}

/// What this returns in that time. The kernel cannot be told to give up, and one that says nothing is left to it: its
/// disks come later, if they do.
fn within<T: Send + 'static>(
    time: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(work()));
    receiver.recv_timeout(time).ok()
}

/// In the kernel's words (drivers/nvme/host/fabrics.c).
fn options(table: &Nbft, subsystem: &Subsystem, interface: &str) -> String {
    let Subsystem {
        name,
        address,
        port,
        ..
    } = subsystem;
    let mut options = format!(
        "nqn={name},transport=tcp,traddr={address},trsvcid={port},host_iface={interface},hostnqn={},hostid={}",
        table.host_name, table.host_id
    );
    if subsystem.header_digest {
        options.push_str(",hdr_digest");
    }
    if subsystem.data_digest {
        options.push_str(",data_digest");
    }
    options
}

/// What the kernel's answers mean here.
fn hint(error: &io::Error, is_unavailable: bool) -> &'static str {
    match error.raw_os_error() {
        _ if is_unavailable => "; by its table firmware did not reach it either",
        Some(libc::ECONNREFUSED) => "; nothing listens there",
        Some(libc::ETIMEDOUT | libc::EHOSTUNREACH | libc::ENETUNREACH) => {
            "; is it switched on, and does the network lead there?"
        }
        // The subsystem's word for a host or a name that it does not know (invalid parameters of Connect).
        Some(libc::EIO | libc::EINVAL | libc::EOPNOTSUPP) => {
            "; does the subsystem exist, and does it allow this host's NQN?"
        }
        _ => "",
    }
}

/// A controller of this subsystem that came this way. Two cards may lead to one address of it.
fn controller(root: &Root, subsystem: &Subsystem, interface: &str) -> Option<String> {
    root.names(CONTROLLERS).into_iter().find(|name| {
        let attribute =
            |attribute: &str| root.attribute(format!("{CONTROLLERS}/{name}/{attribute}"));
        let address = attribute("address").unwrap_or_default();
        attribute("subsysnqn").as_deref() == Some(&subsystem.name)
            && option(&address, "traddr").and_then(|text| text.parse().ok())
                == Some(subsystem.address)
            && option(&address, "trsvcid") == Some(&subsystem.port)
            && option(&address, "host_iface") == Some(interface)
    })
}

fn option<'t>(address: &'t str, name: &str) -> Option<&'t str> {
    let mut options = address.split(',');
    options.find_map(|option| option.strip_prefix(name)?.strip_prefix('='))
}

/// Whether the kernel shows a namespace of this controller: `nvme0n1`, or `nvme0c0n1` below what stands for all ways to
/// it.
fn has_namespace(root: &Root, controller: &str) -> bool {
    let directory = format!("{CONTROLLERS}/{controller}");
    let names = root.names_beginning(&directory, "nvme");
    names.iter().any(|name| {
        name.trim_start_matches("nvme")
            .bytes()
            .any(|byte| byte == b'n')
    })
}

fn place(subsystem: &Subsystem) -> String {
    let address: IpAddr = subsystem.address;
    format!("{} at {address}, port {}", subsystem.name, subsystem.port)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::net::boot_table::nbft::Unusable;
    use crate::net::boot_table::{Interface, Origin};
    use crate::sys::recording::Recording;

    fn subsystem() -> Subsystem {
        Subsystem {
            name: "nqn.2024-01.test:array".to_owned(),
            address: "192.0.2.1".parse().unwrap(),
            port: "4420".to_owned(),
            interface: Interface {
                mac_address: "52:54:00:12:34:56".to_owned(),
                vlan: None,
                address: None,
                gateway: None,
                origin: Origin::Dhcp,
            },
            header_digest: false,
            data_digest: false,
            is_unavailable: false,
            is_secured: false,
            is_discovery: false,
        }
    }

    #[test]
    fn the_kernel_is_told_all_that_the_table_says() {
        let table = Nbft {
            host_name: "nqn.2024-01.test:host".to_owned(),
            host_id: "8c7e2a5e-0000-4000-8000-000000000001".to_owned(),
            ..Nbft::default()
        };
        let mut subsystem = subsystem();
        let plain = "nqn=nqn.2024-01.test:array,transport=tcp,traddr=192.0.2.1,trsvcid=4420,host_iface=eno1,\
                     hostnqn=nqn.2024-01.test:host,hostid=8c7e2a5e-0000-4000-8000-000000000001";
        assert_eq!(options(&table, &subsystem, "eno1"), plain);
        subsystem.header_digest = true;
        subsystem.data_digest = true;
        let digests = format!("{plain},hdr_digest,data_digest");
        assert_eq!(options(&table, &subsystem, "eno1"), digests);
    }

    #[test]
    fn a_way_that_is_connected_is_seen() {
        let recording = Recording::unpack(
            "/sys/class/nvme/nvme0/subsysnqn = nqn.2024-01.test:array\n\
             /sys/class/nvme/nvme0/address = traddr=192.0.2.1,trsvcid=4420,host_iface=eno1\n\
             /sys/class/nvme/nvme0/nvme0c0n1/size = 8",
        );
        let root = recording.root();
        let connected = controller(&root, &subsystem(), "eno1");
        assert_eq!(connected.as_deref(), Some("nvme0"));
        // Over a second card to the same address it is another way.
        assert_eq!(controller(&root, &subsystem(), "eno2"), None);
        assert!(has_namespace(&root, "nvme0"));
        let mut other = subsystem();
        other.port = "4421".to_owned();
        assert_eq!(controller(&root, &other, "eno1"), None);
        recording.add("/sys/class/nvme/nvme1/hwmon1/name = nvme");
        assert!(!has_namespace(&root, "nvme1"));
    }

    #[test]
    fn what_is_not_done_is_told_by_name() {
        let recording = Recording::unpack("/sys/");
        let mut attempt = Attempt::for_seconds(5);
        let mut fail = |subsystem: &Subsystem| {
            let table = Nbft::default();
            connect_one(&recording.root(), &mut attempt, &table, subsystem)
                .unwrap_err()
                .to_string()
        };
        let mut secured = subsystem();
        secured.is_secured = true;
        assert!(fail(&secured).contains("nqn.2024-01.test:array at 192.0.2.1, port 4420"));
        assert!(fail(&secured).contains("secret"));
        let mut discovery = subsystem();
        discovery.is_discovery = true;
        assert!(fail(&discovery).contains("discovery controller"));
        let table = Nbft {
            unusable: vec![Unusable {
                what: "namespace 3".to_owned(),
                reason: "its subsystem's name is unusable",
            }],
            ..Nbft::default()
        };
        let mut attempt = Attempt::for_seconds(5);
        connect_all(&recording.root(), &mut attempt, &table);
        let told: Vec<String> = attempt.end().iter().map(SanError::to_string).collect();
        assert_eq!(
            told,
            [
                "Did not connect to the namespace 3 of firmware's NVMe boot table: its subsystem's name is unusable"
            ]
        );
    }

    #[test]
    fn a_discovery_controller_is_told_where_it_named_nothing() {
        let mut discovery = subsystem();
        discovery.is_discovery = true;
        let mut unavailable = subsystem();
        unavailable.is_unavailable = true;
        let mut table = Nbft {
            subsystems: vec![discovery.clone(), unavailable.clone(), subsystem()],
            ..Nbft::default()
        };
        assert_eq!(wanted(&table), [&subsystem(), &unavailable]);
        table.subsystems.truncate(1);
        assert_eq!(wanted(&table), [&discovery]);
        let failed = io::Error::from_raw_os_error(libc::ECONNREFUSED);
        assert!(hint(&failed, true).contains("firmware did not reach it"));
        assert!(hint(&failed, false).contains("nothing listens"));
    }

    #[test]
    fn what_takes_too_long_is_left() {
        let started = Instant::now();
        let soon = Duration::from_millis(20);
        assert_eq!(
            within(soon, || thread::sleep(Duration::from_secs(300))),
            None
        );
        assert!(started.elapsed() < Duration::from_secs(60));
        assert_eq!(within(Duration::from_secs(60), || 7), Some(7));
    }
}
