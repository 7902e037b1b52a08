//! The agent from start to end (contract/control-plane 1.2, with the repairs of section 13).

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use farrier_plugin::{ManagerError, Node};
use tokio::runtime::Handle;
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::sleep;
use tracing::{error, warn};

use super::clock::{self, Clock};
use super::control_socket::{self, Control};
use super::ending::End;
use super::identity::{self, Callback};
use super::inspection::{self, Inspection};
use super::left_passwords::LeftPasswords;
use super::lookup::{Addresses, find_node};
use super::markers::Marker;
use super::serving::{self, Pulse, Service};
use super::state::StateFile;
use super::status::Status;
use super::trouble::{Topic, Trouble};
use super::{AgentError, discovery, network, network_watch, progress};
use crate::api::Token;
use crate::command::{CommandTable, Environment, OpenRescue, Shutdown};
use crate::conductor::{
    Beat, Client, ConductorError, Lookup, LookupAnswer, LookupTimes, StepUnderWay, TokenAnswer,
};
use crate::config::{Live, Options};
use crate::hardware::Managers;
use crate::inventory::hostname;
use crate::net::links::Links;
use crate::net::resolver::Resolver;
use crate::net::statsd::Timers;
use crate::net::tls;
use crate::sys::power::{PowerError, Transition};
use crate::sys::root::Root;
use crate::sys::{boot_times, log, run_files};

/// Where the token is known beforehand and no new certificate is made, an agent after a reboot is for the
/// conductor the agent before it.
const NOTHING_TELLS_A_REBOOT: &str = "a restart of this server in the middle of a clean or service \
     step will count as the end of that step: the agent's token is known beforehand (ipa-agent-token), \
     its certificate is not made anew, and the conductor does not show driver_internal_info. Use \
     automatic TLS, or no token of your own";

/// A conductor that gives none is older than tokens, or its answer makes no sense.
const NO_TOKEN: &str = "the conductor gave no token that can be one, so no command will be let in: see \
     [agent] and the log of the conductor";

/// What an agent starts with.
pub(crate) struct Setup {
    /// The options as configured.
    pub options: Live,
    /// What every path starts from; `/` but for tests.
    pub root: PathBuf,
    /// Finds the hardware managers. Blocks, for as long as disks are waited for.
    pub discover: Box<dyn FnOnce(Live) -> Result<Managers, ManagerError> + Send>,
    /// How commands reboot and power off.
    pub shutdown: Box<dyn Fn(Transition) -> Result<(), PowerError> + Send + Sync>,
    /// Lets the user of a rescue in: [`crate::init::open_rescue`], but for tests.
    pub open_rescue: Box<OpenRescue>,
    /// Resolves when the system asks the agent to end: [`super::Demands`], but for tests.
    pub asked_to_end: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// Live until the end. The conductor being away, busy or of another opinion never is one.
pub(crate) async fn live(setup: Setup) -> Result<End, AgentError> {
    let Setup {
        options: live_options,
        root,
        discover: find_managers,
        shutdown,
        open_rescue,
        asked_to_end,
    } = setup;
    let started = Instant::now();
    boot_times::reached("agent", "");
    let status = Arc::new(Status::on_page());
    match Marker::found(&root) {
        Some(Marker::LockedDown) => return Ok(End::LockedDown),
        Some(Marker::Rescued) => {
            run_files::forget_secrets(&root);
            return Ok(End::Rescued);
        }
        None => {}
    }
    // All that looks and answers beside what follows, for as long as this lives.
    let mut beside = JoinSet::new();
    let control = Arc::new(Control::new(&status));
    beside.spawn(control_socket::serve(root.clone(), Arc::clone(&control)));
    let mut state = StateFile::open(&root);
    if state.kept().node.is_some() {
        warn!("an agent before this one has ended; going on with its node");
    }
    let discovery = discovery::complete(&live_options, &status).await;
    let options = live_options.current();
    let resolver = Resolver::default();
    let client = Client::new(&options, resolver.clone()).map_err(AgentError::Conductor)?;
    let client = Arc::new(client);
    if let Some(url) = client.urls().first() {
        status.conductor(url);
    }
    beside.spawn(network_watch::watch(root.clone(), Arc::clone(&status)));
    let mut clock = Clock::start(&options, &resolver, &status);
    status.doing("starting the hardware managers");
    network::wait_for_devices(&root, &status).await;
    let managers = discover(find_managers, live_options.clone()).await?;
    control.has_managers(&managers);
    sleep(Duration::from_secs(options.hardware_initialization_delay)).await;
    // When all disks are there.
    let passwords = LeftPasswords::look(&root);
    network::wait_for_interfaces(&root, &status).await;
    progress::tell_disk(&managers, &Root::at(&root), &status);
    let addresses = Addresses::new(&root, &managers, &status);
    // Before the first request: with a wrong clock no certificate is valid.
    clock
        .ready(wait_for_route(&options, &client, &resolver, &status))
        .await?;
    clock::tell_if_unset(&status, SystemTime::now());
    let mut inspection = Inspection::begin(
        &managers, &options, &client, &resolver, &mut state, &root, &status,
    )
    .await;

    let token = Token::new();
    let known = if options.api_url.is_empty() {
        if options.inspection_callback_url.is_empty() {
            status.met(Trouble::no_conductor());
        }
        None
    } else {
        status.doing("asking the conductor which node this is");
        network::wait_for_route(&client.urls(), &resolver, &status).await;
        let times = LookupTimes {
            timeout: Duration::from_secs(options.lookup_timeout),
            interval: Duration::from_secs(options.lookup_interval),
        };
        Some(
            find_node(
                times,
                &client,
                &discovery,
                addresses,
                &mut inspection,
                &mut state,
                &status,
            )
            .await,
        )
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
        inspection.over(&mut state).await;
    } else if let Some(configured) = &options.agent_token {
        log::hide(configured.reveal());
        token.set(configured.reveal());
    }

    let under_way = known.as_ref().map(LookupAnswer::step_under_way);
    let is_cut_short = matches!(under_way, Some(StepUnderWay::Interrupted { .. }))
        || CommandTable::was_open(state.directory());
    let (signals, news) = unbounded_channel();
    let environment = Environment {
        managers: Arc::clone(&managers),
        options: live_options.clone(),
        signals,
        state_directory: state.directory().to_owned(),
        relookup: relookup(live_options.clone(), root.clone(), &managers, &client),
        shutdown: Shutdown {
            set_clock: clock::setter(live_options.clone(), resolver.clone(), Arc::clone(&status)),
            request: shutdown,
        },
        open_rescue,
        left_behind: passwords.told(is_cut_short, &status).await,
    };
    let table = CommandTable::open(environment).map_err(AgentError::Journal)?;
    control.has_table(&table);
    if let Some(StepUnderWay::Interrupted { kind, step }) = &under_way
        && let Some(why) = table.fail_interrupted_step(*kind, step)
    {
        error!("{why}");
        status.trouble(&why);
    }
    // As the lookup has left them: the least TLS version counts for the server.
    let options = live_options.current();
    let timers = Timers::start(
        &options,
        &hostname(&Root::at(&root)),
        known.as_ref().map(|answer| answer.uuid.as_str()),
        resolver.clone(),
    );
    let (tls, pulse) = match known {
        None => (identity::files(&options)?, None),
        Some(answer) => {
            let callback = identity::callback(
                &options, &client, &resolver, &mut state, &root, &managers, &status,
            )
            .await?;
            let tls = callback.tls.clone();
            if under_way == Some(StepUnderWay::Hidden)
                && options.agent_token.is_some()
                && callback.certificate.is_none()
            {
                warn!(NOTHING_TELLS_A_REBOOT);
                status.trouble(NOTHING_TELLS_A_REBOOT);
            }
            (tls, Some(pulse(&answer, callback, &token, &client)))
        }
    };
    let service = Service {
        table,
        managers: Arc::clone(&managers),
        tls,
        token,
        signals: news,
        asked_to_end,
        started,
        conductors: network::addresses(&client.urls(), &resolver).await,
        timers,
    };
    let table = Arc::clone(&service.table);
    let serving = serving::serve(service, pulse, &options, &root, &status);
    tokio::pin!(serving);
    tokio::select! {
        end = &mut serving => end,
        // At once where there is nothing to hand in any more.
        () = inspection.until_delivered(&mut state, &discovery, || table.running().is_none()) => serving.await,
    }
}

/// Wait for a route to where the first request goes.
async fn wait_for_route(options: &Options, client: &Client, resolver: &Resolver, status: &Status) {
    let mut urls = inspection::urls(options);
    if urls.is_empty() {
        urls = client.urls();
    }
    // Without a conductor nobody waits for one.
    if !urls.is_empty() {
        network::wait_for_route(&urls, resolver, status).await;
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
    // Before what is wrong with the answer, which would stand behind these.
    status.over(Topic::Route);
    status.over(Topic::Conductor);
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
        None => {
            warn!(NO_TOKEN);
            status.trouble(NO_TOKEN);
        }
    }
    options.change(|options| answer.config.apply(options));
    let options = options.current();
    let mut trouble = answer.config.trouble();
    trouble.extend(tls::trouble(&options));
    for what in trouble {
        warn!("{what}");
        status.trouble(&what);
    }
    if let Some(names) = tls::unknown_ciphers(&options) {
        warn!(
            names,
            "tls_cipher_suites names what is none of this agent's suites; that is passed over"
        );
    }
    let node = answer.node.clone();
    state.change(|kept| kept.node = Some(node.clone()));
    boot_times::reached("lookup", &answer.uuid);
    let managers = Arc::clone(managers);
    // Waits for the root disk that the node's hints name.
    if let Err(panic) = spawn_blocking(move || managers.set_node(node)).await {
        error!(%panic, "looking for the node's root disk met a defect");
    }
    Ok(())
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
        timeout: answer.config.heartbeat_timeout(),
    }
}

/// The later lookup that commands ask for. Runs on the command's thread.
pub(super) fn relookup(
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
            Err(_) => Links::of(&Root::at(&root)).addresses(),
        };
        let lookup = Lookup {
            addresses,
            node_uuid: Some(uuid.clone()),
            times: LookupTimes {
                timeout: Duration::from_secs(options.lookup_timeout),
                interval: Duration::from_secs(options.lookup_interval),
            },
        };
        match handle.block_on(lookup.run(&client, |_| {})) {
            Ok(answer) if answer.is_about(&uuid) => Some(answer.node),
            Ok(answer) => {
                let error = ConductorError::OtherNode {
                    expected: uuid,
                    answered: answer.uuid,
                };
                warn!(%error, "the node could not be looked up again");
                None
            }
            Err(error) => {
                warn!(error = %farrier_plugin::chain(&error), "the node could not be looked up again");
                None
            }
        }
    })
}
