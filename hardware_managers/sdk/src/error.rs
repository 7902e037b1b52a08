//! What a manager's method can answer instead of a result.

use std::any::Any;
use std::error::Error;
use std::fmt;

/// The error classes that the conductor knows by name, with their status code and fixed message.
///
/// The table is contract/control-plane 5.6. The name that travels on the wire is
/// [`ErrorKind::type_name`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Another command is still running.
    AgentIsBusy,
    /// A device could not be read or changed.
    BlockDevice,
    /// An erase failed; the device must be taken for not erased.
    BlockDeviceErase,
    /// A clean step failed.
    Cleaning,
    /// The clock could not be set.
    ClockSync,
    /// A command failed for a reason without a class of its own.
    CommandExecution,
    /// A deploy step failed.
    Deployment,
    /// No device matches what was asked for.
    DeviceNotFound,
    /// A hardware manager is configured in a way that cannot work.
    HardwareManagerConfiguration,
    /// No manager answers this method.
    HardwareManagerMethodNotFound,
    /// No hardware manager supports this machine.
    HardwareManagerNotFound,
    /// The image's digest is not the one that was promised.
    ImageChecksum,
    /// The image could not be fetched.
    ImageDownload,
    /// The image could not be fetched in time.
    ImageDownloadTimeout,
    /// The image could not be written.
    ImageWrite,
    /// The manager declines: the method does not fit this hardware, another manager is asked.
    IncompatibleHardwareMethod,
    /// The command's name is malformed or unknown.
    InvalidCommand,
    /// The command's parameters are wrong.
    InvalidCommandParams,
    /// The request's body is wrong.
    InvalidContent,
    /// The image is of a kind that must not be used.
    InvalidImage,
    /// The lookup did not find the node.
    LookupNode,
    /// A protected device would have been erased.
    ProtectedDevice,
    /// Something that was named by id is not there.
    RequestedObjectNotFound,
    /// An error without a class of its own.
    Rest,
    /// A service step failed.
    Servicing,
    /// Software RAID could not be set up or removed.
    SoftwareRaid,
    /// The machine could not be rebooted or powered off.
    SystemReboot,
    /// The step needs a node and there is none.
    UnknownNode,
    /// The managers are not the ones the conductor has talked to before.
    VersionMismatch,
    /// Virtual media could not be used.
    VirtualMediaBoot,
}

impl ErrorKind {
    /// The class name on the wire.
    pub fn type_name(self) -> &'static str {
        self.row().0
    }

    /// The status code on the wire (an HTTP status).
    pub fn code(self) -> u16 {
        self.row().1
    }

    /// The fixed message on the wire.
    pub fn message(self) -> &'static str {
        self.row().2
    }

    /// The class of this name on the wire; `None` for a name that the conductor does not know.
    pub fn from_type_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.type_name() == name)
    }

    /// Every class.
    pub const ALL: [Self; 30] = [
        Self::AgentIsBusy,
        Self::BlockDevice,
        Self::BlockDeviceErase,
        Self::Cleaning,
        Self::ClockSync,
        Self::CommandExecution,
        Self::Deployment,
        Self::DeviceNotFound,
        Self::HardwareManagerConfiguration,
        Self::HardwareManagerMethodNotFound,
        Self::HardwareManagerNotFound,
        Self::ImageChecksum,
        Self::ImageDownload,
        Self::ImageDownloadTimeout,
        Self::ImageWrite,
        Self::IncompatibleHardwareMethod,
        Self::InvalidCommand,
        Self::InvalidCommandParams,
        Self::InvalidContent,
        Self::InvalidImage,
        Self::LookupNode,
        Self::ProtectedDevice,
        Self::RequestedObjectNotFound,
        Self::Rest,
        Self::Servicing,
        Self::SoftwareRaid,
        Self::SystemReboot,
        Self::UnknownNode,
        Self::VersionMismatch,
        Self::VirtualMediaBoot,
    ];

    fn row(self) -> (&'static str, u16, &'static str) {
        match self {
            Self::AgentIsBusy => ("AgentIsBusy", 409, "Agent is busy"),
            Self::BlockDevice => ("BlockDeviceError", 500, "Block device caused unknown error"),
            Self::BlockDeviceErase => ("BlockDeviceEraseError", 500, "Error erasing block device"),
            Self::Cleaning => ("CleaningError", 500, "Clean step failed"),
            Self::ClockSync => ("ClockSyncError", 500, "Error syncing system clock"),
            Self::CommandExecution => ("CommandExecutionError", 500, "Command execution failed"),
            Self::Deployment => ("DeploymentError", 500, "Deploy step failed"),
            Self::DeviceNotFound => (
                "DeviceNotFound",
                404,
                "Error finding the disk or partition device to deploy the image onto",
            ),
            Self::HardwareManagerConfiguration => (
                "HardwareManagerConfigurationError",
                500,
                "Hardware manager configuration error",
            ),
            Self::HardwareManagerMethodNotFound => (
                "HardwareManagerMethodNotFound",
                500,
                "No HardwareManager found to handle method",
            ),
            Self::HardwareManagerNotFound => (
                "HardwareManagerNotFound",
                500,
                "No valid HardwareManager found",
            ),
            Self::ImageChecksum => ("ImageChecksumError", 500, "Error verifying image checksum"),
            Self::ImageDownload => ("ImageDownloadError", 500, "Error downloading image"),
            Self::ImageDownloadTimeout => {
                ("ImageDownloadTimeoutError", 408, "Image download timeout")
            }
            Self::ImageWrite => ("ImageWriteError", 500, "Error writing image to device"),
            Self::IncompatibleHardwareMethod => (
                "IncompatibleHardwareMethodError",
                500,
                "HardwareManager method is not compatible with hardware",
            ),
            Self::InvalidCommand => ("InvalidCommandError", 400, "Invalid command"),
            Self::InvalidCommandParams => (
                "InvalidCommandParamsError",
                400,
                "Invalid command parameters",
            ),
            Self::InvalidContent => ("InvalidContentError", 400, "Invalid request body"),
            Self::InvalidImage => (
                "InvalidImage",
                500,
                "The provided image is not valid for use",
            ),
            Self::LookupNode => (
                "LookupNodeError",
                500,
                "Error getting configuration from Ironic",
            ),
            Self::ProtectedDevice => ("ProtectedDeviceError", 500, "Protected device"),
            Self::RequestedObjectNotFound => ("RequestedObjectNotFoundError", 404, "Not found"),
            Self::Rest => ("RESTError", 500, "An error occurred"),
            Self::Servicing => ("ServicingError", 500, "Service step failed"),
            Self::SoftwareRaid => (
                "SoftwareRAIDError",
                500,
                "Software RAID caused unknown error",
            ),
            Self::SystemReboot => ("SystemRebootError", 500, "Error rebooting system"),
            Self::UnknownNode => (
                "UnknownNodeError",
                500,
                "Agent is not associated with an Ironic node",
            ),
            Self::VersionMismatch => (
                "VersionMismatch",
                409,
                "Hardware managers version mismatch, reload agent with correct version",
            ),
            Self::VirtualMediaBoot => (
                "VirtualMediaBootError",
                500,
                "Configuring agent from virtual media failed",
            ),
        }
    }
}

/// Why a manager's method gave no result.
///
/// `Display` gives the details only; the kind's fixed message and the source's text are added where
/// the error is shown.
#[derive(Debug)]
pub struct ManagerError {
    kind: ErrorKind,
    details: String,
    is_unexpected: bool,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl ManagerError {
    /// An error of this kind; `details` says what was attempted on which device or URL, and what
    /// the reader can do.
    pub fn new(kind: ErrorKind, details: impl Into<String>) -> Self {
        Self {
            kind,
            details: details.into(),
            is_unexpected: false,
            source: None,
        }
    }

    /// The same error as one that its manager did not mean to give: a crash, a broken rule, an
    /// exception without a class that the conductor knows. In a step it becomes the error of a
    /// step of its kind (contract/control-plane 7.5).
    #[must_use]
    pub fn unexpected(mut self) -> Self {
        self.is_unexpected = true;
        self
    }

    /// The same error with its cause kept.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// This manager has no such method, or not for this hardware: ask the next one.
    pub fn unsupported(method: impl AsRef<str>) -> Self {
        Self::new(
            ErrorKind::IncompatibleHardwareMethod,
            format!("This hardware manager does not offer {}", method.as_ref()),
        )
    }

    /// Whether the manager declined, so that the next one is asked.
    pub fn declines(&self) -> bool {
        self.kind == ErrorKind::IncompatibleHardwareMethod
    }

    /// Whether its manager did not mean to give it; see [`ManagerError::unexpected`].
    pub fn is_unexpected(&self) -> bool {
        self.is_unexpected
    }

    /// The class of the error.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Details followed by every cause, each once, joined with `: `. This is the text that the
    /// conductor stores as `last_error`.
    pub fn chain(&self) -> String {
        chain(self)
    }
}

/// An error followed by all its causes, joined with `: `. A cause whose words the text already has
/// is left out: many libraries put their cause into their own text and give it as the source too.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !has_part(&text, &words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    text
}

/// Whether a text has these words as a part of its own: from its start or a colon, to its end, a colon or
/// what stands in parentheses. Words in the middle of others, such as of a path, say something else.
fn has_part(text: &str, words: &str) -> bool {
    text.match_indices(words).any(|(start, _)| {
        let (before, after) = (&text[..start], &text[start + words.len()..]);
        (before.is_empty() || before.ends_with(": "))
            && (after.is_empty() || after.starts_with(": ") || after.starts_with(" ("))
    })
}

/// What a panic said, from the value that `catch_unwind` or a thread's `join` gives.
pub fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

impl fmt::Display for ManagerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.details)
    }
}

impl Error for ManagerError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn caused(details: &str, source: impl Into<Box<dyn Error + Send + Sync>>) -> ManagerError {
        ManagerError::new(ErrorKind::BlockDevice, details).with_source(source)
    }

    #[test]
    fn a_panic_keeps_its_text_whether_it_was_formatted_or_not() {
        let text = |code: fn()| {
            let panic = std::panic::catch_unwind(code).unwrap_err();
            panic_text(&*panic).to_owned()
        };
        assert_eq!(text(|| panic!("on fire")), "on fire");
        let formatted: fn() = || {
            let card = std::hint::black_box(3);
            panic!("card {card} is on fire");
        };
        assert_eq!(text(formatted), "card 3 is on fire");
        assert_eq!(text(|| std::panic::panic_any(7)), "no message");
    }

    #[test]
    fn a_chain_has_each_cause_once_and_in_order() {
        let full = io::Error::other("no space left");
        assert_eq!(
            caused("cannot write to /dev/sda", caused("the disk is full", full)).chain(),
            "cannot write to /dev/sda: the disk is full: no space left"
        );
    }

    #[test]
    fn a_cause_that_the_text_already_has_is_not_repeated() {
        let lost = || io::Error::other("connection lost");
        for text in [
            "not sent: connection lost",
            "connection lost (os error 104)",
        ] {
            assert_eq!(caused(text, lost()).chain(), text);
        }
        // Words in the middle of others are not the cause.
        let closed = io::Error::other("closed");
        assert_eq!(
            caused("cannot write /var/closed/x", closed).chain(),
            "cannot write /var/closed/x: closed"
        );
        // What lies behind such a cause is still told.
        assert_eq!(
            caused(
                "not sent: connection lost",
                caused("connection lost", io::Error::other("reset"))
            )
            .chain(),
            "not sent: connection lost: reset"
        );
    }
}
