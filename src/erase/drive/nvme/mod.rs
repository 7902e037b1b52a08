//! NVMe drives that erase themselves: by Format NVM, and by Sanitize.

pub(in crate::erase) mod identify;
mod sanitize;

use farrier_plugin::{BlockDevice, Progress, chain};

use crate::erase::drive::error::{DriveError, Fault};
use crate::erase::drive::nvme::identify::Facts;
use crate::erase::drive::offer::{Allowed, Drive, Offers, worthwhile};
use crate::erase::drive::watch::Watch;
use crate::erase::method::{Method, Sanitize, Scope};
use crate::sys::nvme::NvmeDevice;
use crate::sys::root::Root;

const BOTH: &str = "NVMe format and sanitize";

/// The controller behind the device of a namespace.
pub(super) struct NvmeDrive<'a> {
    pub(super) root: &'a Root,
    pub(super) name: &'a str,
}

impl NvmeDrive<'_> {
    fn open(&self) -> Result<NvmeDevice, DriveError> {
        NvmeDevice::open(self.root, self.name)
            .map_err(|source| Fault::Open.after(self.name, source))
    }
}

impl Drive for NvmeDrive<'_> {
    fn offer(&self, _: &BlockDevice, allowed: &Allowed) -> Result<Offers, String> {
        let mut offers = Offers::default();
        match Facts::read(self.root, self.name) {
            Ok(None) => return Err("it is no namespace of NVMe".to_owned()),
            Ok(Some(facts)) => {
                if allowed.nvme {
                    of_format(&facts, &mut offers);
                    of_sanitize(&facts, &mut offers);
                } else {
                    offers.lacks(BOTH, "agent_enable_nvme_secure_erase is false");
                }
                offers.subsystem = Some(facts.subsystem);
            }
            // Where there is a controller, it has to answer.
            Err(error) if allowed.nvme => offers.blocked(BOTH, chain(&error)),
            Err(_) => {}
        }
        Ok(offers)
    }

    fn prepare(&self, method: Method, watch: &Watch<'_>) -> Result<(), DriveError> {
        let only_formats = matches!(method, Method::NvmeFormat { .. });
        sanitize::ready(&self.open()?, only_formats, watch)
    }

    fn run(&self, method: Method, watch: &Watch<'_>) -> Result<(), DriveError> {
        let device = self.name;
        let controller = self.open()?;
        match method {
            Method::NvmeSanitize(action) => sanitize::sanitize(&controller, action, watch),
            Method::NvmeFormat { crypto } => {
                watch.context.report_progress(Progress {
                    what: format!(
                        "erasing {device}: {method}, which tells nothing on its way and cannot be \
                         stopped"
                    ),
                    done: 0,
                    total: Some(watch.size),
                });
                let namespace = identify::namespace_number(self.root, device)
                    .ok_or_else(|| Fault::NoNamespace.of(device))?;
                sanitize::format(&controller, namespace, crypto, device)
            }
            _ => Err(Fault::NoSuchMethod.of(device)),
        }
    }
}

/// Why a storage system is never told to erase more than one namespace. Others may have namespaces in the subsystem that
/// are not shown here at all.
const SHARED: &str =
    "the subsystem is on a network, and it would erase namespaces of other hosts too";

fn of_format(facts: &Facts, offers: &mut Offers) {
    const NAME: &str = "NVMe format";
    let controller = facts.controller;
    if !controller.format {
        return offers.lacks(NAME, "the controller does not have it");
    }
    if facts.is_remote && controller.format_is_of_all {
        return offers.lacks(NAME, SHARED);
    }
    let crypto = controller.format_crypto;
    let reason = if crypto {
        "the controller can change the key that all data is stored with"
    } else {
        "the controller can erase all user data, and has no key to change"
    };
    let scope = if controller.format_is_of_all {
        Scope::Subsystem
    } else {
        Scope::Namespace
    };
    offers.reaches(NAME, Method::NvmeFormat { crypto }, scope, reason);
}

fn of_sanitize(facts: &Facts, offers: &mut Offers) {
    const NAME: &str = "NVMe sanitize";
    let controller = facts.controller;
    if facts.is_remote && controller.sanitizes() {
        return offers.lacks(NAME, SHARED);
    }
    let quick = [
        (controller.sanitize_crypto, Sanitize::Crypto),
        (controller.sanitize_block, Sanitize::Block),
    ];
    for action in worthwhile(quick, controller.sanitize_overwrite) {
        offers.reaches(
            NAME,
            Method::NvmeSanitize(action),
            Scope::Subsystem,
            "where a format fails: the controller has it, and it reaches every namespace",
        );
    }
    if !controller.sanitizes() {
        offers.lacks(NAME, "the controller does not have it");
    }
}
