//! Plans for ATA drives and SCSI disks, by models of them.

use farrier_plugin::{BlockDevice, Node};
use serde_json::json;

use crate::erase::drive;
use crate::erase::drive::ata::model::{Defect, Drive, IDENTIFY};
use crate::erase::drive::offer::Allowed;
use crate::erase::drive::scsi::model::Disk;
use crate::erase::flags::EraseFlags;
use crate::erase::plan::Plan;
use crate::sys::root::Root;
use crate::sys::scsi::ScsiDevice;

fn plan(link: &dyn ScsiDevice, flags: &EraseFlags) -> Plan {
    let mut plan = Plan::none(&BlockDevice {
        name: "/dev/sda".to_owned(),
        tran: Some("sas".to_owned()),
        extra: json!({"type": "disk"}),
        ..BlockDevice::default()
    });
    let offers = drive::ask(link, &plan.device, &Allowed::from(flags));
    plan.choose(offers, &|_| true);
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
            .any(|left_out| left_out.method == drive::scsi::BOTH)
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
        let offers = drive::offers(&root, &plan.device, &Allowed::from(&flags()));
        plan.choose(offers, &|_| true);
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
