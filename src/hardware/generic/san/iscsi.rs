//! iSCSI: `iscsistart` logs in to what the iSCSI Boot Firmware Table names, with the table's own secrets, which it reads
//! by itself; `iscsid` then looks after the sessions, as it would on an installed system.

use std::net::IpAddr;
use std::time::Duration;

use farrier_plugin::chain;
use tracing::{debug, info, warn};

use super::attempt::{Attempt, SanError, load};
use crate::net::boot_table::ibft::{Ibft, Target};
use crate::sys::process::Program;
use crate::sys::root::Root;

const SESSIONS: &str = "/sys/class/iscsi_session";
const CONNECTIONS: &str = "/sys/class/iscsi_connection";

/// Where `iscsid` writes its process's number.
const PID_FILE: &str = "/run/iscsid.pid";

/// How long one login may take: 15 s as below, and what its program needs beside. They are made one after another.
const LOGIN: Duration = Duration::from_secs(20);

/// What is otherwise than by itself, where it tries each target for a quarter of an hour (30 times 30 s), so that one
/// that is switched off kept the others out; and asks no idle target whether it is still there.
const PARAMETERS: [&str; 4] = [
    "node.session.initial_login_retry_max=1",
    "node.conn[0].timeo.login_timeout=15",
    "node.conn[0].timeo.noop_out_interval=5",
    "node.conn[0].timeo.noop_out_timeout=5",
];

/// Log in to every target of firmware's tables.
pub(super) fn connect(root: &Root, attempt: &mut Attempt) {
    if may_have_table(root)
        && let Err(error) = load(&["iscsi_ibft"])
    {
        debug!(%error, "no iBFT can be read");
    }
    let Some(table) = Ibft::read(root) else {
        return;
    };
    info!(
        initiator = table.initiator.as_deref().unwrap_or("unnamed"),
        targets = table.targets.len(),
        "firmware has left an iSCSI boot table"
    );
    let wanted = wanted(root, &table, attempt);
    if !wanted.is_empty() {
        log_in_to(root, &wanted, attempt);
    }
    if !root.names(SESSIONS).is_empty() && !is_looked_after(root) {
        look_after();
    }
}

/// Whether firmware can have left a table for the module `iscsi_ibft`. UEFI hands it over among the tables of ACPI; where
/// a BIOS put it, the module alone finds out.
fn may_have_table(root: &Root) -> bool {
    let tables = "/sys/firmware/acpi/tables";
    let names = ["iBFT", "IBFT", "BIFT"];
    !root.exists("/sys/firmware/efi")
        || names
            .iter()
            .any(|name| !root.names_beginning(tables, name).is_empty())
}

/// The targets to log in to, whose cards are ready.
fn wanted<'t>(root: &Root, table: &'t Ibft, attempt: &mut Attempt) -> Vec<&'t Target> {
    let is_there = |target: &&Target| session(root, target).is_some();
    let (there, missing): (Vec<&Target>, Vec<&Target>) = table.targets.iter().partition(is_there);
    // An agent that was started again. A card with an engine of its own has logged in before any agent.
    if there.iter().any(|target| !target.is_of_an_engine()) {
        for target in missing {
            attempt.failed(SanError::NotDone {
                target: place(target),
                reason: "an agent before this one has logged in to other targets of the table, and iscsistart logs in to \
                         all or none; start the server anew",
            });
        }
        return Vec::new();
    }
    let mut wanted = Vec::new();
    for target in missing {
        // A card with an engine of its own needs no interface.
        let ready = table.interface_of(target).map_or(Ok(()), |interface| {
            let ready = attempt.ready(root, interface, &place(target), target.address);
            ready.map(|_| ())
        });
        match ready {
            Ok(()) => wanted.push(target),
            Err(failure) => attempt.failed(failure),
        }
    }
    wanted
}

fn log_in_to(root: &Root, wanted: &[&Target], attempt: &mut Attempt) {
    let limit = attempt.left().min(LOGIN * wanted.len() as u32);
    if limit.is_zero() {
        for target in wanted {
            attempt.failed(SanError::NoTime {
                target: place(target),
            });
        }
        return;
    }
    // Whatever became of it, some may be in.
    let said = log_in(limit).unwrap_or_else(|failure| chain(&failure));
    for target in wanted {
        match session(root, target) {
            Some(session) if session.is_logged_in => {
                info!(target = place(target), "logged in");
                let root = root.clone();
                attempt.expect_disks(place(target), move || has_disk(&root, &session.directory));
            }
            _ => attempt.failed(SanError::Login {
                target: place(target),
                said: said.clone(),
            }),
        }
    }
}

/// Log in everywhere. Returns what it said, for those where it failed.
fn log_in(limit: Duration) -> Result<String, SanError> {
    load(&["iscsi_tcp"])?;
    // -b: all targets of the table. Not -N, which would give the card of the table the default route.
    let mut program = Program::new("/sbin/iscsistart").arg("-b").timeout(limit);
    for parameter in PARAMETERS {
        program = program.arg("-P").arg(parameter);
    }
    let output = program.output().map_err(SanError::Program)?;
    let lines = output.stderr.lines().chain(output.stdout.lines());
    let said: Vec<&str> = lines
        .map(|line| line.trim().trim_start_matches("iscsistart: "))
        .filter(|line| {
            !line.is_empty() && !line.starts_with("version") && !line.starts_with("Logging into")
        })
        .collect();
    Ok(said.join("; "))
}

/// Whether `iscsid` is at work.
fn is_looked_after(root: &Root) -> bool {
    root.number(PID_FILE).is_some_and(|process| {
        root.attribute(format!("/proc/{process}/comm")).as_deref() == Some("iscsid")
    })
}

/// Without it a connection that breaks is not made again, and a disk is gone after two minutes.
fn look_after() {
    if let Err(error) = Program::new("/sbin/iscsid").run() {
        warn!(%error, "nobody looks after the iSCSI sessions: one that breaks is not made again");
    }
}

/// A session of the kernel's.
struct Session {
    directory: String,
    /// Not, while it is made, or made again.
    is_logged_in: bool,
}

/// The session with this target at this address: a storage system may have one name behind many.
fn session(root: &Root, target: &Target) -> Option<Session> {
    root.names_beginning(SESSIONS, "session")
        .into_iter()
        .find_map(|name| {
            let directory = format!("{SESSIONS}/{name}");
            let connection = format!(
                "{CONNECTIONS}/connection{}:0",
                name.trim_start_matches("session")
            );
            let address = root.attribute(format!("{connection}/persistent_address"));
            let address: Option<IpAddr> = address.and_then(|text| text.parse().ok());
            let is_it = root.attribute(format!("{directory}/targetname")).as_deref()
                == Some(&*target.name)
                && address == Some(target.address)
                && root.number(format!("{connection}/persistent_port")) == Some(target.port.into());
            let is_logged_in =
                root.attribute(format!("{directory}/state")).as_deref() == Some("LOGGED_IN");
            is_it.then_some(Session {
                directory,
                is_logged_in,
            })
        })
}

/// Whether the kernel shows a disk of this session.
fn has_disk(root: &Root, session: &str) -> bool {
    let device = format!("{session}/device");
    let targets = root.names_beginning(&device, "target");
    targets.iter().any(|target| {
        let units = root.names(format!("{device}/{target}"));
        units.iter().any(|unit| {
            !root
                .names(format!("{device}/{target}/{unit}/block"))
                .is_empty()
        })
    })
}

fn place(target: &Target) -> String {
    let Target {
        name,
        address,
        port,
        ..
    } = target;
    format!("{name} at {address}, port {port}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::recording::Recording;

    /// A table with one name behind two addresses.
    const TABLE: &str = "/sys/firmware/ibft/target0/target-name = iqn.2024-01.test:array\n\
                         /sys/firmware/ibft/target0/ip-addr = 192.0.2.1\n\
                         /sys/firmware/ibft/target1/target-name = iqn.2024-01.test:array\n\
                         /sys/firmware/ibft/target1/ip-addr = 192.0.2.2";

    const SESSION: &str = "/sys/class/iscsi_session/session1/targetname = iqn.2024-01.test:array\n\
                           /sys/class/iscsi_session/session1/state = LOGGED_IN\n\
                           /sys/class/iscsi_connection/connection1:0/persistent_address = 192.0.2.2\n\
                           /sys/class/iscsi_connection/connection1:0/persistent_port = 3260";

    #[test]
    fn a_session_is_one_with_the_same_portal() {
        let recording = Recording::unpack(TABLE);
        recording.add(SESSION);
        let root = recording.root();
        let table = Ibft::read(&root).unwrap();
        assert!(session(&root, &table.targets[0]).is_none());
        let found = session(&root, &table.targets[1]).unwrap();
        assert!(found.directory.ends_with("session1") && found.is_logged_in);
        let other_port = Target {
            port: 3261,
            ..table.targets[1].clone()
        };
        assert!(session(&root, &other_port).is_none());
    }

    #[test]
    fn nobody_logs_in_twice() {
        let recording = Recording::unpack(TABLE);
        let root = recording.root();
        let table = Ibft::read(&root).unwrap();
        let mut attempt = Attempt::for_seconds(5);
        assert_eq!(wanted(&root, &table, &mut attempt).len(), 2);
        assert!(attempt.end().is_empty());

        recording.add(SESSION);
        let mut attempt = Attempt::for_seconds(5);
        assert!(wanted(&root, &table, &mut attempt).is_empty());
        let [failure] = &attempt.end()[..] else {
            panic!("one target is not logged in to");
        };
        let failure = failure.to_string();
        assert!(
            failure.contains("iqn.2024-01.test:array at 192.0.2.1, port 3260"),
            "{failure}"
        );
    }

    #[test]
    fn each_target_is_named_where_the_time_is_over() {
        let recording = Recording::unpack(TABLE);
        let root = recording.root();
        let table = Ibft::read(&root).unwrap();
        let mut attempt = Attempt::for_seconds(0);
        let targets: Vec<&Target> = table.targets.iter().collect();
        log_in_to(&root, &targets, &mut attempt);
        let failures = attempt.end();
        assert_eq!(failures.len(), 2);
        assert!(
            failures[0].to_string().contains("192.0.2.1"),
            "{}",
            failures[0]
        );
        assert!(
            failures[1].to_string().contains("192.0.2.2"),
            "{}",
            failures[1]
        );
    }

    #[test]
    fn who_looks_after_sessions_is_a_process_that_lives() {
        let recording = Recording::unpack("/run/");
        assert!(!is_looked_after(&recording.root()));
        recording.add("/run/iscsid.pid = 612");
        assert!(!is_looked_after(&recording.root()));
        recording.add("/proc/612/comm = iscsid");
        assert!(is_looked_after(&recording.root()));
        // The number is another's by now.
        let other = Recording::unpack("/run/iscsid.pid = 612\n/proc/612/comm = busybox");
        assert!(!is_looked_after(&other.root()));
    }

    #[test]
    fn uefi_without_a_table_needs_no_module() {
        let may = |listing: &str| may_have_table(&Recording::unpack(listing).root());
        assert!(may("/sys/firmware/"));
        assert!(!may("/sys/firmware/efi/\n/sys/firmware/acpi/tables/APIC ="));
        assert!(may("/sys/firmware/efi/\n/sys/firmware/acpi/tables/iBFT ="));
    }
}
