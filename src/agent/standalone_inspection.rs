//! An inspection without an agent: collect and hand in, once or again and again (contract/control-plane 9.9). There is no
//! lookup, no heartbeat and no API.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use farrier_plugin::chain;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::sleep;
use tracing::{error, info, warn};

use super::collectors::Collected;
use super::discovery::{self, Look};
use super::status::Status;
use super::{inspection, network};
use crate::conductor::{Client, ConductorError, ServiceKind, periodic_pause};
use crate::config::{Live, Options};
use crate::hardware::Managers;
use crate::net::resolver::Resolver;
use crate::sys::root::Root;

/// After a failure the time to the next inspection is so many times as long, up to [`LONGEST`] times the configured one.
const AFTER_FAILURE: f64 = 2.7;
const LONGEST: u32 = 4;

/// Why an inspection came to nothing, or to less than all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InspectionError {
    /// No option says where the data goes.
    #[error(
        "Nothing says where inspection data goes: set inspection_callback_url, or api_url together with \
         inspection_collectors, or use_mdns; --print shows the data"
    )]
    NoUrl,
    /// Nobody answers multicast DNS.
    #[error("Nobody on this network announces {} with multicast DNS", .0.name())]
    NotAnnounced(ServiceKind),
    /// The collection ended early.
    #[error("The collection ended by a defect of farrier")]
    Defect(#[source] JoinError),
    /// The conductor does not have the data.
    #[error("The inspection data was not handed in")]
    HandIn(#[source] ConductorError),
    /// Data is missing, and says so itself.
    #[error("Not all was collected. {0}")]
    Incomplete(String),
}

/// Inspects this machine.
pub(crate) struct StandaloneInspection {
    managers: Arc<Managers>,
    /// As the managers have them; each inspection begins with those that are configured.
    live: Live,
    configured: Options,
    resolver: Resolver,
    root: PathBuf,
    status: Arc<Status>,
}

/// What was collected.
pub(crate) struct InspectionData {
    /// JSON, as it is handed in.
    pub(crate) body: Vec<u8>,
    failures: Option<String>,
}

impl InspectionData {
    /// An error where some of it could not be collected.
    pub(crate) fn whole(self) -> Result<(), InspectionError> {
        self.failures.map_or(Ok(()), |failures| {
            Err(InspectionError::Incomplete(failures))
        })
    }
}

impl StandaloneInspection {
    /// One of the machine of these managers, which have these options.
    pub(crate) fn new(managers: Managers, live: Live, root: &Path) -> Self {
        Self {
            managers: Arc::new(managers),
            configured: Options::clone(&live.current()),
            live,
            resolver: Resolver::default(),
            root: root.to_owned(),
            status: Arc::default(),
        }
    }

    /// Inspect and hand in.
    pub(crate) async fn once(&self) -> Result<(), InspectionError> {
        self.once_by(discovery::one_round).await
    }

    /// The same again and again, each time after about `introspection_daemon_post_interval`. Failures are logged.
    pub(crate) async fn always(&self) {
        let period = Duration::from_secs(self.configured.introspection_daemon_post_interval);
        self.each(period).await;
    }

    async fn each(&self, period: Duration) {
        let mut interval = period;
        loop {
            let result = self.once().await;
            interval = next_interval(interval, period, result.is_err());
            let pause = periodic_pause(interval);
            let seconds = pause.as_secs();
            match result {
                Ok(()) => info!(seconds, "the next inspection follows"),
                Err(error) => {
                    error!(error = %chain(&error), seconds, "the inspection failed, the next one follows");
                }
            }
            sleep(pause).await;
        }
    }

    async fn once_by(&self, look: impl Look) -> Result<(), InspectionError> {
        self.live
            .change(|options| options.clone_from(&self.configured));
        discovery::complete_inspection(&self.live, &self.status, look)
            .await
            .map_err(InspectionError::NotAnnounced)?;
        let options = self.live.current();
        let urls = inspection::urls(&options);
        if urls.is_empty() {
            return Err(InspectionError::NoUrl);
        }
        if options.inspection_callback_url.is_empty() {
            warn!("there is no inspection_callback_url, so the data goes to api_url");
        }
        let client = Client::new(&with_callback_alone(&options), self.resolver.clone())
            .map_err(InspectionError::HandIn)?;
        network::wait_for_dhcp(
            &self.root,
            options.boot_interface.as_deref(),
            options.inspection_dhcp_all_interfaces,
            Duration::from_secs(options.inspection_dhcp_wait_timeout),
        )
        .await;
        network::wait_for_route(&urls, &self.resolver, &self.status).await;
        let data = self.collect().await?;
        let handed_in = client.post_inspection(&urls, &data.body).await;
        handed_in.map_err(InspectionError::HandIn)?;
        data.whole()
    }

    /// Collect, and hand nothing in.
    pub(crate) async fn collect(&self) -> Result<InspectionData, InspectionError> {
        let (managers, options) = (Arc::clone(&self.managers), self.live.current());
        let root = Root::at(&self.root);
        let collected = spawn_blocking(move || {
            managers.forget_inventory();
            Collected::gather(&managers, &options, &root)
        });
        let collected = collected.await.map_err(InspectionError::Defect)?;
        Ok(InspectionData {
            failures: collected.error(),
            body: collected.into_body(),
        })
    }
}

/// The options without `api_url`, which may still be `mdns` where a callback URL makes that nobody's business.
fn with_callback_alone(options: &Options) -> Options {
    Options {
        api_url: Vec::new(),
        ..options.clone()
    }
}

/// The time to the next inspection but for chance. (The reference multiplies chance into it each time, so that it falls
/// towards nothing.)
fn next_interval(interval: Duration, period: Duration, is_failed: bool) -> Duration {
    if is_failed {
        interval.mul_f64(AFTER_FAILURE).min(period * LONGEST)
    } else {
        period
    }
}

#[cfg(test)]
mod tests;
