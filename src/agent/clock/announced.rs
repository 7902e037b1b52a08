//! The time servers that DHCP names (options 42 and, of DHCPv6, 56 and 31): they set a clock that nobody has set.
//!
//! Only where `ntp_server` names none, and only a clock from before this program's release: such a one is certainly wrong, and with
//! it no certificate can be judged. To set every clock by them was rejected: the reference does not look at them, a good clock would
//! become as wrong as any server of the site's, and where the server is dead every start would wait for it. Nobody waits here.

use std::time::{Duration, SystemTime};

use tokio::time::sleep;
use tracing::warn;

use super::super::status::Status;
use super::correction::tell;
use crate::conductor::repeat_pause;
use crate::net::ntp::NtpError;
use farrier_plugin::chain;

/// How often leases are looked at. A look reads some small files in memory.
const LOOK: Duration = Duration::from_secs(1);

/// Where names and times come from, and what is done with them.
pub(super) struct Announced<N, U, T, S> {
    /// The servers that leases name now.
    pub(super) names: N,
    /// Whether the clock still is what it was after power-on.
    pub(super) is_unset: U,
    /// What a server says.
    pub(super) time: T,
    /// Sets the clock.
    pub(super) set: S,
}

impl<N, U, T, F, S> Announced<N, U, T, S>
where
    N: Fn() -> Vec<String>,
    U: Fn() -> bool,
    T: Fn(String) -> F,
    F: Future<Output = Result<SystemTime, NtpError>>,
    S: Fn(SystemTime) -> nix::Result<()>,
{
    /// Ask whoever is named, until one has answered or the clock is set by somebody else.
    pub(super) async fn set_once_known(self, status: &Status) {
        let mut tries = 0;
        while (self.is_unset)() {
            let names = (self.names)();
            for name in &names {
                match (self.time)(name.clone()).await {
                    Ok(time) => {
                        let before = SystemTime::now();
                        match (self.set)(time) {
                            Ok(()) => tell(name, before, time, status),
                            Err(error) => warn!(%error, "the clock could not be set"),
                        }
                        return;
                    }
                    Err(error) => warn!(
                        server = name,
                        error = chain(&error),
                        "a time server that DHCP names does not say the time"
                    ),
                }
            }
            if names.is_empty() {
                sleep(LOOK).await;
            } else {
                tries += 1;
                sleep(repeat_pause(tries)).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::time::Instant;

    use super::*;

    const SILENT: &str = "192.0.2.1";
    const GOOD: &str = "192.0.2.2";

    /// What was asked and set, after so much time.
    async fn after(seconds: u64, lease_after: u64, unset_until: u64) -> (Vec<String>, usize) {
        let begun = Instant::now();
        let passed = move || begun.elapsed().as_secs();
        let asked = Mutex::new(Vec::new());
        let set = Mutex::new(0);
        let announced = Announced {
            names: || {
                if passed() < lease_after {
                    return Vec::new();
                }
                vec![SILENT.to_owned(), GOOD.to_owned()]
            },
            is_unset: || passed() < unset_until,
            time: |name: String| {
                asked.lock().unwrap().push(name.clone());
                async move {
                    if name == GOOD {
                        return Ok(SystemTime::UNIX_EPOCH);
                    }
                    let source = std::io::ErrorKind::TimedOut.into();
                    Err(NtpError::Answer {
                        server: name,
                        source,
                    })
                }
            },
            set: |_| {
                *set.lock().unwrap() += 1;
                Ok(())
            },
        };
        let status = Status::default();
        let waited = Duration::from_secs(seconds);
        let _ = tokio::time::timeout(waited, announced.set_once_known(&status)).await;
        (asked.into_inner().unwrap(), set.into_inner().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_nobody_has_set_is_set_by_what_a_lease_names() {
        let nothing = (Vec::new(), 0);
        let both = vec![SILENT.to_owned(), GOOD.to_owned()];
        assert_eq!(after(39, 40, 999).await, nothing);
        assert_eq!(after(42, 40, 999).await, (both, 1));
        // One that is right, or was set by somebody else in the meantime.
        assert_eq!(after(99, 0, 0).await, nothing);
        assert_eq!(after(99, 40, 30).await, nothing);
    }
}
