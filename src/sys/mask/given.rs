//! Secrets that others give in the course of a boot: arguments of steps, and of programs that run for
//! plugins.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::{Mutex, PoisonError};

use tracing::warn;

/// They are masked by their value if they have so many bytes. Shorter ones could be words of any log,
/// longer ones are documents, of which a part would go unseen.
const LENGTHS: RangeInclusive<usize> = 8..=1024;

/// So many different ones are masked by their value in a boot: each is looked for in every line of the
/// log. A node has a handful; a plugin that opens a session each second would have thousands.
const MOST: usize = 64;

static GIVEN: Mutex<Given> = Mutex::new(Given(BTreeSet::new()));

struct Given(BTreeSet<String>);

/// [`super::hide`] for a secret that somebody else chose, as far as it can be told from other text and
/// there is room.
pub(crate) fn hide_given(secret: &str) {
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    if !given.takes(secret) {
        return;
    }
    super::hide(secret);
    if given.0.len() == MOST {
        warn!(
            "{MOST} secrets of steps and plugins are masked by their value; later ones are by their names alone"
        );
    }
}

impl Given {
    /// Whether this one is new and finds room.
    fn takes(&mut self, secret: &str) -> bool {
        LENGTHS.contains(&secret.len()) && self.0.len() < MOST && self.0.insert(secret.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_by_value_is_bounded() {
        let mut given = Given(BTreeSet::new());
        assert!(!given.takes("short") && !given.takes(&"x".repeat(1025)));
        let taken = (0..200).filter(|number| given.takes(&format!("planted-{number:04}")));
        assert_eq!(taken.count(), MOST);
    }
}
