//! Why a device was not erased.

use farrier_plugin::{ErrorKind, ManagerError, chain};
use libblkid_rs::BlkidErr;

use crate::block::list::BlockError;
use crate::erase::drive::error::{DriveError, Fault};
use crate::erase::record::DeliveryError;
use crate::sys::block_device::DiskError;

/// Why a device was not erased, or must not be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EraseError {
    /// The drive did not erase itself.
    #[error(transparent)]
    Drive(DriveError),
    /// A disk could not be erased beside the arrays on it, of which it is not known what they use.
    #[error(
        "{device} is not erased beside the arrays of the node's raid_config that are on it, and stays as it is: {reason}; \
         delete_configuration takes the arrays away, after which the disk is erased as a whole"
    )]
    BesideUnknown {
        /// The device.
        device: String,
        /// What is not known, or cannot be.
        reason: String,
    },
    /// The arrays on a disk are not those that they were when it was begun to erase what is beside them.
    #[error(
        "{device} is not erased beside the arrays of the node's raid_config: they have changed meanwhile; erase again"
    )]
    ArraysChanged {
        /// The device.
        device: String,
    },
    /// What was written to an array is not on each of its members.
    #[error(
        "{device} is not erased, although it took all writes: {faults}; replace that disk, or have delete_configuration \
         take the array away and erase again"
    )]
    MembersKeepData {
        /// The array.
        device: String,
        /// Each member with what is wrong.
        faults: String,
    },
    /// A member of an array that is to stay and does not run.
    #[error(
        "{device} is not erased: {part} is a member of {array}, which the node's raid_config counts on, and which does not \
         run or runs without it, so that neither is erased through the other; mend the array, or run \
         delete_configuration, after which the disk is erased as a whole, and create_configuration"
    )]
    NotRunning {
        /// The device.
        device: String,
        /// The member.
        part: String,
        /// The array: its device, or its name in words.
        array: String,
    },
    /// The command was cancelled before the end.
    #[error("The erase of {device} was cancelled; what it held can still be there")]
    Cancelled {
        /// The device.
        device: String,
    },
    /// The command was cancelled before the first device's turn.
    #[error("Nothing is erased: the command was cancelled before the first device's turn")]
    NotBegun,
    /// The method would erase another device, too, which must not be touched by now.
    #[error("{device} is not erased by {method}: it would erase {other} too, but {reason}")]
    Reaches {
        /// The device.
        device: String,
        /// The method.
        method: String,
        /// The other device.
        other: String,
        /// Why that one must not be touched.
        reason: String,
    },
    /// Something at its turn says to leave it out, which nothing did at its begin.
    #[error("{device} is not erased any further, since by now {reason}")]
    Left {
        /// The device.
        device: String,
        /// Why it is to be left out.
        reason: String,
    },
    /// Another device has its name now.
    #[error(
        "{device} is not erased: when all disks were looked at, this was {then}, and now it is \
         {now}; let the disks come to rest and erase again"
    )]
    Exchanged {
        /// The device.
        device: String,
        /// Size, serial number and WWN in the survey, or `no device`.
        then: String,
        /// The same at its turn.
        now: String,
    },
    /// The device cannot be used.
    #[error("{device} is not erased")]
    Disk {
        /// The device.
        device: String,
        /// What failed.
        #[source]
        source: DiskError,
    },
    /// A node's flag has a value that cannot be meant.
    #[error(
        "driver_internal_info.{flag} is {value}, which is no {expected}; correct the conductor's \
         [deploy] options"
    )]
    Flag {
        /// The flag.
        flag: &'static str,
        /// Its value as JSON.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// The block devices could not be listed.
    #[error("Nothing is erased")]
    List(#[from] BlockError),
    /// Something that the kernel made of the device uses it.
    #[error(
        "{device} is not erased: {holders} lies on it and is in use; stop it first, or keep the \
         ramdisk from starting it"
    )]
    Held {
        /// The device.
        device: String,
        /// Kernel names.
        holders: String,
    },
    /// The device or a part of it is mounted.
    #[error("{device} is not erased: {part} is in use as {place}; unmount it first")]
    Mounted {
        /// The device.
        device: String,
        /// The device, or what lies on it.
        part: String,
        /// The mount point, or `swap`.
        place: String,
    },
    /// The device does not keep data: what was written as a marker could not be read back.
    #[error(
        "{device} does not keep what is written at byte {offset}, so that no erase of it can be \
         proven; replace it"
    )]
    Forgetful {
        /// The device.
        device: String,
        /// First byte of the area.
        offset: u64,
    },
    /// The node's flags ask for no pass at all.
    #[error(
        "{device} is not erased: agent_erase_devices_iterations is 0 and \
         agent_erase_devices_zeroize is false, so that nothing would be overwritten"
    )]
    NothingPlanned {
        /// The device.
        device: String,
    },
    /// The device could not be opened for this process alone.
    #[error("{device} is not erased{users}")]
    Open {
        /// The device.
        device: String,
        /// Who uses it, in brackets.
        users: String,
        /// What failed.
        #[source]
        source: DiskError,
    },
    /// This is no ramdisk.
    #[error(
        "{device} is left as it is: this system does not run from memory, so that it is not the \
         ramdisk, and nothing was told to go on all the same"
    )]
    NotInRamdisk {
        /// The device.
        device: String,
    },
    /// A shared cluster file system is on the device. The text begins as the reference's.
    #[error(
        "Protected {what} located on device {device}. This volume or contents may be a shared \
         block device. Please consult your storage administrator, and restart cleaning after \
         either detaching the volumes, or instructing the agent to not protect contents (with \
         wipe_special_filesystems in the node's driver_info, or ipa-guard-special-filesystems)"
    )]
    Protected {
        /// The device.
        device: String,
        /// The file system's name.
        what: String,
    },
    /// What the device holds could not be looked at.
    #[error("{device} could not be searched for file systems and partition tables")]
    Search {
        /// The device.
        device: String,
        /// libblkid's error.
        #[source]
        source: BlkidErr,
    },
    /// The device takes no writes. The text is the reference's (contract/data-plane 7.4).
    #[error(
        "Failed to invoke erase of device {device} as the device is flagged read-only, and the \
         conductor has not signaled this is a permitted case."
    )]
    ReadOnly {
        /// The device.
        device: String,
    },
    /// The record of the erase did not reach its place, and it must.
    #[error(
        "{device} is erased, but its erase record was not delivered, which erase_record_required \
         demands{kept}"
    )]
    Undelivered {
        /// The device.
        device: String,
        /// Where it is all the same; may be empty.
        kept: &'static str,
        /// What failed.
        #[source]
        source: Box<DeliveryError>,
    },
    /// A record must be delivered, and there is no place for it. Nothing is erased.
    #[error(
        "Nothing is erased: erase_record_required is set and erase_record_url is not, so that no \
         erase record could be delivered"
    )]
    NoReceiver,
    /// A signature is still recognised after it was removed.
    #[error("The signature of {kind} on {device} is still there after it was removed")]
    SignatureSurvives {
        /// The device.
        device: String,
        /// libblkid's name of it.
        kind: String,
    },
    /// After the last pass, an area holds something else than that pass wrote.
    #[error(
        "{device} is not erased: what is read back from byte {offset} on is not what was written"
    )]
    Survived {
        /// The device.
        device: String,
        /// First byte of the area.
        offset: u64,
    },
    /// No marker could be written, so that nothing can be proven.
    #[error("{device} takes no marker anywhere, so that its erase cannot be proven")]
    Unproven {
        /// The device.
        device: String,
    },
    /// The drive did not erase itself, and nothing else is allowed. The text begins as the
    /// reference's (contract/data-plane 7.4).
    #[error(
        "Failed to invoke secure erase, fallback to shred is not enabled: {reasons} (the \
         conductor's [deploy] continue_if_disk_secure_erase_fails allows it)"
    )]
    NoFallback {
        /// Each method that was tried or could not be, with its device.
        reasons: String,
    },
    /// Methods failed, and then it came to this.
    #[error("{device} is not erased. First: {reasons}. Then: {}", chain(&**last))]
    AfterFailures {
        /// The device.
        device: String,
        /// How each of the methods before failed.
        reasons: String,
        /// What came then. Told in the text whole: as a source, the words that it shares with the reasons would
        /// be left out of the chain.
        last: Box<Self>,
    },
    /// Some areas could not be overwritten.
    #[error(
        "{device} is not erased: {areas} area(s) of it could not be overwritten, the rest was; \
         the first one"
    )]
    Unwritable {
        /// The device.
        device: String,
        /// How many pieces of at most 64 KiB, counting stopped at 100.
        areas: usize,
        /// The first.
        #[source]
        source: DiskError,
    },
}

impl EraseError {
    /// The class on the wire.
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::Protected { .. } => ErrorKind::ProtectedDevice,
            Self::AfterFailures { last, .. } => last.kind(),
            _ => ErrorKind::BlockDeviceErase,
        }
    }

    /// Whether no device at all may be erased: something is there that nobody expected on a
    /// machine that is being cleaned.
    pub(crate) fn stops_all(&self) -> bool {
        match self {
            Self::Exchanged { .. }
            | Self::Mounted { .. }
            | Self::NotInRamdisk { .. }
            | Self::Protected { .. } => true,
            Self::AfterFailures { last, .. } => last.stops_all(),
            _ => false,
        }
    }

    /// The same, told of a device on which methods have failed before, each for one of these reasons.
    pub(super) fn after(self, device: &str, failures: &[String]) -> Self {
        if failures.is_empty() {
            return self;
        }
        Self::AfterFailures {
            device: device.to_owned(),
            reasons: failures.join("; "),
            last: Box::new(self),
        }
    }
}

impl From<DriveError> for EraseError {
    fn from(error: DriveError) -> Self {
        match error.fault {
            Fault::Cancelled => Self::Cancelled {
                device: error.device,
            },
            _ => Self::Drive(error),
        }
    }
}

impl From<EraseError> for ManagerError {
    /// The text is split so that the chain reads as one sentence after the other.
    fn from(error: EraseError) -> Self {
        let manager_error = Self::new(error.kind(), error.to_string());
        match error {
            EraseError::Disk { source, .. }
            | EraseError::Open { source, .. }
            | EraseError::Unwritable { source, .. } => manager_error.with_source(source),
            EraseError::Drive(DriveError {
                source: Some(source),
                ..
            }) => manager_error.with_source(source),
            EraseError::List(source) => manager_error.with_source(source),
            EraseError::Undelivered { source, .. } => manager_error.with_source(source),
            // Kept as text: libblkid's error type cannot go to another thread.
            EraseError::Search { source, .. } => manager_error.with_source(source.to_string()),
            _ => manager_error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_after_failures_is_one_text_in_the_record_and_on_the_wire() {
        let mounted = || EraseError::Mounted {
            device: "/dev/sda".to_owned(),
            part: "/dev/sda1".to_owned(),
            place: "/mnt".to_owned(),
        };
        let words = mounted().to_string();
        // As it is where the same is the matter twice, with its words a part of what was said.
        let failures = ["Sanitize failed: busy".to_owned(), words.clone()];
        let in_record = chain(&mounted().after("/dev/sda", &failures));
        let expected =
            format!("/dev/sda is not erased. First: Sanitize failed: busy; {words}. Then: {words}");
        assert_eq!(in_record, expected);
        let error = mounted().after("/dev/sda", &failures);
        assert!(error.stops_all());
        assert_eq!(ManagerError::from(error).chain(), in_record);

        let unreadable = || EraseError::Disk {
            device: "/dev/sda".to_owned(),
            source: DiskError::Flush {
                path: "/dev/sda".into(),
                source: std::io::Error::other("gone"),
            },
        };
        let cause = chain(&unreadable());
        let error = unreadable().after("/dev/sda", &failures);
        let in_record = chain(&error);
        assert!(
            in_record.ends_with(&format!("Then: {cause}")),
            "{in_record}"
        );
        assert_eq!(error.kind(), ErrorKind::BlockDeviceErase);
        assert_eq!(ManagerError::from(error).chain(), in_record);
    }
}
