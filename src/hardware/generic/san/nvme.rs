//! NVMe over fabrics: the kernel connects to what the NVMe Boot Firmware Tables name.

use std::io;
use std::net::IpAddr;

use tracing::{debug, info};

use super::{Attempt, SanError, load};
use crate::net::boot_table::nbft::{Nbft, Subsystem};
use crate::sys::nvme_fabrics;
use crate::sys::root::Root;

const CONTROLLERS: &str = "/sys/class/nvme";

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
    if table.subsystems.is_empty() {
        return;
    }
    info!(
        host = table.host_name,
        subsystems = table.subsystems.len(),
        "firmware has left an NVMe boot table"
    );
    if let Err(failure) = load(&["nvme-tcp"]) {
        attempt.failed(failure);
        return;
    }
    for subsystem in &table.subsystems {
        if let Err(failure) = connect_one(root, attempt, table, subsystem) {
            attempt.failed(failure);
        }
    }
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
    if controller(root, subsystem).is_some() {
        debug!(target, "is connected already");
        return Ok(());
    }
    let options = options(table, subsystem, &interface);
    let controller = nvme_fabrics::connect(root, &options).map_err(|source| SanError::Connect {
        target: target.clone(),
        hint: hint(&source),
        source,
    })?;
    info!(target, controller, "connected");
    let root = root.clone();
    attempt.expect_disks(target, move || has_namespace(&root, &controller));
    Ok(())
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
fn hint(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
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

/// A controller of this subsystem that came this way.
fn controller(root: &Root, subsystem: &Subsystem) -> Option<String> {
    root.names(CONTROLLERS).into_iter().find(|name| {
        let attribute =
            |attribute: &str| root.attribute(format!("{CONTROLLERS}/{name}/{attribute}"));
        let address = attribute("address").unwrap_or_default();
        attribute("subsysnqn").as_deref() == Some(&subsystem.name)
            && option(&address, "traddr").and_then(|text| text.parse().ok())
                == Some(subsystem.address)
            && option(&address, "trsvcid") == Some(&subsystem.port)
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
    use super::*;
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
            is_secured: false,
            is_discovery: false,
        }
    }

    #[test]
    fn the_kernel_is_told_all_that_the_table_says() {
        let table = Nbft {
            host_name: "nqn.2024-01.test:host".to_owned(),
            host_id: "8c7e2a5e-0000-4000-8000-000000000001".to_owned(),
            subsystems: Vec::new(),
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
        assert_eq!(controller(&root, &subsystem()).as_deref(), Some("nvme0"));
        assert!(has_namespace(&root, "nvme0"));
        let mut other = subsystem();
        other.port = "4421".to_owned();
        assert_eq!(controller(&root, &other), None);
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
    }
}
