//! SCSI commands and what comes back for them.
//!
//! Disks behind SATA, SAS, USB and the emulators of hypervisors all take SCSI commands in Linux;
//! ATA commands travel inside them. What sends a command is a trait, so that tests can put the
//! model of a drive in its place; the kernel's way is [`SgDevice`](crate::sys::sg::SgDevice).

use std::io;
use std::time::Duration;

mod sense;

pub(crate) use sense::{AtaRegisters, Sense};

/// SAM-5 5.3.1: the command is done.
pub(crate) const GOOD: u8 = 0x00;
/// SAM-5 5.3.1: the sense data says what is the matter.
pub(crate) const CHECK_CONDITION: u8 = 0x02;

/// Something that takes SCSI commands.
pub(crate) trait ScsiDevice: Send + Sync {
    /// Send one command descriptor block and wait for its end, at most this long.
    ///
    /// A command that the device refused is an answer, with status and sense data, and no error.
    fn send(&self, command: &[u8], data: Data<'_>, timeout: Duration) -> Result<Reply, ScsiError>;
}

impl<D: ScsiDevice + ?Sized> ScsiDevice for &D {
    fn send(&self, command: &[u8], data: Data<'_>, timeout: Duration) -> Result<Reply, ScsiError> {
        (**self).send(command, data, timeout)
    }
}

/// The data that goes with a command.
#[derive(Debug)]
pub(crate) enum Data<'a> {
    /// None.
    None,
    /// From the device; it need not fill the buffer.
    In(&'a mut [u8]),
    /// To the device.
    Out(&'a [u8]),
}

/// What a device answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Reply {
    /// SAM-5 5.3.1.
    pub status: u8,
    /// Where there is any that can be understood.
    pub sense: Option<Sense>,
    /// Bytes of data that were moved.
    pub transferred: usize,
}

impl Reply {
    /// Whether the command was carried out.
    ///
    /// A recovered error is a success: SPC-4 4.5.6, sense key 1h.
    pub(crate) fn is_done(&self) -> bool {
        match (self.status, &self.sense) {
            (GOOD, _) => true,
            (CHECK_CONDITION, Some(sense)) => matches!(sense.key, Sense::NONE | Sense::RECOVERED),
            _ => false,
        }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ScsiError {
    /// The device takes no SCSI commands.
    #[error("The device takes no SCSI commands")]
    NotScsi(#[source] io::Error),
    /// The kernel did not send the command.
    #[error("The kernel did not send the command")]
    Kernel(#[source] io::Error),
    /// The device did not answer in time. What it does now is not known.
    #[error("The device did not answer within {} s", limit.as_secs())]
    Timeout {
        /// The time that it had.
        limit: Duration,
    },
    /// The way to the device failed.
    #[error(
        "The host adapter could not deliver the command or its answer (host status {host:#06x}, \
         driver status {driver:#06x})"
    )]
    Transport {
        /// `DID_…` of the kernel's scsi_status.h.
        host: u16,
        /// `DRIVER_…` of older kernels.
        driver: u16,
    },
}
