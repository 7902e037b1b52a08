//! What removing the metadata of a device ([`crate::block::wipe`]) means for its erase.

use crate::block::wipe::WipeError;
use crate::erase::error::EraseError;

impl From<WipeError> for EraseError {
    fn from(error: WipeError) -> Self {
        match error {
            WipeError::SignatureSurvives { device, kind } => {
                Self::SignatureSurvives { device, kind }
            }
            WipeError::Survived { device, offset } => Self::Survived { device, offset },
            WipeError::Unwritable {
                device,
                areas,
                source,
            } => Self::Unwritable {
                device,
                areas,
                source,
            },
            WipeError::Disk { device, source } => Self::Disk { device, source },
        }
    }
}

#[cfg(test)]
mod tests;
