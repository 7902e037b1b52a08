//! Heartbeats: when one is due, and what follows from its answer (contract/control-plane 3).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use farrier_plugin::chain;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};
use tracing::{debug, warn};

use super::ConductorError;
use super::retry::{between, seconds};

/// After a success, the next heartbeat comes after this part of the time-out, at least and at most.
const PART_OF_TIMEOUT: (f64, f64) = (0.3, 0.6);

/// After a failure, in seconds, at least and at most.
const AFTER_FAILURE: (f64, f64) = (5.0, 10.0);

/// A demanded heartbeat keeps this distance from the one before it.
const DISTANCE: Duration = Duration::from_secs(5);

/// No pause is longer: a year.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);

/// A heartbeat that was demanded is followed by one more after this time.
///
/// The conductor answers 202 and drops a heartbeat that meets a lock on the node (3.4), for example
/// of its power synchronisation. A dropped report that a step has ended would leave the flow
/// waiting for a third of the time-out. One spare heartbeat costs nothing.
const SPARE: Duration = Duration::from_secs(20);

/// What a heartbeat says.
#[derive(Clone)]
pub struct Beat {
    /// The node's UUID.
    pub node_uuid: String,
    /// Where the agent serves, without a path. The conductor refuses a change.
    pub callback_url: String,
    /// The token, where there is one.
    pub agent_token: Option<String>,
    /// The agent's version.
    pub agent_version: String,
    /// The agent's own certificate, PEM. The conductor refuses a change.
    pub agent_verify_ca: Option<String>,
}

impl fmt::Debug for Beat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Beat")
            .field("node_uuid", &self.node_uuid)
            .field("callback_url", &self.callback_url)
            .field("agent_token", &self.agent_token.as_ref().map(|_| "***"))
            .finish_non_exhaustive()
    }
}

/// What became of a heartbeat, for the person at the console.
#[derive(Debug)]
pub enum News<'a> {
    /// The conductor took it.
    Accepted,
    /// The conductor did not; there will be another try.
    Failed(&'a ConductorError),
}

/// The rhythm of heartbeats.
#[derive(Clone, Debug)]
pub struct Heartbeats {
    /// What the conductor said in the lookup: silence of this length makes the agent dead.
    pub timeout: Duration,
    /// Notified when a heartbeat is demanded.
    pub demanded: Arc<Notify>,
    /// Becomes true when there shall be no more.
    pub stop: watch::Receiver<bool>,
}

impl Heartbeats {
    /// Send heartbeats until told to stop: the first at once, never giving up.
    ///
    /// A demand is met at once, or five seconds after the heartbeat before it. A demand that comes
    /// while a heartbeat is on its way is met by another one, since the conductor may have looked
    /// at the commands before.
    pub async fn run<F: Future<Output = Result<(), ConductorError>>>(
        mut self,
        mut send: impl FnMut() -> F,
        tell: impl Fn(News<'_>),
    ) {
        let mut due = Instant::now();
        let mut last: Option<Instant> = None;
        let mut demanded = false;
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut self.stop) => return,
                () = sleep_until(due) => {}
                () = self.demanded.notified(), if !demanded => {
                    demanded = true;
                    let earliest = last.map_or_else(Instant::now, |last| last + DISTANCE);
                    due = due.min(earliest.max(Instant::now()));
                    continue;
                }
            }
            let attempt = Instant::now();
            last = Some(attempt);
            let result = tokio::select! {
                () = stopped(&mut self.stop) => return,
                result = send() => result,
            };
            let pause = match &result {
                Ok(()) => {
                    debug!(demanded, "heartbeat");
                    let (low, high) = PART_OF_TIMEOUT;
                    let regular = seconds(self.timeout.as_secs_f64() * between(low, high));
                    let spare = demanded && regular > SPARE;
                    demanded = false;
                    if spare { SPARE } else { regular }
                }
                Err(error) => {
                    warn!(error = %chain(error), "the heartbeat failed");
                    let (low, high) = AFTER_FAILURE;
                    seconds(between(low, high))
                }
            };
            match &result {
                Ok(()) => tell(News::Accepted),
                Err(error) => tell(News::Failed(error)),
            }
            due = later(pause);
        }
    }
}

/// That long from now; a pause that no clock can hold ends with the longest that can be slept.
fn later(pause: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(pause).unwrap_or(now + LONGEST)
}

/// Resolves when the value is true, or nobody can change it any more.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::time::sleep;

    use super::*;

    struct Recorder {
        started: Instant,
        beats: Mutex<Vec<f64>>,
        demanded: Arc<Notify>,
        stop: watch::Sender<bool>,
    }

    impl Recorder {
        fn new() -> Arc<Self> {
            Arc::new(Self {
                started: Instant::now(),
                beats: Mutex::default(),
                demanded: Arc::default(),
                stop: watch::channel(false).0,
            })
        }

        fn start(
            self: &Arc<Self>,
            answer: impl Fn(usize) -> Result<(), ConductorError> + Send + Sync + 'static,
        ) -> tokio::task::JoinHandle<()> {
            let recorder = Arc::clone(self);
            let heartbeats = Heartbeats {
                timeout: Duration::from_secs(300),
                demanded: Arc::clone(&self.demanded),
                stop: self.stop.subscribe(),
            };
            let send = move || {
                let count = {
                    let mut beats = recorder.beats.lock().unwrap();
                    beats.push(recorder.started.elapsed().as_secs_f64());
                    beats.len()
                };
                let answer = answer(count);
                async {
                    sleep(Duration::from_millis(50)).await;
                    answer
                }
            };
            tokio::spawn(heartbeats.run(send, |_| {}))
        }

        fn beats(&self) -> Vec<f64> {
            self.beats.lock().unwrap().clone()
        }
    }

    fn conflict() -> ConductorError {
        ConductorError::Conflict {
            text: "Node is locked".to_owned(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_rhythm_is_the_contracts() {
        let recorder = Recorder::new();
        recorder.start(|_| Ok(()));
        sleep(Duration::from_secs(3600)).await;
        let beats = recorder.beats();
        assert_eq!(beats[0], 0.0);
        assert!(beats.len() >= 20, "{beats:?}");
        for pair in beats.windows(2) {
            let gap = pair[1] - pair[0];
            assert!((90.0..180.2).contains(&gap), "{gap}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_timeout_ends_them() {
        assert!(later(Duration::MAX) > Instant::now() + LONGEST / 2);
        for timeout in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
            let demanded = Arc::new(Notify::new());
            let (stop, stopped) = watch::channel(false);
            let heartbeats = Heartbeats {
                timeout,
                demanded: Arc::clone(&demanded),
                stop: stopped,
            };
            let beats = Arc::new(Mutex::new(0));
            let count = Arc::clone(&beats);
            let send = move || {
                *count.lock().unwrap() += 1;
                async {
                    sleep(Duration::from_millis(50)).await;
                    Ok(())
                }
            };
            let task = tokio::spawn(heartbeats.run(send, |_| {}));
            sleep(Duration::from_secs(60)).await;
            demanded.notify_one();
            sleep(Duration::from_secs(30)).await;
            stop.send_replace(true);
            task.await.unwrap();
            assert!(*beats.lock().unwrap() >= 2, "{timeout:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_retried_for_ever() {
        let recorder = Recorder::new();
        recorder.start(|_| Err(conflict()));
        sleep(Duration::from_secs(3600)).await;
        let beats = recorder.beats();
        assert!(beats.len() >= 340, "{}", beats.len());
        for pair in beats.windows(2) {
            let gap = pair[1] - pair[0];
            assert!((5.0..10.2).contains(&gap), "{gap}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_demand_is_met_at_once_and_once_more() {
        let recorder = Recorder::new();
        recorder.start(|_| Ok(()));
        sleep(Duration::from_secs(30)).await;
        recorder.demanded.notify_one();
        sleep(Duration::from_millis(10)).await;
        assert_eq!(recorder.beats().len(), 2);
        sleep(Duration::from_secs(25)).await;
        let beats = recorder.beats();
        assert_eq!(beats.len(), 3);
        assert!((20.0..20.2).contains(&(beats[2] - beats[1])));
        sleep(Duration::from_secs(60)).await;
        assert_eq!(recorder.beats().len(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn demands_keep_their_distance() {
        let recorder = Recorder::new();
        recorder.start(|_| Ok(()));
        // While the first heartbeat is on its way.
        sleep(Duration::from_millis(20)).await;
        recorder.demanded.notify_one();
        recorder.demanded.notify_one();
        sleep(Duration::from_secs(4)).await;
        assert_eq!(recorder.beats().len(), 1);
        sleep(Duration::from_secs(2)).await;
        let beats = recorder.beats();
        assert_eq!(beats.len(), 2);
        assert!((5.0..5.1).contains(&beats[1]), "{beats:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_demand_survives_failures() {
        let recorder = Recorder::new();
        recorder.start(|count| if count == 2 { Err(conflict()) } else { Ok(()) });
        sleep(Duration::from_secs(30)).await;
        recorder.demanded.notify_one();
        sleep(Duration::from_secs(35)).await;
        let beats = recorder.beats();
        // The demanded one fails, is repeated, and has its spare.
        assert_eq!(beats.len(), 4, "{beats:?}");
        assert!((5.0..10.2).contains(&(beats[2] - beats[1])));
        assert!((20.0..20.2).contains(&(beats[3] - beats[2])));
    }

    #[tokio::test(start_paused = true)]
    async fn it_stops_when_told() {
        let recorder = Recorder::new();
        let task = recorder.start(|_| Ok(()));
        sleep(Duration::from_secs(1)).await;
        recorder.stop.send_replace(true);
        task.await.unwrap();
        assert_eq!(recorder.beats().len(), 1);
    }
}
