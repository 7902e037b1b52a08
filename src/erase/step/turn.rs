//! One device from the guard's verdict to the proof.

use farrier_plugin::{BlockDevice, Context, HardwareManager, ManagerError, Node, Progress, chain};
use libblkid_rs::BlkidErr;
use serde_json::Value;
use tracing::{info, warn};

use crate::block::exclusive::{self, NotOpened};
use crate::erase::drive;
use crate::erase::drive::error::DriveError;
use crate::erase::drive::watch::Watch;
use crate::erase::error::EraseError;
use crate::erase::guard::Verdict;
use crate::erase::medium::discard::discard;
use crate::erase::medium::metadata;
use crate::erase::medium::overwrite::{Passes, overwrite};
use crate::erase::method::Method;
use crate::erase::plan::{Plan, Planned};
use crate::erase::proof::{Proof, Verification};
use crate::erase::record::{EraseRecord, Together};
use crate::erase::signatures;
use crate::erase::step::running::{Aim, EraseStep};
use crate::erase::step::scopes::{self, Scopes};
use crate::erase::step::side_by_side::{Failure, Outcome, cancelled_before};
use crate::sys::block_device::{Disk, Medium};
use crate::sys::root::Root;

impl EraseStep {
    /// One device's turn: it is checked again, erased after its plan, and its record kept, shown and sent.
    /// The record, and why the device is not done with.
    ///
    /// In a recorded tree the device is the plain file of its name there.
    pub(crate) fn turn(
        &self,
        device: &BlockDevice,
        context: &dyn Context,
    ) -> (EraseRecord, Result<(), ManagerError>) {
        let verdict = self.verdict_now(device);
        let plan = match &verdict {
            Verdict::Erase => self.plan_of(device),
            _ => Ok(Plan::none(device)),
        };
        let (plan, verdict) = match plan {
            Ok(plan) => (plan, verdict),
            Err(error) => (Plan::none(device), Verdict::Refuse(error)),
        };
        let mut record = self.begin_record(plan);
        let outcome = match verdict {
            Verdict::Skip(reason) => {
                record.skip(&reason);
                Ok(())
            }
            Verdict::Refuse(error) => Err(error),
            Verdict::Erase => self.in_turn(&mut record, context),
        };
        if let Err(error) = &outcome {
            record.fail_with(chain(error));
        }
        let outcome = self.end_record(&record, outcome.map_err(ManagerError::from), context);
        (record, outcome)
    }

    /// Have a vendor's hardware manager erase the device, or decline: what it did has a record like all
    /// others, and is the answer.
    pub(crate) fn by_manager(
        &self,
        manager: &dyn HardwareManager,
        context: &dyn Context,
        node: &Node,
        device: &BlockDevice,
    ) -> Result<Value, ManagerError> {
        let mut record = self.record(device);
        let answer = match self.verdict_now(device) {
            Verdict::Refuse(error) if error.stops_all() => Err(error.into()),
            _ => manager.erase_block_device(context, node, device),
        };
        match answer {
            Err(error) if error.declines() => Err(error),
            Err(error) => {
                record.fail(&error);
                self.end_record(&record, Err(error), context)
                    .map(|()| Value::Null)
            }
            Ok(told) => {
                record.erased_by(&manager.version(), told.clone());
                self.end_record(&record, Ok(()), context).map(|()| told)
            }
        }
    }

    /// All devices, one after the other. Partitions come first, since they are gone with the table of
    /// their disk.
    ///
    /// A device that is left out is no failure; everything else that is not erased is, and stops nothing
    /// else. `ended` is told the record of each.
    pub(crate) fn one_by_one(
        self,
        context: &dyn Context,
        mut ended: impl FnMut(&EraseRecord),
    ) -> Outcome {
        let mut outcome = Outcome::default();
        let total = self.devices().len() as u64;
        let ordered = partitions_first(self.devices());
        for (done, device) in ordered.into_iter().enumerate() {
            if self.order.aim != Aim::Data {
                context.report_progress(Progress {
                    what: format!("removing the metadata of {}", device.name),
                    done: done as u64,
                    total: Some(total),
                });
            }
            if context.is_cancelled() {
                outcome.failures.push(Failure {
                    device: device.name.clone(),
                    error: cancelled_before(&device.name),
                });
                continue;
            }
            let (record, result) = self.turn(device, context);
            ended(&record);
            match result {
                Ok(()) if record.is_erased() => {
                    outcome.erased.push((device.name.clone(), Value::Null));
                }
                Ok(()) => {}
                Err(error) => outcome.failures.push(Failure {
                    device: device.name.clone(),
                    error,
                }),
            }
        }
        outcome.failures.extend(self.locked);
        outcome
    }

    /// Wait for other devices whose turn can touch this one, and see whether it did.
    fn in_turn(&self, record: &mut EraseRecord, context: &dyn Context) -> Result<(), EraseError> {
        let plan = record.plan();
        let is_wide = plan.methods.iter().any(|planned| planned.covers.len() > 1);
        let turn = plan
            .subsystem
            .as_ref()
            .filter(|_| is_wide)
            .map(|subsystem| self.scopes.turn(subsystem));
        let _held = turn.as_ref().map(|turn| scopes::lock(turn));
        if let Some(together) = self.scopes.take(&plan.device.name) {
            record.erased_together(together);
            return Ok(());
        }
        self.by_plan(record, context)
    }

    fn by_plan(&self, record: &mut EraseRecord, context: &dyn Context) -> Result<(), EraseError> {
        let plan = record.plan().clone();
        let device = plan.device.name.clone();
        if let Some(refusal) = plan.refusal() {
            return Err(refusal);
        }
        let mut failures = Vec::new();
        let mut last = None;
        for planned in &plan.methods {
            let method = planned.method;
            self.check_own(&device)?;
            info!(device, %method, reason = planned.reason, "erasing");
            let begun = record.method_begins(method);
            let outcome = self
                .check_others(&device, planned)
                .and_then(|()| by_method(&self.order.root, &plan, planned, &self.scopes, context));
            let told = outcome
                .as_ref()
                .map(Clone::clone)
                .map_err(|error| chain(error));
            record.method_ended(begun, told);
            match outcome {
                Ok(_) => return Ok(()),
                // What was cancelled is not to be done by other means.
                Err(error @ EraseError::Cancelled { .. }) => return Err(error),
                Err(error) => {
                    let text = chain(&error);
                    warn!(device, %method, error = text, "failed");
                    failures.push(text);
                    last = Some(error);
                }
            }
        }
        if !plan.falls_back && !failures.is_empty() {
            return Err(EraseError::NoFallback {
                reasons: failures.join("; "),
            });
        }
        Err(last.unwrap_or(EraseError::NothingPlanned { device }))
    }

    /// Whether the device itself may still be erased: it can have left its name to another one while
    /// this waited for its turn, or while a method failed. Then no other method is tried.
    fn check_own(&self, name: &str) -> Result<(), EraseError> {
        let verdict = match self.devices().iter().find(|device| device.name == name) {
            Some(device) => self.verdict_now(device),
            None => self.verdict_now_of(name),
        };
        match verdict {
            Verdict::Erase => Ok(()),
            Verdict::Refuse(error) => Err(error),
            Verdict::Skip(reason) => Err(EraseError::Left {
                device: name.to_owned(),
                reason,
            }),
        }
    }

    /// Whether the other devices that a method covers may still be erased.
    pub(super) fn check_others(&self, device: &str, planned: &Planned) -> Result<(), EraseError> {
        let covers = planned.covers.iter().filter(|other| *other != device);
        for other in covers {
            let reason = match self.verdict_now_of(other) {
                Verdict::Erase => continue,
                Verdict::Skip(reason) => reason,
                Verdict::Refuse(error) => error.to_string(),
            };
            return Err(EraseError::Reaches {
                device: device.to_owned(),
                method: planned.method.to_string(),
                other: other.clone(),
                reason,
            });
        }
        Ok(())
    }
}

fn by_method(
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
            let verification = overwrite(&disk, device, passes, context)?;
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
    metadata::wipe(&disk, device, || {
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

/// The reference takes names in reverse order to the same end, which fails for `/dev/sdz` and
/// `/dev/sdaa1`.
fn partitions_first(devices: &[BlockDevice]) -> Vec<&BlockDevice> {
    let is_partition = |device: &BlockDevice| device.extra["type"] == "part";
    let mut ordered: Vec<&BlockDevice> = devices.iter().rev().collect();
    ordered.sort_by_key(|device| !is_partition(device));
    ordered
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
    use serde_json::json;

    use super::*;
    use crate::erase::method::{Sanitize, Scope};
    use crate::erase::step::running::Order;
    use crate::sys::loop_device::LoopDevice;
    use crate::sys::process::Program;

    fn device(name: &str, kind: &str) -> BlockDevice {
        BlockDevice {
            name: name.to_owned(),
            extra: json!({"type": kind}),
            ..BlockDevice::default()
        }
    }

    /// Not by a re-read: a kernel can be built without partition tables of its own.
    fn show_partitions(device: &str) {
        Program::new("/usr/bin/partx")
            .arg("--update")
            .arg(device)
            .run()
            .unwrap();
    }

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
    fn partitions_come_before_all_disks() {
        let devices = [
            device("/dev/sdz", "disk"),
            device("/dev/sdaa", "disk"),
            device("/dev/sdaa1", "part"),
            device("/dev/sdz1", "part"),
        ];
        let names: Vec<&str> = partitions_first(&devices)
            .into_iter()
            .map(|device| device.name.as_str())
            .collect();
        assert_eq!(names, ["/dev/sdz1", "/dev/sdaa1", "/dev/sdaa", "/dev/sdz"]);
    }

    #[test]
    fn a_partitioned_loop_device_is_erased_and_its_partitions_are_gone() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(40 << 20).unwrap();
        let Some(looped) = LoopDevice::over(file.path(), 512) else {
            return;
        };
        Program::new("/usr/sbin/sgdisk")
            .arg("-n1:0:+8M")
            .arg("-n2:0:+8M")
            .arg(looped.path())
            .run()
            .unwrap();
        show_partitions(looped.path());
        let first = format!("{}p1", looped.path());
        assert!(std::path::Path::new(&first).exists());

        let list = |_: &[String]| Ok(vec![device(looped.path(), "loop")]);
        let order = Order::of_tests(Root::system(), Aim::Data);
        let step = EraseStep::begin(order, list, &SilentContext).unwrap();
        let (record, outcome) = step.turn(&step.devices()[0], &SilentContext);
        outcome.unwrap();
        assert!(record.is_erased());
        assert!(!std::path::Path::new(&first).exists());
        assert!(fs::read(file.path()).unwrap().iter().all(|byte| *byte == 0));
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
        show_partitions(looped.path());
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
