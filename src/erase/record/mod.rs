//! The erase record: what was planned for a device, what was done, what it is worth, as JSON.

mod delivery;
#[cfg(test)]
pub(crate) mod fake_receiver;
mod store;

use std::time::{Duration, Instant, SystemTime};

use farrier_plugin::{BlockDevice, ManagerError, ManagerVersion};
use serde_json::{Value, json};

use crate::erase::method::Method;
use crate::erase::method::category::{Category, Storage};
use crate::erase::plan::Plan;
use crate::erase::proof::Verification;
use crate::sys::clock::utc_text;

pub(super) use self::delivery::DeliveryError;
pub(super) use self::delivery::deliver;
pub(crate) use self::store::RecordStore;

/// The form of the record; a number that grows when a member changes its meaning.
const VERSION: u32 = 1;

/// The step whose erase claims no category, whatever it was done by.
const EXPRESS: &str = "erase_devices_express";

/// What happened to one device in one step.
#[derive(Clone, Debug)]
pub(crate) struct EraseRecord {
    step: &'static str,
    node: Option<String>,
    plan: Plan,
    started: SystemTime,
    clock: Instant,
    ended: Option<(SystemTime, Duration)>,
    runs: Vec<Run>,
    verification: Option<Verification>,
    result: Standing,
    /// When an erase of this device began that the agent, or a part of it, did not live to end.
    interrupted: Option<String>,
    /// The device in whose turn this one was erased.
    together: Option<String>,
    /// What a vendor's hardware manager said about the erase.
    told: Value,
}

/// One method's turn.
#[derive(Clone, Debug)]
struct Run {
    method: Method,
    started: SystemTime,
    seconds: f64,
    ended: SystemTime,
    error: Option<String>,
}

/// How it stands with the device.
#[derive(Clone, Debug)]
enum Standing {
    Running,
    Erased(Method),
    /// By a vendor's hardware manager, of this name and version.
    ErasedBy(String),
    Skipped(String),
    Failed(String),
}

/// A method that has begun.
pub(in crate::erase) struct Begun {
    method: Method,
    clock: Instant,
}

/// A device that was erased in the turn of another one.
#[derive(Clone, Debug)]
pub(in crate::erase) struct Together {
    /// The other one.
    pub(in crate::erase) with: String,
    pub(in crate::erase) method: Method,
    pub(in crate::erase) verification: Verification,
}

impl EraseRecord {
    /// The record of a device that is about to be erased in this step of this node.
    pub(crate) fn begin(step: &'static str, node: Option<&str>, plan: Plan) -> Self {
        Self {
            step,
            node: node.map(str::to_owned),
            plan,
            started: SystemTime::now(),
            clock: Instant::now(),
            ended: None,
            runs: Vec::new(),
            verification: None,
            result: Standing::Running,
            interrupted: None,
            together: None,
            told: Value::Null,
        }
    }

    /// An erase that began at this time was interrupted.
    pub(crate) fn found_interrupted(&mut self, started: String) {
        self.interrupted = Some(started);
    }

    /// The device is left out, for this reason.
    pub(crate) fn skip(&mut self, reason: &str) {
        self.end(Standing::Skipped(reason.to_owned()));
    }

    /// A vendor's hardware manager says that it erased the device, and this about it: what is proven
    /// by that, and what category it reaches, is not known here.
    pub(crate) fn erased_by(&mut self, manager: &ManagerVersion, told: Value) {
        self.told = told;
        self.end(Standing::ErasedBy(format!(
            "{} {}",
            manager.name, manager.version
        )));
    }

    /// The device is not erased, or not proven to be.
    pub(crate) fn fail(&mut self, error: &ManagerError) {
        self.fail_with(error.chain());
    }

    pub(in crate::erase) fn fail_with(&mut self, error: String) {
        self.end(Standing::Failed(error));
    }

    /// The name of the step.
    pub(crate) fn step(&self) -> &'static str {
        self.step
    }

    /// The device.
    pub(crate) fn device(&self) -> &BlockDevice {
        &self.plan.device
    }

    /// The plan.
    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Whether the device is erased and that is proven.
    pub(crate) fn is_erased(&self) -> bool {
        matches!(self.result, Standing::Erased(_))
    }

    pub(in crate::erase) fn method_begins(&self, method: Method) -> Begun {
        Begun {
            method,
            clock: Instant::now(),
        }
    }

    /// The method is done: with a proof, without one where there is nothing to prove, or failed.
    pub(in crate::erase) fn method_ended(
        &mut self,
        begun: Begun,
        outcome: Result<Option<Verification>, String>,
    ) {
        let error = outcome.as_ref().err().cloned();
        let (ended, lasted) = (SystemTime::now(), begun.clock.elapsed());
        self.runs.push(Run {
            method: begun.method,
            started: start_of(ended, lasted),
            seconds: lasted.as_secs_f64(),
            ended,
            error,
        });
        if let Ok(verification) = outcome {
            self.verification = verification;
            self.end(Standing::Erased(begun.method));
        }
    }

    /// Another device's turn erased this one too.
    pub(in crate::erase) fn erased_together(&mut self, together: Together) {
        let begun = self.method_begins(together.method);
        self.together = Some(together.with);
        self.method_ended(begun, Ok(Some(together.verification)));
    }

    fn end(&mut self, result: Standing) {
        self.result = result;
        let (ended, lasted) = (SystemTime::now(), self.clock.elapsed());
        self.started = start_of(ended, lasted);
        self.ended = Some((ended, lasted));
    }

    /// The category that was reached, and the section that says so.
    fn category(&self) -> (Category, Option<&'static str>) {
        match &self.result {
            // The step promises speed, so that its result must not pass for more on some disks.
            Standing::Erased(method) if self.step != EXPRESS => {
                Category::reached(method, self.plan.storage)
            }
            _ => (Category::None, None),
        }
    }

    /// The record.
    pub(crate) fn to_json(&self) -> Value {
        let device = &self.plan.device;
        let (result, error, reason) = match &self.result {
            Standing::Running => ("running", None, None),
            Standing::Erased(_) | Standing::ErasedBy(_) => ("erased", None, None),
            Standing::Skipped(reason) => ("skipped", None, Some(reason)),
            Standing::Failed(error) => ("failed", Some(error), None),
        };
        let methods: Vec<Value> = self
            .runs
            .iter()
            .map(|run| {
                json!({
                    "method": run.method.to_string(),
                    "started": utc_text(run.started),
                    "ended": utc_text(run.ended),
                    "seconds": rounded(run.seconds),
                    "result": if run.error.is_some() { "failed" } else { "done" },
                    "error": run.error,
                })
            })
            .collect();
        let (category, section) = self.category();
        json!({
            "version": VERSION,
            "agent": concat!("farrier ", env!("FARRIER_VERSION")),
            "node": self.node,
            "step": self.step,
            "device": identity(device, self.plan.storage),
            "plan": self.plan.to_json(),
            "started": utc_text(self.started),
            "ended": self.ended.map(|(ended, _)| utc_text(ended)),
            "seconds": self.ended.map(|(_, duration)| rounded(duration.as_secs_f64())),
            "interrupted": self.interrupted,
            "together_with": self.together,
            "manager": match &self.result {
                Standing::ErasedBy(manager) => Some(manager),
                _ => None,
            },
            "told": self.told,
            "methods": methods,
            "verification": self.verification.as_ref().map(Verification::to_json),
            "result": result,
            "reason": reason,
            "error": error,
            "category": category.word(),
            "standard": section.map(|section| format!("NIST SP 800-88 Rev. 1, {section}")),
        })
    }

    /// The record in one line for a person.
    pub(crate) fn line(&self) -> String {
        let device = &self.plan.device;
        let mut known: Vec<String> = [&device.model, &device.serial, &device.wwn]
            .into_iter()
            .filter_map(Clone::clone)
            .collect();
        known.push(format!("{} bytes", device.size));
        let seconds = self
            .ended
            .map_or(0.0, |(_, duration)| duration.as_secs_f64());
        let what = match &self.result {
            Standing::Running => "is being erased".to_owned(),
            Standing::Skipped(reason) => format!("left out: {reason}"),
            Standing::Failed(error) => format!("NOT ERASED after {seconds:.1} s: {error}"),
            Standing::ErasedBy(manager) => {
                format!("erased in {seconds:.1} s by the hardware manager {manager}; category none")
            }
            Standing::Erased(method) => {
                let (category, section) = self.category();
                let mut text = format!(
                    "erased in {seconds:.1} s: {method}; category {}",
                    category.word()
                );
                if let Some(section) = section {
                    text.push_str(&format!(" (NIST SP 800-88 Rev. 1, {section})"));
                }
                if let Some(verification) = &self.verification {
                    text.push_str(&format!("; {} places read back", verification.count()));
                }
                text
            }
        };
        format!(
            "erase record: {} [{}] {what}",
            device.name,
            known.join(", ")
        )
    }
}

/// What tells this device from all others.
pub(crate) fn identity(device: &BlockDevice, storage: Storage) -> Value {
    json!({
        "name": device.name,
        "model": device.model,
        "vendor": device.vendor,
        "serial": device.serial,
        "wwn": device.wwn,
        "size": device.size,
        "logical_block_size": device.logical_sectors,
        "physical_block_size": device.physical_sectors,
        "rotational": device.rotational,
        "transport": device.tran,
        "type": device.extra["type"],
        "storage": storage.word(),
    })
}

/// When something began that lasted so long, by the clock at its end: the clock may have been set
/// meanwhile, and a record that says 1970 for an erase of today is worth nothing.
fn start_of(ended: SystemTime, lasted: Duration) -> SystemTime {
    ended.checked_sub(lasted).unwrap_or(ended)
}

fn rounded(seconds: f64) -> f64 {
    (seconds * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use farrier_plugin::{ErrorKind, Node};

    use super::*;
    use crate::erase::flags::EraseFlags;
    use crate::sys::root::Root;

    fn record() -> EraseRecord {
        let device = BlockDevice {
            name: "/dev/sda".to_owned(),
            model: Some("Disk 9000".to_owned()),
            serial: Some("S1".to_owned()),
            size: 512,
            rotational: true,
            tran: Some("sata".to_owned()),
            ..BlockDevice::default()
        };
        let flags = EraseFlags::from_node(&Node::default()).unwrap();
        let plan = Plan::for_device(&Root::at("/nonexistent"), &device, &flags, &|_| true).unwrap();
        EraseRecord::begin("erase_devices", Some("n1"), plan)
    }

    #[test]
    fn a_failed_method_and_a_good_one_are_both_told() {
        let mut record = record();
        let method = record.plan.methods[0].method;
        assert_eq!(record.to_json()["result"], "running");
        assert_eq!(record.to_json()["ended"], Value::Null);
        let begun = record.method_begins(method);
        record.method_ended(begun, Err("the drive aborted it".to_owned()));
        assert_eq!(record.to_json()["result"], "running");
        let begun = record.method_begins(method);
        record.method_ended(begun, Ok(None));
        let json = record.to_json();
        assert_eq!(json["result"], "erased");
        assert_eq!(json["methods"][0]["result"], "failed");
        assert_eq!(json["methods"][0]["error"], "the drive aborted it");
        assert_eq!(json["methods"][1]["result"], "done");
        assert_eq!(json["category"], "clear");
        assert_eq!(json["standard"], "NIST SP 800-88 Rev. 1, A, table A-5");
        assert_eq!(json["device"]["serial"], "S1");
        assert_eq!(json["node"], "n1");
        assert!(json["ended"].as_str().unwrap().ends_with('Z'));
        let line = record.line();
        assert!(
            line.contains("/dev/sda [Disk 9000, S1, 512 bytes] erased in"),
            "{line}"
        );
        assert!(line.contains("category clear"), "{line}");
        assert!(!line.contains('\n'));
    }

    #[test]
    fn a_clock_that_is_set_meanwhile_leaves_no_wrong_begin() {
        let mut record = record();
        record.started = SystemTime::UNIX_EPOCH;
        let begun = record.method_begins(record.plan.methods[0].method);
        record.method_ended(begun, Ok(None));
        let ended = record.ended.unwrap().0;
        assert!(ended.duration_since(record.started).unwrap() < Duration::from_secs(60));
        let json = record.to_json();
        assert!(
            !json["started"].as_str().unwrap().starts_with("1970"),
            "{json}"
        );
    }

    #[test]
    fn an_express_erase_claims_no_category() {
        let mut record = record();
        record.step = EXPRESS;
        let begun = record.method_begins(record.plan.methods[0].method);
        record.method_ended(begun, Ok(None));
        let json = record.to_json();
        assert_eq!(
            (&json["result"], &json["category"]),
            (&json!("erased"), &json!("none"))
        );
    }

    #[test]
    fn nothing_is_claimed_for_what_failed_or_was_left_out() {
        let mut failed = record();
        failed.fail(&ManagerError::new(
            ErrorKind::BlockDeviceErase,
            "it is broken",
        ));
        let mut skipped = record();
        skipped.skip("it is virtual media");
        for (record, result) in [(failed, "failed"), (skipped, "skipped")] {
            let json = record.to_json();
            assert_eq!(json["result"], result);
            assert_eq!(json["category"], "none");
            assert_eq!(json["standard"], Value::Null);
            assert!(!record.is_erased());
        }
    }
}
