//! What will be done to a device, and why: decided before anything is touched.

use std::fmt;

use crate::erase::error::EraseError;
use crate::erase::flags::EraseFlags;

/// A way to erase a device.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Method {
    /// Write over every byte that the device shows: NIST SP 800-88 clear.
    Overwrite {
        /// Passes of random data first.
        random_passes: u32,
        /// A pass of zeros last.
        zero_pass: bool,
    },
}

/// The methods for one device, tried in order until one succeeds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Plan {
    /// The device.
    pub device: String,
    /// Never empty.
    pub methods: Vec<Method>,
    /// Why these, for the record and the log.
    pub reason: String,
}

impl Plan {
    /// How this device is to be erased.
    ///
    /// [`EraseError::NothingPlanned`] where the flags allow no method at all: reporting such a
    /// device as erased would be a lie, although the reference does so.
    pub fn for_device(device: &str, flags: &EraseFlags) -> Result<Self, EraseError> {
        if flags.iterations == 0 && !flags.zeroize {
            return Err(EraseError::NothingPlanned {
                device: device.to_owned(),
            });
        }
        Ok(Self {
            device: device.to_owned(),
            methods: vec![Method::Overwrite {
                random_passes: flags.iterations,
                zero_pass: flags.zeroize,
            }],
            reason: "overwriting works on every device that can be written".to_owned(),
        })
    }
}

impl Method {
    /// How often the whole device is written.
    pub fn passes(&self) -> u32 {
        match self {
            Self::Overwrite {
                random_passes,
                zero_pass,
            } => random_passes + u32::from(*zero_pass),
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
                write!(f, "overwrite with {random_passes} pass(es) of random data")?;
                if *zero_pass {
                    f.write_str(" and one of zeros")?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use farrier_plugin::Node;

    use super::*;

    fn flags(iterations: u32, zeroize: bool) -> EraseFlags {
        EraseFlags {
            iterations,
            zeroize,
            ..EraseFlags::from_node(&Node::default()).unwrap()
        }
    }

    #[test]
    fn the_flags_are_the_passes() {
        for (iterations, zeroize, passes) in [(1, true, 2), (0, true, 1), (3, false, 3)] {
            let plan = Plan::for_device("/dev/sda", &flags(iterations, zeroize)).unwrap();
            assert_eq!(plan.methods.len(), 1);
            assert_eq!(plan.methods[0].passes(), passes);
        }
    }

    #[test]
    fn no_pass_is_no_erase() {
        assert!(matches!(
            Plan::for_device("/dev/sda", &flags(0, false)),
            Err(EraseError::NothingPlanned { .. })
        ));
    }
}
