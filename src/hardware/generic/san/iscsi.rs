//! iSCSI: `iscsistart` logs in to what the iSCSI Boot Firmware Table names, with the table's own secrets, which it reads
//! by itself; `iscsid` then looks after the sessions, as it would on an installed system.

use std::time::Duration;

use tracing::{debug, info, warn};

use super::{Cards, SanError, load, wait_for_disks};
use crate::net::boot_table::ibft::{Ibft, Target};
use crate::sys::process::Program;
use crate::sys::root::Root;

const SESSIONS: &str = "/sys/class/iscsi_session";

/// How long all logins may take. One that nobody answers ends by itself after 15 s and is tried again.
const LOGIN: Duration = Duration::from_secs(60);

/// Log in to every target of firmware's tables. Returns what did not go.
pub(super) fn connect(root: &Root, cards: &mut Cards) -> Vec<SanError> {
    // The module finds the table, and does nothing where there is none.
    if let Err(error) = load(&["iscsi_ibft"]) {
        debug!(%error, "no iBFT can be read");
    }
    let Some(table) = Ibft::read(root) else {
        return Vec::new();
    };
    info!(
        initiator = table.initiator.as_deref().unwrap_or("unnamed"),
        targets = table.targets.len(),
        "firmware has left an iSCSI boot table"
    );
    let mut failures = Vec::new();
    let mut wanted = Vec::new();
    for target in &table.targets {
        // An agent that was started again.
        if session(root, &target.name).is_some() {
            continue;
        }
        // A card with an engine of its own needs no interface.
        let ready = table.interface_of(target).map_or(Ok(None), |interface| {
            let ready = cards.ready(root, interface, &place(target), target.address);
            ready.map(Some)
        });
        match ready {
            Ok(_) => wanted.push(target),
            Err(failure) => failures.push(failure),
        }
    }
    if wanted.is_empty() {
        return failures;
    }
    let said = match log_in() {
        Ok(said) => said,
        Err(failure) => {
            failures.push(failure);
            return failures;
        }
    };
    for target in &wanted {
        match session(root, &target.name) {
            Some(session) => {
                info!(target = place(target), "logged in");
                let disks = wait_for_disks(&place(target), || has_disk(root, &session));
                failures.extend(disks.err());
            }
            None => failures.push(SanError::Login {
                target: place(target),
                said: said.clone(),
            }),
        }
    }
    if !root.names(SESSIONS).is_empty() {
        look_after();
    }
    failures
}

/// Log in everywhere. Returns what it said, for those where it failed.
fn log_in() -> Result<String, SanError> {
    load(&["iscsi_tcp"])?;
    // -b: all targets of the table. Not -N, which would give the card of the table the default route.
    let program = Program::new("/sbin/iscsistart").arg("-b").timeout(LOGIN);
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

/// Without it a connection that breaks is not made again, and a disk is gone after two minutes.
fn look_after() {
    if let Err(error) = Program::new("/sbin/iscsid").run() {
        warn!(%error, "nobody looks after the iSCSI sessions: one that breaks is not made again");
    }
}

/// The session with the target of this name: its directory.
fn session(root: &Root, target: &str) -> Option<String> {
    root.names(SESSIONS).into_iter().find_map(|name| {
        let directory = format!("{SESSIONS}/{name}");
        let own = root.attribute(format!("{directory}/targetname"));
        (own.as_deref() == Some(target)).then_some(directory)
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
