//! How an agent that serves ends: nothing that it has begun is left without a word.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tracing::error;

use super::status::Status;
use crate::command::{CommandTable, CutOff};

/// What the command under way gets to stop. A plugin has ten seconds of it, and is killed then. Together
/// with [`REPORT`] and the end of the server it is less than PID 1 waits for the agent.
pub(super) const GRACE: Duration = Duration::from_secs(15);

/// How long the agent serves on after a command was cut off, so that the conductor hears of it while there
/// is somebody to ask: a heartbeat leaves five seconds after the one before at the latest.
pub(super) const REPORT: Duration = Duration::from_secs(8);

/// How an agent ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum End {
    /// The network is to be taken down, and nothing may happen any more.
    LockedDown,
    /// The machine is a rescue system, and no agent serves in it.
    Rescued,
    /// The system asked the agent to end.
    Terminated,
}

/// The system's demands that the agent ends, by SIGTERM or SIGINT. Until the first is waited for, they end
/// the process as they do any other; from then on none is lost, also one that comes while nobody waits.
#[derive(Clone, Default)]
pub(crate) struct Demands(Arc<Mutex<Option<[Option<Signal>; 2]>>>);

impl Demands {
    /// Resolves at the next demand; never where the signals cannot be caught.
    pub(crate) async fn next(self) {
        let mut signals = self.0.lock().await;
        let [terminate, interrupt] = signals.get_or_insert_with(|| {
            [SignalKind::terminate(), SignalKind::interrupt()].map(|kind| signal(kind).ok())
        });
        tokio::select! {
            () = arrived(terminate) => {}
            () = arrived(interrupt) => {}
        }
    }
}

async fn arrived(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// Tell the command under way to stop, wait for that as long as it may take, and tell the person at the
/// console what becomes of it. Whether there was one.
pub(super) async fn cut_off(
    table: &Arc<CommandTable>,
    why: CutOff,
    grace: Duration,
    status: &Status,
) -> bool {
    let Some(command) = table.cut_off(why) else {
        return false;
    };
    status.ending(&format!(
        "ending, because {why}: {} is told to stop and has {} s for it",
        command.name(),
        grace.as_secs()
    ));
    let (waiting, waited_for) = (Arc::clone(table), Arc::clone(&command));
    let waited = spawn_blocking(move || waiting.give_up_after(grace, &waited_for)).await;
    if let Err(panic) = waited {
        error!(%panic, "waiting for the command's end met a defect");
    }
    if let Some(error) = command.outcome().and_then(|outcome| outcome.error.clone()) {
        status.trouble(&error.details);
    }
    true
}

#[cfg(test)]
mod tests {
    use nix::sys::signal::{self, raise};
    use tokio::time::timeout;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_demand_that_comes_while_nobody_waits_is_met_later() {
        let demands = Demands::default();
        let waited = timeout(Duration::from_millis(50), demands.clone().next()).await;
        assert!(waited.is_err());
        raise(signal::Signal::SIGTERM).unwrap();
        // As long as the handler may take to tell it.
        tokio::time::sleep(Duration::from_millis(200)).await;
        timeout(Duration::from_secs(30), demands.next())
            .await
            .unwrap();
    }
}
