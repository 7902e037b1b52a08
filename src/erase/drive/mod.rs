//! The commands of ATA and SCSI drives as ways to erase.

pub(super) mod ata;
pub(super) mod command;
pub(super) mod error;
pub(super) mod nvme;
pub(super) mod scsi;
pub(super) mod watch;

use farrier_plugin::BlockDevice;
use tracing::debug;

use crate::erase::drive::error::{DriveError, Fault};
use crate::erase::drive::watch::Watch;
use crate::erase::method::Method;
use crate::sys::root::Root;
use crate::sys::scsi::ScsiDevice;
use crate::sys::sg::SgDevice;

/// Whether the device is one that is asked at all: a whole disk, and not of NVMe, which has its own
/// commands. Arrays and mapped devices lie on disks that are asked.
pub(in crate::erase) fn is_disk(device: &BlockDevice) -> bool {
    device.extra["type"].as_str().unwrap_or("disk") == "disk"
        && !device.name.starts_with("/dev/nvme")
}

/// Whether it hangs on USB. Bridges there have bricked drives by resetting them in the middle, and
/// some sticks do not survive to be asked who they are.
pub(in crate::erase) fn is_usb(device: &BlockDevice) -> bool {
    device.tran.as_deref() == Some("usb")
}

/// The drive behind this device.
pub(in crate::erase) fn open(root: &Root, device: &str) -> Result<SgDevice, DriveError> {
    SgDevice::open(root.path(device)).map_err(|source| Fault::Open.after(device, source))
}

/// What must be before a marker can be written: the drive answers reads and writes, and will take
/// the method.
pub(in crate::erase) fn prepare(
    drive: &dyn ScsiDevice,
    method: Method,
    watch: &Watch<'_>,
) -> Result<(), DriveError> {
    match method {
        Method::AtaSecurityErase { enhanced } => ata::ready(drive, watch.device, enhanced),
        Method::AtaSanitize(_) => {
            ata::release(drive, watch.device)?;
            ata::ready_to_sanitize(drive, watch)
        }
        Method::ScsiSanitize(_) | Method::ScsiFormat => scsi::make_ready(drive, watch),
        _ => Ok(()),
    }
}

/// Have the drive erase itself. Nothing stops it once it has begun.
pub(in crate::erase) fn run(
    drive: &dyn ScsiDevice,
    method: Method,
    watch: &Watch<'_>,
) -> Result<(), DriveError> {
    match method {
        Method::AtaSecurityErase { enhanced } => ata::security_erase(drive, enhanced, watch),
        Method::AtaSanitize(operation) => ata::sanitize(drive, operation, watch),
        Method::ScsiSanitize(operation) => scsi::sanitize(drive, operation, watch),
        Method::ScsiFormat => scsi::format_unit(drive, watch),
        _ => Err(Fault::Unsupported("such method").of(watch.device)),
    }
}

/// Take off a password that an interrupted erase left on this drive; whether there was one.
pub(in crate::erase) fn take_password_off(
    root: &Root,
    device: &BlockDevice,
) -> Result<bool, DriveError> {
    if !is_disk(device) || is_usb(device) {
        return Ok(false);
    }
    match SgDevice::open(root.path(&device.name)) {
        Ok(drive) => take_off(&drive, &device.name),
        Err(_) => Ok(false),
    }
}

fn take_off(drive: &dyn ScsiDevice, device: &str) -> Result<bool, DriveError> {
    match ata::look(drive, device) {
        Ok(Ok(identify)) if identify.security.enabled => ata::release(drive, device),
        Ok(Ok(_)) => Ok(false),
        Ok(Err(reason)) => {
            debug!(device, reason, "not asked for a password");
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use farrier_plugin::{SilentContext, chain};

    use super::*;
    use crate::erase::drive::ata::model::{Defect, Drive, ERASE_UNIT, SANITIZE};
    use crate::erase::drive::scsi::model::Disk as ScsiDisk;
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
    fn proven(drive: &Drive, method: Method) -> Result<(), String> {
        prepare(drive, method, &watch()).map_err(|error| chain(&error))?;
        let proof = Proof::begin(drive, "/dev/sda").map_err(|error| chain(&error))?;
        proof
            .demand_kept("/dev/sda")
            .map_err(|error| chain(&error))?;
        run(drive, method, &watch()).map_err(|error| chain(&error))?;
        let found = proof.is_gone(drive, "/dev/sda");
        found.map(drop).map_err(|error| chain(&error))
    }

    #[test]
    fn every_method_is_proven_on_a_good_drive_and_on_one_that_was_left_locked() {
        for method in METHODS {
            proven(&Drive::new(), method).unwrap();
            let drive = Drive::new().locked_with(b"farrier");
            proven(&drive, method).unwrap();
            assert!(!drive.has_password() && !drive.holds_old_data());
        }
    }

    #[test]
    fn a_drive_that_says_it_erased_and_did_not_is_found_out() {
        // It drops its password, so that only the markers tell.
        struct Liar(Drive);
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
        let drive = Liar(Drive::new());
        let proof = Proof::begin(&drive.0, "/dev/sda").unwrap();
        run(&drive, METHODS[0], &watch()).unwrap();
        let error = proof.is_gone(&drive.0, "/dev/sda").unwrap_err();
        assert!(matches!(error, crate::erase::EraseError::Survived { .. }));
    }

    #[test]
    fn a_frozen_or_foreign_drive_is_named_before_a_marker_is_written() {
        let frozen = Drive::new();
        frozen.freeze();
        let error = proven(&frozen, METHODS[0]).unwrap_err();
        assert!(error.contains("is frozen and cannot be erased"), "{error}");
        let foreign = Drive::new().locked_with(b"somebody's");
        for method in METHODS {
            let error = proven(&foreign, method).unwrap_err();
            assert!(
                error.contains("already has a security password set"),
                "{error}"
            );
        }
        let hidden = Drive::new().failing(&[Defect::NoRegisters]);
        assert!(proven(&hidden, METHODS[2]).is_err());
        for drive in [frozen, foreign, hidden] {
            assert!(drive.is_untouched());
        }
    }

    #[test]
    fn a_password_of_ours_is_taken_off_and_another_is_told() {
        assert!(!take_off(&Drive::new(), "/dev/sda").unwrap());
        let drive = Drive::new().locked_with(b"farrier");
        assert!(take_off(&drive, "/dev/sda").unwrap());
        assert!(!drive.is_locked() && drive.is_untouched());
        let foreign = Drive::new().locked_with(b"somebody's");
        assert!(take_off(&foreign, "/dev/sda").unwrap_err().is_locked());
        // Its patience is at an end now, with the same words.
        let error = take_off(&foreign, "/dev/sda").unwrap_err();
        assert!(error.is_locked() && error.to_string().contains("already has a security"));
        assert!(!take_off(&ScsiDisk::new(&[]), "/dev/sda").unwrap());
    }

    #[test]
    fn a_disk_that_erases_itself_already_is_waited_for_before_markers() {
        let drive = Drive::new();
        drive.begin_sanitize(0x12);
        proven(&drive, METHODS[2]).unwrap();
        let starts = drive.commands();
        assert!(starts.iter().all(|code| *code == SANITIZE) && starts.len() > 10);
    }
}
