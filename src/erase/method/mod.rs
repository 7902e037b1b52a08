//! The ways to erase a device, and what each is worth.

pub(super) mod category;

use std::fmt;

/// A way to erase a device.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub(crate) enum Method {
    /// ATA: an operation of the Sanitize Device feature set.
    AtaSanitize(Sanitize),
    /// ATA: SECURITY ERASE UNIT.
    AtaSecurityErase {
        /// The enhanced one, which reaches sectors that are no longer in use.
        enhanced: bool,
    },
    /// SCSI: SANITIZE.
    ScsiSanitize(Sanitize),
    /// SCSI: FORMAT UNIT, the block size staying as it is.
    ScsiFormat,
    /// NVMe Format NVM with secure erase, the block size staying as it is.
    NvmeFormat {
        /// By a new key, and not by erasing all user data.
        crypto: bool,
    },
    /// NVMe Sanitize.
    NvmeSanitize(Sanitize),
    /// Tell the device that nothing of it is in use, and demand zeros.
    Discard {
        /// Copies that the device made, too.
        secure: bool,
        /// Bytes of the unit of the device's discards.
        granularity: u64,
    },
    /// Write over every byte that the device shows.
    Overwrite {
        /// Passes of random data first.
        random_passes: u32,
        /// A pass of zeros last.
        zero_pass: bool,
    },
    /// Write over every byte of a disk that neither its partition table nor an array which stays uses.
    BesideArrays {
        /// Passes of random data first.
        random_passes: u32,
        /// A pass of zeros last.
        zero_pass: bool,
    },
    /// Remove what makes the device look used. The data stays.
    Metadata,
}

/// How a drive sanitizes itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Sanitize {
    /// By a new key.
    Crypto,
    /// By erasing every block of the flash.
    Block,
    /// By writing.
    Overwrite,
}

/// What a method touches.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub(crate) enum Scope {
    /// The device alone.
    Device,
    /// One namespace of an NVMe subsystem.
    Namespace,
    /// All namespaces of an NVMe subsystem.
    Subsystem,
}

impl Scope {
    /// The word in a record.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Namespace => "namespace",
            Self::Subsystem => "NVMe subsystem",
        }
    }
}

impl Sanitize {
    /// In words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Crypto => "sanitize by a new key",
            Self::Block => "sanitize by block erase",
            Self::Overwrite => "sanitize by overwrite",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overwrite {
                random_passes,
                zero_pass,
            } => {
                f.write_str("overwrite")?;
                passes(f, *random_passes, *zero_pass)
            }
            Self::BesideArrays {
                random_passes,
                zero_pass,
            } => {
                f.write_str("overwrite beside arrays that stay")?;
                passes(f, *random_passes, *zero_pass)
            }
            Self::AtaSanitize(operation) => write!(f, "ATA {}", operation.words()),
            Self::AtaSecurityErase { enhanced: true } => f.write_str("ATA enhanced secure erase"),
            Self::AtaSecurityErase { enhanced: false } => f.write_str("ATA secure erase"),
            Self::ScsiSanitize(operation) => write!(f, "SCSI {}", operation.words()),
            Self::ScsiFormat => f.write_str("SCSI format"),
            Self::NvmeFormat { crypto: true } => f.write_str("NVMe format with a new key"),
            Self::NvmeFormat { crypto: false } => f.write_str("NVMe format with user data erase"),
            Self::NvmeSanitize(action) => write!(f, "NVMe {}", action.words()),
            Self::Discard { secure: true, .. } => f.write_str("secure discard"),
            Self::Discard { secure: false, .. } => f.write_str("discard"),
            Self::Metadata => f.write_str("remove metadata"),
        }
    }
}

fn passes(f: &mut fmt::Formatter<'_>, random: u32, zeros: bool) -> fmt::Result {
    write!(f, " with {random} pass(es) of random data")?;
    if zeros {
        f.write_str(" and one of zeros")?;
    }
    Ok(())
}
