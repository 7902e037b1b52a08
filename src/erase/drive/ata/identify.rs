//! IDENTIFY DEVICE: what an ATA drive says about itself, as far as erasing it is concerned.
//!
//! Word numbers are those of ACS-4 7.13.6 (ACS-3 7.12.7 has the same).

use std::time::Duration;

use crate::erase::drive::ata::command::{BLOCK, Command, SHORT};
use crate::erase::drive::command::{self, CommandError};
use crate::erase::drive::error::{DriveError, Fault};
use crate::sys::scsi::{Data, ScsiDevice};

/// What a drive says about itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Identify {
    /// The Security feature set.
    pub(crate) security: Security,
    /// The Sanitize Device feature set.
    pub(crate) sanitize: Abilities,
}

/// The Security feature set: word 128 and its neighbours.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Security {
    /// The drive has it. What follows means nothing where it has not.
    pub(crate) supported: bool,
    /// A user password is set.
    pub(crate) enabled: bool,
    /// The drive refuses reads and writes until it is unlocked.
    pub(crate) locked: bool,
    /// The drive refuses every security command until its power is switched off.
    pub(crate) frozen: bool,
    /// Too many wrong passwords since its power was switched on.
    pub(crate) count_expired: bool,
    /// It can do the enhanced erase.
    pub(crate) enhanced: bool,
    /// What a normal erase takes.
    pub(crate) normal_time: Estimate,
    /// What an enhanced erase takes.
    pub(crate) enhanced_time: Estimate,
}

/// The Sanitize Device feature set: word 59.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Abilities {
    /// The drive has it.
    pub(crate) supported: bool,
    /// BLOCK ERASE EXT.
    pub(crate) block_erase: bool,
    /// CRYPTO SCRAMBLE EXT.
    pub(crate) crypto_scramble: bool,
    /// OVERWRITE EXT.
    pub(crate) overwrite: bool,
}

/// The drive's own estimate of how long an erase takes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Estimate {
    /// It gives none.
    #[default]
    Unknown,
    /// So long.
    About(Duration),
    /// Longer than this, which is the most that the field can say.
    MoreThan(Duration),
}

impl Estimate {
    /// How long the erase may take before it is given up: half as long again as the drive says,
    /// and ten minutes, since a drive that is given up is a drive that cannot be used; two days
    /// where it gives no figure or the greatest one.
    pub(crate) fn limit(self) -> Duration {
        const MARGIN: Duration = Duration::from_secs(600);
        const UNKNOWN: Duration = Duration::from_secs(48 * 3600);
        match self {
            Self::Unknown => UNKNOWN,
            Self::About(time) => time + time / 2 + MARGIN,
            Self::MoreThan(time) => (time * 2 + MARGIN).max(UNKNOWN),
        }
    }

    /// The time to show progress by.
    pub(crate) fn expected(self) -> Option<Duration> {
        match self {
            Self::Unknown => None,
            Self::About(time) | Self::MoreThan(time) => Some(time),
        }
    }

    /// Words 89 and 90: in units of two minutes, in 15 bits where bit 15 is set, else in 8.
    fn from_word(word: u16) -> Self {
        let (units, most) = if word & 0x8000 != 0 {
            (word & 0x7fff, 0x7fff)
        } else {
            (word & 0x00ff, 0x00ff)
        };
        let time = |units: u16| Duration::from_secs(120 * u64::from(units));
        match units {
            0 => Self::Unknown,
            units if units == most => Self::MoreThan(time(most - 1)),
            units => Self::About(time(units)),
        }
    }
}

impl Security {
    /// The state in the standard's words, ACS-3 4.18.11.
    pub(crate) fn state(self) -> &'static str {
        match (self.supported, self.enabled, self.locked, self.frozen) {
            (false, ..) => "without security",
            (true, false, _, false) => "SEC1 (disabled, not frozen)",
            (true, false, _, true) => "SEC2 (disabled, frozen)",
            (true, true, true, _) => "SEC4 (enabled, locked)",
            (true, true, false, false) => "SEC5 (enabled, unlocked)",
            (true, true, false, true) => "SEC6 (enabled, unlocked, frozen)",
        }
    }
}

impl Identify {
    /// Ask the drive. Always the drive itself: the state changes behind the kernel's back.
    pub(super) fn of(drive: &dyn ScsiDevice, device: &str) -> Result<Self, DriveError> {
        let mut page = [0; BLOCK];
        Command::new("IDENTIFY DEVICE", 0xec)
            .run(drive, Data::In(&mut page))
            .map_err(|source| Fault::Identify.after(device, source))?;
        Self::parse(&page).ok_or_else(|| Fault::Garbage.of(device))
    }

    /// The page of 512 bytes; `None` where it is none: not of an ATA device, with a wrong checksum,
    /// or without the marks that a device leaves on the words which are looked at.
    pub(crate) fn parse(page: &[u8]) -> Option<Self> {
        let page: &[u8; BLOCK] = page.try_into().ok()?;
        let word = |number: usize| u16::from_le_bytes([page[2 * number], page[2 * number + 1]]);
        // Word 255: with this mark, all bytes add up to zero.
        let sum = page.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        if word(255) & 0x00ff == 0x00a5 && sum != 0 {
            return None;
        }
        // An ATA device, whose words 82 to 84 mean something.
        if word(0) & 0x8000 != 0 || word(83) & 0xc000 != 0x4000 {
            return None;
        }
        let security = word(128);
        let bit = |word: u16, number: u16| word & 1 << number != 0;
        // Word 82 says so too, and word 85 says again whether a password is set; some drives do
        // not keep these up to date, and none has 128 wrong.
        let supported = bit(security, 0);
        let sanitize = word(59);
        let sanitizes = bit(sanitize, 12);
        Some(Self {
            security: Security {
                supported,
                enabled: supported && bit(security, 1),
                locked: supported && bit(security, 2),
                frozen: supported && bit(security, 3),
                count_expired: supported && bit(security, 4),
                enhanced: supported && bit(security, 5),
                normal_time: Estimate::from_word(word(89)),
                enhanced_time: Estimate::from_word(word(90)),
            },
            sanitize: Abilities {
                supported: sanitizes,
                crypto_scramble: sanitizes && bit(sanitize, 13),
                overwrite: sanitizes && bit(sanitize, 14),
                block_erase: sanitizes && bit(sanitize, 15),
            },
        })
    }
}

/// Whether a device is an ATA drive behind a translation layer that knows pass-through: it has the
/// page of vital product data about it, 89h (SAT-4 12.4.2). `Err` is the reason in words.
///
/// Not every bridge that knows pass-through has the page; those that have not are USB bridges for
/// the most part, whose handling of long commands is why drives behind them get bricked.
pub(super) fn is_ata(drive: &dyn ScsiDevice) -> Result<(), String> {
    const NAME: &str = "INQUIRY (supported pages)";
    const LENGTH: u8 = 255;
    let mut page = [0; LENGTH as usize];
    let block = [0x12, 1, 0x00, 0, LENGTH, 0];
    let outcome = command::done(drive, NAME, &block, Data::In(&mut page), SHORT);
    match outcome {
        Ok(length) => {
            let listed = page[..length.min(page.len())]
                .get(4..)
                .unwrap_or_default()
                .iter()
                .take(usize::from(page[3]));
            if page[1] == 0 && listed.into_iter().any(|page| *page == 0x89) {
                return Ok(());
            }
            Err("it is no ATA drive, or one behind an adapter that hides it".to_owned())
        }
        Err(CommandError::NoAnswer { source, .. }) => Err(farrier_plugin::chain(&source)),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::*;
    use crate::erase::drive::ata::model::page;

    #[test]
    fn a_composed_page_is_read() {
        // Composed by hand from ACS-3: an SSD with both feature sets, 2 minutes for both erases.
        let page = page(&[(59, 0xb400), (89, 1), (90, 0x8001), (128, 0x0021)]);
        let identify = Identify::parse(&page).unwrap();
        let two_minutes = Estimate::About(Duration::from_secs(120));
        assert_eq!(
            identify.security,
            Security {
                supported: true,
                enhanced: true,
                normal_time: two_minutes,
                enhanced_time: two_minutes,
                ..Security::default()
            }
        );
        assert_eq!(
            identify.sanitize,
            Abilities {
                supported: true,
                block_erase: true,
                crypto_scramble: true,
                overwrite: false,
            }
        );
    }

    #[test]
    fn the_greatest_time_is_a_lower_bound() {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        for (word, estimate) in [
            (0, Estimate::Unknown),
            (0x8000, Estimate::Unknown),
            (1, Estimate::About(minutes(2))),
            (254, Estimate::About(minutes(508))),
            (255, Estimate::MoreThan(minutes(508))),
            // The upper byte is reserved without bit 15.
            (0x7f01, Estimate::About(minutes(2))),
            (0x8100, Estimate::About(minutes(512))),
            (0xfffe, Estimate::About(minutes(65_532))),
            (0xffff, Estimate::MoreThan(minutes(65_532))),
        ] {
            assert_eq!(Estimate::from_word(word), estimate, "{word:04x}");
        }
        assert_eq!(Estimate::About(minutes(10)).limit(), minutes(25));
        assert!(Estimate::MoreThan(minutes(508)).limit() >= minutes(2880));
        assert!(Estimate::MoreThan(minutes(65_532)).limit() >= minutes(131_064));
    }

    #[test]
    fn states_are_the_standards() {
        for (word, state) in [
            (0x00, "without"),
            (0x01, "SEC1"),
            (0x09, "SEC2"),
            (0x07, "SEC4"),
            (0x03, "SEC5"),
            (0x0b, "SEC6"),
        ] {
            let identify = Identify::parse(&page(&[(128, word)])).unwrap();
            let told = identify.security.state();
            assert!(told.starts_with(state), "{word:02x}: {told}");
        }
    }

    #[test]
    fn what_is_no_page_is_refused() {
        let good = page(&[(128, 1)]);
        assert!(Identify::parse(&good).is_some());
        let mut checksum = good;
        checksum[100] ^= 1;
        assert_eq!(Identify::parse(&checksum), None);
        assert_eq!(Identify::parse(&page(&[(0, 0x8580)])), None, "ATAPI");
        for byte in [0x00, 0xff] {
            assert_eq!(Identify::parse(&[byte; BLOCK]), None);
        }
        assert_eq!(Identify::parse(&good[..511]), None);
    }

    proptest! {
        #[test]
        fn any_page_parses(bytes in proptest::collection::vec(any::<u8>(), 500..524)) {
            if let Some(identify) = Identify::parse(&bytes) {
                prop_assert_eq!(bytes.len(), BLOCK);
                let security = identify.security;
                prop_assert!(security.supported || !security.enabled);
                prop_assert!(security.normal_time.limit() >= Duration::from_secs(600));
            }
        }

        #[test]
        fn any_words_parse(words in proptest::collection::vec((1_usize..82, any::<u16>()), 0..20),
                           security: u16, times: (u16, u16)) {
            let mut words = words;
            words.extend([(128, security), (89, times.0), (90, times.1)]);
            let identify = Identify::parse(&page(&words)).unwrap();
            prop_assert_eq!(identify.security.supported, security & 1 != 0);
            let limit = identify.security.normal_time.limit();
            prop_assert!(limit > identify.security.normal_time.expected().unwrap_or_default());
        }
    }
}
