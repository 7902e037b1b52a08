//! Why a drive did not erase itself.

use std::fmt;
use std::time::Duration;

use crate::erase::drive::command::CommandError;

/// Why a drive did not erase itself. Texts begin as the reference's where it has one
/// (contract/data-plane 7.5).
#[derive(Debug, thiserror::Error)]
#[error("{}", fault.told_of(device))]
pub(crate) struct DriveError {
    /// The drive's device.
    pub device: String,
    /// What is the matter with it.
    pub fault: Fault,
    /// The command that failed, where it was one.
    #[source]
    pub source: Option<CommandError>,
}

/// What is the matter with a drive that did not erase itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub(crate) enum Fault {
    /// The command was cancelled before the drive began.
    Cancelled,
    /// The drive takes no commands of its kind.
    Open,
    /// FORMAT UNIT failed.
    Format,
    /// Format NVM failed, and the namespace stays as it was.
    NvmeFormat,
    /// The namespace of this number is not active.
    Inactive(u32),
    /// The device is that of no namespace, or is there no longer.
    NoNamespace,
    /// A password is set, and it is none that is known.
    ForeignPassword {
        /// Whether the drive refuses reads and writes.
        locked: bool,
    },
    /// Security commands are refused until the power is switched off.
    Frozen,
    /// The drive froze when the password was already set.
    FrozenMeanwhile,
    /// Too many wrong passwords.
    CountExpired,
    /// The drive does not say what it is.
    Identify,
    /// The drive says something that cannot be.
    Garbage,
    /// The drive has no such feature, in the standard's words.
    Unsupported(&'static str),
    /// The method is none of this kind of drive.
    NoSuchMethod,
    /// The password could not be set; nothing was erased.
    SetPassword(Aftermath),
    /// The drive said that it took the password, and has none.
    PasswordIgnored,
    /// The erase failed, or what must come before it.
    Erase(Aftermath),
    /// After an erase no password may be left.
    StillEnabled(Aftermath),
    /// A known password does not come off.
    Disable,
    /// Sanitize commands are refused until the power is switched off.
    SanitizeFrozen,
    /// A sanitize operation did not start.
    SanitizeStart,
    /// The drive does not say how a sanitize operation is.
    SanitizeStatus,
    /// A sanitize operation ended without success, in the standard's words.
    SanitizeFailed(&'static str),
    /// The drive took a sanitize operation, and says that it never was sanitized.
    NeverSanitized,
    /// The drive takes longer than the time that it had.
    TooLong(Duration),
}

impl Fault {
    /// The error of the drive that has this, where no command failed.
    pub(super) fn of(self, device: &str) -> DriveError {
        DriveError {
            device: device.to_owned(),
            fault: self,
            source: None,
        }
    }

    /// The error of the drive that has this, for a command that failed.
    pub(in crate::erase) fn after(
        self,
        device: &str,
        source: impl Into<CommandError>,
    ) -> DriveError {
        DriveError {
            source: Some(source.into()),
            ..self.of(device)
        }
    }

    fn told_of(self, device: &str) -> String {
        match self {
            Self::Cancelled => format!(
                "The erase of {device} was cancelled before the drive began; nothing is erased"
            ),
            Self::Open => format!("Block device {device} cannot be sent commands"),
            Self::Format => format!(
                "Block device {device} failed to format itself, and takes no reads and writes \
                 until a format succeeds"
            ),
            Self::NvmeFormat => format!("Block device {device} did not format itself"),
            Self::Inactive(namespace) => format!(
                "Block device {device} did not format itself: its namespace {namespace} is not active"
            ),
            Self::NoNamespace => format!(
                "Block device {device} did not format itself: the kernel names no namespace of it"
            ),
            Self::ForeignPassword { locked } => format!(
                "Block device {device} already has a security password set, and it is none of \
                 farrier's or its predecessor's{}; remove it with the tool that set it (hdparm \
                 --security-disable), or erase the drive with the maker's (a PSID or the master \
                 password)",
                if locked { " (the drive is locked)" } else { "" }
            ),
            Self::Frozen => format!(
                "Block device {device} is frozen and cannot be erased: the machine's firmware \
                 forbids security commands until the drive's power is switched off. Switch the \
                 server's power off and on (a reset is not enough), look for a setting of the \
                 firmware (\"HDD security freeze lock\"), or allow other methods: \
                 ipa-enable-discard-erase, or the conductor's \
                 [deploy]continue_if_disk_secure_erase_fails"
            ),
            Self::FrozenMeanwhile => format!(
                "Block device {device} is frozen and cannot be erased: something froze it after \
                 farrier's password was set. It will be locked when its power comes back; erase \
                 it again then, which unlocks it"
            ),
            Self::CountExpired => format!(
                "Block device {device} already has a security password set: the drive is locked \
                 and takes no more passwords until its power is switched off. If what was tried \
                 before was refused, the password is none of farrier's or its predecessor's; else \
                 switch the server's power off and on and erase it again"
            ),
            Self::Identify => {
                format!("Block device {device} did not answer IDENTIFY DEVICE")
            }
            Self::Garbage => format!(
                "What block device {device} answers to IDENTIFY DEVICE is no identity: the drive \
                 or the adapter before it is defective"
            ),
            Self::Unsupported(feature) => format!("Block device {device} offers no {feature}"),
            Self::NoSuchMethod => format!("Block device {device} offers no such method"),
            Self::SetPassword(aftermath) => {
                format!("Security password set failed for device {device}; {aftermath}")
            }
            Self::PasswordIgnored => format!(
                "Security password set failed for device {device}: the drive took it and has none"
            ),
            Self::Erase(aftermath) => format!("Erase failed for device {device}; {aftermath}"),
            Self::StillEnabled(aftermath) => format!(
                "An unknown error occurred erasing block device {device}: the drive says that it \
                 erased itself, but its password is still set, so that it did not; {aftermath}"
            ),
            Self::Disable => format!("Block device {device} keeps its security password"),
            Self::SanitizeFrozen => format!(
                "Block device {device} is in the sanitize frozen state and cannot be sanitized: \
                 switch the server's power off and on (a reset is not enough)"
            ),
            Self::SanitizeStart => {
                format!("Block device {device} did not begin to sanitize itself")
            }
            Self::SanitizeStatus => {
                format!("Block device {device} does not say how its sanitize operation is")
            }
            Self::SanitizeFailed(reason) => format!(
                "Block device {device} failed to sanitize itself: {reason}. Until it is sanitized \
                 or its failure is cleared, the drive may refuse reads and writes"
            ),
            Self::NeverSanitized => format!(
                "Block device {device} took the command to sanitize itself, and says that it \
                 never was sanitized"
            ),
            Self::TooLong(limit) => format!(
                "Block device {device} still erases itself after {} h; it goes on doing so, a \
                 sanitize operation even after a power cycle",
                limit.as_secs() / 3600
            ),
        }
    }
}

impl DriveError {
    /// Whether the drive refuses reads and writes for want of a password.
    pub(crate) fn is_locked(&self) -> bool {
        matches!(
            self.fault,
            Fault::ForeignPassword { locked: true } | Fault::CountExpired
        )
    }
}

/// How a drive was left whose erase failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Aftermath {
    /// No password is set.
    Free,
    /// A password of ours may be set.
    Password,
    /// Nobody knows.
    Unknown,
}

impl fmt::Display for Aftermath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
