//! One method, done to a device and to all others that it covers, with the proof.

use farrier_plugin::{Context, ManagerError, Progress};
use libblkid_rs::BlkidErr;
use tracing::warn;

use crate::block::exclusive::{self, NotOpened};
use crate::block::signatures;
use crate::block::wipe::wipe;
use crate::erase::drive;
use crate::erase::drive::error::DriveError;
use crate::erase::drive::watch::Watch;
use crate::erase::error::EraseError;
use crate::erase::medium::discard::discard;
use crate::erase::medium::overwrite::{Passes, overwrite};
use crate::erase::method::Method;
use crate::erase::plan::{Plan, Planned};
use crate::erase::proof::{Proof, Verification};
use crate::erase::record::Together;
use crate::erase::step::array_members::ArrayMembers;
use crate::erase::step::beside_arrays::erase_beside;
use crate::erase::step::scopes::Scopes;
use crate::sys::block_device::{Disk, Medium};
use crate::sys::root::Root;

/// Do it. What was found where the method has a proof.
pub(super) fn by_method(
    root: &Root,
    plan: &Plan,
    planned: &Planned,
    scopes: &Scopes,
    context: &dyn Context,
) -> Result<Option<Verification>, EraseError> {
    let device = plan.device.name.as_str();
    match planned.method {
        Method::Overwrite {
            random_passes,
            zero_pass,
        } => {
            let disk = open(root, device, context)?;
            let passes = Passes {
                random: random_passes,
                zeros: zero_pass,
            };
            let members = ArrayMembers::of(root, device);
            let verification = overwrite(&disk, device, passes, context)?;
            if let Some(members) = members {
                members.demand_written(root, device)?;
            }
            reread(root, &disk, device);
            Ok(Some(verification))
        }
        Method::Discard {
            secure,
            granularity,
        } => {
            let disk = open(root, device, context)?;
            let verification = discard(&disk, device, secure, granularity, context)?;
            reread(root, &disk, device);
            Ok(Some(verification))
        }
        Method::BesideArrays {
            random_passes,
            zero_pass,
        } => {
            let passes = Passes {
                random: random_passes,
                zeros: zero_pass,
            };
            erase_beside(root, device, passes, context).map(Some)
        }
        Method::Metadata => metadata_of(root, device, context).map(|()| None),
        method @ (Method::AtaSanitize(_)
        | Method::AtaSecurityErase { .. }
        | Method::ScsiSanitize(_)
        | Method::ScsiFormat
        | Method::NvmeFormat { .. }
        | Method::NvmeSanitize(_)) => {
            let drive = drive::open(root, device, method)?;
            let watch = Watch::new(context, device, plan.device.size);
            watch.demand_wanted()?;
            drive.prepare(method, &watch)?;
            by_itself(root, planned, scopes, context, || drive.run(method, &watch)).map(Some)
        }
    }
}

/// Have a drive erase itself, between markers on every device that this covers and the proof that
/// they are gone from each of them. The first device's turn does it for all.
fn by_itself(
    root: &Root,
    planned: &Planned,
    scopes: &Scopes,
    context: &dyn Context,
    run: impl FnOnce() -> Result<(), DriveError>,
) -> Result<Verification, EraseError> {
    let mut covered = Vec::new();
    for device in &planned.covers {
        let disk = open(root, device, context)?;
        let proof = Proof::begin(&disk, device)?;
        proof.demand_kept(device)?;
        covered.push((device, disk, proof));
    }
    let own = planned.covers.first().cloned().unwrap_or_default();
    run()?;
    let size = covered.first().map_or(0, |(_, disk, _)| disk.size());
    context.report_progress(Progress {
        what: format!("reading {own} back"),
        done: size,
        total: Some(size),
    });
    let mut verification = None;
    for (device, disk, proof) in &covered {
        let found = proof.is_gone(disk, device)?;
        reread(root, disk, device);
        if verification.is_none() {
            verification = Some(found);
        } else {
            let together = Together {
                with: own.clone(),
                method: planned.method,
                verification: found,
            };
            scopes.erased(device, together);
        }
    }
    verification.ok_or(EraseError::Unproven { device: own })
}

fn metadata_of(root: &Root, device: &str, context: &dyn Context) -> Result<(), EraseError> {
    let disk = open(root, device, context)?;
    wipe(&disk, device, || {
        signatures::find(disk.path()).map_err(|source| search_error(device, source))
    })?;
    reread(root, &disk, device);
    Ok(())
}

/// Open for this process alone, waiting for udev to let go. Nothing is opened for a command that was
/// cancelled.
fn open(root: &Root, device: &str, context: &dyn Context) -> Result<Disk, EraseError> {
    let cancelled = || EraseError::Cancelled {
        device: device.to_owned(),
    };
    if context.is_cancelled() {
        return Err(cancelled());
    }
    exclusive::open(root, device, context).map_err(|NotOpened { users, source }| {
        if context.is_cancelled() {
            return cancelled();
        }
        EraseError::Open {
            device: device.to_owned(),
            users: match users.as_slice() {
                [] => String::new(),
                users => format!(" ({})", users.join(", ")),
            },
            source,
        }
    })
}

/// The table is gone from the disk; that the kernel forgets its partitions too is a courtesy to
/// whoever looks next, who reads it again anyway. A partition has no table.
fn reread(root: &Root, disk: &Disk, device: &str) {
    let kname = device.trim_start_matches("/dev/").replace('/', "!");
    if root.exists(format!("/sys/class/block/{kname}/partition")) {
        return;
    }
    if let Err(error) = disk.reread_partitions() {
        let error = EraseError::Disk {
            device: device.to_owned(),
            source: error,
        };
        let error = ManagerError::from(error).chain();
        warn!(device, error, "the kernel keeps partitions that are gone");
    }
}

fn search_error(device: &str, source: BlkidErr) -> EraseError {
    EraseError::Search {
        device: device.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use farrier_plugin::SilentContext;

    use super::*;
    use crate::erase::method::{Sanitize, Scope};
    use crate::sys::loop_device::LoopDevice;
    use crate::sys::process::Program;

    /// A controller that sanitizes all its namespaces, or leaves one of them out.
    #[test]
    fn one_turn_erases_all_namespaces_and_proves_each() {
        for forgets in [false, true] {
            let tree = tempfile::tempdir().unwrap();
            fs::create_dir(tree.path().join("dev")).unwrap();
            let names = ["/dev/nvme0n1", "/dev/nvme0n2"];
            let path = |name: &str| tree.path().join(&name[1..]);
            for name in names {
                fs::write(path(name), vec![0x5a; 12 << 20]).unwrap();
            }
            let planned = Planned {
                method: Method::NvmeSanitize(Sanitize::Block),
                scope: Scope::Subsystem,
                covers: names.map(str::to_owned).to_vec(),
                reason: String::new(),
            };
            let scopes = Scopes::default();
            let root = Root::at(tree.path());
            let outcome = by_itself(&root, &planned, &scopes, &SilentContext, || {
                fs::write(path(names[0]), vec![0; 12 << 20]).unwrap();
                if !forgets {
                    fs::write(path(names[1]), vec![0; 12 << 20]).unwrap();
                }
                Ok(())
            });
            if forgets {
                let error = outcome.unwrap_err().to_string();
                assert!(error.contains(names[1]), "{error}");
                assert!(scopes.take(names[1]).is_none());
            } else {
                outcome.unwrap();
                assert_eq!(scopes.take(names[1]).unwrap().with, names[0]);
            }
        }
    }

    #[test]
    fn the_metadata_of_partitions_and_disk_is_gone_in_one_go() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(300 << 20).unwrap();
        let Some(looped) = LoopDevice::over(file.path(), 512) else {
            return;
        };
        Program::new("/usr/sbin/sgdisk")
            .arg("-n1:0:+100M")
            .arg("-n2:0:+100M")
            .arg(looped.path())
            .run()
            .unwrap();
        looped.show_partitions();
        let second = format!("{}p2", looped.path());
        Program::new("/usr/sbin/mkfs.ext4")
            .arg("-q")
            .arg(&second)
            .run()
            .unwrap();
        for name in [second.as_str(), looped.path()] {
            metadata_of(&Root::system(), name, &SilentContext).unwrap();
        }
        assert_eq!(signatures::find(looped.path().as_ref()).unwrap(), []);
        assert!(!std::path::Path::new(&second).exists());
        // The file system was where the partition began.
        let start = (1 << 20) + (100 << 20);
        let bytes = fs::read(file.path()).unwrap();
        assert!(bytes[start..start + 8192].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn a_device_that_is_not_there_is_named() {
        let error = metadata_of(&Root::system(), "/dev/nonexistent", &SilentContext).unwrap_err();
        let error = ManagerError::from(error);
        assert!(
            error.chain().contains("/dev/nonexistent"),
            "{}",
            error.chain()
        );
    }
}
