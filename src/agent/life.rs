//! The agent from start to end (contract/control-plane 1.2, with the repairs of section 13).

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use farrier_plugin::{ManagerError, Node};
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tracing::warn;

use super::identity::{self, Callback};
use super::inspection::{self, Inspected};
use super::markers::Marker;
use super::serving::{self, Pulse, Service};
use super::state::StateFile;
use super::status::Status;
use super::{AgentError, clock, discovery, network};
use crate::api::Token;
use crate::command::{CommandTable, Environment, Shutdown};
use crate::conductor::{Beat, Client, Lookup, LookupAnswer, TokenAnswer};
use crate::config::{Live, Options};
use crate::hardware::Managers;
use crate::net::links;
use crate::net::resolver::Resolver;
use crate::sys::power::{PowerError, Transition};
use crate::sys::{boot_times, log};

/// What an agent starts with.
pub struct Setup {
    /// The options as configured.
    pub options: Live,
    /// What every path starts from; `/` but for tests.
    pub root: PathBuf,
    /// Finds the hardware managers. Blocks, for as long as disks are waited for.
    pub discover: Box<dyn FnOnce(Live) -> Result<Managers, ManagerError> + Send>,
    /// How commands reboot and power off.
    pub shutdown: Box<dyn Fn(Transition) -> Result<(), PowerError> + Send + Sync>,
}

/// How an agent ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// The network is to be taken down, and nothing may happen any more.
    LockedDown,
    /// The machine is a rescue system now.
    Rescued,
    /// The system asked the agent to end.
    Terminated,
}

/// Live until the end. The conductor being away, busy or of another opinion never is one.
pub async fn live(setup: Setup) -> Result<End, AgentError> {
    let Setup {
        options: live_options,
        root,
        discover: find_managers,
        shutdown,
    } = setup;
    let started = SystemTime::now();
    boot_phase("agent", "");
    let status = Arc::new(Status::default());
    match Marker::found(&root) {
        Some(Marker::LockedDown) => return Ok(End::LockedDown),
        Some(Marker::Rescued) => return Ok(End::Rescued),
        None => {}
    }
    let mut state = StateFile::open(&root);
    if state.kept().node.is_some() {
        warn!("an agent before this one has ended; going on with its node");
    }
    discovery::complete(&live_options, &status).await;
    let options = live_options.current();
    let resolver = Resolver::default();
    let client = Client::new(&options, resolver.clone()).map_err(AgentError::Conductor)?;
    let client = Arc::new(client);
    if let Some(url) = client.urls().first() {
        status.conductor(url.as_str());
    }
    status.doing("starting the hardware managers");
    network::wait_for_devices(&root, &status).await;
    clock::set_at_start(&options, &resolver).await?;
    let managers = discover(find_managers, live_options.clone()).await?;
    sleep(Duration::from_secs(options.hardware_initialization_delay)).await;
    network::wait_for_interfaces(&root, &status).await;
    let inspected = inspection::inspect(
        &managers, &options, &client, &resolver, &mut state, &root, &status,
    )
    .await;

    let token = Token::new();
    let known = if options.api_url.is_empty() {
        if options.inspection_callback_url.is_empty() {
            status
                .trouble("no conductor is configured; set ipa-api-url on the kernel command line");
        }
        None
    } else {
        status.doing("asking the conductor which node this is");
        network::wait_for_route(&client.urls(), &resolver, &status).await;
        let lookup = lookup(&options, &root, &managers, &inspected).await;
        Some(find_node(&lookup, &client, &inspected, &status).await)
    };
    if let Some(answer) = &known {
        apply(
            answer,
            &live_options,
            &token,
            &mut state,
            &managers,
            &status,
        )
        .await?;
    } else if let Some(configured) = &options.agent_token {
        log::hide(configured.reveal());
        token.set(configured.reveal());
    }

    let (signals, news) = unbounded_channel();
    let environment = Environment {
        managers: Arc::clone(&managers),
        options: live_options.clone(),
        signals,
        state_directory: state.directory().to_owned(),
        relookup: relookup(live_options.clone(), root.clone(), &managers, &client),
        shutdown: Shutdown {
            set_clock: clock::setter(live_options.clone(), resolver.clone()),
            request: shutdown,
        },
    };
    let table = CommandTable::open(environment).map_err(AgentError::Journal)?;
    // As the lookup has left them: the least TLS version counts for the server.
    let options = live_options.current();
    let (tls, pulse) = match known {
        None => (identity::files(&options)?, None),
        Some(answer) => {
            let callback = identity::callback(
                &options, &client, &resolver, &mut state, &root, &managers, &status,
            )
            .await?;
            let tls = callback.tls.clone();
            (tls, Some(pulse(&answer, callback, &token, &client)))
        }
    };
    let service = Service {
        table,
        tls,
        token,
        signals: news,
        started,
    };
    serving::serve(service, pulse, &options, &root, &status).await
}

/// Record for the table of boot phases that one is reached; outside a ramdisk there is none.
pub(super) fn boot_phase(phase: &str, detail: &str) {
    if Path::new(boot_times::PATH).exists() {
        let _ = boot_times::mark(phase, detail);
    }
}

async fn discover(
    discover: Box<dyn FnOnce(Live) -> Result<Managers, ManagerError> + Send>,
    options: Live,
) -> Result<Arc<Managers>, AgentError> {
    let managers = spawn_blocking(move || discover(options))
        .await
        .unwrap_or_else(|panic| {
            Err(ManagerError::new(
                farrier_plugin::ErrorKind::HardwareManagerNotFound,
                format!("The search for hardware managers ended in a panic: {panic}"),
            ))
        });
    managers.map(Arc::new).map_err(AgentError::Managers)
}

/// What the node is looked up by: the addresses in the inventory, or what the kernel lists where
/// there is no inventory.
async fn lookup(
    options: &Options,
    root: &Path,
    managers: &Arc<Managers>,
    inspected: &Inspected,
) -> Lookup {
    let managers = Arc::clone(managers);
    let inventory = spawn_blocking(move || managers.inventory()).await;
    let mut addresses: Vec<String> = match inventory {
        Ok(Ok(inventory)) => inventory
            .interfaces
            .iter()
            .filter_map(|interface| interface.mac_address.clone())
            .collect(),
        Ok(Err(error)) => {
            warn!(error = error.chain(), "there is no inventory");
            Vec::new()
        }
        Err(panic) => {
            warn!(%panic, "the inventory ended in a panic");
            Vec::new()
        }
    };
    if addresses.is_empty() {
        addresses = links::hardware_addresses(root);
    }
    Lookup {
        addresses,
        node_uuid: inspected.node_uuid.clone(),
        timeout: Duration::from_secs(options.lookup_timeout),
        interval: Duration::from_secs(options.lookup_interval),
    }
}

/// Look up until the node is found. The reference dies after `lookup_timeout` and is started again;
/// going on is the same without losing what is known.
async fn find_node(
    lookup: &Lookup,
    client: &Client,
    inspected: &Inspected,
    status: &Status,
) -> LookupAnswer {
    loop {
        let result = lookup
            .run(client, |error| {
                status.trouble(&format!("{}; trying again", log::chain(error)));
            })
            .await;
        match result {
            Ok(answer) => return answer,
            Err(error) => {
                warn!(
                    error = %log::chain(&error),
                    inspection = inspected.excuse.as_deref().unwrap_or("succeeded"),
                    "Could not look up node info within lookup_timeout; trying on"
                );
                status.error(&error);
            }
        }
    }
}

/// Put the lookup's answer in force (contract/control-plane 2.4): token first, since it is given
/// out once.
async fn apply(
    answer: &LookupAnswer,
    options: &Live,
    token: &Token,
    state: &mut StateFile,
    managers: &Arc<Managers>,
    status: &Status,
) -> Result<(), AgentError> {
    status.node(&answer.uuid);
    let same_node = state
        .kept()
        .node
        .as_ref()
        .is_none_or(|node| node.uuid() == Some(&answer.uuid));
    let kept = state.kept().token.clone().filter(|_| same_node);
    let configured = options.current().agent_token.clone();
    let own = kept.or_else(|| configured.map(|token| token.reveal().to_owned()));
    let in_force = match answer.config.token() {
        TokenAnswer::New(new) => Some(new),
        TokenAnswer::GivenBefore | TokenAnswer::Absent => own,
    };
    match in_force {
        Some(in_force) => {
            log::hide(&in_force);
            token.set(&in_force);
            state.change(|kept| kept.token = Some(in_force));
        }
        None if answer.config.token() == TokenAnswer::GivenBefore => {
            return Err(AgentError::NoToken);
        }
        None => warn!("the conductor gave no token; no command will be let in"),
    }
    options.change(|options| answer.config.apply(options));
    let node = node_of(answer);
    state.change(|kept| kept.node = Some(node.clone()));
    boot_phase("lookup", &answer.uuid);
    let managers = Arc::clone(managers);
    // Waits for the root disk that the node's hints name.
    let _ = spawn_blocking(move || managers.set_node(node)).await;
    Ok(())
}

/// The node, with what the configuration says about it: later inventories leave the BMC out.
fn node_of(answer: &LookupAnswer) -> Node {
    let mut node = answer.node.clone();
    if answer.config.skip_bmc_detect() {
        node.0
            .insert("skip_bmc_detect".to_owned(), Value::Bool(true));
    }
    node
}

fn pulse(answer: &LookupAnswer, callback: Callback, token: &Token, client: &Arc<Client>) -> Pulse {
    Pulse {
        client: Arc::clone(client),
        beat: Beat {
            node_uuid: answer.uuid.clone(),
            callback_url: callback.url,
            agent_token: token.reveal().map(|token| token.as_ref().to_owned()),
            agent_version: super::VERSION.to_owned(),
            agent_verify_ca: callback.certificate,
        },
        // Answers without it are refused.
        timeout: Duration::from_secs_f64(answer.config.heartbeat_timeout().unwrap_or(300.0)),
    }
}

/// The later lookup that commands ask for. Runs on the command's thread.
fn relookup(
    options: Live,
    root: PathBuf,
    managers: &Arc<Managers>,
    client: &Arc<Client>,
) -> Box<dyn Fn() -> Option<Node> + Send + Sync> {
    let managers = Arc::clone(managers);
    let client = Arc::clone(client);
    let handle = Handle::current();
    // One at a time is enough, and more would only ask the same.
    let one = Mutex::new(());
    Box::new(move || {
        let _one = one.lock().unwrap_or_else(PoisonError::into_inner);
        let options = options.current();
        let uuid = managers.node()?.uuid()?.to_owned();
        if options.api_url.is_empty() || options.lookup_timeout == 0 || options.lookup_interval == 0
        {
            return None;
        }
        let addresses = match managers.inventory() {
            Ok(inventory) => inventory
                .interfaces
                .iter()
                .filter_map(|interface| interface.mac_address.clone())
                .collect(),
            Err(_) => links::hardware_addresses(&root),
        };
        let lookup = Lookup {
            addresses,
            node_uuid: Some(uuid),
            timeout: Duration::from_secs(options.lookup_timeout),
            interval: Duration::from_secs(options.lookup_interval),
        };
        match handle.block_on(lookup.run(&client, |_| {})) {
            Ok(answer) => Some(node_of(&answer)),
            Err(error) => {
                warn!(error = %log::chain(&error), "the node could not be looked up again");
                None
            }
        }
    })
}
