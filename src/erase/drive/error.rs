//! Why an ATA or SCSI drive did not erase itself.

use std::time::Duration;

use crate::erase::drive::command::CommandError;

/// Why an ATA or SCSI drive did not erase itself. Texts begin as the reference's where it has one
/// (contract/data-plane 7.5).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DriveError {
    /// The command was cancelled before the drive began.
    #[error("The erase of {device} was cancelled before the drive began; nothing is erased")]
    Cancelled {
        /// The device.
        device: String,
    },
    /// The drive takes no commands of its kind.
    #[error("Block device {device} cannot be sent commands")]
    Open {
        /// The device.
        device: String,
        /// The kernel's answer.
        #[source]
        source: std::io::Error,
    },
    /// FORMAT UNIT failed.
    #[error(
        "Block device {device} failed to format itself, and takes no reads and writes until a \
         format succeeds"
    )]
    Format {
        /// The device.
        device: String,
        /// What failed.
        #[source]
        source: CommandError,
    },
    /// A password is set, and it is none that is known.
    #[error(
        "Block device {device} already has a security password set, and it is none of farrier's \
         or its predecessor's{}; remove it with the tool that set it (hdparm \
         --security-disable), or erase the drive with the maker's (a PSID or the master password)",
        if *locked { " (the drive is locked)" } else { "" }
    )]
    ForeignPassword {
        /// The device.
        device: String,
        /// Whether the drive refuses reads and writes.
        locked: bool,
    },
    /// Security commands are refused until the power is switched off.
    #[error(
        "Block device {device} is frozen and cannot be erased: the machine's firmware forbids \
         security commands until the drive's power is switched off. Switch the server's power \
         off and on (a reset is not enough), look for a setting of the firmware (\"HDD security \
         freeze lock\"), or allow other methods: ipa-enable-discard-erase, or the conductor's \
         [deploy]continue_if_disk_secure_erase_fails"
    )]
    Frozen {
        /// The device.
        device: String,
    },
    /// The drive froze when the password was already set.
    #[error(
        "Block device {device} is frozen and cannot be erased: something froze it after \
         farrier's password was set. It will be locked when its power comes back; erase it again \
         then, which unlocks it"
    )]
    FrozenMeanwhile {
        /// The device.
        device: String,
    },
    /// Too many wrong passwords.
    #[error(
        "Block device {device} already has a security password set: the drive is locked and takes \
         no more passwords until its power is switched off. If what was tried before was refused, \
         the password is none of farrier's or its predecessor's; else switch the server's power \
         off and on and erase it again"
    )]
    CountExpired {
        /// The device.
        device: String,
    },
    /// The drive does not say what it is.
    #[error("Block device {device} did not answer IDENTIFY DEVICE")]
    Identify {
        /// The device.
        device: String,
        /// What failed.
        #[source]
        source: CommandError,
    },
    /// The drive says something that cannot be.
    #[error(
        "What block device {device} answers to IDENTIFY DEVICE is no identity: the drive or the \
         adapter before it is defective"
    )]
    Garbage {
        /// The device.
        device: String,
    },
    /// The drive has no such feature.
    #[error("Block device {device} offers no {feature}")]
    Unsupported {
        /// The device.
        device: String,
        /// In the standard's words.
        feature: &'static str,
    },
    /// The password could not be set; nothing was erased.
    #[error("Security password set failed for device {device}; {aftermath}")]
    SetPassword {
        /// The device.
        device: String,
        /// The state in which the drive was left.
        aftermath: Aftermath,
        /// What failed.
        #[source]
        source: CommandError,
    },
    /// The drive said that it took the password, and has none.
    #[error("Security password set failed for device {device}: the drive took it and has none")]
    PasswordIgnored {
        /// The device.
        device: String,
    },
    /// The erase failed, or what must come before it.
    #[error("Erase failed for device {device}; {aftermath}")]
    Erase {
        /// The device.
        device: String,
        /// The state in which the drive was left.
        aftermath: Aftermath,
        /// What failed.
        #[source]
        source: CommandError,
    },
    /// After an erase no password may be left.
    #[error(
        "An unknown error occurred erasing block device {device}: the drive says that it erased \
         itself, but its password is still set, so that it did not; {aftermath}"
    )]
    StillEnabled {
        /// The device.
        device: String,
        /// The state in which the drive was left.
        aftermath: Aftermath,
    },
    /// A known password does not come off.
    #[error("Block device {device} keeps its security password")]
    Disable {
        /// The device.
        device: String,
        /// What failed.
        #[source]
        source: CommandError,
    },
    /// Sanitize commands are refused until the power is switched off.
    #[error(
        "Block device {device} is in the sanitize frozen state and cannot be sanitized: switch \
         the server's power off and on (a reset is not enough)"
    )]
    SanitizeFrozen {
        /// The device.
        device: String,
    },
    /// A sanitize operation did not start.
    #[error("Block device {device} did not begin to sanitize itself")]
    SanitizeStart {
        /// The device.
        device: String,
        /// What failed.
        #[source]
        source: CommandError,
    },
    /// The drive does not say how a sanitize operation is.
    #[error("Block device {device} does not say how its sanitize operation is")]
    SanitizeStatus {
        /// The device.
        device: String,
        /// What failed.
        #[source]
        source: CommandError,
    },
    /// A sanitize operation ended without success.
    #[error(
        "Block device {device} failed to sanitize itself: {reason}. Until it is sanitized or its \
         failure is cleared, the drive may refuse reads and writes"
    )]
    SanitizeFailed {
        /// The device.
        device: String,
        /// In the standard's words.
        reason: &'static str,
    },
    /// The drive takes too long.
    #[error(
        "Block device {device} still erases itself after {} h; it goes on doing so, a sanitize \
         operation even after a power cycle",
        limit.as_secs() / 3600
    )]
    TooLong {
        /// The device.
        device: String,
        /// The time that it had.
        limit: Duration,
    },
}

impl DriveError {
    /// Whether the drive refuses reads and writes for want of a password.
    pub fn is_locked(&self) -> bool {
        matches!(
            self,
            Self::ForeignPassword { locked: true, .. } | Self::CountExpired { .. }
        )
    }
}

/// How a drive was left whose erase failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Aftermath {
    /// No password is set.
    Free,
    /// A password of ours may be set.
    Password,
    /// Nobody knows.
    Unknown,
}

impl std::fmt::Display for Aftermath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Free => "no password is left on it",
            Self::Password => {
                "farrier's password is still set on it, and erasing it again removes that"
            }
            Self::Unknown => {
                "farrier's password may still be set on it, and erasing it again removes that"
            }
        })
    }
}
