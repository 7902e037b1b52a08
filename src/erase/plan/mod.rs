//! What will be done to a device, and why: decided before anything is touched.

use farrier_plugin::BlockDevice;
use serde_json::{Value, json};

use crate::erase::drive;
use crate::erase::drive::offer::{Allowed, Answer, Offer, Offers};
use crate::erase::error::EraseError;
use crate::erase::flags::EraseFlags;
use crate::erase::method::category::{Category, Storage};
use crate::erase::method::{Method, Scope};
use crate::sys::root::Root;

/// A method that will be tried.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Planned {
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
pub(crate) struct LeftOut {
    /// The method, in words.
    pub method: &'static str,
    /// Why.
    pub reason: String,
}

/// The methods for one device, tried in order until one succeeds.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
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
    pub(crate) fn for_device(
        root: &Root,
        device: &BlockDevice,
        flags: &EraseFlags,
        may_erase: &dyn Fn(&str) -> bool,
    ) -> Result<Self, EraseError> {
        let mut plan = Self::of(root, device);
        plan.choose(
            drive::offers(root, device, &Allowed::from(flags)),
            may_erase,
        );
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

    /// How a disk with arrays that stay is to be erased: what lies beside them is overwritten, since the drive's own
    /// methods would reach the arrays.
    pub(crate) fn beside_arrays(
        root: &Root,
        device: &BlockDevice,
        flags: &EraseFlags,
    ) -> Result<Self, EraseError> {
        let mut plan = Self::of(root, device);
        if flags.iterations == 0 && !flags.zeroize {
            return Err(EraseError::NothingPlanned {
                device: device.name.clone(),
            });
        }
        plan.leave_out(
            "the drive's own methods",
            "they would erase the arrays on it, too".to_owned(),
        );
        plan.add(
            Method::BesideArrays {
                random_passes: flags.iterations,
                zero_pass: flags.zeroize,
            },
            "the arrays on it are erased as disks, and stay",
        );
        Ok(plan)
    }

    /// Whether only what lies beside arrays is to be erased.
    pub(super) fn is_beside_arrays(&self) -> bool {
        let mut methods = self.methods.iter();
        methods.any(|planned| matches!(planned.method, Method::BesideArrays { .. }))
    }

    /// Why nothing can be done, where the plan has no method although one was wanted.
    pub(super) fn refusal(&self) -> Option<EraseError> {
        (!self.blocked.is_empty() && self.methods.is_empty()).then(|| EraseError::NoFallback {
            reasons: format!("{}: {}", self.device.name, self.blocked.join("; ")),
        })
    }

    /// The plan of a device that is to be made unreadable or at least look unused, as fast as can be:
    /// an NVMe format, and the metadata where there is none or it fails (contract/data-plane 7.12).
    pub(crate) fn for_express(
        root: &Root,
        device: &BlockDevice,
        flags: &EraseFlags,
        may_erase: &dyn Fn(&str) -> bool,
    ) -> Self {
        let mut plan = Self::of(root, device);
        if let Some(offers) = drive::nvme_offers(root, device, &Allowed::from(flags)) {
            plan.choose(offers, may_erase);
        }
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
    pub(crate) fn in_words(&self) -> String {
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
    pub(crate) fn none(device: &BlockDevice) -> Self {
        Self {
            device: device.clone(),
            storage: Storage::of(device),
            methods: Vec::new(),
            left_out: Vec::new(),
            subsystem: None,
            blocked: Vec::new(),
            falls_back: true,
        }
    }

    /// One without methods yet, for a device that is looked at. What is behind a storage system's namespace is not known
    /// here.
    fn of(root: &Root, device: &BlockDevice) -> Self {
        let mut plan = Self::none(device);
        if drive::is_remote(root, device) {
            plan.storage = Storage::Unknown;
        }
        plan
    }

    /// The plan of a device whose metadata alone is to go.
    pub(crate) fn for_metadata(device: &BlockDevice) -> Self {
        let mut plan = Self::none(device);
        plan.add(Method::Metadata, "the step asks for no more");
        plan
    }

    /// As it stands in a record and in `farrier erase --plan --json`.
    pub(crate) fn to_json(&self) -> Value {
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

    /// From what the drive offers, all that touches nothing which is not to be erased.
    fn choose(&mut self, offers: Offers, may_erase: &dyn Fn(&str) -> bool) {
        let Offers { list, subsystem } = offers;
        let own = self.device.name.clone();
        let others: Vec<&String> = subsystem
            .iter()
            .flat_map(|subsystem| &subsystem.devices)
            .filter(|device| **device != own)
            .collect();
        let protected: Vec<&str> = others
            .iter()
            .map(|device| device.as_str())
            .filter(|device| !may_erase(device))
            .collect();
        for Offer { what, answer } in list {
            match answer {
                Answer::Can(_, Scope::Subsystem, _) if !protected.is_empty() => {
                    // Once, however many ways there are to do it.
                    if self.left_out.last().is_none_or(|last| last.method != what) {
                        self.leave_out(what, too_wide(&protected));
                    }
                }
                Answer::Can(method, scope, reason) => {
                    // Its own device first: it is that one's turn.
                    let mut covers = vec![own.clone()];
                    if scope == Scope::Subsystem {
                        covers.extend(others.iter().copied().cloned());
                    }
                    self.methods.push(Planned {
                        method,
                        scope,
                        covers,
                        reason,
                    });
                }
                Answer::Lacks(reason) => self.leave_out(what, reason),
                Answer::Blocked(reason) => self.block(what, reason),
            }
        }
        if let Some(subsystem) = subsystem {
            self.tell_unattached(&subsystem.without_device);
            self.subsystem = Some(subsystem.name);
        }
    }

    /// A namespace that no device shows holds data that only a method of the whole subsystem reaches.
    fn tell_unattached(&mut self, namespaces: &[u32]) {
        let mut methods = self.methods.iter();
        if namespaces.is_empty() || methods.any(|planned| planned.scope == Scope::Subsystem) {
            return;
        }
        let numbers: Vec<String> = namespaces.iter().map(u32::to_string).collect();
        self.leave_out(
            "namespaces without a device",
            format!(
                "the subsystem has namespace(s) {}, which are not attached and which no planned \
                 method reaches",
                numbers.join(", ")
            ),
        );
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

impl From<&EraseFlags> for Allowed {
    /// The agent's own options are in these flags already.
    fn from(flags: &EraseFlags) -> Self {
        Self {
            nvme: flags.nvme_secure_erase,
            ata: flags.ata_secure_erase,
            scsi_sanitize: flags.scsi_sanitize == Some(true),
            scsi_format: flags.scsi_format_unit == Some(true),
        }
    }
}

fn too_wide(protected: &[&str]) -> String {
    format!(
        "it would erase {} too, which is not to be erased",
        protected.join(", ")
    )
}

#[cfg(test)]
mod tests;
