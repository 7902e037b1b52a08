//! The part of a plan that an ATA drive or a SCSI disk does by itself.

use farrier_plugin::chain;

use crate::erase::drive::ata::{self, Identify};
use crate::erase::drive::scsi::{self, Abilities};
use crate::erase::drive::{is_disk, is_usb};
use crate::erase::flags::EraseFlags;
use crate::erase::method::{Method, Sanitize};
use crate::erase::plan::Plan;
use crate::sys::root::Root;
use crate::sys::scsi::ScsiDevice;
use crate::sys::sg::SgDevice;

const ATA: &str = "ATA sanitize and secure erase";
const SCSI: &str = "SCSI sanitize and format";

/// Add what this disk can do.
pub(super) fn add(plan: &mut Plan, root: &Root, flags: &EraseFlags) {
    let name = plan.device.name.clone();
    if !is_disk(&plan.device) {
        return;
    }
    if is_usb(&plan.device) {
        return plan.leave_out(
            ATA,
            "what bridges to USB do with commands that take hours is not to be relied on"
                .to_owned(),
        );
    }
    match SgDevice::open(root.path(&name)) {
        Ok(drive) => ask(plan, &drive, flags),
        // Whatever writes to it will say so.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => plan.leave_out(ATA, format!("the device cannot be asked: {error}")),
    }
}

fn ask(plan: &mut Plan, drive: &dyn ScsiDevice, flags: &EraseFlags) {
    match ata::look(drive, &plan.device.name) {
        Ok(Ok(_)) if !flags.ata_secure_erase => {
            plan.leave_out(ATA, "agent_enable_ata_secure_erase is false".to_owned());
        }
        Ok(Ok(identify)) => of_ata(plan, &identify),
        Ok(Err(reason)) => {
            plan.leave_out(ATA, reason);
            of_scsi(plan, drive, flags);
        }
        Err(error) if flags.ata_secure_erase => plan.block(ATA, chain(&error)),
        Err(_) => {}
    }
}

fn of_ata(plan: &mut Plan, identify: &Identify) {
    let sanitize = identify.sanitize;
    add_sanitize(
        plan,
        (
            sanitize.block_erase,
            sanitize.crypto_scramble,
            sanitize.overwrite,
        ),
        "the drive has it, and NIST SP 800-88 prefers it to secure erase",
        Method::AtaSanitize,
    );
    if !sanitize.supported {
        plan.leave_out("ATA sanitize", "the drive does not have it".to_owned());
    }
    let security = identify.security;
    if !security.supported {
        return plan.leave_out("ATA secure erase", "the drive does not have it".to_owned());
    }
    let which = if security.enhanced {
        "the drive has the enhanced one"
    } else {
        "the drive has the normal one alone"
    };
    let mut reason = format!("{which}; it is in state {}", security.state());
    if security.frozen {
        reason.push_str(", so that it will fail unless its power is switched off before");
    }
    plan.add(
        Method::AtaSecurityErase {
            enhanced: security.enhanced,
        },
        &reason,
    );
}

fn of_scsi(plan: &mut Plan, drive: &dyn ScsiDevice, flags: &EraseFlags) {
    let may_sanitize = flags.scsi_sanitize == Some(true);
    let may_format = flags.scsi_format_unit == Some(true);
    if !may_sanitize && !may_format {
        // Told of disks that may have it, and not of every virtual one.
        if matches!(plan.device.tran.as_deref(), Some("sas" | "fc" | "spi")) {
            plan.leave_out(
                SCSI,
                "enable_scsi_sanitize and enable_scsi_format_unit are false".to_owned(),
            );
        }
        return;
    }
    let abilities = match scsi::look(drive) {
        Ok(abilities) => abilities,
        Err(reason) => return plan.leave_out(SCSI, reason),
    };
    let Abilities {
        block,
        crypto,
        overwrite,
        format,
    } = abilities;
    if may_sanitize {
        add_sanitize(
            plan,
            (block, crypto, overwrite),
            "the disk has it, and enable_scsi_sanitize is true",
            Method::ScsiSanitize,
        );
        if !abilities.sanitizes() {
            plan.leave_out("SCSI sanitize", "the disk does not have it".to_owned());
        }
    }
    if may_format && format {
        plan.add(
            Method::ScsiFormat,
            "the disk has it, and enable_scsi_format_unit is true",
        );
    } else if may_format {
        plan.leave_out("SCSI format", "the disk does not have it".to_owned());
    }
}

/// Block erase, which needs no trust in a cipher; a new key; and only without both the overwrite,
/// which takes as long as writing.
fn add_sanitize(
    plan: &mut Plan,
    (block, crypto, overwrite): (bool, bool, bool),
    reason: &str,
    method: fn(Sanitize) -> Method,
) {
    for (has, operation) in [
        (block, Sanitize::Block),
        (crypto, Sanitize::Crypto),
        (overwrite && !block && !crypto, Sanitize::Overwrite),
    ] {
        if has {
            plan.add(method(operation), reason);
        }
    }
}

#[cfg(test)]
mod tests {
    use farrier_plugin::{BlockDevice, Node};
    use serde_json::json;

    use super::*;
    use crate::erase::drive::ata::model::{Defect, Drive, IDENTIFY};
    use crate::erase::drive::scsi::model::Disk;

    fn plan(drive: &dyn ScsiDevice, flags: &EraseFlags) -> Plan {
        let mut plan = Plan::none(&BlockDevice {
            name: "/dev/sda".to_owned(),
            tran: Some("sas".to_owned()),
            extra: json!({"type": "disk"}),
            ..BlockDevice::default()
        });
        ask(&mut plan, drive, flags);
        plan
    }

    fn flags() -> EraseFlags {
        EraseFlags::from_node(&Node::default()).unwrap()
    }

    fn methods(plan: &Plan) -> Vec<String> {
        let methods = plan.methods.iter();
        methods.map(|planned| planned.method.to_string()).collect()
    }

    #[test]
    fn a_drives_own_methods_are_in_the_order_of_preference() {
        assert_eq!(
            methods(&plan(&Drive::new(), &flags())),
            [
                "ATA sanitize by block erase",
                "ATA sanitize by a new key",
                "ATA enhanced secure erase"
            ]
        );
        // A hard disk with overwrite alone, and the normal erase.
        let drive = Drive::with(&[(59, 0x5000), (128, 1)]);
        assert_eq!(
            methods(&plan(&drive, &flags())),
            ["ATA sanitize by overwrite", "ATA secure erase"]
        );
    }

    #[test]
    fn a_frozen_drive_keeps_its_method_so_that_it_fails_by_name() {
        let drive = Drive::with(&[(128, 0x21)]);
        drive.freeze();
        let plan = plan(&drive, &flags());
        assert_eq!(methods(&plan), ["ATA enhanced secure erase"]);
        assert!(plan.methods[0].reason.contains("SEC2 (disabled, frozen)"));
    }

    #[test]
    fn what_the_drive_has_not_or_the_node_forbids_is_left_out() {
        let none = plan(&Drive::with(&[(128, 0)]), &flags());
        assert!(methods(&none).is_empty());
        assert_eq!(none.left_out.len(), 2);
        let off = EraseFlags {
            ata_secure_erase: false,
            ..flags()
        };
        let off = plan(&Drive::new(), &off);
        assert!(methods(&off).is_empty() && off.refusal().is_none());
        assert!(
            off.left_out[0]
                .reason
                .contains("agent_enable_ata_secure_erase")
        );
    }

    #[test]
    fn a_drive_that_talks_nonsense_is_not_overwritten_in_silence() {
        let drive = Drive::new().failing(&[Defect::Short(IDENTIFY)]);
        let plan = plan(&drive, &flags());
        let refusal = plan.refusal().unwrap().to_string();
        assert!(refusal.contains("412 bytes instead of 512"), "{refusal}");
    }

    #[test]
    fn a_scsi_disk_does_what_it_may() {
        let disk = Disk::new(&[2, 1]);
        let default = plan(&disk, &flags());
        assert!(methods(&default).is_empty());
        assert!(
            default
                .left_out
                .iter()
                .any(|left_out| left_out.method == SCSI)
        );
        let allowed = EraseFlags {
            scsi_sanitize: Some(true),
            scsi_format_unit: Some(true),
            ..flags()
        };
        assert_eq!(
            methods(&plan(&disk, &allowed)),
            ["SCSI sanitize by block erase", "SCSI format"]
        );
        let none = plan(&Disk::new(&[]), &allowed);
        assert_eq!(methods(&none), ["SCSI format"]);
    }

    #[test]
    fn files_arrays_and_usb_disks_are_not_asked() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let root = Root::at("/");
        for (kind, tran, told) in [
            ("disk", None, Some("takes no SCSI commands")),
            ("disk", Some("usb"), Some("bridges to USB")),
            ("raid1", None, None),
            ("file", None, None),
        ] {
            let mut plan = Plan::none(&BlockDevice {
                name: file.path().display().to_string(),
                tran: tran.map(str::to_owned),
                extra: json!({"type": kind}),
                ..BlockDevice::default()
            });
            add(&mut plan, &root, &flags());
            assert!(plan.methods.is_empty());
            let reasons: Vec<&str> = plan
                .left_out
                .iter()
                .map(|left_out| left_out.reason.as_str())
                .collect();
            match told {
                Some(told) => assert!(reasons[0].contains(told), "{reasons:?}"),
                None => assert!(reasons.is_empty(), "{reasons:?}"),
            }
        }
    }
}
