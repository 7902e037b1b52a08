//! Finding out which node this machine is, however long it takes (contract/control-plane 2.2).

use std::time::Duration;

use farrier_plugin::chain;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::retry::{conflict_pause, lookup_pause};
use super::{Client, ConductorError, LookupAnswer};

/// A lookup by what is known of this machine.
#[derive(Debug)]
pub(crate) struct Lookup {
    /// MAC addresses of this machine, as in the inventory.
    pub addresses: Vec<String>,
    /// The node's UUID where it is known.
    pub node_uuid: Option<String>,
    /// How long it goes on.
    pub times: LookupTimes,
}

/// How long a lookup goes on, and how often it asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LookupTimes {
    /// Option `lookup_timeout`: how long a single search lasts.
    pub timeout: Duration,
    /// Option `lookup_interval`: the least pause between two tries.
    pub interval: Duration,
}

impl Lookup {
    /// Try until the node is found or the time-out has passed, which is looked at after each try.
    /// The last try's error is returned. `progress` is told each error.
    pub(crate) async fn run(
        &self,
        client: &Client,
        progress: impl Fn(&ConductorError),
    ) -> Result<LookupAnswer, ConductorError> {
        let ask = || client.lookup(&self.addresses, self.node_uuid.as_deref());
        self.times.run(ask, progress, || Duration::MAX).await
    }
}

impl LookupTimes {
    /// The same for whoever asks in another way: what is known of the machine may become more
    /// between two tries. No pause is longer than `most` says before it, nor shorter than the
    /// interval.
    pub(crate) async fn run<F: Future<Output = Result<LookupAnswer, ConductorError>>>(
        &self,
        ask: impl Fn() -> F,
        progress: impl Fn(&ConductorError),
        most: impl Fn() -> Duration,
    ) -> Result<LookupAnswer, ConductorError> {
        self.run_with(ask, progress, |tries| {
            lookup_pause(tries, self.interval).min(most().max(self.interval))
        })
        .await
    }

    /// The same with other pauses, given how many tries there were.
    pub(super) async fn run_with<F: Future<Output = Result<LookupAnswer, ConductorError>>>(
        &self,
        ask: impl Fn() -> F,
        progress: impl Fn(&ConductorError),
        pause: impl Fn(u32) -> Duration,
    ) -> Result<LookupAnswer, ConductorError> {
        let started = Instant::now();
        let mut tries = 0;
        let mut conflicts = 0;
        loop {
            tries += 1;
            let error = match ask().await {
                Ok(answer) => {
                    info!(
                        node = answer.uuid,
                        tries, "the conductor knows this machine"
                    );
                    return Ok(answer);
                }
                Err(error) => error,
            };
            warn!(tries, error = %chain(&error), "the lookup failed");
            progress(&error);
            let mut pause = pause(tries);
            if matches!(error, ConductorError::Conflict { .. }) {
                conflicts += 1;
                pause = pause.saturating_add(conflict_pause(conflicts));
            }
            if started.elapsed() >= self.timeout {
                return Err(error);
            }
            sleep(pause).await;
        }
    }
}
