//! Inspection: whether it is wanted, where its data goes, what it tells the lookup, and when it is
//! repeated (contract/control-plane 9.1).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use farrier_plugin::chain;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};
use url::Url;

use super::collectors::Collected;
use super::discovery::{Discovery, Look};
use super::status::Status;
use super::{network, state::StateFile};
use crate::conductor::{Client, ConductorError, InspectionOutcome, repeat_pause};
use crate::config::Options;
use crate::hardware::Managers;
use crate::net::address::{self, InterfaceAddress};
use crate::net::resolver::Resolver;
use crate::sys::root::Root;

/// Data that is older is collected anew before it is handed in. A rack may wait for its control
/// plane for days, with cables and disks moved meanwhile; collecting takes up to half a minute
/// where switches are listened to, which is too long for every try.
const FRESH: Duration = Duration::from_secs(600);

/// After so many tries in a row that no conductor has answered, one is looked for with multicast DNS
/// again, where it was found so.
pub(super) const FRUITLESS: u32 = 2;

/// What came of an inspection, for the lookup.
#[derive(Clone, Debug, Default)]
pub(super) struct Inspected {
    /// The node that the conductor recognised.
    pub(super) node_uuid: Option<String>,
    /// Why a lookup may fail: no inspection was asked for, or it failed.
    pub(super) excuse: Option<String>,
}

/// The inspection of this boot. What was not delivered at first is handed in again until it was
/// delivered or a lookup has succeeded: the control plane may come minutes or days after the rack,
/// and a conductor that refuses the data of a machine that it does not know may know it later.
///
/// Nothing that goes wrong here ends the agent: it is told, and the lookup goes on.
pub(super) struct Inspection {
    managers: Arc<Managers>,
    options: Arc<Options>,
    client: Arc<Client>,
    root: PathBuf,
    status: Arc<Status>,
    urls: Vec<Url>,
    inspected: Inspected,
    fruitless: u32,
    /// There as long as something is to be handed in.
    pending: Option<Pending>,
    /// The pause after so many tries.
    pause: fn(u32) -> Duration,
}

/// What is still to be handed in.
#[derive(Debug)]
struct Pending {
    tries: u32,
    due: Instant,
    /// What was collected, unless it was refused. Some 100 KiB as a rule; no collector adds more than
    /// 16 MiB.
    data: Option<Data>,
    /// The conductor has said nothing about the data yet, neither yes nor no.
    unanswered: bool,
}

/// What was collected.
#[derive(Debug)]
struct Data {
    body: Vec<u8>,
    failures: Option<String>,
    at: Instant,
    addresses: Vec<InterfaceAddress>,
}

impl Data {
    /// Whether it is still what a collection would find: not old, and from the same network. What
    /// was collected before DHCP came has no addresses in it.
    fn is_fresh(&self) -> bool {
        self.at.elapsed() < FRESH && self.addresses == address::all().unwrap_or_default()
    }
}

/// How often data is offered in one round.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Round {
    /// The five tries of contract/control-plane 9.5.
    First,
    /// One.
    Again,
    /// One, and the five where the node is locked: there is no other round.
    Last,
}

impl Inspection {
    /// Inspect and hand in the data, where that is wanted.
    pub(super) async fn begin(
        managers: &Arc<Managers>,
        options: &Arc<Options>,
        client: &Arc<Client>,
        resolver: &Resolver,
        state: &mut StateFile,
        root: &Path,
        status: &Arc<Status>,
    ) -> Self {
        let mut inspection = Self {
            managers: Arc::clone(managers),
            options: Arc::clone(options),
            client: Arc::clone(client),
            root: root.to_owned(),
            status: Arc::clone(status),
            urls: urls(options),
            inspected: Inspected::default(),
            fruitless: 0,
            pending: None,
            pause: repeat_pause,
        };
        if inspection.urls.is_empty() {
            inspection.inspected.excuse =
                Some("Inspection is disabled via configuration".to_owned());
            return inspection;
        }
        if state.kept().inspected || state.kept().node.is_some() {
            info!("an agent before this one has handed in the inspection data or found its node");
            inspection.inspected.node_uuid = state.kept().inspected_node.clone();
            return inspection;
        }
        status.doing("inspecting the hardware");
        network::wait_for_dhcp(
            root,
            options.boot_interface.as_deref(),
            options.inspection_dhcp_all_interfaces,
            Duration::from_secs(options.inspection_dhcp_wait_timeout),
        )
        .await;
        network::wait_for_route(&inspection.urls, resolver, status).await;
        inspection.pending = Some(Pending {
            tries: 0,
            due: Instant::now(),
            data: None,
            unanswered: true,
        });
        inspection.round(Round::First, state, || true).await;
        inspection
    }

    /// What came of it so far.
    pub(super) fn inspected(&self) -> &Inspected {
        &self.inspected
    }

    /// Ask for the conductor with multicast DNS again, where it was found so, and hand the data in where
    /// that says from now on.
    pub(super) async fn look_again(&mut self, discovery: &Discovery<impl Look>) {
        self.fruitless = 0;
        if let Some(options) = discovery.again(&self.client, &self.status).await {
            self.urls = urls(&options);
        }
    }

    /// How often in a row the data was offered and no conductor has answered.
    pub(super) fn fruitless(&self) -> u32 {
        self.fruitless
    }

    /// How long until data is handed in again; for ever where there is none.
    pub(super) fn due_in(&self) -> Duration {
        self.pending.as_ref().map_or(Duration::MAX, |pending| {
            pending.due.saturating_duration_since(Instant::now())
        })
    }

    /// Hand in what was not delivered, if its time has come.
    pub(super) async fn again_if_due(&mut self, state: &mut StateFile) {
        if self.pending.is_some() && self.due_in().is_zero() {
            self.round(Round::Again, state, || true).await;
        }
    }

    /// A lookup has succeeded, so this is over. Data that the conductor has not seen is handed in
    /// before: where both came back together, the lookup may have been first with a node that waits
    /// for this data.
    pub(super) async fn over(&mut self, state: &mut StateFile) {
        if self
            .pending
            .as_ref()
            .is_some_and(|pending| pending.unanswered)
        {
            self.round(Round::Last, state, || true).await;
        }
        self.pending = None;
    }

    /// Hand in what was not delivered until it is, for an agent that looks nothing up; never while
    /// there is something else to do.
    pub(super) async fn until_delivered(
        &mut self,
        state: &mut StateFile,
        discovery: &Discovery<impl Look>,
        is_idle: impl Fn() -> bool,
    ) {
        while let Some(pending) = &mut self.pending {
            if Instant::now() < pending.due {
                sleep_until(pending.due).await;
            } else if is_idle() {
                if self.fruitless >= FRUITLESS {
                    self.look_again(discovery).await;
                }
                self.round(Round::Again, state, &is_idle).await;
            } else {
                pending.due = Instant::now() + (self.pause)(1);
            }
        }
    }

    /// Collect where that is needed, and offer the data.
    async fn round(&mut self, round: Round, state: &mut StateFile, is_idle: impl Fn() -> bool) {
        let Some(pending) = &mut self.pending else {
            return;
        };
        pending.tries += 1;
        pending.due = Instant::now() + (self.pause)(pending.tries);
        let kept = pending.data.take().filter(Data::is_fresh);
        let data = match kept {
            Some(data) => data,
            None => match self.collect(round).await {
                Ok(data) => data,
                Err(why) => return self.failed(round, &why),
            },
        };
        if round == Round::First {
            self.status.doing("handing in the inspection data");
        }
        // Collecting takes its time, and a command may have come.
        let offered = if is_idle() {
            Some(self.offer(round, &data.body).await)
        } else {
            None
        };
        let Some(pending) = &mut self.pending else {
            return;
        };
        // From now on: the tries of a round take their time, too.
        pending.due = Instant::now() + (self.pause)(pending.tries);
        match offered {
            None => pending.data = Some(data),
            Some(Ok(outcome)) => {
                state.change(|kept| {
                    kept.inspected = true;
                    // The conductor has refused data with failures in it, whatever it answers.
                    kept.inspected_node = outcome
                        .node_uuid
                        .clone()
                        .filter(|_| data.failures.is_none());
                });
                self.pending = None;
                match data.failures {
                    None => {
                        self.inspected = Inspected {
                            node_uuid: outcome.node_uuid,
                            excuse: None,
                        };
                    }
                    Some(failures) => self.failed(round, &failures),
                }
            }
            Some(Err(error)) => {
                self.fruitless = match error.leads_nowhere() {
                    true => self.fruitless.saturating_add(1),
                    false => 0,
                };
                pending.unanswered = error.is_transient();
                // The same again would be refused again.
                pending.data = error.is_transient().then_some(data);
                self.failed(round, &chain(&error));
            }
        }
    }

    async fn collect(&self, round: Round) -> Result<Data, String> {
        let (managers, options) = (Arc::clone(&self.managers), Arc::clone(&self.options));
        let root = Root::at(&self.root);
        let addresses = address::all().unwrap_or_default();
        let collected = spawn_blocking(move || {
            if round != Round::First {
                managers.forget_inventory();
            }
            let collected = Collected::gather(&managers, &options, &root);
            // Gathered already, where a collector wanted it; else nobody waits for it here.
            let inventory = managers.gathered_inventory();
            (collected, inventory)
        });
        let (collected, inventory) = collected
            .await
            .map_err(|panic| format!("the collection ended in a panic: {panic}"))?;
        if let Some(inventory) = inventory {
            self.status.machine(&inventory);
        }
        self.status.switches(&collected.switches());
        Ok(Data {
            failures: collected.error(),
            body: collected.into_body(),
            at: Instant::now(),
            addresses,
        })
    }

    async fn offer(&self, round: Round, body: &[u8]) -> Result<InspectionOutcome, ConductorError> {
        if round == Round::First {
            return self.client.post_inspection(&self.urls, body).await;
        }
        match self.client.post_once(&self.urls, body).await {
            Err(ConductorError::Conflict { .. }) if round == Round::Last => {
                self.client.post_inspection(&self.urls, body).await
            }
            result => result,
        }
    }

    /// Tell and keep what went wrong. Later rounds are no news for the status, which shows the
    /// lookup's trouble by then.
    fn failed(&mut self, round: Round, why: &str) {
        let again_in = self.pending.as_ref().map(|_| self.due_in().as_secs());
        warn!(error = why, again_in, "the inspection failed");
        if round == Round::First {
            self.status.trouble(why);
        }
        self.inspected = Inspected {
            node_uuid: None,
            excuse: Some(format!("Inspection has previously failed: {why}")),
        };
    }
}

/// Where the data goes: the callback URLs as they are, or, where collectors are named, each
/// conductor's own place for it.
pub(super) fn urls(options: &Options) -> Vec<Url> {
    let texts: Vec<String> = if options.inspection_callback_url.is_empty() {
        match options.inspection_collectors.as_deref() {
            Some(names) if !names.is_empty() => options
                .api_url
                .iter()
                .map(|url| format!("{}/v1/continue_inspection", url.trim_end_matches('/')))
                .collect(),
            _ => Vec::new(),
        }
    } else {
        options.inspection_callback_url.clone()
    };
    texts
        .iter()
        .filter_map(|text| match Url::parse(text) {
            Ok(url) => Some(url),
            Err(_) => {
                // `mdns` is the only value that the options let through, and where it stands alone
                // it has been replaced by now.
                warn!(
                    url = text,
                    "mdns cannot be one URL among others and is ignored"
                );
                None
            }
        })
        .collect()
}

#[cfg(test)]
mod tests;
