//! What will be done to a device, and why: decided before anything is touched.

mod drive;
mod nvme;

use farrier_plugin::BlockDevice;
use serde_json::{Value, json};

use crate::erase::error::EraseError;
use crate::erase::flags::EraseFlags;
use crate::erase::method::category::{Category, Storage};
use crate::erase::method::{Method, Scope};
use crate::sys::root::Root;

/// A method that will be tried.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Planned {
    /// The method.
    pub method: Method,
    /// What it touches.
    pub scope: Scope,
    /// The devices in that scope.
    pub covers: Vec<String>,
    /// Why it is at this place.
    pub reason: String,
}

/// A method that will not be tried.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LeftOut {
    /// The method, in words.
    pub method: &'static str,
    /// Why.
    pub reason: String,
}

/// The methods for one device, tried in order until one succeeds.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The device, as it was when it was looked at.
    pub device: BlockDevice,
    /// What it keeps data on.
    pub storage: Storage,
    /// Empty for a device that is left out.
    pub methods: Vec<Planned>,
    /// What else there is, and why it will not be done.
    pub left_out: Vec<LeftOut>,
    /// The NVMe subsystem that the device is in.
    pub(super) subsystem: Option<String>,
    /// The number of its namespace.
    pub(super) namespace: Option<u32>,
    /// What the drive should do by itself and cannot now.
    blocked: Vec<String>,
    /// A drive that did not erase itself may be overwritten, or there is nothing else anyway.
    pub(super) falls_back: bool,
}

impl Plan {
    /// How this device is to be erased, by what it says of itself. `may_erase` says of another
    /// device whether it is to be erased in the same step: a method that erases more than this
    /// device is only planned where all of that is.
    ///
    /// [`EraseError::NothingPlanned`] where the flags allow no method at all: reporting such a
    /// device as erased would be a lie, although the reference does so.
    pub fn for_device(
        root: &Root,
        device: &BlockDevice,
        flags: &EraseFlags,
        may_erase: &dyn Fn(&str) -> bool,
    ) -> Result<Self, EraseError> {
        let mut plan = Self::none(device);
        nvme::add(&mut plan, root, flags, may_erase);
        drive::add(&mut plan, root, flags);
        let by_itself = !plan.methods.is_empty() || !plan.blocked.is_empty();
        if by_itself {
            plan.add_discard(root, flags);
        }
        plan.falls_back = !by_itself || flags.continue_if_secure_erase_failed;
        if !plan.falls_back {
            plan.leave_out(
                "overwrite",
                "the drive is to erase itself, and continue_if_disk_secure_erase_fails is false"
                    .to_owned(),
            );
            return Ok(plan);
        }
        if flags.iterations == 0 && !flags.zeroize {
            if by_itself {
                plan.falls_back = false;
                return Ok(plan);
            }
            return Err(EraseError::NothingPlanned {
                device: device.name.clone(),
            });
        }
        plan.add(
            Method::Overwrite {
                random_passes: flags.iterations,
                zero_pass: flags.zeroize,
            },
            if by_itself {
                "where all else fails: continue_if_disk_secure_erase_fails is true"
            } else {
                "overwriting works on every device that can be written"
            },
        );
        Ok(plan)
    }

    /// Why nothing can be done, where the plan has no method although one was wanted.
    pub(super) fn refusal(&self) -> Option<EraseError> {
        (!self.blocked.is_empty() && self.methods.is_empty()).then(|| EraseError::NoFallback {
            reasons: format!("{}: {}", self.device.name, self.blocked.join("; ")),
        })
    }

    /// The plan of a device that is to be made unreadable or at least look unused, as fast as can be:
    /// an NVMe format, and the metadata where there is none or it fails (contract/data-plane 7.12).
    pub fn for_express(
        root: &Root,
        device: &BlockDevice,
        flags: &EraseFlags,
        may_erase: &dyn Fn(&str) -> bool,
    ) -> Self {
        let mut plan = Self::none(device);
        nvme::add(&mut plan, root, flags, may_erase);
        plan.methods
            .retain(|planned| matches!(planned.method, Method::NvmeFormat { .. }));
        plan.blocked.clear();
        plan.add(
            Method::Metadata,
            "it works on every device that can be written",
        );
        plan
    }

    /// The methods in their order, for the log.
    pub fn in_words(&self) -> String {
        if self.methods.is_empty() {
            return self.blocked.join("; ");
        }
        let methods: Vec<String> = self
            .methods
            .iter()
            .map(|planned| planned.method.to_string())
            .collect();
        methods.join(", else ")
    }

    /// The plan of a device that is left out or must not be touched.
    pub fn none(device: &BlockDevice) -> Self {
        Self {
            device: device.clone(),
            storage: Storage::of(device),
            methods: Vec::new(),
            left_out: Vec::new(),
            subsystem: None,
            namespace: None,
            blocked: Vec::new(),
            falls_back: true,
        }
    }

    /// The plan of a device whose metadata alone is to go.
    pub fn for_metadata(device: &BlockDevice) -> Self {
        let mut plan = Self::none(device);
        plan.add(Method::Metadata, "the step asks for no more");
        plan
    }

    /// As it stands in a record and in `farrier erase --plan --json`.
    pub fn to_json(&self) -> Value {
        let methods: Vec<Value> = self
            .methods
            .iter()
            .map(|planned| {
                let (category, section) = Category::reached(&planned.method, self.storage);
                json!({
                    "method": planned.method.to_string(),
                    "scope": planned.scope.word(),
                    "covers": planned.covers,
                    "reason": planned.reason,
                    "category": category.word(),
                    "section": section,
                })
            })
            .collect();
        let left_out: Vec<Value> = self
            .left_out
            .iter()
            .map(|left_out| json!({"method": left_out.method, "reason": left_out.reason}))
            .collect();
        json!({ "methods": methods, "left_out": left_out })
    }

    /// In place of a drive's own erase that failed, where a site wants it (contract/data-plane
    /// 7.4): it is not offered beside an overwrite, which proves more.
    fn add_discard(&mut self, root: &Root, flags: &EraseFlags) {
        if flags.discard != Some(true) {
            return self.leave_out("discard", "enable_discard_erase is false".to_owned());
        }
        let kname = self.device.name.trim_start_matches("/dev/");
        let queue = |name: &str| root.number(format!("/sys/block/{kname}/queue/{name}"));
        if queue("discard_max_bytes").unwrap_or(0) == 0 {
            return self.leave_out("discard", "the device does not have it".to_owned());
        }
        let granularity = queue("discard_granularity").unwrap_or(0);
        for secure in [true, false] {
            self.add(
                Method::Discard {
                    secure,
                    granularity,
                },
                "where the drive does not erase itself: enable_discard_erase is true",
            );
        }
    }

    fn leave_out(&mut self, method: &'static str, reason: String) {
        self.left_out.push(LeftOut { method, reason });
    }

    /// The drive has it, and cannot do it now: that is a failed method, not a missing one.
    fn block(&mut self, method: &'static str, reason: String) {
        self.blocked.push(format!("{method}: {reason}"));
        self.leave_out(method, reason);
    }

    fn add(&mut self, method: Method, reason: &str) {
        self.methods.push(Planned {
            method,
            scope: Scope::Device,
            covers: vec![self.device.name.clone()],
            reason: reason.to_owned(),
        });
    }
}

#[cfg(test)]
mod tests {
    use farrier_plugin::Node;

    use super::*;

    fn flags(iterations: u32, zeroize: bool) -> EraseFlags {
        EraseFlags {
            iterations,
            zeroize,
            ..EraseFlags::from_node(&Node::default()).unwrap()
        }
    }

    fn planned(flags: &EraseFlags) -> Result<Plan, EraseError> {
        Plan::for_device(&Root::at("/nonexistent"), &disk(), flags, &|_| true)
    }

    fn disk() -> BlockDevice {
        BlockDevice {
            name: "/dev/sda".to_owned(),
            tran: Some("sata".to_owned()),
            ..BlockDevice::default()
        }
    }

    #[test]
    fn the_flags_are_the_passes() {
        for (iterations, zeroize) in [(1, true), (0, true), (3, false)] {
            let plan = planned(&flags(iterations, zeroize)).unwrap();
            assert_eq!(plan.methods.len(), 1);
            assert_eq!(
                plan.methods[0].method,
                Method::Overwrite {
                    random_passes: iterations,
                    zero_pass: zeroize
                }
            );
        }
    }

    #[test]
    fn no_pass_is_no_erase() {
        assert!(matches!(
            planned(&flags(0, false)),
            Err(EraseError::NothingPlanned { .. })
        ));
    }

    #[test]
    fn a_plan_says_what_each_method_is_worth() {
        let plan = planned(&flags(1, true)).unwrap().to_json();
        let method = &plan["methods"][0];
        assert_eq!(method["category"], "clear");
        assert_eq!(method["section"], "A, table A-8");
        assert_eq!(method["scope"], "device");
        assert_eq!(method["covers"][0], "/dev/sda");
        let plan = Plan::for_metadata(&disk()).to_json();
        assert_eq!(plan["methods"][0]["category"], "none");
    }
}
