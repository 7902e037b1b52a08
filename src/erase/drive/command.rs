//! One command to a drive, and why it was not carried out.

use std::io;
use std::time::Duration;

use crate::sys::nvme::NvmeError;
use crate::sys::scsi::{Data, Reply, ScsiDevice, ScsiError, Sense};

/// How often a command is sent again that the drive did not carry out because it had news (a
/// reset, a change of its state): it tells them once each (SAM-5 5.14).
const MOST_NEWS: usize = 4;

/// A command that was not carried out, or not to the end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// The device cannot be opened for commands.
    #[error(transparent)]
    Open(#[from] io::Error),
    /// An NVMe command was not carried out.
    #[error(transparent)]
    Nvme(#[from] NvmeError),
    /// The answer makes no sense.
    #[error("What the drive answered to {command} makes no sense")]
    Senseless {
        /// Its name in the standard.
        command: &'static str,
    },
    /// The drive's registers say that it failed. The words are the drive's own error.
    #[error(
        "The drive answered {command} with an error: status {status:02x}h, error {error:02x}h{}",
        if error & 0x04 != 0 { " (command aborted)" } else { "" }
    )]
    Ata {
        /// Its name in the standard.
        command: &'static str,
        /// STATUS.
        status: u8,
        /// ERROR.
        error: u8,
        /// LBA, which some commands put a reason into.
        lba: u64,
    },
    /// There is no answer.
    #[error("{command} has no answer")]
    NoAnswer {
        /// Its name in the standard.
        command: &'static str,
        /// What failed.
        #[source]
        source: ScsiError,
    },
    /// The adapter does not give the drive's registers.
    #[error(
        "{command} was sent, but the host adapter or bridge keeps the drive's registers to itself"
    )]
    NoRegisters {
        /// Its name in the standard.
        command: &'static str,
    },
    /// The sense data says why.
    #[error("The drive refused {command}: {sense}")]
    Sense {
        /// Its name in the standard.
        command: &'static str,
        /// What it said.
        sense: Sense,
    },
    /// The answer lacks a part.
    #[error("The drive answered {command} with {length} bytes instead of {expected}")]
    Short {
        /// Its name in the standard.
        command: &'static str,
        /// Bytes that came.
        length: usize,
        /// Bytes that should have.
        expected: usize,
    },
    /// Another status, without a word.
    #[error("The drive ended {command} with SCSI status {status:02x}h")]
    Status {
        /// Its name in the standard.
        command: &'static str,
        /// SAM-5 5.3.1.
        status: u8,
    },
}

impl CommandError {
    /// Whether the device or what it hangs on does not know such commands at all.
    pub(crate) fn is_unsupported(&self) -> bool {
        match self {
            Self::NoAnswer { source, .. } => matches!(source, ScsiError::NotScsi(_)),
            Self::Sense { sense, .. } => sense.is_unsupported(),
            _ => false,
        }
    }

    /// Whether the drive said no, as against the way to it.
    pub(in crate::erase) fn is_refusal(&self) -> bool {
        matches!(self, Self::Ata { .. } | Self::Sense { .. })
    }
}

/// Send a command until the drive has no more news to tell. Every other answer is the caller's.
pub(in crate::erase) fn send(
    drive: &dyn ScsiDevice,
    name: &'static str,
    block: &[u8],
    mut data: Data<'_>,
    timeout: Duration,
) -> Result<Reply, CommandError> {
    let mut news = 0;
    loop {
        let again = match &mut data {
            Data::None => Data::None,
            Data::In(buffer) => Data::In(buffer),
            Data::Out(bytes) => Data::Out(bytes),
        };
        let reply = drive
            .send(block, again, timeout)
            .map_err(|source| CommandError::NoAnswer {
                command: name,
                source,
            })?;
        let has_news = reply
            .sense
            .as_ref()
            .is_some_and(|sense| sense.key == Sense::UNIT_ATTENTION);
        if !has_news || news == MOST_NEWS {
            return Ok(reply);
        }
        news += 1;
    }
}

/// [`send`], and every answer that is no success is an error.
pub(in crate::erase) fn done(
    drive: &dyn ScsiDevice,
    name: &'static str,
    block: &[u8],
    data: Data<'_>,
    timeout: Duration,
) -> Result<usize, CommandError> {
    let reply = send(drive, name, block, data, timeout)?;
    if reply.is_done() {
        return Ok(reply.transferred);
    }
    Err(refusal(name, reply))
}

/// The error of a reply that is no success.
pub(in crate::erase) fn refusal(command: &'static str, reply: Reply) -> CommandError {
    match reply.sense {
        Some(sense) => CommandError::Sense { command, sense },
        None => CommandError::Status {
            command,
            status: reply.status,
        },
    }
}
