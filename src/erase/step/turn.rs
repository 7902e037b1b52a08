//! One device from the guard's verdict to the proof.

use farrier_plugin::{BlockDevice, Context, HardwareManager, ManagerError, Node, Progress, chain};
use serde_json::Value;
use tracing::{info, warn};

use crate::erase::error::EraseError;
use crate::erase::guard::{SecondLook, Verdict};
use crate::erase::plan::{Plan, Planned};
use crate::erase::record::EraseRecord;
use crate::erase::step::method_run::by_method;
use crate::erase::step::running::{Aim, EraseStep, is_file};
use crate::erase::step::scopes;
use crate::erase::step::side_by_side::{Failure, StepResult, cancelled_before};

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
            Verdict::Erase | Verdict::Beside(_) => self.plan_of(device),
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
            Verdict::Erase | Verdict::Beside(_) => self.in_turn(&mut record, context),
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
    ) -> StepResult {
        let mut outcome = StepResult::default();
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
            let look = self
                .look_again(&device, plan.is_beside_arrays())
                .map_err(|refusal| refusal.after(&device, &failures))?;
            info!(device, %method, reason = planned.reason, "erasing");
            let begun = record.method_begins(method);
            let outcome = check_others(&look, &device, planned)
                .and_then(|()| by_method(&self.order.root, &plan, planned, &self.scopes, context));
            let told = outcome
                .as_ref()
                .map(Clone::clone)
                .map_err(|error| chain(error));
            record.method_ended(begun, told);
            match outcome {
                Ok(_) => return Ok(()),
                // What was cancelled is not to be done by other means.
                Err(error @ EraseError::Cancelled { .. }) => {
                    return Err(error.after(&device, &failures));
                }
                Err(error) => {
                    let text = chain(&error);
                    warn!(device, %method, error = text, "failed");
                    failures.push(text);
                    last = Some(error);
                }
            }
        }
        match last {
            None => Err(EraseError::NothingPlanned { device }),
            Some(error) if plan.falls_back => {
                // The last of them is this error.
                failures.pop();
                Err(error.after(&device, &failures))
            }
            Some(_) => Err(EraseError::NoFallback {
                reasons: failures.join("; "),
            }),
        }
    }

    /// All devices once more, where the device itself may still be erased: it can have left its name to
    /// another one while this waited for its turn, or while a method failed. Then no other method is tried.
    ///
    /// `beside`: only what lies beside arrays that stay is to be erased.
    pub(super) fn look_again(
        &self,
        name: &str,
        beside: bool,
    ) -> Result<SecondLook<'_>, EraseError> {
        let look = self.second_look()?;
        let own = self.devices().iter().find(|device| device.name == name);
        let verdict = match own {
            Some(own) if is_file(own) => Verdict::Erase,
            _ => self.of_this_step(look.verdict(name)),
        };
        match verdict {
            Verdict::Erase if !beside => Ok(look),
            Verdict::Beside(_) if beside => Ok(look),
            Verdict::Erase => Err(EraseError::ArraysChanged {
                device: name.to_owned(),
            }),
            Verdict::Refuse(error) => Err(error),
            Verdict::Skip(reason) | Verdict::Beside(reason) => Err(EraseError::Left {
                device: name.to_owned(),
                reason,
            }),
        }
    }
}

/// Whether the other devices that a method covers may still be erased, by the look that was just taken.
pub(super) fn check_others(
    look: &SecondLook<'_>,
    device: &str,
    planned: &Planned,
) -> Result<(), EraseError> {
    let covers = planned.covers.iter().filter(|other| *other != device);
    for other in covers {
        let reason = match look.verdict(other) {
            Verdict::Erase => continue,
            Verdict::Skip(reason) | Verdict::Beside(reason) => reason,
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

/// The reference takes names in reverse order to the same end, which fails for `/dev/sdz` and
/// `/dev/sdaa1`.
fn partitions_first(devices: &[BlockDevice]) -> Vec<&BlockDevice> {
    let is_partition = |device: &BlockDevice| device.extra["type"] == "part";
    let mut ordered: Vec<&BlockDevice> = devices.iter().rev().collect();
    ordered.sort_by_key(|device| !is_partition(device));
    ordered
}

#[cfg(test)]
mod tests {
    use std::fs;

    use farrier_plugin::SilentContext;
    use serde_json::json;

    use super::*;
    use crate::erase::step::running::Order;
    use crate::sys::loop_device::LoopDevice;
    use crate::sys::process::Program;
    use crate::sys::root::Root;

    fn device(name: &str, kind: &str) -> BlockDevice {
        BlockDevice {
            name: name.to_owned(),
            extra: json!({"type": kind}),
            ..BlockDevice::default()
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
        looped.show_partitions();
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
}
