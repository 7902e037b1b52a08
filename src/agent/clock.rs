//! Setting the clock at start and before the machine ends (contract/control-plane 1.8).

use std::time::SystemTime;

use farrier_plugin::{ErrorKind, ManagerError};
use tokio::runtime::Handle;
use tracing::{info, warn};

use super::AgentError;
use crate::config::{Live, Options};
use crate::net::ntp;
use crate::net::resolver::Resolver;
use crate::sys::clock;
use crate::sys::log::chain;

/// Set the clock from `ntp_server`, where that is set. A failure is told and, unless
/// `fail_if_clock_not_set`, left.
pub(super) async fn set_at_start(options: &Options, resolver: &Resolver) -> Result<(), AgentError> {
    match set(options, resolver).await {
        Err(error) if options.fail_if_clock_not_set => Err(AgentError::Clock(error)),
        _ => Ok(()),
    }
}

/// What commands call before the machine ends: set the clock, and store it in the hardware clock
/// even where there is no NTP server. Runs on the command's thread.
pub(super) fn setter(
    options: Live,
    resolver: Resolver,
) -> Box<dyn Fn() -> Result<(), ManagerError> + Send + Sync> {
    let handle = Handle::current();
    Box::new(move || {
        let options = options.current();
        let set = handle.block_on(set(&options, &resolver));
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

async fn set(options: &Options, resolver: &Resolver) -> Result<(), ManagerError> {
    let Some(server) = &options.ntp_server else {
        return Ok(());
    };
    let failed = |error: &dyn std::error::Error| {
        let text = chain(error);
        warn!(server, error = text, "the clock could not be set");
        ManagerError::new(ErrorKind::ClockSync, text)
    };
    let time = ntp::time(server, resolver)
        .await
        .map_err(|error| failed(&error))?;
    clock::set(time).map_err(|error| failed(&error))?;
    info!(server, "the clock is set");
    Ok(())
}
