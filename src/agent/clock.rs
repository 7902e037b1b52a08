//! Setting the clock: beside the start, until it is right, and before the machine ends
//! (contract/control-plane 1.8).
//!
//! The clock may be set at any moment of the agent's life. Nothing in the agent measures a time by
//! it: time limits and pauses are on the monotonic clock, and the certificate is made by the
//! conductor's clock.

mod announced;
mod correction;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use farrier_plugin::{ErrorKind, ManagerError, chain};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tracing::warn;

use self::announced::Announced;
pub(super) use self::correction::in_words;
use self::correction::tell;
use super::status::Status;
use super::trouble::Trouble;
use super::{AgentError, network};
use crate::conductor::repeat_pause;
use crate::config::{Live, Options};
use crate::init;
use crate::net::ntp::{self, NtpError};
use crate::net::resolver::Resolver;
use crate::sys::clock::{self, utc_text};

/// How often a route is looked for. A look sends nothing.
const LOOK: Duration = Duration::from_millis(100);

/// When the person at the console is told that a route to the server is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A name may be unknown for so long after the first address has come: the lease's name servers are
/// noted a moment after its address.
const NAME_SERVERS: Duration = Duration::from_secs(5);

/// How it stands with the clock.
#[derive(Debug)]
enum Standing {
    /// The server has not been asked yet, mostly for want of a route.
    NotAsked,
    /// It was asked in vain and will be asked again.
    AskedInVain,
    /// It was set, or nobody wants that.
    Set,
    /// It will never be set, for this reason.
    Hopeless(String),
}

/// Sets the clock from `ntp_server`, beside everything else, or where there is none from what DHCP names if nobody has
/// ever set it ([`announced`]). The asking ends with this value.
///
/// Asking once was rejected, as the reference does it: at its start a machine has no network yet,
/// and one whose clock starts in 1970 then finds no certificate valid for as long as it runs.
pub(super) struct Clock {
    standing: watch::Receiver<Standing>,
    must_be_set: bool,
    _asking: JoinSet<()>,
}

impl Clock {
    /// Begin to ask, as soon as there is a route to the server, until it has said the time.
    pub(super) fn start(options: &Options, resolver: &Resolver, status: &Arc<Status>) -> Self {
        let (resolver, status) = (resolver.clone(), Arc::clone(status));
        let Some(server) = options.ntp_server.clone() else {
            return Self::asking(false, |standing| async move {
                standing.send_replace(Standing::Set);
                let announced = Announced {
                    names: || init::time_servers(Path::new("/")),
                    is_unset: || clock::is_unset(SystemTime::now()),
                    time: async |name: String| ntp::time(&name, &resolver).await,
                    set: clock::set,
                };
                announced.set_once_known(&status).await;
            });
        };
        let must_be_set = options.fail_if_clock_not_set;
        Self::asking(must_be_set, move |standing| async move {
            let source = Source {
                server: &server,
                has_route: || network::may_be_reached(&server),
                time: || ntp::time(&server, &resolver),
                set: clock::set,
            };
            source.ask_until_set(&standing, &status, must_be_set).await;
        })
    }

    fn asking<F>(must_be_set: bool, ask: impl FnOnce(watch::Sender<Standing>) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (sender, standing) = watch::channel(Standing::NotAsked);
        let mut asking = JoinSet::new();
        asking.spawn(ask(sender));
        Self {
            standing,
            must_be_set,
            _asking: asking,
        }
    }

    /// Wait until the server was asked once, with or without success, but once `network` has come
    /// not longer than an exchange may take: a server that never answers keeps nobody from the
    /// conductor. Where `fail_if_clock_not_set` is set, wait until the clock is right. (The
    /// reference dies then and is started again, which comes to the same.)
    ///
    /// # Errors
    ///
    /// The clock must be set and never will be: no host in `ntp_server`, or no right to set it.
    pub(super) async fn ready(
        &mut self,
        network: impl Future<Output = ()>,
    ) -> Result<(), AgentError> {
        if self.must_be_set {
            let decided =
                |standing: &Standing| matches!(standing, Standing::Set | Standing::Hopeless(_));
            // An end without a word is a defect of the task.
            return match self.standing.wait_for(decided).await.as_deref() {
                Ok(Standing::Hopeless(why)) => Err(AgentError::Clock(ManagerError::new(
                    ErrorKind::ClockSync,
                    why,
                ))),
                _ => Ok(()),
            };
        }
        let asked = async {
            let asked = |standing: &Standing| !matches!(standing, Standing::NotAsked);
            let _ = self.standing.wait_for(asked).await;
        };
        let given_up = async {
            network.await;
            sleep(ntp::LIMIT).await;
        };
        tokio::select! {
            () = asked => {}
            () = given_up => {}
        }
        Ok(())
    }
}

/// Tell the person at the console where the clock shows that nobody has set it. Servers' certificates
/// are looked at as of the release of this program then; each connection looks at the clock anew.
pub(super) fn tell_if_unset(status: &Status, now: SystemTime) -> Option<String> {
    if !clock::is_unset(now) {
        return None;
    }
    let what = format!(
        "the clock says {}, which is before this agent was made: whether a server's certificate has \
         expired or is not yet valid cannot be told until it is set",
        utc_text(now)
    );
    let advice = "set it in the firmware's setup, or name a time server by ipa-ntp-server or DHCP";
    warn!("{what}");
    status.met(Trouble::clock(&what, advice));
    Some(format!("{what}; {advice}"))
}

/// Where the time comes from, and what is done with it.
struct Source<'s, R, T, S> {
    server: &'s str,
    has_route: R,
    time: T,
    set: S,
}

impl<R, T, F, S> Source<'_, R, T, S>
where
    R: Fn() -> bool,
    T: Fn() -> F,
    F: Future<Output = Result<SystemTime, NtpError>>,
    S: Fn(SystemTime) -> nix::Result<()>,
{
    async fn ask_until_set(
        self,
        standing: &watch::Sender<Standing>,
        status: &Status,
        must_be_set: bool,
    ) {
        let then = if must_be_set {
            "asking again; nothing is done before, since fail_if_clock_not_set is set"
        } else {
            "asking again"
        };
        self.wait_for_route(status).await;
        let since_route = Instant::now();
        let mut tries = 0;
        loop {
            let failure = match (self.time)().await {
                Ok(time) => {
                    let before = SystemTime::now();
                    let Err(errno) = (self.set)(time) else {
                        tell(self.server, before, time, status);
                        standing.send_replace(Standing::Set);
                        return;
                    };
                    Failure::setting(errno)
                }
                Err(NtpError::Resolve { .. }) if since_route.elapsed() < NAME_SERVERS => {
                    sleep(LOOK).await;
                    continue;
                }
                Err(error) => Failure::asking(&error),
            };
            tries += 1;
            let why = failure.error.chain();
            warn!(
                server = self.server,
                tries,
                error = why,
                "the clock could not be set"
            );
            if failure.is_final {
                status.met(Trouble::clock(&why, "check ipa-ntp-server"));
                standing.send_replace(Standing::Hopeless(why));
                return;
            }
            status.met(Trouble::clock(
                &format!("{why}; {then}"),
                "check that the time server answers NTP (UDP port 123), and ipa-ntp-server",
            ));
            standing.send_replace(Standing::AskedInVain);
            sleep(repeat_pause(tries)).await;
        }
    }

    async fn wait_for_route(&self, status: &Status) {
        let waiting = async {
            while !(self.has_route)() {
                sleep(LOOK).await;
            }
        };
        tokio::pin!(waiting);
        if timeout(PATIENCE, &mut waiting).await.is_err() {
            status.met(Trouble::clock(
                &format!(
                    "there is no route to the NTP server {} yet; the clock may be wrong",
                    self.server
                ),
                "",
            ));
            waiting.await;
        }
    }
}

/// Why the clock is not set.
struct Failure {
    error: ManagerError,
    is_final: bool,
}

impl Failure {
    fn asking(error: &NtpError) -> Self {
        Self {
            error: ManagerError::new(ErrorKind::ClockSync, chain(error)),
            is_final: error.is_final(),
        }
    }

    fn setting(errno: nix::Error) -> Self {
        Self {
            error: ManagerError::new(ErrorKind::ClockSync, "The system clock could not be set")
                .with_source(errno),
            // It is a matter of privileges, and those do not come later.
            is_final: true,
        }
    }
}

/// What commands call before the machine ends: set the clock, and store it in the hardware clock
/// even where there is no NTP server. Runs on the command's thread.
pub(super) fn setter(
    options: Live,
    resolver: Resolver,
    status: Arc<Status>,
) -> Box<dyn Fn() -> Result<(), ManagerError> + Send + Sync> {
    let handle = Handle::current();
    Box::new(move || {
        let options = options.current();
        let set = handle.block_on(set_once(&options, &resolver, &status));
        let stored = clock::store_in_hardware(SystemTime::now()).map_err(|error| {
            warn!(%error, "the time could not be stored in the hardware clock");
            ManagerError::new(
                ErrorKind::ClockSync,
                "Could not store the time in the hardware clock /dev/rtc0",
            )
            .with_source(error)
        });
        if options.fail_if_clock_not_set {
            set.and(stored)
        } else {
            Ok(())
        }
    })
}

async fn set_once(
    options: &Options,
    resolver: &Resolver,
    status: &Status,
) -> Result<(), ManagerError> {
    let Some(server) = &options.ntp_server else {
        return Ok(());
    };
    let set = match ntp::time(server, resolver).await {
        Ok(time) => {
            let before = SystemTime::now();
            clock::set(time)
                .map(|()| tell(server, before, time, status))
                .map_err(Failure::setting)
        }
        Err(error) => Err(Failure::asking(&error)),
    };
    set.map_err(|failure| {
        let error = failure.error;
        warn!(server, error = error.chain(), "the clock could not be set");
        error
    })
}

#[cfg(test)]
mod tests;
