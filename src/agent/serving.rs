//! Serving and heartbeats, and how they end.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::pin::{Pin, pin};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustls::ServerConfig;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};
use tracing::{error, info, warn};

use super::AgentError;
use super::ending::{self, End, GRACE, REPORT};
use super::markers;
use super::progress;
use super::status::Status;
use super::trouble::{Topic, Trouble};
use crate::api::{self, Settings, Token};
use crate::command::{CommandTable, CutOff, Signal, TokenlessRead};
use crate::conductor::{Beat, Client, Heartbeats, News};
use crate::config::Options;
use crate::hardware::Managers;
use crate::net::statsd::Timers;
use crate::sys::root::Root;
use crate::sys::{boot_times, run_files};

/// How long open requests may take at the end; the server cuts them off after five seconds.
const END: Duration = Duration::from_secs(6);

/// The pause before heartbeats that met a defect of the agent go on.
const AFTER_DEFECT: Duration = Duration::from_secs(5);

/// What is served.
pub(super) struct Service {
    pub(super) table: Arc<CommandTable>,
    pub(super) managers: Arc<Managers>,
    pub(super) tls: Option<Arc<ServerConfig>>,
    pub(super) token: Token,
    pub(super) signals: UnboundedReceiver<Signal>,
    /// See [`super::Setup::asked_to_end`].
    pub(super) asked_to_end: Pin<Box<dyn Future<Output = ()> + Send>>,
    pub(super) started: Instant,
    /// Addresses that are known to be conductors'.
    pub(super) conductors: Vec<IpAddr>,
    /// Takes how long requests took.
    pub(super) timers: Timers,
}

/// What heartbeats need; `None` where there is no conductor to send them to.
pub(super) struct Pulse {
    pub(super) client: Arc<Client>,
    pub(super) beat: Beat,
    pub(super) timeout: Duration,
}

/// Serve, and send heartbeats once the port is open, until the conductor or the system ends it.
pub(super) async fn serve(
    service: Service,
    pulse: Option<Pulse>,
    options: &Options,
    root: &Path,
    status: &Arc<Status>,
) -> Result<End, AgentError> {
    let (stop, stopped) = watch::channel(false);
    let demanded = Arc::new(Notify::new());
    let settings = Settings {
        listen: SocketAddr::new(listen_address(options, root), options.listen_port),
        tls: service.tls,
        token: service.token,
        agent_version: super::VERSION.to_owned(),
        started_at: epoch_seconds_of(service.started),
        conductors: service.conductors,
        reads_without_token: options.allow_reads_without_token,
        timers: service.timers,
        look: Arc::new({
            let status = Arc::clone(status);
            move || status.glance()
        }),
    };
    let table = Arc::clone(&service.table);
    let shown = progress::show(
        Arc::clone(&table),
        service.managers,
        Root::at(root),
        Arc::clone(status),
    );
    let mut progress = pin!(shown);
    let tell_read =
        |read: &TokenlessRead| tell_read(read, options.allow_reads_without_token, status);
    let server = api::serve(settings, service.table, stopped.clone()).map_err(AgentError::Api)?;
    let heartbeats = pulse.map(|pulse| {
        let heartbeats = Heartbeats {
            timeout: pulse.timeout,
            demanded: Arc::clone(&demanded),
            stop: stopped,
        };
        tokio::spawn(beat_always(heartbeats, pulse, Arc::clone(status)))
    });
    if heartbeats.is_none() {
        status.doing("serving, without a conductor to report to");
    }
    let reports = heartbeats.is_some();
    let mut ended = server.ended;
    let end = tokio::select! {
        end = wait_for_end(service.signals, &demanded, service.asked_to_end, tell_read) => end,
        _ = &mut ended => return Err(AgentError::ApiEnded),
        never = &mut progress => match never {},
    };
    info!(?end, "ending");
    let stopping = async {
        stop.send_replace(true);
        let beats = async {
            if let Some(heartbeats) = heartbeats {
                let _ = timeout(END, heartbeats).await;
            }
        };
        let (server, ()) = tokio::join!(timeout(END, ended), beats);
        if server.is_err() {
            warn!("open requests did not end in time");
        }
        match end {
            End::LockedDown => markers::leave_locked_down(root),
            // After the last word to the conductor.
            End::Rescued => run_files::forget_secrets(root),
            End::Terminated => {}
        }
    };
    let finish = async {
        if end == End::LockedDown {
            // Nobody is let in while a command takes its time to stop.
            let cut_off = ending::cut_off(&table, CutOff::LockedDown, GRACE, status);
            tokio::join!(cut_off, stopping);
        } else if end == End::Rescued {
            // No other command runs beside the one that asked for this, and its answer is on the way.
            stopping.await;
        } else {
            let was_cut_off = ending::cut_off(&table, CutOff::Terminated, GRACE, status).await;
            if was_cut_off && reports {
                demanded.notify_one();
                sleep(REPORT).await;
            }
            stopping.await;
        }
    };
    tokio::select! {
        () = finish => Ok(end),
        never = progress => match never {},
    }
}

/// That moment by the clock as it is now: when the agent started, the clock may not have been set.
fn epoch_seconds_of(moment: Instant) -> f64 {
    SystemTime::now()
        .checked_sub(moment.elapsed())
        .and_then(|then| then.duration_since(UNIX_EPOCH).ok())
        .unwrap_or_default()
        .as_secs_f64()
}

/// Heartbeats must not end before the agent does, not even by a defect: the conductor would take
/// the silence for a dead machine in the middle of an erase.
async fn beat_always(heartbeats: Heartbeats, pulse: Pulse, status: Arc<Status>) {
    let pulse = Arc::new(pulse);
    loop {
        let task = beat(heartbeats.clone(), Arc::clone(&pulse), Arc::clone(&status));
        let Err(panic) = tokio::spawn(task).await else {
            return;
        };
        error!(%panic, "the heartbeats met a defect and go on");
        sleep(AFTER_DEFECT).await;
    }
}

async fn beat(heartbeats: Heartbeats, pulse: Arc<Pulse>, status: Arc<Status>) {
    let first = Once::new();
    let sender = Arc::clone(&pulse);
    let send = move || {
        let pulse = Arc::clone(&sender);
        async move { pulse.client.heartbeat(&pulse.beat).await }
    };
    let tell = |news: News<'_>| match news {
        News::Accepted => {
            first.call_once(|| boot_times::reached("heartbeat", &pulse.beat.callback_url));
            if let Some(url) = pulse.client.urls().first() {
                status.conductor(url);
            }
            status.over(Topic::Route);
            status.over(Topic::Conductor);
            status.doing("ready for the conductor's commands");
        }
        News::Failed(error) => status.met(Trouble::of_heartbeat(error)),
    };
    heartbeats.run(send, tell).await;
}

/// Results were read without the token. The conductor's being refused is a trouble, until it is admitted. All else fails by
/// nothing, or a stranger says so.
pub(super) fn tell_read(read: &TokenlessRead, is_allowed: bool, status: &Status) {
    let trouble = Trouble::tokenless_read(read, is_allowed);
    let text = format!("{}; {}", trouble.what, trouble.advice);
    warn!("{text}");
    match (read.is_conductor, read.is_admitted) {
        (true, false) => return status.met(trouble),
        (true, true) => status.over(Topic::Reads),
        (false, _) => {}
    }
    status.tell("warning", &text);
}

async fn wait_for_end(
    mut signals: UnboundedReceiver<Signal>,
    demanded: &Notify,
    mut asked_to_end: Pin<Box<dyn Future<Output = ()> + Send>>,
    tell_read: impl Fn(&TokenlessRead),
) -> End {
    loop {
        let news = tokio::select! {
            news = signals.recv() => news,
            () = &mut asked_to_end => return End::Terminated,
        };
        match news {
            Some(Signal::HeartbeatNow) => demanded.notify_one(),
            Some(Signal::Read(read)) => tell_read(&read),
            Some(Signal::LockDown) => return End::LockedDown,
            Some(Signal::Rescued) => return End::Rescued,
            // The command table holds a sender as long as it is served.
            None => return End::Terminated,
        }
    }
}

/// `listen_host`, else `::`, which takes IPv4 too, else `0.0.0.0` where the kernel has no IPv6.
fn listen_address(options: &Options, root: &Path) -> IpAddr {
    options.listen_host.unwrap_or_else(|| {
        if root.join("proc/net/if_inet6").exists() {
            Ipv6Addr::UNSPECIFIED.into()
        } else {
            Ipv4Addr::UNSPECIFIED.into()
        }
    })
}
