//! What a drive does by itself: NVMe, ATA and SCSI, each in its folder.

pub(super) mod ata;
pub(super) mod command;
pub(super) mod error;
pub(super) mod nvme;
pub(super) mod offer;
pub(super) mod scsi;
pub(super) mod watch;

use std::io::ErrorKind;
use std::time::Instant;

use farrier_plugin::BlockDevice;
use tracing::debug;

use crate::erase::drive::ata::AtaDrive;
use crate::erase::drive::error::{DriveError, Fault};
use crate::erase::drive::nvme::NvmeDrive;
use crate::erase::drive::offer::{Allowed, Drive, Offers};
use crate::erase::drive::scsi::ScsiDisk;
use crate::erase::method::Method;
use crate::sys::root::Root;
use crate::sys::scsi::ScsiDevice;
use crate::sys::sg::SgDevice;

/// What the drive behind this device offers. Nothing where there is none that can be asked.
pub(in crate::erase) fn offers(root: &Root, device: &BlockDevice, allowed: &Allowed) -> Offers {
    let mut offers = Offers::default();
    if let Some(offers) = nvme_offers(root, device, allowed) {
        return offers;
    }
    if !is_disk(device) {
        return offers;
    }
    if is_usb(device) {
        offers.lacks(
            ata::BOTH,
            "what bridges to USB do with commands that take hours is not to be relied on",
        );
        return offers;
    }
    match SgDevice::open(root.path(&device.name)) {
        Ok(link) => return ask(&link, device, allowed),
        // Whatever writes to it will say so.
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => offers.lacks(ata::BOTH, format!("the device cannot be asked: {error}")),
    }
    offers
}

/// What the controller of this namespace offers; `None` for what is no namespace of NVMe.
pub(in crate::erase) fn nvme_offers(
    root: &Root,
    device: &BlockDevice,
    allowed: &Allowed,
) -> Option<Offers> {
    let name = device.name.as_str();
    NvmeDrive { root, name }.offer(device, allowed).ok()
}

/// Whether this is a namespace of a storage system, which is reached over a network.
pub(in crate::erase) fn is_remote(root: &Root, device: &BlockDevice) -> bool {
    nvme::identify::is_remote(root, &device.name)
}

/// What an ATA drive or a SCSI disk offers, whichever this is.
pub(in crate::erase) fn ask(
    link: &dyn ScsiDevice,
    device: &BlockDevice,
    allowed: &Allowed,
) -> Offers {
    let mut offers = Offers::default();
    match AtaDrive(link).offer(device, allowed) {
        Ok(offers) => return offers,
        Err(reason) => offers.lacks(ata::BOTH, reason),
    }
    match ScsiDisk(link).offer(device, allowed) {
        Ok(more) => offers.list.extend(more.list),
        Err(reason) => offers.lacks(scsi::BOTH, reason),
    }
    offers
}

/// The drive behind this device, that is to be erased by this method.
pub(in crate::erase) fn open<'a>(
    root: &'a Root,
    device: &'a str,
    method: Method,
) -> Result<Box<dyn Drive + 'a>, DriveError> {
    let link =
        || SgDevice::open(root.path(device)).map_err(|source| Fault::Open.after(device, source));
    match method {
        Method::AtaSanitize(_) | Method::AtaSecurityErase { .. } => Ok(Box::new(AtaDrive(link()?))),
        Method::ScsiSanitize(_) | Method::ScsiFormat => Ok(Box::new(ScsiDisk(link()?))),
        Method::NvmeFormat { .. } | Method::NvmeSanitize(_) => {
            let name = device;
            Ok(Box::new(NvmeDrive { root, name }))
        }
        Method::Discard { .. }
        | Method::Overwrite { .. }
        | Method::BesideArrays { .. }
        | Method::Metadata => Err(Fault::NoSuchMethod.of(device)),
    }
}

/// Whether the device is one that is asked at all: a whole disk, and not of NVMe, which has its own
/// commands. Arrays and mapped devices lie on disks that are asked.
fn is_disk(device: &BlockDevice) -> bool {
    device.extra["type"].as_str().unwrap_or("disk") == "disk"
        && !device.name.starts_with("/dev/nvme")
}

/// Whether it hangs on USB. Bridges there have bricked drives by resetting them in the middle, and
/// some sticks do not survive to be asked who they are.
fn is_usb(device: &BlockDevice) -> bool {
    device.tran.as_deref() == Some("usb")
}

/// Take off a password that an interrupted erase left on this drive; whether there was one.
pub(in crate::erase) fn take_password_off(
    root: &Root,
    device: &BlockDevice,
) -> Result<bool, DriveError> {
    link(root, device).map_or(Ok(false), |drive| {
        ata::take_password_off(&drive, &device.name)
    })
}

/// What there is to tell of a drive that has a security password; it is only asked, and not after `until`.
pub(in crate::erase) fn password_trouble(
    root: &Root,
    device: &BlockDevice,
    until: Instant,
) -> Option<String> {
    ata::password_trouble(&link(root, device)?, &device.name, until)
}

/// Whether this is a drive that is asked for a password.
pub(in crate::erase) fn can_have_password(device: &BlockDevice) -> bool {
    is_disk(device) && !is_usb(device)
}

/// The way to a drive that may have a password; `None` where it has none, or cannot be asked.
fn link(root: &Root, device: &BlockDevice) -> Option<SgDevice> {
    if !can_have_password(device) {
        return None;
    }
    SgDevice::open(root.path(&device.name))
        .inspect_err(|error| debug!(device = device.name, %error, "not asked for a password"))
        .ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use farrier_plugin::{SilentContext, chain};

    use super::*;
    use crate::erase::drive::ata::model::{Defect, Drive as AtaModel, ERASE_UNIT, SANITIZE};
    use crate::erase::drive::scsi::model::Disk as ScsiDisk;
    use crate::erase::drive::watch::Watch;
    use crate::erase::method::Sanitize;
    use crate::erase::proof::Proof;

    const METHODS: [Method; 5] = [
        Method::AtaSecurityErase { enhanced: false },
        Method::AtaSecurityErase { enhanced: true },
        Method::AtaSanitize(Sanitize::Block),
        Method::AtaSanitize(Sanitize::Crypto),
        Method::AtaSanitize(Sanitize::Overwrite),
    ];

    fn watch() -> Watch<'static> {
        Watch {
            context: &SilentContext,
            device: "/dev/sda",
            size: 3 << 20,
            pause: Duration::from_millis(1),
        }
    }

    /// As `erase_device` does it, on the model.
    fn proven(drive: &AtaModel, method: Method) -> Result<(), String> {
        let itself = AtaDrive(drive as &dyn ScsiDevice);
        let told = |error| chain(&error);
        itself.prepare(method, &watch()).map_err(told)?;
        let proof = Proof::begin(drive, "/dev/sda").map_err(|error| chain(&error))?;
        proof
            .demand_kept("/dev/sda")
            .map_err(|error| chain(&error))?;
        itself.run(method, &watch()).map_err(told)?;
        let found = proof.is_gone(drive, "/dev/sda");
        found.map(drop).map_err(|error| chain(&error))
    }

    #[test]
    fn every_method_is_proven_on_a_good_drive_and_on_one_that_was_left_locked() {
        for method in METHODS {
            proven(&AtaModel::new(), method).unwrap();
            let drive = AtaModel::new().locked_with(b"farrier");
            proven(&drive, method).unwrap();
            assert!(!drive.has_password() && !drive.holds_old_data());
        }
    }

    #[test]
    fn a_drive_that_says_it_erased_and_did_not_is_found_out() {
        // It drops its password, so that only the markers tell.
        struct Liar(AtaModel);
        impl ScsiDevice for Liar {
            fn send(
                &self,
                command: &[u8],
                data: crate::sys::scsi::Data<'_>,
                timeout: Duration,
            ) -> Result<crate::sys::scsi::Reply, crate::sys::scsi::ScsiError> {
                let mut block = command.to_vec();
                if block.get(14) == Some(&ERASE_UNIT) {
                    block[14] = ata::model::DISABLE;
                }
                self.0.send(&block, data, timeout)
            }
        }
        let drive = Liar(AtaModel::new());
        let proof = Proof::begin(&drive.0, "/dev/sda").unwrap();
        AtaDrive(&drive as &dyn ScsiDevice)
            .run(METHODS[0], &watch())
            .unwrap();
        let error = proof.is_gone(&drive.0, "/dev/sda").unwrap_err();
        assert!(matches!(error, crate::erase::EraseError::Survived { .. }));
    }

    #[test]
    fn a_frozen_or_foreign_drive_is_named_before_a_marker_is_written() {
        let frozen = AtaModel::new();
        frozen.freeze();
        let error = proven(&frozen, METHODS[0]).unwrap_err();
        assert!(error.contains("is frozen and cannot be erased"), "{error}");
        let foreign = AtaModel::new().locked_with(b"somebody's");
        for method in METHODS {
            let error = proven(&foreign, method).unwrap_err();
            assert!(
                error.contains("already has a security password set"),
                "{error}"
            );
        }
        let hidden = AtaModel::new().failing(&[Defect::NoRegisters]);
        assert!(proven(&hidden, METHODS[2]).is_err());
        for drive in [frozen, foreign, hidden] {
            assert!(drive.is_untouched());
        }
    }

    #[test]
    fn a_password_of_ours_is_taken_off_and_another_is_told() {
        assert!(!ata::take_password_off(&AtaModel::new(), "/dev/sda").unwrap());
        let drive = AtaModel::new().locked_with(b"farrier");
        assert!(ata::take_password_off(&drive, "/dev/sda").unwrap());
        assert!(!drive.is_locked() && drive.is_untouched());
        let foreign = AtaModel::new().locked_with(b"somebody's");
        assert!(
            ata::take_password_off(&foreign, "/dev/sda")
                .unwrap_err()
                .is_locked()
        );
        // Its patience is at an end now, with the same words.
        let error = ata::take_password_off(&foreign, "/dev/sda").unwrap_err();
        assert!(error.is_locked() && error.to_string().contains("already has a security"));
        assert!(!ata::take_password_off(&ScsiDisk::new(&[]), "/dev/sda").unwrap());
    }

    #[test]
    fn a_password_is_told_and_left_where_it_is_only_asked_for() {
        let until = Instant::now() + Duration::from_secs(600);
        let told = |drive: &dyn ScsiDevice| ata::password_trouble(drive, "/dev/sda", until);
        assert_eq!(told(&AtaModel::new()), None);
        assert_eq!(told(&ScsiDisk::new(&[])), None);
        let drive = AtaModel::new().locked_with(b"farrier");
        let trouble = told(&drive).unwrap();
        assert!(
            trouble.starts_with("/dev/sda has a security password"),
            "{trouble}"
        );
        assert!(
            trouble.contains("SEC4") && trouble.contains("hdparm"),
            "{trouble}"
        );
        assert!(drive.is_locked() && drive.has_password());
        assert!(
            drive
                .commands()
                .iter()
                .all(|code| [0xec, 0x12].contains(code))
        );
        // Later an erase can be on its way.
        let asked = drive.commands().len();
        assert_eq!(
            ata::password_trouble(&drive, "/dev/sda", Instant::now()),
            None
        );
        assert_eq!(drive.commands().len(), asked);
    }

    #[test]
    fn a_disk_that_erases_itself_already_is_waited_for_before_markers() {
        let drive = AtaModel::new();
        drive.begin_sanitize(0x12);
        proven(&drive, METHODS[2]).unwrap();
        let starts = drive.commands();
        assert!(starts.iter().all(|code| *code == SANITIZE) && starts.len() > 10);
    }
}
