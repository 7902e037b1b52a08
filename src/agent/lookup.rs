//! Finding the node that this machine is, whatever comes late: conductor, node, network cards, the
//! inspection's data.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tracing::warn;

use super::discovery::{Discovery, Look};
use super::inspection::{FRUITLESS, Inspection};
use super::state::StateFile;
use super::status::Status;
use super::trouble::Trouble;
use crate::conductor::{Client, ConductorError, LookupAnswer, LookupTimes};
use crate::hardware::Managers;
use crate::net::links::Links;
use crate::sys::root::Root;

/// What the node is looked up by: the addresses in the inventory, or what the kernel lists where
/// there is no inventory.
pub(super) struct Addresses {
    root: PathBuf,
    managers: Arc<Managers>,
    status: Arc<Status>,
    /// What the kernel listed before the inventory was gathered.
    listed: Vec<String>,
    known: Vec<String>,
}

impl Addresses {
    pub(super) fn new(root: &Path, managers: &Arc<Managers>, status: &Arc<Status>) -> Self {
        Self {
            root: root.to_owned(),
            managers: Arc::clone(managers),
            status: Arc::clone(status),
            listed: Links::of(&Root::at(root)).addresses(),
            known: Vec::new(),
        }
    }

    /// As they are now: the network card that the conductor knows may come long after the first
    /// lookup, when its driver has loaded its firmware.
    async fn current(&mut self) -> &[String] {
        let listed = Links::of(&Root::at(&self.root)).addresses();
        let changed = listed != self.listed;
        if changed || self.known.is_empty() {
            self.known = self.gather(changed).await;
            if self.known.is_empty() {
                self.known.clone_from(&listed);
            }
            self.listed = listed;
        }
        &self.known
    }

    async fn gather(&self, anew: bool) -> Vec<String> {
        let managers = Arc::clone(&self.managers);
        let inventory = spawn_blocking(move || {
            if anew {
                managers.forget_inventory();
            }
            managers.inventory()
        });
        match inventory.await {
            Ok(Ok(inventory)) => {
                self.status.machine(&inventory);
                inventory
                    .interfaces
                    .iter()
                    .filter_map(|interface| interface.mac_address.clone())
                    .collect()
            }
            Ok(Err(error)) => {
                warn!(error = error.chain(), "there is no inventory");
                Vec::new()
            }
            Err(panic) => {
                warn!(%panic, "the inventory ended in a panic");
                Vec::new()
            }
        }
    }
}

/// Look up until the node is found. The reference dies after `lookup_timeout` and is started again;
/// going on is the same without losing what is known.
///
/// Inspection data that was not delivered goes before a try: a machine that the conductor does not
/// know yet cannot be found before.
pub(super) async fn find_node(
    times: LookupTimes,
    client: &Client,
    discovery: &Discovery<impl Look>,
    addresses: Addresses,
    inspection: &mut Inspection,
    state: &mut StateFile,
    status: &Arc<Status>,
) -> LookupAnswer {
    // Held during a try only, and there is one at a time.
    let search = Mutex::new((addresses, inspection, state, 0));
    loop {
        let ask = || async {
            let mut search = search.lock().await;
            let (addresses, inspection, state, fruitless) = &mut *search;
            if inspection.fruitless().max(*fruitless) >= FRUITLESS {
                *fruitless = 0;
                inspection.look_again(discovery).await;
                status.doing("asking the conductor which node this is");
            }
            inspection.again_if_due(state).await;
            // Asked for by its UUID, a conductor hands out no other node's token in vain.
            let inspected = inspection.inspected().node_uuid.clone();
            let kept = || state.kept().node.as_ref()?.uuid().map(str::to_owned);
            let node_uuid = inspected.or_else(kept);
            let asked = client.lookup(addresses.current().await, node_uuid.as_deref());
            let answer = asked.await.inspect_err(|error| {
                *fruitless = if error.leads_nowhere() {
                    *fruitless + 1
                } else {
                    0
                };
            })?;
            match node_uuid {
                Some(expected) if !answer.is_about(&expected) => Err(ConductorError::OtherNode {
                    expected,
                    answered: answer.uuid,
                }),
                _ => Ok(answer),
            }
        };
        let known = || search.try_lock().map(|search| search.0.known.clone());
        let tell = |error: &ConductorError| {
            status.met(Trouble::of_conductor(error, &known().unwrap_or_default()));
        };
        let most = || {
            search
                .try_lock()
                .map_or(Duration::MAX, |search| search.1.due_in())
        };
        match times.run(ask, tell, most).await {
            Ok(answer) => return answer,
            Err(error) => {
                let inspected = search.lock().await.1.inspected().clone();
                warn!(
                    error = %farrier_plugin::chain(&error),
                    inspection = inspected.excuse.as_deref().unwrap_or("succeeded"),
                    "Could not look up node info within lookup_timeout; trying on"
                );
                tell(&error);
            }
        }
    }
}
