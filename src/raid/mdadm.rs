//! Making an array by mdadm: it is there, runs and has all of its members when this returns.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

use super::error::RaidError;
use super::level::RaidLevel;
use crate::block::holders::kernel_name;
use crate::block::raid_superblock::Metadata;
use crate::block::settle;
use crate::sys::md_array;
use crate::sys::process::{ProcessError, Program};
use crate::sys::root::Root;

/// An array to make.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Creation<'a> {
    /// Its node: `/dev/md0`, of a number that is free.
    pub(crate) device: &'a str,
    pub(crate) level: RaidLevel,
    /// 1.2 for what the kernel alone reads; 1.0 where firmware reads a member as if there were no array.
    pub(crate) metadata: Metadata,
    /// Its name, without a host.
    pub(crate) name: &'a str,
    /// Partitions or whole devices, each of which the kernel knows and nobody uses. What they hold is
    /// lost.
    pub(crate) members: &'a [String],
}

/// The host that arrays are made for. mdadm keeps it before their name, and a system takes an array
/// for its own if it is its host, or this word; others get names like `root_0`. The host that made the array is
/// this ramdisk, which nobody meets again.
const HOST: &str = "any";

/// How long mdadm may take. It writes a superblock to each member.
const LIMIT: Duration = Duration::from_secs(120);

/// How long an array that mdadm has made may take until the kernel shows it with all members.
const VISIBLE: Duration = Duration::from_secs(30);

/// How often it is looked at meanwhile.
const PAUSE: Duration = Duration::from_millis(100);

/// How often an array is tried to be made, and a member put back (contract/data-plane 6.3).
const ATTEMPTS: u32 = 3;

/// Make this array, start it and see that every member is in it. Resync goes on after that.
///
/// # Errors
/// [`RaidError::Create`], [`RaidError::NotRunning`], [`RaidError::Member`]. What was made until then
/// is left for `delete_configuration`.
pub(crate) fn create(root: &Root, creation: &Creation<'_>) -> Result<(), RaidError> {
    // mdadm 4.4 would load it by a shell, and there is none.
    if let Err(error) = Program::new(root.path("/sbin/modprobe"))
        .arg("md_mod")
        .run()
    {
        debug!(%error, "the module of software RAID is not loaded by name");
    }
    // udev looks at new partitions, and one that it holds open could be missed.
    settle::wait(root, settle::LIMIT);
    let Creation {
        device, members, ..
    } = *creation;
    info!(device, name = creation.name, level = %creation.level, members = members.join(", "), "making an array");
    run(root, creation).map_err(|source| RaidError::Create {
        device: device.to_owned(),
        members: members.join(" "),
        source,
    })?;
    settle::wait(root, settle::LIMIT);
    wait_until_running(root, creation)?;
    for member in members {
        bring_in(root, creation, member)?;
    }
    Ok(())
}

/// Have mdadm make it. What else looks at a new partition can have it open for a moment, and keeps mdadm from it.
fn run(root: &Root, creation: &Creation<'_>) -> Result<(), ProcessError> {
    let program = arguments(creation)
        .into_iter()
        .fold(mdadm(root), Program::arg);
    let mut attempt = 1;
    loop {
        match program.run() {
            Ok(_) => return Ok(()),
            Err(error @ ProcessError::Failed { .. }) if attempt < ATTEMPTS => {
                warn!(array = creation.device, attempt, %error, "was not made, it is tried again");
                if root.is_system()
                    && let Err(error) = md_array::stop(Path::new(creation.device))
                {
                    debug!(%error, "nothing is left of the attempt");
                }
                settle::wait(root, settle::LIMIT);
                attempt += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

/// What the installed mdadm is told, so that 4.2 and 4.4 make the same array whatever this
/// machine is called and however large it is: their defaults for the host and for the bitmap differ.
pub(super) fn arguments(creation: &Creation<'_>) -> Vec<String> {
    let mut arguments = vec![
        "--create".to_owned(),
        creation.device.to_owned(),
        // Members that were in use before, and all of them at once in an array with parity.
        "--force".to_owned(),
        "--run".to_owned(),
        format!("--metadata={}", creation.metadata),
        format!("--homehost={HOST}"),
    ];
    if creation.level.is_redundant() {
        // What firmware writes to one member alone, no bitmap knows.
        let has_bitmap = creation.metadata != Metadata::V1_0;
        let bitmap = if has_bitmap { "internal" } else { "none" };
        arguments.push(format!("--bitmap={bitmap}"));
    }
    arguments.push(format!("--level={}", creation.level.mdadm_name()));
    arguments.push(format!("--name={}", creation.name));
    arguments.push(format!("--raid-devices={}", creation.members.len()));
    arguments.extend(creation.members.iter().cloned());
    arguments
}

/// The program of this system. In a recorded tree it is that tree's own.
fn mdadm(root: &Root) -> Program {
    Program::new(root.path("/sbin/mdadm")).timeout(LIMIT)
}

/// The array's directory in sysfs.
fn directory(root: &Root, device: &str) -> Option<String> {
    let kname = kernel_name(root, device)?;
    Some(format!("/sys/block/{kname}"))
}

fn wait_until_running(root: &Root, creation: &Creation<'_>) -> Result<(), RaidError> {
    let deadline = Instant::now() + VISIBLE;
    loop {
        let state = directory(root, creation.device)
            .and_then(|directory| root.attribute(format!("{directory}/md/array_state")));
        if state.as_deref().is_some_and(runs) {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(RaidError::NotRunning {
                device: creation.device.to_owned(),
                members: creation.members.join(" "),
                seconds: VISIBLE.as_secs(),
                found: state.map_or_else(
                    || "there is no such array".to_owned(),
                    |state| format!("its state is {state}"),
                ),
            });
        }
        thread::sleep(PAUSE);
    }
}

/// Whether an array in this state of `array_state` (Documentation/admin-guide/md.rst) can be read and written.
fn runs(state: &str) -> bool {
    !["clear", "inactive", "broken", "suspended"].contains(&state)
}

/// How a member is in its array.
#[derive(Debug, Eq, PartialEq)]
enum Standing {
    /// It holds its part, or is being given it.
    In,
    /// It is there and does nothing: it failed, or waits for a place. In the kernel's words.
    Out(String),
    /// It is not there.
    Missing,
}

/// See that this member is in the array, and put it back where it is not.
fn bring_in(root: &Root, creation: &Creation<'_>, member: &str) -> Result<(), RaidError> {
    let mut attempt = 0;
    loop {
        let standing = settled_standing(root, creation.device, member);
        if standing == Standing::In {
            return Ok(());
        }
        let failed = |why: String| RaidError::Member {
            member: member.to_owned(),
            device: creation.device.to_owned(),
            why,
        };
        let found = match &standing {
            Standing::Out(state) => format!("it is {state} there"),
            _ => "it is not there".to_owned(),
        };
        if !creation.level.is_redundant() {
            return Err(failed(format!(
                "{found}, and {} cannot do without it",
                creation.level
            )));
        }
        if attempt == ATTEMPTS {
            return Err(failed(format!(
                "{found} after {ATTEMPTS} attempts; its disk may be failing, and the kernel's log, which is in \
                 the log archive, says more"
            )));
        }
        attempt += 1;
        warn!(
            array = creation.device,
            member, attempt, "{found}, it is put back"
        );
        if let Err(error) = put_back(root, creation.device, member, &standing) {
            warn!(array = creation.device, member, %error, "was not put back");
            if attempt == ATTEMPTS {
                return Err(failed(format!(
                    "{found}, and could not be put back in {ATTEMPTS} attempts: {}",
                    farrier_plugin::chain(&error)
                )));
            }
            thread::sleep(PAUSE);
        }
    }
}

fn put_back(
    root: &Root,
    device: &str,
    member: &str,
    standing: &Standing,
) -> Result<(), ProcessError> {
    if matches!(standing, Standing::Out(_)) {
        mdadm(root).arg(device).arg("--remove").arg(member).run()?;
    }
    mdadm(root).arg(device).arg("--add").arg(member).run()?;
    settle::wait(root, settle::LIMIT);
    Ok(())
}

/// How the member is in the array, once the kernel had a moment to give a new one its place.
fn settled_standing(root: &Root, device: &str, member: &str) -> Standing {
    const LIMIT: Duration = Duration::from_secs(5);
    let deadline = Instant::now() + LIMIT;
    loop {
        let standing = standing(root, device, member);
        let may_change = matches!(&standing, Standing::Out(state) if state.contains("spare"));
        if !may_change || Instant::now() >= deadline {
            return standing;
        }
        thread::sleep(PAUSE);
    }
}

fn standing(root: &Root, device: &str, member: &str) -> Standing {
    let attribute = |name: &str| {
        let directory = directory(root, device)?;
        let member = kernel_name(root, member)?;
        root.attribute(format!("{directory}/md/dev-{member}/{name}"))
    };
    let Some(state) = attribute("state") else {
        return Standing::Missing;
    };
    let has_place = attribute("slot").is_some_and(|slot| slot != "none");
    let words: Vec<&str> = state.split(',').collect();
    if !words.contains(&"faulty") && (words.contains(&"in_sync") || has_place) {
        Standing::In
    } else {
        Standing::Out(state)
    }
}

#[cfg(test)]
mod tests;
